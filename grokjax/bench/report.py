"""What the benchmark measures and how it is shown."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import statistics
from types import ModuleType
from typing import Any

import jax

from grokjax.bench import ours, peers, record, timing
from grokjax.bench.cases import Case, chosen, scaling
from grokjax.bench.options import Options
from grokjax.engine import backend

COLUMNS = {
    "case": "case",
    "who": "who",
    "lanes": "lanes",
    "ms_per_run_step": "ms/run-step",
    "run_steps_per_second": "run-steps/s",
    "gflop_per_run_step": "GFLOP",
    "gflop_per_second": "GFLOP/s",
    "share_of_peak": "of peak",
    "times_ours": "× ours",
    "log_every_10_costs": "log 10",
    "compile_seconds": "compile s",
    "memory_mib": "MiB",
}


def measure(options: Options, command: str) -> dict[str, Any]:
    """Time what the options ask for."""
    cases = list(scaling()) if options.scaling else chosen(options)
    others = peers.load() if options.peers else None
    if others is not None:
        for case in cases:
            others.check(case.experiment)
    backend.prepare()
    jax.config.update("jax_enable_compilation_cache", False)  # compile times are measured
    peaks, rows = [timing.matmul_peak(options.precision)], []
    for case in cases:
        rows += _case(case, options, others)
        peaks.append(timing.matmul_peak(options.precision))
    peak = statistics.median(peaks)
    for row in rows:
        if row.get("gflop_per_second") is not None:
            row["share_of_peak"] = row["gflop_per_second"] * 1e9 / peak
    device = jax.devices()[0].device_kind
    about = record.described(device, backend.cores(), options.precision, command)
    if options.peers:
        about["versions"]["torch"] = importlib.metadata.version("torch")
    return {
        **about,
        "rounds": options.rounds,
        "matmul_peak_gflop_per_second": peak / 1e9,
        "rows": rows,
    }


def table(found: dict[str, Any]) -> str:
    """A record as text."""
    shown = [[_cell(row.get(name)) for name in COLUMNS] for row in found["rows"]]
    used = [i for i, name in enumerate(COLUMNS) if any(row[i] for row in shown)]
    lines = [[list(COLUMNS.values())[i] for i in used]] + [[row[i] for i in used] for row in shown]
    widths = [max(len(line[i]) for line in lines) for i in range(len(used))]
    text = [
        "  ".join(
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    peak = found["matmul_peak_gflop_per_second"]
    text.append(
        f"{found['processor']}, {found['cores']} cores, {found['device']['kind']}; matrix products "
        f"reach {peak:.0f} GFLOP/s at precision {found['matmul_precision']}; medians of "
        f"{found['rounds']} rounds"
    )
    return "\n".join(text)


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return str(value) if isinstance(value, int) else f"{value:.3g}"


def _case(case: Case, options: Options, others: ModuleType | None) -> list[dict[str, Any]]:
    """The rows of a case: ours, and the peers' where they are given."""
    entry = ours.enter(case)
    contenders = [entry.contender]
    often = None
    if not options.scaling:
        often = dataclasses.replace(ours.enter(case, log_every=10).contender, name="log 10")
        contenders.append(often)
    theirs = others.contenders(case.experiment, entry.contender.lanes) if others else []
    seconds = timing.interleaved([*contenders, *theirs], options.rounds)
    mine = seconds[entry.contender.name]
    rows = [
        {
            "case": case.name,
            "who": entry.contender.name,
            "lanes": entry.contender.lanes,
            "devices": entry.devices,
            "ms_per_run_step": 1e3 * mine,
            "run_steps_per_second": 1 / mine,
            "gflop_per_run_step": entry.flops / 1e9,
            "gflop_per_second": entry.flops / mine / 1e9,
            "log_every_10_costs": seconds[often.name] / mine - 1 if often else None,
            "compile_seconds": entry.compile_seconds,
            "memory_mib": entry.memory / 2**20,
        }
    ]
    for other in theirs:
        took = seconds[other.name]
        rows.append(
            {
                "case": case.name,
                "who": other.name,
                "lanes": other.lanes,
                "ms_per_run_step": 1e3 * took,
                "run_steps_per_second": 1 / took,
                "times_ours": took / mine,
            }
        )
    return rows
