"""The closing report: whatever a sweep looks like and however it ends, all of it appears."""

import contextlib
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from made_sweeps import made, sweeps
from sweep_folder import synthetic_results

import grokjax
from grokjax import closing, phase, report, summary_text, sweep
from grokjax.analysis import summary as summaries
from grokjax.analysis.summary import summarise
from grokjax.figures import gallery, maps, registry, style

# A failure is told at once: shrinking it takes minutes.
OFTEN = settings(
    deadline=None, max_examples=25, suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate], database=None,
)  # fmt: skip
RARELY = settings(OFTEN, max_examples=8)
METRICS = st.sampled_from(["t_grok", "t_mem", "grok_gap", "t_grok_sustained"])
OTHERS = ("status", "loss", "p", "seed", "t_grok", "error", "final_test_loss", "wall_s", "run_id")
"""Columns that no sweep of ours need vary and a user may ask for."""


@contextlib.contextmanager
def nothing_left_out():
    """Nothing is said on standard error."""
    with contextlib.redirect_stderr(io.StringIO()) as said:
        yield
    assert said.getvalue() == ""


def axes_of(data, results):
    """Nothing, or two columns to look at."""
    names = [name for name in results.axes if name in results.runs] + list(OTHERS)
    x = data.draw(st.none() | st.sampled_from(names))
    y = data.draw(st.none() | st.sampled_from([name for name in names if name != x]))
    return x, y


@pytest.mark.drawn
@OFTEN
@given(drawn=sweeps(), data=st.data(), metric=METRICS)
def test_tables_laws_warnings_and_page_of_any_sweep(drawn, data, metric):
    results = made(*drawn)
    with nothing_left_out():
        summary = closing.computed(summarise(results, *axes_of(data, results)))
        text = summary_text.describe(summary, metric)
        page = report.html(summary)
    assert summary.left_out == frozenset()
    assert "zone" in text
    assert len(page) > 10_000


@pytest.mark.drawn
@RARELY
@given(drawn=sweeps(), data=st.data(), metric=METRICS)
def test_figures_of_any_sweep(drawn, data, metric):
    results = made(*drawn)
    summary = summarise(results, *axes_of(data, results))
    figures = gallery.gallery(summary, metric, results.curves)
    assert {"curves", "survival"} <= set(figures)
    # Runs that all diverge at once have no norm that could be shown.
    assert ("trajectories" in figures) == results.curves["weight_norm"].notna().any()
    for figure in figures.values():
        with style.paper():
            figure.draw_without_rendering()


TABLE = "Table([[a, b] for a in range(5) for b in range(5)], [(a + b) % 5 for a in range(5) for b in range(5)])"
GRIDS = {
    "three axes": "grid(weight_decay=[.1, 1.], train_fraction=[.4, .6], learning_rate=[1e-3, 3e-3, 1e-2], seed=range(2))",
    "words": 'grid(op=["add", "sub"], weight_decay=[.1, 1.], seed=range(3))',
    "optimisers": 'grid({"optimizer": [SGD(), SGD(momentum=0.9), Adam(b2=0.999), AdamW(b2=0.999)],'
    ' "optimizer.learning_rate": [0.1, 0.01], "optimizer.weight_decay": [0.0, 0.1], "seed": [42]})',
    "absent": 'grid({"batch_size": [None, 10]}, seed=range(2))',
    "crossed": "grid(seed=[0, 1, 2], split_seed=[0, 1])",
    "one": "grid()",
}  # fmt: skip


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(c, marks=[pytest.mark.slow] * (c in ("three axes", "optimisers")))
        for c in GRIDS
    ],
)
def test_a_sweep_of_any_shape_ends_well_with_all_it_has(
    tmp_path, monkeypatch, capfd, request, case
):
    if case != "one":
        request.getfixturevalue("quick_figures")
    monkeypatch.chdir(tmp_path)
    task = 'ModularArithmetic("sub", p=7)' if case != "optimisers" else TABLE
    (tmp_path / "shape.py").write_text(
        f"from grokjax import *\nexperiment = Experiment(task={task}, steps=20, log_every=10, "
        f"model=Transformer(width=8, heads=2, mlp_width=16), sweep={GRIDS[case]})\n"
    )
    assert sweep.main(["shape.py", "--lanes", "4"]) == 0
    printed = capfd.readouterr()
    assert printed.err == ""
    folder = tmp_path / "results" / "shape"
    figures = {path.name for path in (folder / "figures").iterdir()}
    assert {"curves.png", "survival.pdf"} <= figures
    assert (folder / "report.html").stat().st_size > 10_000
    for path in (*(folder / "figures").iterdir(), folder / "report.html"):
        assert f"wrote {path.relative_to(tmp_path)}" in printed.out
    assert "variance.png" not in figures or case == "crossed"


def broken(*_, **__):
    raise RuntimeError("no ink\nat all")


def saved_quickly(figure, folder, name):
    """Saving takes most of the time, and other tests do it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.png").touch()
    return [folder / f"{name}.png"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A map with laws."""
    folder = tmp_path_factory.mktemp("closing") / "sweep"
    return synthetic_results(folder, [0.1, 0.3, 1.0, 3.0], [0.3, 0.5, 0.7], seeds=2)


@pytest.mark.drawn
@pytest.mark.parametrize(
    ("module", "name", "said", "lacking"),
    [
        (maps, "time_map", ["the figure t_grok ", "the figure grok_gap "], {"t_grok", "grok_gap"}),
        (gallery, "survival_groups", ["the choice of survival curves "], {"survival"}),
        (report, "payload", ["the page report.html "], {"report"}),
        (summaries.laws, "fit", ["the law of weight_decay ", "the law of train_fraction "], {"law_weight_decay", "law_train_fraction"}),
        (summaries, "goldilocks", ["the zone "], set()),
        (summaries, "at_budgets", ["the zone "], set()),
        (summaries, "CHECKS", ["the warnings "], set()),
        (summary_text.law_checks, "held_out", ["the text of the law of weight_decay ", "the text of the law of train_fraction "], set()),
    ],
)  # fmt: skip
def test_what_raises_is_a_sentence_and_all_else_appears(
    folder, tmp_path, monkeypatch, capsys, module, name, said, lacking
):
    monkeypatch.setattr(module, name, (broken,) if name == "CHECKS" else broken)
    monkeypatch.setattr(style, "save", saved_quickly)
    assert phase.main([str(folder), "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert len(lines) == len(said)
    for line, start in zip(lines, said, strict=True):
        assert line.startswith(f"{start}is left out: RuntimeError: no ink (test_closing.py, line ")
    every = {
        "phases", "p_grok", "t_grok", "grok_gap", "curves", "trajectories", "survival",
        "law_weight_decay", "law_train_fraction", "report",
    }  # fmt: skip
    assert {path.stem for path in tmp_path.rglob("*.*")} & every == every - lacking
    assert all(f"{name}." in printed.out for name in every - lacking)
    assert "grokked/runs" in printed.out


def test_a_figure_whose_column_these_curves_lack_is_a_sentence(
    folder, tmp_path, monkeypatch, capsys
):
    """As `grad_norm` in the curves of another program."""
    monkeypatch.setattr(registry, "KINDS", dict(registry.KINDS))
    monkeypatch.setattr(style, "save", saved_quickly)
    registry.figure("gradients", columns=("grad_norm",))(lambda shown: shown.curves["grad_norm"])
    assert phase.main([str(folder), "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("the figure gradients is left out: KeyError: 'grad_norm'")
    assert "phases." in printed.out
    assert "report.html" in printed.out


def test_a_report_that_raises_costs_no_training(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(closing, "summarise", broken)
    (tmp_path / "one.py").write_text(
        'from grokjax import *\nexperiment = Experiment(task=ModularArithmetic("sub", p=7), '
        "steps=20, model=Transformer(width=8, heads=2, mlp_width=16))\n"
    )
    assert sweep.main(["one.py"]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("the closing report is left out: RuntimeError: no ink (")
    assert printed.err.count("\n") == 1
    assert "wrote results/one/runs" in printed.out


def test_phase_says_1_where_nothing_could_be_shown(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(summary_text, "describe", lambda *_: "")
    monkeypatch.setattr(closing, "write", lambda *_: [])
    assert phase.main([str(folder), "--out", str(tmp_path)]) == 1


def test_any_column_can_be_looked_along(folder, tmp_path, monkeypatch, capsys):
    """A column that is no number, beside laws of the other axis, and times of 0."""
    monkeypatch.setattr(style, "save", saved_quickly)
    runs = pd.read_parquet(folder / "runs")
    runs["norm"] = np.where(runs["seed"] % 2 == 0, "pre", "none")
    zero = runs.index[:3]
    runs.loc[zero, ["t_grok", "t_mem", "grok_gap"]] = 0
    runs.loc[zero, "t_grok_interpolated"] = 0.0
    results = grokjax.load(folder)
    vars(results)["runs"] = runs
    for number, (x, y) in enumerate([("norm", None), (None, "norm"), ("status", "norm")]):
        assert closing.show(results, x, y, "t_grok", tmp_path / str(number))
        printed = capsys.readouterr()
        assert printed.err == ""
        assert "grokked at step 0: 3 runs" in printed.out


def test_runs_without_a_value_stand_beside_a_map_of_the_others(
    folder, capsys, tmp_path, monkeypatch
):
    monkeypatch.setattr(style, "save", saved_quickly)
    runs = pd.read_parquet(folder / "runs")
    runs["weight_decay"] = runs["weight_decay"].mask(runs["weight_decay"] == 0.3)
    results = grokjax.load(folder)
    vars(results)["runs"] = runs
    assert closing.show(results, out=tmp_path)
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "6 runs have no value of weight_decay and no place on the map" in printed.out
    assert (tmp_path / "figures" / "survival.png").exists()
    _, groups = gallery.survival_groups(summarise(results))
    assert len(groups) == 3 and all(len(part) for part in groups.values())
