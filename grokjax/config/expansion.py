"""The runs of a sweep, their ids and its axes, worked out once and in time linear in the runs."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from grokjax.config.axes import Sweep
from grokjax.config.coercion import ConfigError
from grokjax.config.fields import field_types, is_config, leaves_at, resolve_path
from grokjax.config.identity import OF_THE_SWEEP, SECTIONS, plain
from grokjax.config.replacing import replace_paths

if TYPE_CHECKING:
    from grokjax.config.experiment import Experiment


@dataclasses.dataclass(frozen=True, eq=False)
class Expansion:
    """What a sweep comes to."""

    runs: Mapping[str, Experiment]
    """Run id → run, resolved and checked, in the sweep's order."""
    axes: Mapping[str, list[Any]]
    """Dotted path → the values that it takes, for the fields that the sweep names."""
    cells: Mapping[str, Mapping[str, Any]]
    """Run id → the first cell that makes the run."""
    swept: Mapping[str, tuple[Any, ...]]
    """Field that the sweep names, or inside which it names one → every object that runs have there;
    all others are alike in all runs."""


def expand(
    experiment: Experiment, name: Callable[[Experiment], str] = lambda run: run.run_id
) -> Expansion:
    """The runs of an experiment's sweep.

    Args:
      experiment: with its sweep.
      name: gives the id of a resolved run.

    Raises:
      ConfigError: a cell names what is no field, or makes a run that makes no sense.
    """
    paths = named_paths(experiment)
    base = experiment.replaced(sweep=Sweep(), refine=None)
    runs: dict[str, Experiment] = {}
    cells: dict[str, Mapping[str, Any]] = {}
    siblings: dict[Any, tuple[Experiment, bool]] = {}
    with nothing_collected():
        for cell in experiment.sweep.cells:
            run = _resolved(base, _by_path(cell, paths), siblings)
            vars(run)["run_id"] = name(run)  # as the property would, but by this rule
            runs.setdefault(run.run_id, run)
            cells.setdefault(run.run_id, cell)
    heads = {path.split(".")[0] for path in paths.values()}
    order = [head for head in field_types(type(base)) if head in heads]
    found = {}
    for run in runs.values():
        for head in order:
            value = getattr(run, head)
            found[head, id(value)] = head, value
    swept = {head: tuple(v for name, v in found.values() if name == head) for head in order}
    return Expansion(runs, _axes(found.values(), set(paths.values())), cells, swept)


@contextlib.contextmanager
def nothing_collected() -> Iterator[None]:
    """Without garbage collection: it would look at all runs again and again while they are made."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _resolved(
    base: Experiment, values: dict[str, Any], siblings: dict[Any, tuple[Experiment, bool]]
) -> Experiment:
    """The run of a cell, checked and resolved.

    Runs that differ in their seeds alone are checked once: repetitions are most of a large sweep.

    Args:
      base: what all runs share.
      values: of the cell, by paths.
      siblings: what a cell has but for its seed → its run, and whether the split follows the seed.
    """
    seed = values.get("seed")
    key: Any = None
    if type(seed) is int and 0 <= seed < 2**32:
        rest = [(path, value) for path, value in values.items() if path != "seed"]
        key = (tuple(rest), tuple(type(value) for _, value in rest))
    try:
        known = siblings.get(key)
    except TypeError:  # a value that has no hash
        key = known = None
    if known is not None:
        sibling, follows = known
        return sibling._with({"seed": seed, **({"split_seed": seed} if follows else {})})
    run = replace_paths(base, values)
    resolved = run.resolved()
    if key is not None:
        siblings[key] = resolved, run.split_seed is None
    return resolved


def check_sweep(experiment: Experiment) -> None:
    """Refuse a sweep over what is no field, or whose first cell makes no sense.

    That takes no longer for many cells; the others are checked when they are expanded.
    """
    paths, cells = named_paths(experiment), experiment.sweep.cells
    if paths:
        base = experiment.replaced(sweep=Sweep(), refine=None)
        replace_paths(base, _by_path(cells[0], paths))


def named_paths(experiment: Experiment) -> dict[str, str]:
    """The names that a sweep's cells have → dotted paths."""
    paths = {name: _path(experiment, name) for name in experiment.sweep.names}
    for path in paths.values():
        if path.split(".")[0] in OF_THE_SWEEP:
            raise ConfigError(f"{path}: this field belongs to the whole sweep, no axis.")
    return paths


def _path(experiment: Experiment, name: str) -> str:
    """The path of a name in the experiment, or in one with the parts of a cell that has it."""
    try:
        return resolve_path(experiment, name)
    except ConfigError:
        cell = next(cell for cell in experiment.sweep.cells if name in cell)
        swept = {n: v for n, v in cell.items() if n in SECTIONS and is_config(v)}
        if not swept:
            raise
        return resolve_path(experiment._with(swept), name)


def _by_path(cell: Mapping[str, Any], paths: Mapping[str, str]) -> dict[str, Any]:
    values = {paths[name]: value for name, value in cell.items()}
    if len(values) < len(cell):
        raise ConfigError(f"{', '.join(cell)}: two of these name the same field, drop one.")
    return values


def _axes(found: Iterable[tuple[str, Any]], named: set[str]) -> dict[str, list[Any]]:
    """The values that runs have at some paths and, where a path is a part, below it.

    Args:
      found: fields and what is there, in the order in which runs have it.
      named: paths.
    """
    axes: dict[str, dict[Any, None]] = {}
    for head, value in dict.fromkeys(found):
        for path, one in _below(head, value, named):
            axes.setdefault(path, {})[one] = None
    # What all values of a part have in common is no axis.
    return {path: list(values) for path, values in axes.items() if len(values) > 1 or path in named}


def _below(head: str, value: Any, named: set[str]) -> list[tuple[str, Any]]:
    """Named paths that a field holds, and what is there."""
    below = tuple(f"{name}." for name in named)
    return [
        (path, plain(one))
        for path, one in leaves_at(head, value).items()
        if path in named or path.startswith(below)
    ]
