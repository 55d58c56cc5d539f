"""The closing report of a sweep: what it says as text, its figures, its page.

Whatever one figure, one law or the page raises is said in a sentence on standard error, and the
others appear.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from grokjax import summary_text
from grokjax.analysis import onset
from grokjax.analysis.cells import check_columns, finished
from grokjax.analysis.row_checks import NO_TEST_SET, none_tested
from grokjax.analysis.summary import Summary, summarise
from grokjax.command import attempted
from grokjax.config import ConfigError
from grokjax.results.files import write_text
from grokjax.results.gaps import readable
from grokjax.results.load import Results
from grokjax.results.outside import check_no_links
from grokjax.text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from grokjax.figures.drawn import Drawn

MOST_ROWS = 20
"""Runs in progress that a terminal shows."""


@dataclasses.dataclass(frozen=True)
class Content:
    """What a report consists of, each part made when it is asked for."""

    text: Callable[[], str]
    values: Callable[[], dict[str, Any]]
    """The same for a program."""
    write: Callable[[], list[Path]]
    """Draws the figures and the page; the files."""


def show(
    results: Results,
    x: str | None = None,
    y: str | None = None,
    metric: str = "t_grok",
    out: Path | None = None,
) -> bool:
    """Print what the sweep says, write the figures and the page; whether there was any of it.

    Args:
      results: of a sweep that may still run.
      x: column across; None: one that the sweep varies.
      y: column up; None: another.
      metric: time to map.
      out: folder for figures and page; None: that of the results.

    Raises:
      ConfigError: there is nothing to show yet, or something else than what was asked for.
    """
    content = _content(results, x, y, metric, out)
    text = content.text()
    print(text, flush=True)
    paths = content.write()
    for path in paths:
        print(f"wrote {path}", flush=True)
    return bool(text or paths)


def as_json(
    results: Results,
    x: str | None = None,
    y: str | None = None,
    metric: str = "t_grok",
    out: Path | None = None,
) -> dict[str, Any]:
    """Write the figures and the page; what `show` says as plain values, with the `paths`.

    Arguments and errors are those of `show`.
    """
    content = _content(results, x, y, metric, out)
    paths = [str(path) for path in content.write()]
    return {**content.values(), "paths": paths}


def _content(
    results: Results, x: str | None, y: str | None, metric: str, out: Path | None
) -> Content:
    """The report of a sweep, or what there is of it; the arguments are those of `show`."""
    if out is None and not results.path.exists():
        raise ConfigError("out=None: these results have no folder, say where figures are to go.")
    folder = out or results.path
    try:
        is_file = folder.exists() and not folder.is_dir()
    except OSError as error:  # a name that is too long, say
        raise ConfigError(f"out={str(folder)!r}: {error.strerror}, give another folder.") from None
    if is_file:
        raise ConfigError(f"out={str(folder)!r}: it is a file, give a folder for the figures.")
    check_no_links(folder, ["figures"])
    if results.runs.empty:
        return _so_far(results, folder)
    results = readable(results)
    if none_tested(results.runs):
        return _of_training(results, folder)
    if finished(results.runs).empty:
        text = "every run failed: there is nothing to map; see the column `error` of the runs"
        return Content(lambda: text, lambda: {"failed": len(results.runs), "said": text}, list)
    summary = summarise(results, x, y)
    check_columns(summary.runs, [summary.x, summary.y], metric)
    summary = computed(summary)
    return Content(
        partial(summary_text.describe, summary, metric),
        partial(summary_text.as_json, summary, metric),
        partial(write, summary, metric, folder),
    )


def _of_training(results: Results, folder: Path) -> Content:
    """Where no run has a test set: how they train."""
    runs = results.runs[results.runs["status"] != "failed"]
    axes = [name for name, values in results.axes.items() if len(values) > 1 and name in runs]
    told = ["run_id", *axes, "last_step", "t_mem", "final_train_loss", "final_train_accuracy"]
    table = runs[told]

    def draw() -> list[Path]:
        from grokjax.figures import curves, pyplots, style

        with pyplots.apart():
            drawn = curves.learning_curves(results.curves, {"runs without a test set": runs})
            return style.save(drawn.figure_, folder / "figures", "training")

    nothing: list[Path] = []
    return Content(
        lambda: f"{NO_TEST_SET}\n{table.head(MOST_ROWS).to_string(index=False)}",
        lambda: {"said": NO_TEST_SET, "runs": json.loads(table.to_json(orient="records"))},
        lambda: attempted("the figure training", draw, nothing),
    )


def _so_far(results: Results, folder: Path) -> Content:
    """Before the first run has ended: where those are that train, and their curves so far."""
    running = onset.so_far(results)
    if running.empty:
        raise ConfigError(
            f"{results.path}: nothing is in yet, the first commit comes some seconds after the "
            "first program was compiled."
        )
    how_much = results.how_much_is_in
    head = f"not finished: {how_much}; no run has ended yet, these are in progress:"
    shown = running.head(MOST_ROWS).to_string(index=False)

    def draw() -> list[Path]:
        from grokjax.figures import curves, pyplots, style

        with pyplots.apart():
            drawn = curves.learning_curves(results.curves, {"runs in progress": running})
            return style.save(drawn.figure_, folder / "figures", "so_far")

    nothing: list[Path] = []
    return Content(
        lambda: f"{head}\n{shown}",
        lambda: {
            "how_much_is_in": how_much,
            "running": json.loads(running.to_json(orient="records")),
        },
        lambda: attempted("the figure so_far", draw, nothing),
    )


def computed(summary: Summary) -> Summary:
    """The summary without those of its parts that cannot be computed."""
    for what in summary.parts():
        compute = summary.parts()[what]  # of the summary that lacks what was left out before
        if not attempted(f"the {what}", partial(_works, compute), False):
            summary = dataclasses.replace(summary, left_out=summary.left_out | {what})
    return summary


def _works(compute: Callable[[], object]) -> bool:
    compute()
    return True


def write(summary: Summary, metric: str, folder: Path) -> list[Path]:
    """Every figure that the sweep has the axes for, as PNG and PDF, `report.html`, `summary.md`."""
    from grokjax import report
    from grokjax.explorer import page
    from grokjax.figures import gallery, pyplots, registry, style
    from grokjax.figures.drawn import figure_of

    groups: dict[str, pd.DataFrame] = {}
    groups = attempted("the choice of curves", partial(gallery.curve_groups, summary), groups)
    of_groups = [str(run_id) for runs in groups.values() for run_id in runs["run_id"]]
    wanted = list(dict.fromkeys([*report.curve_runs(summary), *of_groups]))
    columns = registry.curve_columns(summary.results, report.CURVES)
    curves = summary.results.curves_of(wanted, columns)

    def save(name: str, draw: Callable[[], Figure | Drawn]) -> list[Path]:
        with pyplots.apart():
            return style.save(figure_of(draw()), folder / "figures", name)

    def explorer() -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        library, text = folder / page.LIBRARY, page.library()
        if not library.is_file() or library.read_bytes() != text.encode():
            write_text(library, text)
        write_text(folder / "report.html", report.html(summary, curves))
        return [folder / "report.html"]

    paths: list[Path] = []
    shown = registry.Shown(summary, metric, curves)
    for kind in registry.KINDS.values():
        drawings: registry.Drawings = {}
        drawings = attempted(f"the choice of {kind.name}", partial(kind.choose, shown), drawings)
        for name, draw in drawings.items():
            paths += attempted(f"the figure {name}", partial(save, name, draw), [])

    def digest() -> list[Path]:
        write_text(folder / "summary.md", printable(summary_text.markdown(summary, metric)))
        return [folder / "summary.md"]

    no_page: list[Path] = []
    paths += attempted("the page report.html", explorer, no_page)
    return paths + attempted("the digest summary.md", digest, no_page)
