"""`grokjax.read_curves`: runs that grokjax never trained, as results like any others."""

from __future__ import annotations

import dataclasses
import difflib
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from grokjax.analysis.cells import RESULTS
from grokjax.command import say
from grokjax.config import ConfigError, Thresholds
from grokjax.config.coercion import require
from grokjax.config.synonyms import translated
from grokjax.exchange import columns as columns_
from grokjax.exchange import folder, measured, names, runs, wandb_runs
from grokjax.exchange import sources as sources_
from grokjax.exchange.columns import Named
from grokjax.exchange.formats import Found, Table, listed
from grokjax.exchange.runs import OtherRun
from grokjax.exchange.sources import Source
from grokjax.results import parts
from grokjax.results.files import Temporary, fingerprint
from grokjax.results.load import Results, load
from grokjax.results.manifest import NAME
from grokjax.results.reading import WORK


def read_curves(
    *sources: Source,
    columns: Mapping[str, str] | None = None,
    runs: Source | None = None,
    pattern: str | None = None,
    updates_per_epoch: float | None = None,
    log_every: int | None = None,
    accuracies: Literal["share", "percent"] | None = None,
    chance: float | None = None,
    thresholds: Thresholds | None = None,
    out: str | Path | None = None,
    quiet: bool = False,
    command: str = "grokjax.read_curves",
) -> Results:
    """Curves that another program has left, as `Results` with times, phases, maps and figures.

        >>> import grokjax
        >>> curves = {"epoch": [0, 100, 200], "train_acc": [0.1, 1, 1], "val_acc": [0.1, 0.2, 1]}
        >>> grokjax.read_curves(curves, quiet=True).runs[["t_mem", "t_grok"]].values.tolist()
        [[100, 200]]

    What was taken for what is printed, and stands in `results.manifest["curves_of"]` with what is
    not known. Names that are common in the field are recognised; one that may mean several things
    is refused with what to write. `docs/curves-of-others.md` lists formats and names.

    Args:
      *sources: files (CSV, parquet, JSON, JSON lines, logs, TensorBoard's), folders of them,
        `wandb:ENTITY/PROJECT`, or in memory a DataFrame, a dictionary of columns or of runs.
      columns: our name → theirs, where it shall not be guessed: `{"test_accuracy": "val/acc"}`.
      runs: a second table with a row a run, or a file of settings that all runs share.
      pattern: what names of files or runs say, as in `wd{weight_decay}_f{train_fraction}_s{seed}`.
      updates_per_epoch: optimiser updates in an epoch, where rows are counted in epochs.
      log_every: updates from one row to the next, where no column counts anything.
      accuracies: in which unit they stand there; None: in percent where one is above 1.
      chance: test accuracy of the best constant guess; None: 1 / p where a modulus p is known.
      thresholds: what counts as memorised, grokked and so on.
      out: results folder; None: a temporary one that goes with the results.
      quiet: print nothing.
      command: how they were read, for the manifest.

    Raises:
      ConfigError: nothing that can be read, or something that may mean several things.
    """
    asked = {_ours(name): theirs for name, theirs in (columns or {}).items()}
    require(
        accuracies in (None, "share", "percent"), "accuracies", accuracies, "say share or percent"
    )
    for name, value in (("updates_per_epoch", updates_per_epoch), ("log_every", log_every)):
        number = value is None or (isinstance(value, (int, float)) and value > 0)
        require(number, name, value, "give a number above 0")
    remedy = "it is an accuracy, give a share between 0 and 1"
    require(chance is None or 0 <= chance < 1, "chance", chance, remedy)
    require(bool(sources), "sources", sources, "give a file, a folder or a table of curves")
    for path in filter(None, map(sources_.path_of, sources)):
        _refuse_ours(path)
    thresholds = thresholds or Thresholds()
    told = [_told(source) for source in sources]
    place = None if out is None else Path(out)
    found = sources_.each(sources)
    if place is not None:
        folder.check_free(place, told, [path for path in map(sources_.path_of, sources) if path])
    as_read = wandb_runs.apart([table for part in found for table in part.curves])
    _check_asked(asked, as_read)
    tables = [columns_.named(table, asked) for table in as_read]
    pieces = _pieces(tables, pattern)
    others = [table for part in found for table in part.runs]
    if runs is not None:
        others += sources_.found_in(runs, of_runs=True).curves
    notes = [sentence for part in found for sentence in part.skipped]
    pieces, more = _with_settings(pieces, others)
    notes += more
    read = measured.of_runs(
        pieces,
        measured.Units(updates_per_epoch, log_every, accuracies, chance),
        thresholds,
    )
    if not read.rows:
        raise ConfigError(_no_accuracy(as_read))
    if not any(set(table.frame) & {"step", "epoch", "counter"} for table in tables):
        read.notes.insert(0, f"which update a row belongs to: {log_every} from one to the next")
    origin = folder.Origin(
        sources=told,
        files={str(path): fingerprint(path) for path in _files(tables)},
        recognised=_recognised(tables, others),
        steps=read.steps,
        accuracies=read.accuracies,
        not_known=[*read.notes, *notes],
    )
    measures = _measures(found, read)
    holds = None
    if place is None:
        above = Path(tempfile.mkdtemp(prefix="grokjax-"))
        place, holds = above / _stem(sources[0]), Temporary(above)
    folder.write(place, read.rows, read.curves, measures, thresholds, origin, command)
    if not quiet:
        for sentence in described(origin, len(read.rows)):
            say(sentence)
    return dataclasses.replace(load(place), holds=holds)


def described(origin: folder.Origin, n_runs: int) -> list[str]:
    """What was read and taken for what, a sentence each."""
    told = origin["recognised"].items()
    pairs = [f"{n} ← {theirs}" for n, theirs in told if n in names.FIXED or n != theirs]
    return [
        f"{n_runs} {'run' if n_runs == 1 else 'runs'} of {', '.join(origin['sources'][:3])}"
        f"{' …' * (len(origin['sources']) > 3)}: {', '.join(pairs)}",
        f"steps are {origin['steps']}; accuracies stood there as {origin['accuracies']}",
        *(f"not known: {sentence}" for sentence in origin["not_known"]),
    ]


def is_results(path: Path) -> bool:
    """Whether a path leads to a results folder of grokjax, or to where one may come to be."""
    if str(path).startswith(wandb_runs.MARK):
        return False
    if not path.exists():
        return not path.suffix  # a file of curves whose name is mistyped is no folder of a sweep
    ours = any((path / name).exists() for name in (NAME, WORK)) or parts.on_disk(path, "curves")
    return bool(ours) or not (path.is_file() or any(inner.is_file() for inner in path.rglob("*")))


def _refuse_ours(path: Path) -> None:
    """Refuse what is given instead of the results that were meant, rather than look for curves."""
    if path.suffix == ".py" and not path.is_dir():
        raise ConfigError(
            f"{path}: give a results folder or curves; an experiment file is run by "
            f"`python -m grokjax.sweep {path}`, which writes such a folder."
        )
    if path.is_dir() and (sweeps := sorted(path.glob(f"*/{NAME}"))):
        raise ConfigError(
            f"{path}: it is a folder of {len(sweeps)} results folders, give those that are meant, "
            f"as in {sweeps[0].parent}."
        )


def default_folder(path: Path) -> Path:
    """`results/NAME` for a file or folder of curves."""
    return Path("results") / _stem(path)


def _stem(source: Source) -> str:
    text = str(source) if isinstance(source, (str, Path)) else "curves"
    path = Path(text.removeprefix(wandb_runs.MARK)).resolve()
    stem = path.stem if path.is_file() else path.name  # a folder `wd0.1` has no ending
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem)[:64].strip("._") or "curves"


def _ours(name: str) -> str:
    """The name of a column that `columns` speaks of, however it is spelt."""
    role = names.role(name)
    return names.hyperparameter(name) if role in (None, "ignored", "counter") else str(role)


def _told(source: Source) -> str:
    if isinstance(source, (str, Path)):
        return str(source)
    return f"a {type(source).__name__} in memory"


def _check_asked(asked: Mapping[str, str], tables: Sequence[Table]) -> None:
    """Refuse columns that no table has, whole or beside the name of a run."""
    there = list(dict.fromkeys(str(name) for table in tables for name in table.frame))
    there += [word for table in tables for word in table.names]
    for ours, theirs in asked.items():
        whole = re.compile(
            rf"(?<![^\W_]){re.escape(theirs)}(?![^\W_])"
        )  # a word of the name at least
        if not any(whole.search(name) for name in there):
            known = list(dict.fromkeys(name.rpartition(" - ")[2] for name in there))
            near = difflib.get_close_matches(theirs, known, 1)
            what = f"did you mean {near[0]!r}?" if near else f"there are {listed(known)}."
            raise ConfigError(f"columns, {ours}: there is no column {theirs!r}, {what}")


def _pieces(tables: Sequence[Named], pattern: str | None) -> list[OtherRun]:
    """The runs of all tables, with what their names say."""
    found = []
    for table in tables:
        for run in runs.split(table):
            if pattern is not None:
                run.config |= runs.by_pattern(pattern, table.place, run.name)
            found.append(run)
    return runs.joined(found)


def _with_settings(
    pieces: list[OtherRun], others: Sequence[Table]
) -> tuple[list[OtherRun], list[str]]:
    """The runs with what tables of runs say of them, and a sentence for what these do not say."""
    notes = []
    for table in others:
        if table.config and not len(table.frame):
            shared = runs.settings(table.config)
            for run in pieces:
                run.config = {**shared, **run.config}
            continue
        rows, column = runs.keyed(table, [run.name for run in pieces])
        without = [run.name for run in pieces if run.name not in rows]
        for run in pieces:
            run.config |= rows.pop(run.name, {})
        if without:
            notes.append(f"the settings of {listed(without)}, which {table.source} does not have")
        failed = {n: c for n, c in rows.items() if c.get("status") == "failed"}
        pieces += [
            OtherRun(name, pd.DataFrame(), config, table.source) for name, config in failed.items()
        ]
        if lost := [name for name in rows if name not in failed]:
            notes.append(
                f"the curves of {listed(lost)}, which are in {table.source} by {column} only"
            )
    return pieces, notes


def _measures(found: Sequence[Found], read: measured.Read) -> pd.DataFrame:
    """Numbers that are no metric of ours, and those of a table of measures beside the curves."""
    tables = [table.frame for part in found for table in part.measures]
    columns = list(read.measures.columns)
    ours = [frame[columns] for frame in tables if set(columns) <= set(frame)]
    every = [frame for frame in (read.measures, *ours) if len(frame)]
    return pd.concat(every, ignore_index=True) if every else read.measures


def _recognised(tables: Sequence[Named], of_runs: Sequence[Table]) -> dict[str, str]:
    """Our name → what was taken for it, metrics and then settings."""
    found: dict[str, dict[str, None]] = {}
    every: list[Named | Table] = [*tables, *of_runs]
    for table in every:
        known = dict(table.known) if isinstance(table, Named) else {}
        if {"step", "epoch"} & known.keys():
            known.pop("counter", None)
        others = [str(name) for name in (*table.frame, *table.config)]
        settings = {translated(name): name for name in others if names.role(name) is None}
        for ours, theirs in [*known.items(), *settings.items()]:
            if ours is not None and ours not in RESULTS:
                found.setdefault(ours, {})[theirs] = None
    return {ours: ", ".join(list(theirs)[:4]) for ours, theirs in sorted(found.items())}


def _no_accuracy(tables: Sequence[Table]) -> str:
    there = list(dict.fromkeys(str(name) for table in tables for name in table.frame))
    source = tables[0].source if tables else "the curves"
    return (
        f"{source}: no test accuracy was recognised among {listed(there)}, say which column it is "
        "with --columns test_accuracy=NAME (in Python, columns={'test_accuracy': NAME})."
    )


def _files(tables: Sequence[Named]) -> list[Path]:
    paths = dict.fromkeys(Path(table.source) for table in tables)
    return [path for path in paths if path.is_file()]
