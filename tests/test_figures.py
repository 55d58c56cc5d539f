"""Figures and pages: what they show, and that they are fit to print."""

import dataclasses
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from sweep_folder import synthetic_results, write

import grokjax
from grokjax import ConfigError, report, sweep
from grokjax.analysis.cells import variance_shares
from grokjax.analysis.summary import summarise
from grokjax.figures import curves as by_step
from grokjax.figures import gallery, maps, registry, style, trends

ROOT = Path(__file__).parents[1]
DECAYS, FRACTIONS = [0.1, 0.3, 1.0, 3.0], [0.3, 0.5, 0.7]


@pytest.fixture(scope="module")
def summary(tmp_path_factory):
    folder = synthetic_results(
        tmp_path_factory.mktemp("figures") / "sweep", DECAYS, FRACTIONS, seeds=5
    )
    return summarise(grokjax.load(folder))


@pytest.fixture(scope="module")
def made(summary):
    """Every figure of a map."""
    shown = [r for runs in gallery.curve_groups(summary).values() for r in runs["run_id"]]
    return gallery.gallery(summary, "t_grok", summary.results.curves_of(shown))


def words(figure):
    """All text of a figure that a reader sees."""
    figure.draw_without_rendering()
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def test_a_map_has_every_figure(made):
    assert set(made) >= {
        "phases", "p_grok", "t_grok", "grok_gap", "curves", "trajectories", "survival",
        "law_weight_decay", "law_train_fraction",
    }  # fmt: skip
    assert not any(name.startswith(("scan_", "survival_by_", "variance")) for name in made)


def test_figures_are_of_one_or_two_columns_and_letters_of_6_to_9_points(made):
    for name, figure in made.items():
        assert figure.get_size_inches()[0] in (style.COLUMN, style.PAGE), name
        for text in words(figure):
            assert 6 <= text.get_fontsize() <= 9, (name, text.get_text())


def test_nothing_is_cut_off(made):
    for name, figure in made.items():
        figure.draw_without_rendering()
        drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert drawn.x0 >= -0.01 and drawn.y0 >= -0.01, name
        assert drawn.x1 <= width + 0.01 and drawn.y1 <= height + 0.01, name


def test_fonts_are_embedded_as_letters(made, tmp_path):
    _, pdf = style.save(made["p_grok"], tmp_path, "p_grok")
    content = pdf.read_bytes()
    assert b"/FontFile2" in content  # TrueType, not Type 3 outlines
    assert b"/Type3" not in content


def test_the_boundary_is_drawn_on_the_map(summary):
    with_it = maps.phase_map(summary.cells(), summary.x, summary.y, summary.boundary)
    without = maps.phase_map(summary.cells(), summary.x, summary.y)
    assert len(with_it.ax_.lines) > len(without.ax_.lines) == 0
    line = with_it.ax_.lines[0].get_xydata()
    assert np.allclose(summary.boundary.probability(line[:, 0], line[:, 1]), 0.5, atol=0.02)


def test_on_an_axis_without_a_scale_the_boundary_lies_between_the_same_cells(tmp_path):
    """Uneven levels stand side by side, and the curve has to go between them."""
    folder = synthetic_results(
        tmp_path / "uneven", [0.1, 0.3, 1.0, 3.0], [0.3, 0.35, 0.4, 0.6, 0.8], seeds=5
    )
    uneven = summarise(grokjax.load(folder))
    axis = maps.phase_map(uneven.cells(), uneven.x, uneven.y, uneven.boundary).ax_
    y = np.concatenate([line.get_ydata() for line in axis.lines])
    curve = uneven.boundary.curve()["train_fraction"]
    place = np.interp(curve, [0.3, 0.35, 0.4, 0.6, 0.8], range(5))
    assert place.min() >= y.min() - 1e-9
    assert np.isclose(y, place[0]).any()
    assert y.max() > 1


def test_survival_curves_rise_to_the_share_that_grokked(summary):
    runs = summary.runs[summary.runs["train_fraction"] == 0.5]
    groups = {str(wd): part for wd, part in runs.groupby("weight_decay")}
    axis = by_step.survival_curves(groups).ax_
    ends = {
        line.get_label(): line.get_ydata()[-1] for line in axis.lines if line.get_label() in groups
    }
    for name, part in groups.items():
        assert ends[name] == pytest.approx(part["t_grok"].notna().mean())


def test_a_scan_shows_every_run_and_its_censored_ones_open(summary):
    runs = summary.runs[summary.runs["train_fraction"] == 0.5]
    axis = trends.scan(runs, "weight_decay").ax_
    open_ = [line for line in axis.lines if line.get_marker() == "^"]
    assert sum(len(line.get_xdata()) for line in open_) == runs["t_grok"].isna().sum() > 0


def test_a_scan_shows_runs_that_have_no_place_on_its_scale_beside_the_others(summary):
    row = summary.runs[summary.runs["train_fraction"] == 0.5]
    levels = sorted(row["weight_decay"].unique())
    beside = [row[row["weight_decay"] == levels[0]].assign(weight_decay=at) for at in (0.0, np.nan)]
    runs = pd.concat([row, *beside], ignore_index=True)
    axis = trends.scan(runs, "weight_decay").ax_
    assert axis.get_xscale() == "log"
    names = [text.get_text() for text in axis.get_xticklabels()]
    assert (names[0], names[-1]) == ("0", "none")
    places = dict(zip(names, axis.get_xticks(), strict=True))
    assert 0 < places["0"] < levels[0] < levels[-1] < places["none"]
    dots = np.concatenate([line.get_xdata() for line in axis.lines if line.get_marker() in "o^"])
    assert (dots == places["0"]).sum() == (dots == places["none"]).sum() > 0
    joined = [line for line in axis.lines if line.get_linestyle() == "-"]
    assert all({*line.get_xdata()} == {*levels} for line in joined)


def test_a_scan_whose_only_positive_times_have_no_batch_size_has_a_log_scale(summary):
    """Runs without a batch size were not drawn, and the rest had no place on the scale."""
    row = summary.runs[summary.runs["train_fraction"] == 0.5].head(6)
    times = {"t_grok": [0, 0, 0, 0, 400, 600], "t_mem": [0, 0, 0, 0, 100, 100]}
    runs = row.assign(batch_size=[5, 5, 10, 10, None, None], last_step=2000, **times)
    axis = trends.scan(runs, "batch_size").ax_
    assert axis.get_yscale() == "log"
    assert [text.get_text() for text in axis.get_xticklabels()] == ["5", "10", "none"]


def crossed(folder):
    """Four seeds with four splits in one cell."""
    results = grokjax.load(synthetic_results(folder / "plain", [1.0], [0.7], seeds=16))
    runs = results.runs.assign(seed=np.arange(16) // 4, split_seed=np.arange(16) % 4)
    write(
        folder / "crossed", runs, results.curves, {"seed": [0, 1, 2, 3], "split_seed": [0, 1, 2, 3]}
    )
    return summarise(grokjax.load(folder / "crossed"))


def test_seeds_crossed_with_splits_have_their_variance_drawn(tmp_path):
    found = crossed(tmp_path)
    made = gallery.gallery(found, "t_grok", found.results.curves)
    assert "variance" in made
    shares = variance_shares(found.runs)
    bars = [patch.get_width() for patch in made["variance"].axes[1].patches]
    assert bars == pytest.approx(list(shares["share"]))


def changed(summary, **columns):
    return dataclasses.replace(summary, runs=summary.runs.assign(**columns))


def test_warnings_say_what_is_wrong(summary):
    said = " ".join(summary.warnings)
    for word in ("too few seeds", "log too sparse", "did not last", "late collapse"):
        assert word not in said
    runs = summary.runs
    few = dataclasses.replace(summary, runs=runs[runs["seed"] < 2])
    cases = {
        "too few seeds": few,
        "log too sparse": changed(summary, log_every=1000),
        "grokking did not last: 1 of": changed(
            summary,
            t_collapse=pd.array([4000] + [None] * (len(runs) - 1), "Int64"),
            recovered=pd.array([True] + [None] * (len(runs) - 1), "boolean"),
            t_grok=runs["t_grok"].fillna(4500),
        ),
        "late collapse unseen": changed(summary, stop_reason="settled"),
        "quick runs count as slow: 33 of 33": changed(summary, stop_reason="settled"),
    }
    for word, case in cases.items():
        assert word in " ".join(case.warnings), word


def test_the_page_has_the_numbers_of_the_tables(summary):
    page = report.payload(summary, summary.results.curves)
    (x, y) = page["axes"][:2]
    assert (x, y) == ("weight_decay", "train_fraction")
    first = page["maps"][0]
    cells = summary.cells().set_index([x, y])
    for i, fraction in enumerate(first["ys"]):
        for j, decay in enumerate(first["xs"]):
            assert (
                first["layers"]["p_grok"]["values"][i][j] == cells.at[(decay, fraction), "p_grok"]
            )
    assert len(page["runs"]["run_id"]) == len(summary.runs)
    assert page["notes"] == summary.warnings
    assert set(page["curves"]["runs"]) == set(summary.runs["run_id"])
    assert all(len(curve["step"]) <= report.POINTS + 1 for curve in page["curves"]["runs"].values())
    titles = " ".join(table["title"] for table in page["tables"])
    assert "Goldilocks" in titles and "Power law" in titles


def test_a_hostile_name_stays_text(summary):
    name = "</script><img src=x onerror=alert(1)>"
    results = dataclasses.replace(
        summary.results, manifest={**summary.results.manifest, "name": name, "command": name}
    )
    page = report.html(dataclasses.replace(summary, results=results))
    assert "<img src=x" not in page
    assert len(re.findall("</script>", page)) == 3  # payload, plotly, ours


def test_many_runs_have_the_curves_of_some(summary, monkeypatch):
    monkeypatch.setattr(report, "MOST_CURVES", 30)
    shown = report.curve_runs(summary)
    assert len(shown) <= 30
    chosen = summary.runs[summary.runs["run_id"].isin(shown)]
    assert len(chosen.groupby(["weight_decay", "train_fraction"])) == len(summary.cells())
    page = report.payload(summary, summary.results.curves_of(shown, ["step", *report.CURVES]))
    assert "of the 60 runs" in page["curves_note"]


@pytest.mark.drawn
@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("wd_vs_frac", {"phases", "law_weight_decay", "law_train_fraction", "curves"}),
        ("groups", {"phases"}),  # an axis of kinds, no boundary, no curves kept
    ],
)
def test_the_tour_runs(tmp_path, monkeypatch, name, figures):
    arguments = [str(ROOT / "results" / "recorded" / name), str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["tour.py", *arguments])
    runpy.run_path(str(ROOT / "experiments" / "tour.py"))
    written = {path.name for path in tmp_path.iterdir()}
    assert written >= {f"tour_{figure}.png" for figure in figures}


OWN = """
from matplotlib.figure import Figure
from grokjax import *
from grokjax.figures.registry import figure, is_map

@figure(columns=("grad_norm",))
def gradients(shown):
    drawn = Figure(figsize=(3.4, 2.4))
    drawn.subplots().plot(shown.curves["step"], shown.curves["grad_norm"], ".")
    return drawn

@figure("only_maps", needs=is_map)
def of_maps(shown):
    raise AssertionError("there is no map")

@figure()
def mistaken(shown):
    return undefined

experiment = Experiment(
    task=ModularArithmetic("sub", p=7), model=MLP(width=4, mlp_width=8), steps=20, log_every=10
)
"""


@pytest.mark.drawn
def test_a_figure_of_the_users_own_is_drawn_with_the_others(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(registry, "KINDS", dict(registry.KINDS))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(OWN)
    for _ in range(2):  # and again when nothing is left to train
        assert sweep.main(["mine.py"]) == 0
        said = capsys.readouterr().err
        assert "the figure mistaken is left out: NameError" in said and "only_maps" not in said
        for kind in ("png", "pdf"):
            drawn = tmp_path / "results" / "mine" / "figures" / f"gradients.{kind}"
            assert drawn.stat().st_size > 1000
            drawn.unlink()
    (tmp_path / "mine.py").write_text(OWN.replace("@figure()", '@figure("maps")'))
    assert sweep.main(["mine.py"]) == 2
    assert "grokjax has one of this name" in capsys.readouterr().err


def test_plot_gives_the_first_figure_or_that_of_a_name(summary):
    results = summary.results
    assert results.plot().title.startswith("phase map")
    assert results.plot("curves").title.startswith("learning curves")
    with pytest.raises(ConfigError, match="this sweep has phases, p_grok"):
        results.plot("pies")


def test_cells_that_wait_are_marked_on_every_map(summary):
    cells, axes = summary.cells(), [summary.x, summary.y]
    waiting = pd.DataFrame([[10.0, 0.5], [10.0, 0.7]], columns=axes).assign(n=0)
    both = pd.concat([cells, waiting], ignore_index=True)
    for shown in (
        maps.phase_map(both, *axes),
        maps.probability_map(both, *axes),
        maps.time_map(both, *axes, "t_grok"),
    ):
        assert "no run has ended yet" in [handle.get_label() for handle in shown.handles_]
        assert len(shown.ax_.get_xticks()) == len(DECAYS) + 1
