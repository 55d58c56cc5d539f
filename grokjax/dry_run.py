"""What a sweep would do and cost, without doing it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import jax

from grokjax import command, display
from grokjax.cluster.cut import Work
from grokjax.config import Cluster, ConfigError, Experiment
from grokjax.engine import (
    backend,
    cost,
    growth,
    plan,
    repeats,
    results_folder,
    roofline,
    standing,
    targets,
    tune,
)
from grokjax.engine.plan import Program
from grokjax.engine.rounds import recorded_rounds, with_rounds
from grokjax.engine.targets import Target

BYTES_PER_CURVE_ROW = 22
"""Compressed; the three sweeps under results/recorded have 20.4 to 22.1."""


@dataclasses.dataclass(frozen=True)
class Planned:
    """A program as it would be trained, and how its time and memory are known."""

    program: Program
    time: str
    """`nominal`, `timed`, `as when the sweep was begun`, or `estimated from what was compiled`."""
    memory: str


def describe(
    experiment: Experiment,
    out: Path,
    *,
    lanes: int | None = None,
    overwrite: bool = False,
    timed: bool = False,
    target: str | None = None,
    cluster: Cluster | None = None,
) -> str:
    """The dry run as text. Nothing is trained, and nothing compiled that was not asked for.

    Args:
      experiment: what would be run.
      out: results folder.
      lanes: asked for by the user.
      overwrite: whether what is in the folder would be removed first.
      timed: whether to compile the programs and time a few updates of each, as a sweep does.
      target: name of a device to plan and compile for that need not be there.
      cluster: where workers would be.
    """
    backend.prepare()
    results_folder.check_free(out)
    old = None if overwrite else results_folder.earlier_start(experiment, out)
    rounds = recorded_rounds(experiment, old)
    grown = growth.growth_of(out, with_rounds(experiment, rounds), old) if old else None
    experiment = results_folder.called_as_before(experiment, old)
    recorded = old["programs"] if old else {}
    if grown is not None:
        ended = set(grown.stays)
    else:
        ended = set() if overwrite else set(standing.read_standing(out, old).ended()["run_id"])
    if target is None:
        device = jax.default_backend()
        programs = plan.here(experiment, lanes, recorded, ended)
        planned = _timed(programs, recorded, lanes) if timed else _nominal(programs, recorded)
    else:
        device = f"{target}, estimated without it"
        planned = _on_target(experiment, lanes, ended, targets.target(target))
    runs = [run for one in planned for run in one.program.runs]
    ended &= {run.run_id for run in runs}
    lines = [f"{out}: {len(runs)} runs, {len(runs) - len(ended)} to do, {len(ended)} done"]
    if grown is not None:
        lines.append(f"  {grown.describe()}")
    lines += [f"  {path}: {_listed(values)}" for path, values in experiment.axes().items()]
    lines.append(f"{len(planned)} compiled programs on {device}:")
    lines += map(_line, planned)
    lines += [f"warning: {sentence}" for sentence in repeats.warnings(experiment.runs())]
    lines += _times(experiment, planned, ended, grown.goes_on if grown else {})
    if cluster is not None:
        lines += _on_workers(experiment, planned, ended, cluster)
    rows = sum(run.log_points for run in runs)
    lines.append(f"about {rows * BYTES_PER_CURVE_ROW / 2**20:.1f} MiB of curves on disk at most")
    if experiment.reasons_to_keep:
        states = sum(plan.state_bytes(one.program.spec) * len(one.program.runs) for one in planned)
        which = "every run" if experiment.keep_final == "all" else "runs that use up their budget"
        lines.append(
            f"at most {states / 2**20:.1f} MiB for the last states of {which}, from which a larger "
            "budget goes on (--keep-final None: none)"
        )
    return "\n".join(lines)


def _nominal(programs: list[Program], recorded: Mapping[str, Any]) -> list[Planned]:
    """The programs by count alone, or as an earlier start has timed them."""
    return [
        Planned(p, "as when the sweep was begun" if p.name in recorded else "nominal", _counted(p))
        for p in programs
    ]


def _timed(
    programs: list[Program], recorded: Mapping[str, Any], lanes: int | None
) -> list[Planned]:
    """The programs by a timing, in the lanes that are fastest or in those asked for.

    What an earlier start has chosen stays, as it does when the sweep goes on.
    """
    if lanes is None:
        timed = tune.tuned(programs, recorded, command.say)
        known = zip(_nominal(timed, recorded), timed, strict=True)
        untimed = "nominal, too short to be timed"
        return [
            one
            if program.name in recorded
            else dataclasses.replace(one, time=untimed if program in programs else "timed")
            for one, program in known
        ]
    planned = {one.program.name: one for one in _nominal(programs, recorded)}
    for family in plan.families([p for p in programs if p.name not in recorded]):
        command.say(f"timing {family[0].lanes} lanes of {family[0].name}")
        seconds = tune.measure(family[0]).run_step_seconds
        for program in family:
            share = cost.run_step_flops(program.spec) / cost.run_step_flops(family[0].spec)
            cut = plan.cut(program.spec, program.runs, lanes, program.devices, share * seconds)
            planned[program.name] = Planned(cut, "timed", _counted(cut))
    return [planned[program.name] for program in programs]


def _times(
    experiment: Experiment,
    planned: list[Planned],
    ended: Collection[str],
    begun: Mapping[str, int],
) -> list[str]:
    """How long all of it takes, in words.

    Args:
      experiment: to be trained.
      planned: its programs.
      ended: runs that need no training.
      begun: run id → the step that it goes on from.
    """
    seconds = sum(
        (run.config.steps - begun.get(run.run_id, 0)) * one.program.run_step_seconds
        for one in planned
        for run in one.program.runs
        if run.run_id not in ended
    )
    runs = [(run, one.program) for one in planned for run in one.program.runs]
    early = any(run.config.settle_steps is not None for run, _ in runs)
    ways = ", ".join(dict.fromkeys(one.time for one in planned))
    guess = "; a nominal time is counted, whatever the lanes, and right to within a factor of a "
    guess += "few: --time measures it"
    lines = [
        f"about {display.duration(seconds)} ({ways})"
        + ", less what runs that settle save" * early
        + guess * any(one.time == "nominal" for one in planned)
    ]
    refine = experiment.refine
    if refine is not None:
        more = max(run.config.steps * program.run_step_seconds for run, program in runs)
        lines.append(
            f"then up to {refine.runs} runs in {refine.rounds} rounds where the boundary is least "
            f"certain, at most about {display.duration(refine.runs * more)} more"
        )
    return lines


def _on_workers(
    experiment: Experiment, planned: list[Planned], ended: Collection[str], cluster: Cluster
) -> list[str]:
    """The shards that workers would get, in words."""
    programs = [one.program for one in planned]
    workers = cluster.workers
    if workers is None and cluster.cluster == "inline":
        workers = max(1, backend.cores() // (cluster.cores or 1))
    if workers is None:
        return ["on workers: how many shards depends on how many there are, give --workers"]
    cuts = {program.name: plan.cut_of(program) for program in programs}
    work, seconds = Work(programs, cuts, ended), list[float]()
    while piece := work.next(workers, cluster.shard_seconds):
        seconds.append(piece.seconds)
    count = f"{len(seconds)} shards of at most {display.duration(max(seconds, default=0))}"
    lines = [f"on {workers} workers: {count}; one of them chooses the lanes first"]
    if experiment.refine is not None:
        each = -(-experiment.refine.runs // experiment.refine.rounds)
        idle = f", {workers - each} workers idle in them" if each < workers else ""
        lines.append(f"rounds are trained one after another, of {each} runs each{idle}")
    return lines


def _on_target(
    experiment: Experiment, lanes: int | None, ended: Collection[str], target: Target
) -> list[Planned]:
    """The programs as a device would have them that is not there.

    Programs that differ in their training rows alone are compiled once, the largest of them.
    """
    sharding = target.sharding()
    planned = plan.make(
        experiment, backend=target.backend, memory=target.memory, lanes=lanes, ended=ended
    )
    programs = []
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
            cut = plan.cut(program.spec, program.runs, count, 1, seconds)
            memory = f"{found.memory / 2**30:.1f} of {target.memory / 2**30:.0f} GiB as compiled"
            programs.append(Planned(cut, "estimated from what was compiled", memory))
    return programs


def _line(planned: Planned) -> str:
    program = planned.program
    smallest, largest = program.spec.train_rows
    tiles = f" in {program.spec.tiles} tiles" * (program.spec.tiles > 1)
    return (
        f"  {program.name}: {len(program.runs)} runs of {smallest}-{largest} training rows{tiles}, "
        f"{program.lanes} lanes on {program.devices} devices, segments of {program.log_points} "
        f"log points, {1e3 * program.run_step_seconds:.2g} ms a run-step ({planned.time}), "
        f"{planned.memory}"
    )


def _counted(program: Program) -> str:
    memory = program.lanes * cost.lane_bytes(program.spec) / 2**20
    return f"about {memory:.0f} MiB of activations"


def _listed(values: list) -> str:
    shown = [str(value) or "none" for value in values]  # none of a list of modifiers, say
    return ", ".join(shown if len(shown) <= 8 else [*shown[:3], "…", shown[-1]])
