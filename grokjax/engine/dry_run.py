"""What a sweep would do and cost, without doing it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import jax

from grokjax import display
from grokjax.config import ConfigError, Experiment
from grokjax.engine import backend, cost, folder, plan, roofline, standing, targets, tune
from grokjax.engine.targets import Target

BYTES_PER_CURVE_ROW = 22
"""Compressed; the three sweeps under results/recorded have 20.4 to 22.1."""


def describe(
    experiment: Experiment,
    out: Path,
    lanes: int | None,
    overwrite: bool,
    target: str | None = None,
) -> str:
    """The dry run as text.

    Args:
      experiment: what would be run.
      out: results folder.
      lanes: asked for by the user.
      overwrite: whether what is in the folder would be removed first.
      target: name of a device to plan for that need not be there.
    """
    backend.prepare()
    folder.check_free(out)
    old = None if overwrite else folder.earlier_start(experiment, out)
    experiment = folder.called_as_before(experiment, old)
    recorded = old["programs"] if old else {}
    ended = set() if overwrite else set(standing.read(out, old).ended()["run_id"])
    if target is None:
        device = jax.default_backend()
        programs = plan.here(experiment, lanes, recorded, ended)
        if lanes is None:
            programs = tune.tuned(programs, recorded, say=lambda activity: None)
        memory = [_counted(program) for program in programs]
    else:
        device = f"{target}, estimated without it"
        programs, memory = _on_target(experiment, lanes, ended, targets.target(target))
    runs = [run for program in programs for run in program.runs]
    ended &= {run.run_id for run in runs}
    seconds = sum(
        run.config.steps * program.run_step_seconds
        for program in programs
        for run in program.runs
        if run.run_id not in ended
    )
    rows = sum(run.log_points for run in runs)
    refine = experiment.refine
    lines = [f"{out}: {len(runs)} runs, {len(runs) - len(ended)} to do, {len(ended)} done"]
    lines += [f"  {path}: {_listed(values)}" for path, values in experiment.axes().items()]
    lines.append(f"{len(programs)} compiled programs on {device}:")
    lines += [f"{_program(p)}, {bytes_}" for p, bytes_ in zip(programs, memory, strict=True)]
    early = any(run.config.settle_steps is not None for run in runs)
    lines.append(f"about {display.duration(seconds)}" + ", less what runs that settle save" * early)
    if refine is not None:
        more = max(run.config.steps * p.run_step_seconds for p in programs for run in p.runs)
        lines.append(
            f"then up to {refine.runs} runs in {refine.rounds} rounds where the boundary is least "
            f"certain, at most about {display.duration(refine.runs * more)} more"
        )
    lines.append(f"about {rows * BYTES_PER_CURVE_ROW / 2**20:.1f} MiB of curves on disk at most")
    return "\n".join(lines)


def _on_target(
    experiment: Experiment, lanes: int | None, ended: Collection[str], target: Target
) -> tuple[list[plan.Program], list[str]]:
    """The programs as a device would have them that is not there, and their memory in words.

    Programs that differ in their training rows alone are compiled once, the largest of them.
    """
    sharding = target.sharding()
    planned = plan.make(
        experiment, backend=target.backend, memory=target.memory, lanes=lanes, ended=ended
    )
    programs, memory = [], []
    for family in plan.families(planned):
        found = roofline.most_lanes(family[0], target, sharding)
        if lanes is not None and found.program.lanes < family[0].lanes:
            raise ConfigError(
                f"lanes={lanes}: {target.name} has memory for {found.program.lanes}, give as many "
                "or leave --lanes out."
            )
        for program in family:
            share = cost.run_step_flops(program.spec) / cost.run_step_flops(family[0].spec)
            count, seconds = found.program.lanes, share * found.run_step_seconds
            programs.append(plan.shaped(program.spec, program.runs, count, 1, seconds))
            memory.append(
                f"{found.memory / 2**30:.1f} of {target.memory / 2**30:.0f} GiB as compiled"
            )
    return programs, memory


def _program(program: plan.Program) -> str:
    smallest, largest = program.spec.train_rows
    tiles = f" in {program.spec.tiles} tiles" * (program.spec.tiles > 1)
    return (
        f"  {program.name}: {len(program.runs)} runs of {smallest}-{largest} training rows{tiles}, "
        f"{program.lanes} lanes on {program.devices} devices, segments of {program.log_points} "
        f"log points, {1e3 * program.run_step_seconds:.2g} ms a run-step"
    )


def _counted(program: plan.Program) -> str:
    memory = program.lanes * cost.lane_bytes(program.spec) / 2**20
    return f"about {memory:.0f} MiB of activations"


def _listed(values: list) -> str:
    shown = [str(value) for value in values]
    return ", ".join(shown if len(shown) <= 8 else [*shown[:3], "…", shown[-1]])
