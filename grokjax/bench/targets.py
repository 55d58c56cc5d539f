"""What a step must cost on an accelerator that is not there: `python -m grokjax.bench --target`.

The program is the one that a sweep would run, compiled for the described device. All that is said
of time is *estimated*: bytes over the bandwidth, FLOPs over the rate, a launch for each kernel.
Caches, overlap and what rates are reached are not in it: figures to design by and no measurements.
"""

from __future__ import annotations

import dataclasses
import math
import re
import time
from typing import Any

from grokjax.bench import hlo, record
from grokjax.bench.cases import Case, chosen
from grokjax.bench.options import Options
from grokjax.config import Experiment, grid
from grokjax.engine import cost, lanes, plan, targets
from grokjax.engine.targets import Target
from grokjax.models import kernels

UPDATES = 50
"""Between two log points: a loop that no other loop of the program is as long as."""
LANES = (64, 256)
SHOWN = 60
"""Kernels of a case that are listed."""


def measure(options: Options, command: str) -> dict[str, Any]:
    """A record of what the cases cost on the target of the options."""
    target = targets.target(options.target or "")
    sharding = target.sharding()
    counts = (options.lanes,) if options.lanes else LANES
    rows = [_case(case, count, target, sharding) for case in chosen(options) for count in counts]
    about = record.described(target.name, 1, options.precision, command)
    return {
        **about,
        "estimated": True,
        "target": {
            "name": target.name,
            "bandwidth": target.bandwidth,
            "flop_rate": target.flop_rates[options.precision],
            "launch_seconds": target.launch_seconds,
            "memory": target.memory,
        },
        "rows": rows,
    }


def table(found: dict[str, Any]) -> str:
    """A record as text; every line of it says that it is estimated."""
    target = found["target"]
    lines = [
        f"estimated for {target['name']} at precision {found['matmul_precision']}: "
        f"{target['bandwidth'] / 1e12:.2f} TB/s, {target['flop_rate'] / 1e12:.0f} TFLOP/s, "
        f"{1e6 * target['launch_seconds']:.1f} us a launch; loops counted as often as they run, "
        "the update between log points"
    ]
    for row in found["rows"]:
        lines.append(
            f"{row['case']}, {row['lanes']} lanes, estimated: {row['kernels']} kernels a step; "
            f"{row['megabytes']:.1f} MB ({row['whole_megabytes']:.1f} with operands whole) and "
            f"{row['gflop']:.2f} GFLOP ({row['needed_gflop']:.2f} needed) a run-step; at most "
            f"{row['by_memory']:,.0f} run-steps/s by memory, {row['by_products']:,.0f} by "
            f"products, {row['with_launches']:,.0f} with launches; {row['memory_gib']:.1f} GiB; "
            f"compiled in {row['compile_seconds']:.0f} s, {row['compile_cpu_seconds']:.0f} s of "
            "a processor's time"
        )
        lines += [
            f"  estimated {kernel['microseconds']:8.1f} us {kernel['megabytes']:9.1f} MB "
            f"{kernel['gflop']:7.1f} GFLOP  {kernel['times']} × {kernel['shape']:26s} "
            f"{kernel['label']}"
            for kernel in row["costly"]
        ]
    return "\n".join(lines)


def _case(case: Case, count: int, target: Target, sharding: Any) -> dict[str, Any]:
    """The row of a case in so many lanes."""
    program = _program(case.experiment, count, target)
    spec, precision = program.spec, case.experiment.matmul_precision
    _, segment = lanes.traced_programs(spec, 1, program.lanes, sharding)
    began, processor = time.perf_counter(), time.process_time()
    compiled = lanes.compiled(spec, segment, sharding, lanes.COMPILER_OPTIONS)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - processor
    found = hlo.step_kernels(compiled.as_text() or "", UPDATES - 1, _own_flops)
    rate = target.flop_rates[precision]
    total = {
        name: sum(getattr(kernel, name) * kernel.times for kernel in found)
        for name in ("bytes", "whole_bytes", "flops")
    }
    timed = [(_seconds(kernel, target, rate), kernel) for kernel in found]
    memory = lanes.memory(compiled)
    return {
        "case": case.name,
        "lanes": program.lanes,
        "row_multiple": spec.row_multiple,
        "kernels": sum(kernel.times for kernel in found),
        "megabytes": total["bytes"] / program.lanes / 1e6,
        "whole_megabytes": total["whole_bytes"] / program.lanes / 1e6,
        "gflop": total["flops"] / program.lanes / 1e9,
        "needed_gflop": cost.step_flops(spec, case.experiment.n_train) / 1e9,
        "by_memory": program.lanes * target.bandwidth / total["bytes"],
        "by_products": program.lanes * rate / max(total["flops"], 1),
        "with_launches": program.lanes / sum(seconds for seconds, _ in timed),
        "memory_gib": memory / 2**30,
        "compile_seconds": seconds,
        "compile_cpu_seconds": cpu_seconds,
        "costly": _costly(timed),
    }


def _program(experiment: Experiment, count: int, target: Target) -> plan.Program:
    """The program of a case as a sweep on the target would have it."""
    experiment = dataclasses.replace(
        experiment,
        steps=UPDATES,
        log_every=UPDATES,
        settle_steps=None,
        sweep=grid(seed=range(count)),
    )
    (program,) = plan.make(experiment, backend=target.backend, devices=1, lanes=count)
    return program


def _own_flops(label: str, shapes: list[list[int]]) -> int:
    """Of a kernel of `models.kernels`, whose operands are rows, gain, shift and weights."""
    products = [n for name, n in kernels.PRODUCTS.items() if f"/{name}/" in label]
    if not products:
        return 0
    rows, _, _, weights, *_ = shapes
    return 2 * products[0] * math.prod(rows) * weights[-1]


def _seconds(kernel: hlo.Kernel, target: Target, rate: float) -> float:
    """What a kernel takes at least, as often as it runs."""
    once = max(kernel.bytes / target.bandwidth, kernel.flops / rate)
    return kernel.times * (once + target.launch_seconds)


def _costly(timed: list[tuple[float, hlo.Kernel]]) -> list[dict[str, Any]]:
    """The kernels that take longest, equal ones together."""
    groups: dict[tuple[str, str], list[tuple[float, hlo.Kernel]]] = {}
    for seconds, kernel in timed:
        label = re.sub(
            r"^.*closed_call/|TransformerNetwork[./]|block/|jit\(\w+\)/", "", kernel.label
        )
        groups.setdefault((kernel.shape, label), []).append((seconds, kernel))
    rows = [
        {
            "shape": shape,
            "label": label,
            "times": sum(kernel.times for _, kernel in group),
            "microseconds": 1e6 * sum(seconds for seconds, _ in group),
            "megabytes": sum(kernel.times * kernel.bytes for _, kernel in group) / 1e6,
            "gflop": sum(kernel.times * kernel.flops for _, kernel in group) / 1e9,
        }
        for (shape, label), group in groups.items()
    ]
    return sorted(rows, key=lambda row: -float(str(row["microseconds"])))[:SHOWN]
