"""What a step must cost on an accelerator that is not there: `python -m grokjax.bench --target`.

The program is the one that a sweep would run, compiled for the described device. All that is said
of time is estimated, as `engine.roofline` says: figures to design by and no measurements.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from jax.sharding import NamedSharding

from grokjax.bench import record
from grokjax.bench.cases import Case, chosen
from grokjax.bench.options import Options
from grokjax.config import Experiment, grid
from grokjax.engine import cost, hlo, plan, roofline, targets
from grokjax.engine.roofline import Estimate
from grokjax.engine.targets import Target

LANES = (64, 256)
SHOWN = 10
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
        f"{1e6 * target['launch_seconds']:.1f} us a launch; of an update between log points, "
        "its loop counted once"
    ]
    for row in found["rows"]:
        if not row["fits"]:
            memory = f"{target['memory'] / 2**30:.0f} GiB"
            lines.append(f"{row['case']}, {row['lanes']} lanes, estimated: beyond the {memory}")
            continue
        lines.append(
            f"{row['case']}, {row['lanes']} lanes, estimated: {row['kernels']} kernels a step; "
            f"{row['megabytes']:.1f} MB ({row['whole_megabytes']:.1f} with operands whole) and "
            f"{row['gflop']:.2f} GFLOP ({row['needed_gflop']:.2f} needed) a run-step; at most "
            f"{row['by_memory']:,.0f} run-steps/s by memory, {row['by_products']:,.0f} by "
            f"products, {row['with_launches']:,.0f} with launches; {row['memory_gib']:.1f} GiB; "
            f"compiled in {row['compile_seconds']:.0f} s, {row['compile_processor_seconds']:.0f} s "
            "of a processor's time"
        )
        lines += [
            f"  estimated {kernel['microseconds']:8.1f} us {kernel['megabytes']:9.1f} MB "
            f"{kernel['gflop']:7.1f} GFLOP  {kernel['times']} × {kernel['shape']:26s} "
            f"{kernel['label']}"
            for kernel in row["costly"]
        ]
    return "\n".join(lines)


def _case(case: Case, count: int, target: Target, sharding: NamedSharding) -> dict[str, Any]:
    """What is recorded of a case in so many lanes."""
    program = _program(case.experiment, count, target)
    found = roofline.estimate(program, target, sharding)
    return {"case": case.name, "lanes": program.lanes, **_figures(case, found)}


def _program(experiment: Experiment, count: int, target: Target) -> plan.Program:
    """The program of a case as a sweep on the target would have it."""
    sweep = grid(seed=range(count))
    experiment = dataclasses.replace(experiment, settle_steps=None, sweep=sweep)
    (program,) = plan.make(experiment, backend=target.backend, devices=1, lanes=count)
    return program


def _figures(case: Case, found: Estimate | None) -> dict[str, Any]:
    """The figures of a row."""
    if found is None:
        return {"fits": False}
    lanes, spec = found.program.lanes, found.program.spec
    bytes_, flops = found.total("bytes"), found.total("flops")
    return {
        "fits": True,
        "row_multiple": spec.row_multiple,
        "kernels": sum(kernel.times for _, kernel in found.kernels),
        "megabytes": bytes_ / lanes / 1e6,
        "whole_megabytes": found.total("whole_bytes") / lanes / 1e6,
        "gflop": flops / lanes / 1e9,
        "needed_gflop": cost.step_flops(spec, case.experiment.n_train) / 1e9,
        "by_memory": lanes * found.target.bandwidth / bytes_,
        "by_products": lanes * found.flop_rate / max(flops, 1),
        "with_launches": 1 / found.run_step_seconds,
        "memory_gib": found.memory / 2**30,
        "compile_seconds": found.compile_seconds,
        "compile_processor_seconds": found.compile_processor_seconds,
        "costly": _costly(found),
    }


def _costly(found: Estimate) -> list[dict[str, Any]]:
    """The kernels that take longest, equal ones together."""
    groups: dict[tuple[str, str], list[tuple[float, hlo.Kernel]]] = {}
    for seconds, kernel in found.kernels:
        label = re.sub(r"^.*closed_call/|\w+Network[./]|block/|jit\(\w+\)/", "", kernel.label)
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
