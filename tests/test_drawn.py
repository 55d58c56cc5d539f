"""Every figure function: alone, as a part of somebody's figure, and what it returns."""

import inspect
import itertools
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.legend import Legend
from sweep_folder import synthetic_results

import grokjax
from grokjax import ConfigError
from grokjax.analysis.cells import cells, variance_shares
from grokjax.analysis.summary import summarise
from grokjax.analysis.survival import censored_times, kaplan_meier_median
from grokjax.figures import curves, gallery, maps, registry, row_groups, style, trends
from grokjax.figures.drawn import figure_of

ROOT = Path(__file__).parents[1]
X, Y = "weight_decay", "train_fraction"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "sweep"
    return summarise(
        grokjax.load(synthetic_results(folder, [0.1, 0.3, 1.0, 3.0], [0.3, 0.5, 0.7], seeds=5))
    )


def groups(sweep):
    return gallery.curve_groups(sweep)


def rows(sweep):
    names = pd.concat(groups(sweep).values())["run_id"]
    return sweep.results.curves_of(names).sort_values(["run_id", "step"], ignore_index=True)


def row(sweep):
    """The runs of one train fraction, and the same by their weight decay."""
    runs = sweep.runs[sweep.runs[Y] == 0.5]
    return runs, {str(level): part for level, part in runs.groupby(X)}


def crossed(sweep):
    """Three seeds with three splits, by other names of the runs of one cell and some more."""
    runs = sweep.runs[sweep.runs["t_grok"].notna()].head(9)
    return runs.assign(seed=np.arange(9) // 3, split_seed=np.arange(9) % 3)


def medians(sweep):
    """Of each group's times, as `learning_curves` marks them."""
    return pd.DataFrame(
        {"group": name}
        | {time: kaplan_meier_median(*censored_times(runs, time)) for time in ("t_mem", "t_grok")}
        for name, runs in groups(sweep).items()
    ).astype({"t_mem": float, "t_grok": float})


def line_of(law, drawn):
    line = drawn.data_["law"]
    return line.assign(median=law.quantile(line))


# Name → what draws it, the keyword of a place to draw into, and its tables by other ways.
CASES = {
    "phase map of 12 cells: weight_decay × train_fraction": (
        lambda s, **at: maps.phase_map(s.cells(), X, Y, s.boundary, **at), "ax",
        lambda s, _: {"cells": s.cells(), "curve": s.boundary.curve(), "band": s.boundary.band()},
    ),
    "probability map of 12 cells: weight_decay × train_fraction": (
        lambda s, **at: maps.probability_map(s.cells(), X, Y, s.boundary, **at), "ax",
        lambda s, _: {"cells": s.cells(), "curve": s.boundary.curve(), "band": s.boundary.band()},
    ),
    "grok_gap map of 12 cells: weight_decay × train_fraction": (
        lambda s, **at: maps.time_map(s.cells("grok_gap"), X, Y, "grok_gap", **at), "ax",
        lambda s, _: {"cells": s.cells("grok_gap")},
    ),
    "learning curves of 15 runs: ": (
        lambda s, **at: curves.learning_curves(rows(s), groups(s), **at), "subfigure",
        lambda s, _: {"times": medians(s)},
    ),
    "survival curves of 20 runs: 0.1; 0.3; 1.0; 3.0": (
        lambda s, **at: curves.survival_curves(row(s)[1], title="fraction 0.5", **at), "ax",
        lambda s, _: {"ended": row(s)[0].query("t_grok.isna()")[["last_step"]].set_axis(["step"], axis=1)},
    ),
    "trajectories of 15 runs: ": (
        lambda s, **at: curves.trajectories(rows(s), groups(s), **at), "ax",
        lambda s, drawn: {"curves": rows(s)},
    ),
    "law of t_grok in weight_decay: exponent −": (
        lambda s, **at: trends.law_plot(s.law_runs, s.laws[X], **at), "ax",
        lambda s, drawn: {"law": line_of(s.laws[X], drawn)},
    ),
    "scan of weight_decay over 20 runs": (
        lambda s, **at: trends.scan(row(s)[0], X, **at), "ax",
        lambda s, _: {"medians": pd.concat(cells(row(s)[0], [X], m) for m in ("t_grok", "t_mem"))},
    ),
    "variance of t_grok over 9 runs: seeds × splits": (
        lambda s, **at: trends.variance_plot(crossed(s), variance_shares(crossed(s)), **at), "subfigure",
        lambda s, _: {"shares": variance_shares(crossed(s))},
    ),
}  # fmt: skip
EVERY = pytest.mark.parametrize("name", CASES)


@pytest.mark.parametrize(
    "module", [maps, curves, trends, row_groups], ids=lambda module: module.__name__
)
def test_every_figure_function_draws_where_it_is_told(module):
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if function.__module__ == module.__name__ and not name.startswith("_"):
            signature = inspect.signature(function)
            places = {"ax", "subfigure"} & {*signature.parameters}
            (place,) = (signature.parameters[place] for place in places)
            assert place.kind is place.KEYWORD_ONLY and place.default is None, name
            assert signature.return_annotation == "Drawn", name


@pytest.fixture(scope="module", params=CASES)
def alone(sweep, request):
    """Each case's name, and what it draws when it is given no place."""
    return request.param, CASES[request.param][0](sweep)


def test_a_figure_shows_itself_and_says_in_a_line_what_it_is(alone):
    name, drawn = alone
    assert repr(drawn).startswith(name) and "\n" not in repr(drawn)
    assert drawn._repr_png_().startswith(b"\x89PNG\r\n")
    assert {*np.ravel(drawn.ax_)} <= {*drawn.figure_.axes}
    assert drawn.figure_.get_size_inches()[0] in (style.COLUMN, style.PAGE)
    assert bool(drawn.figure_.legends) == bool(drawn.handles_)
    assert all(not handle.get_label().startswith("_") for handle in drawn.handles_)


def test_the_tables_of_a_figure_are_what_it_was_made_of(sweep, alone):
    name, drawn = alone
    for layer, expected in CASES[name][2](sweep, drawn).items():
        found = drawn.data_[layer][list(expected)].reset_index(drop=True)
        pd.testing.assert_frame_equal(found, expected.reset_index(drop=True), check_dtype=False)


def inner(box):
    """Without the pixel that neighbours may share."""
    return box.padded(-1)


def assert_nothing_overlaps(figure):
    """Axes with their labels, colour bars and legends lie inside the figure and side by side."""
    figure.draw_without_rendering()
    boxes = [axis.get_tightbbox() for axis in figure.axes]
    legends = [legend.get_window_extent() for legend in figure.findobj(Legend)]
    for one, other in itertools.combinations(boxes, 2):
        assert not inner(one).overlaps(inner(other))
    for legend, axis in itertools.product(legends, figure.axes):
        titles = (axis.title, axis._left_title, axis._right_title)
        for other in (axis, *(title for title in titles if title.get_text())):
            assert not inner(legend).overlaps(inner(other.get_window_extent())), other
    whole = figure.bbox.padded(1)
    for box in (*boxes, *legends):
        assert whole.contains(box.x0, box.y0) and whole.contains(box.x1, box.y1)


@EVERY
def test_in_somebodys_figure_it_stays_in_its_own_part(sweep, name):
    draw, keyword, _ = CASES[name]
    figure = Figure(figsize=(10 if keyword == "ax" else 14, 4), layout="constrained")
    left, right = figure.subfigures(1, 2)
    beside = right.subplots()
    untouched = beside.get_children()
    place = left.subplots() if keyword == "ax" else left
    drawn = draw(sweep, **{keyword: place})
    assert drawn.figure_ is figure
    assert {*np.ravel(drawn.ax_)} <= {*left.axes}
    assert drawn.ax_ is place or keyword == "subfigure"
    if keyword == "ax":  # panel letters have room, above a legend too
        place.set_title("a", loc="right")
    assert beside.get_children() == untouched and right.axes == [beside]
    assert figure.legends == right.legends == []
    assert len(left.findobj(Legend)) == bool(drawn.handles_)
    assert_nothing_overlaps(figure)


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("variance")])
def test_without_a_legend_its_handles_are_left_to_the_user(sweep, name):
    draw, keyword, _ = CASES[name]
    figure = Figure()  # without a layout that makes room for one
    drawn = draw(sweep, **{keyword: figure.subplots() if keyword == "ax" else figure}, legend=False)
    assert figure.findobj(Legend) == []
    shared = figure.legend(handles=drawn.handles_)
    words = [text.get_text() for text in shared.get_texts()]
    assert words == [handle.get_label() for handle in drawn.handles_] and len(words) > 0


def test_a_place_that_is_none_is_refused_in_a_sentence(sweep):
    draw = CASES["phase map of 12 cells: weight_decay × train_fraction"][0]
    with pytest.raises(ConfigError, match="give one matplotlib Axes"):
        draw(sweep, ax=Figure().subplots(1, 2))
    lines = CASES["learning curves of 15 runs: "][0]
    with pytest.raises(ConfigError, match="give an empty matplotlib SubFigure"):
        lines(sweep, subfigure=Figure().subplots())
    with pytest.raises(ConfigError, match="layout='constrained'"):
        lines(sweep, subfigure=Figure())
    with pytest.raises(ConfigError, match="give one over train_fraction and seed"):
        maps.phase_map(cells(sweep.runs, [Y, "seed"]), Y, "seed", sweep.boundary)
    with pytest.raises(ConfigError, match="it lacks weight_norm"):
        curves.trajectories(rows(sweep).drop(columns="weight_norm"), groups(sweep))


def test_a_users_function_gives_a_figure_or_what_ours_give_and_nothing_else(sweep, monkeypatch):
    monkeypatch.setattr(registry, "KINDS", dict(registry.KINDS))
    shown = registry.Shown(sweep, "t_grok", rows(sweep))
    made = {
        "plain": Figure(),
        "ours": maps.phase_map(sweep.cells(), X, Y),
        "axes": Figure().subplots(),
    }
    for name, drawn in made.items():
        registry.figure(name)(lambda shown, drawn=drawn: drawn)
    draw = {name: registry.KINDS[name].choose(shown)[name] for name in made}
    assert figure_of(draw["plain"]()) is made["plain"]
    assert figure_of(draw["ours"]()) is made["ours"].figure_
    with pytest.raises(ConfigError, match=r"figure axes=.*return a matplotlib.figure.Figure, or"):
        draw["axes"]()


def test_a_figure_is_saved_as_its_path_ends(sweep, tmp_path):
    drawn = maps.phase_map(sweep.cells(), X, Y)
    path = drawn.save(tmp_path / "new" / "phases.png")
    assert imread(path).shape[1] == pytest.approx(300 * style.COLUMN, abs=1)
    first, again = (drawn.save(tmp_path / f"{at}.svg").read_bytes() for at in range(2))
    assert first.startswith(b"<?xml") and first == again
    with pytest.raises(ConfigError, match=r"end it with one of .*\.pdf"):
        drawn.save(tmp_path / "phases.docx")


def test_the_papers_figure_has_panels_and_one_legend_side_by_side(tmp_path, monkeypatch):
    path, folder = tmp_path / "figure.png", ROOT / "results" / "recorded" / "wd_vs_frac"
    monkeypatch.setattr(sys, "argv", ["paper_figure.py", str(folder), str(path)])
    figure = runpy.run_path(str(ROOT / "experiments" / "paper_figure.py"))["figure"]
    assert imread(path).shape[1] == pytest.approx(300 * style.PAGE, abs=1)
    with style.paper():
        assert_nothing_overlaps(figure)
    (legend,) = figure.findobj(Legend)
    words = {text.get_text() for text in legend.get_texts()}
    assert {"grokking", "95 % band", "train", "test"} <= words


@pytest.mark.drawn
def test_the_surface_of_the_zone_is_drawn_and_its_exponents_said(tmp_path, monkeypatch, capsys):
    source = ROOT / "results" / "atlas" / "zone_over_rates" / "table.csv"
    path = tmp_path / "surface.png"
    monkeypatch.setattr(sys, "argv", ["zone_surface.py", str(source), str(path)])
    runpy.run_path(str(ROOT / "experiments" / "zone_surface.py"), run_name="__main__")
    assert imread(path).shape[1] == pytest.approx(130 * style.PAGE, abs=1)
    said = capsys.readouterr().out
    assert said.count("upper edge") == said.count("lower edge") == 2
    page = (ROOT / "docs" / "zone-over-rates.md").read_text(encoding="utf-8")
    exponents = re.findall(r"rate\^-(\d\.\d\d)", said)
    assert len(exponents) == 4
    assert all(f"−{exponent} [" in page for exponent in exponents)


PYPLOT = """
import sys
import grokjax
from grokjax import closing, phase
from grokjax.figures import curves, gallery, maps, registry, style
from matplotlib.figure import Figure

sweep = phase.summarise(grokjax.load(sys.argv[1]))
draw = lambda **at: maps.phase_map(sweep.cells(), sweep.x, sweep.y, **at)
assert "matplotlib.pyplot" not in sys.modules  # drawing does not import it

import matplotlib.pyplot as plt

drawn = draw()
assert plt.gcf() is drawn.figure_ and drawn._repr_png_()  # shown when asked for: plt.show(), or here
with style.paper():
    plt.ion()  # as a notebook does when it makes its first figure
assert drawn._repr_png_() is None  # pyplot shows it by itself
plt.close("all")
assert drawn._repr_png_()
figure, axes = plt.subplots(1, 2)
assert draw(ax=axes[0])._repr_png_() is None and plt.get_fignums() == [1]
assert draw(ax=Figure().subplots())._repr_png_()


@registry.figure()
def by_pyplot(shown):
    mine, axis = plt.subplots()
    return mine


@registry.figure()
def by_ours(shown):
    return curves.survival_curves({"all": shown.summary.runs})


for kind in {*registry.KINDS} - {"by_pyplot", "by_ours"}:  # the others take long
    del registry.KINDS[kind]
gallery.gallery(sweep, "t_grok", sweep.results.curves)
written = {path.name for path in closing.write(sweep, "t_grok", sweep.results.path)}
assert {"by_pyplot.png", "by_ours.pdf"} <= written
assert plt.get_fignums() == [1] and plt.isinteractive()
"""


def test_pyplot_shows_a_figure_where_it_is_in_use_and_once(tmp_path):
    folder = synthetic_results(tmp_path / "sweep", [0.1, 1.0, 3.0], [0.3, 0.5, 0.7], seeds=3)
    done = subprocess.run(
        [sys.executable, "-c", PYPLOT, str(folder)], capture_output=True, text=True,
        env={**os.environ, "MPLBACKEND": "agg"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == "", done.stderr
