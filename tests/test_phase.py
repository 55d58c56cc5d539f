"""Cells, their medians under censoring, and what the command draws and prints."""

import numpy as np
import pandas as pd
import pytest
from sweep_folder import synthetic_results

import grokjax
from grokjax import phase, summary_text
from grokjax.analysis.cells import cells
from grokjax.figures.curves import learning_curves

MAPS = {"phases", "p_grok", "t_grok", "grok_gap"}
STEPS = {"curves", "survival", "trajectories"}
LAWS = {"law_weight_decay", "law_train_fraction"}
AXES = ["weight_decay", "train_fraction"]


def runs_table(rows):
    """A runs table of (weight decay, fraction, t_mem, t_grok, last step)."""
    frame = pd.DataFrame(
        rows, columns=["weight_decay", "train_fraction", "t_mem", "t_grok", "last_step"]
    )
    frame = frame.astype(dict.fromkeys(["t_mem", "t_grok", "last_step"], "Int64"))
    frame["grok_gap"] = frame["t_grok"] - frame["t_mem"]
    return frame.assign(
        status="done", steps=frame["last_step"], run_id=[f"{i:04d}" for i in range(len(frame))]
    )


def test_cells_count_censor_and_take_medians():
    table = runs_table(
        [(1.0, 0.5, 100, 1000, 5000), (1.0, 0.5, 100, 2000, 5000), (1.0, 0.5, 100, None, 5000)]
        + [(1.0, 0.3, 100, None, 5000)] * 2
        + [(0.1, 0.5, 100, 4000, 5000), (0.1, 0.5, None, None, 5000)]
    )
    found = cells(table, AXES).set_index(["weight_decay", "train_fraction"])
    assert found.loc[(1.0, 0.5), ["n", "n_grokked", "median"]].tolist() == [3, 2, 2000]
    assert found.loc[(1.0, 0.5), "p_grok"] == pytest.approx(2 / 3)
    assert found.loc[(1.0, 0.3), "censored"]
    assert np.isnan(found.loc[(1.0, 0.3), "median"])
    assert found.loc[(0.1, 0.5), "median"] == 4000  # half of them have, by then
    gaps = cells(table, AXES, "grok_gap")
    gaps = gaps.set_index(["weight_decay", "train_fraction"])
    assert gaps.loc[(1.0, 0.5), "median"] == 1900


def test_diverged_runs_have_not_grokked_by_their_budget():
    """Their early end is no reason to believe that they would have grokked like the others."""
    table = runs_table([(1.0, 0.5, 40, 900, 1000)] + [(1.0, 0.5, 40, None, 50)] * 4)
    table["steps"] = 1000
    table.loc[1:, "status"] = "diverged"
    (cell,) = cells(table, AXES).to_dict("records")
    assert cell["censored"]
    assert cell["bound"] == 1000


def test_a_censored_gap_is_bounded_by_what_was_seen_of_it():
    table = runs_table([(1.0, 0.5, 400, None, 1000)] * 3)
    (cell,) = cells(table, AXES, "grok_gap").to_dict("records")
    assert cell["bound"] == 600


def test_failed_runs_do_not_count():
    table = runs_table([(1.0, 0.5, 100, 1000, 5000), (1.0, 0.5, None, None, None)])
    table.loc[1, "status"] = "failed"
    assert cells(table, AXES)["n"].tolist() == [1]


@pytest.mark.parametrize("name", ["weight_decoy", "run"])
def test_an_unknown_column_is_named(name):
    table = runs_table([(1.0, 0.5, 100, 1000, 5000)])
    with pytest.raises(grokjax.ConfigError, match=name):
        cells(table, [name, "train_fraction"])


@pytest.mark.drawn
@pytest.mark.parametrize(
    ("weight_decays", "fractions", "expected"),
    [
        ([0.1, 0.3, 1.0, 3.0], [0.3, 0.5, 0.7], {*MAPS, *STEPS, *LAWS}),
        ([0.0, 1.0], [0.3, 0.7], {*MAPS, *STEPS}),
        ([0.3, 1.0, 3.0], [0.7], {*STEPS, "law_weight_decay", "scan_weight_decay"}),
        ([1.0], [0.5], STEPS),
    ],
)
def test_the_command_draws_what_the_axes_allow(
    tmp_path, capsys, weight_decays, fractions, expected
):
    folder = synthetic_results(tmp_path / "sweep", weight_decays, fractions)
    assert phase.main([str(folder)]) == 0
    printed = capsys.readouterr().out
    for name in expected:
        for kind in ("png", "pdf"):
            path = folder / "figures" / f"{name}.{kind}"
            assert path.stat().st_size > 5000
            assert str(path) in printed
    drawn = {path.stem for path in (folder / "figures").iterdir()}
    others = {*MAPS, *LAWS, "scan_weight_decay", "scan_train_fraction", "variance"} - set(expected)
    assert not drawn & others


def test_axes_may_be_names_flags_or_a_single_cell(tmp_path, capsys):
    folder = synthetic_results(tmp_path / "sweep", [0.1, 1.0], [0.3, 0.7])
    runs = pd.read_parquet(folder / "runs")
    runs["norm"] = np.where(runs["weight_decay"] > 0.5, "pre", "none")
    runs["causal"] = runs["train_fraction"] > 0.5
    runs.to_parquet(folder / "runs" / "00000000-00000000.parquet")
    assert phase.main([str(folder), "--x", "norm", "--y", "causal"]) == 0
    assert "pre" in capsys.readouterr().out


def test_one_cell_in_which_a_minority_groks_has_its_curves(tmp_path):
    folder = synthetic_results(tmp_path / "sweep", [1.0], [0.5])
    runs = pd.read_parquet(folder / "runs")
    runs.loc[1:, ["t_grok", "grok_gap"]] = None
    runs.to_parquet(folder / "runs" / "00000000-00000000.parquet")
    assert phase.main([str(folder)]) == 0
    assert (folder / "figures" / "curves.pdf").exists()


def test_when_every_run_failed_the_command_says_so(tmp_path, capsys):
    folder = synthetic_results(tmp_path / "sweep", [1.0], [0.5])
    runs = pd.read_parquet(folder / "runs").assign(status="failed")
    runs.to_parquet(folder / "runs" / "00000000-00000000.parquet")
    assert phase.main([str(folder)]) == 0
    assert "every run failed" in capsys.readouterr().out


def test_the_table_marks_censored_cells(tmp_path):
    results = grokjax.load(synthetic_results(tmp_path / "sweep", [0.1, 1.0], [0.3, 0.7]))
    text = summary_text.table(phase.cells(results, AXES), *AXES, "t_grok")
    assert "0/3 >5000" in text
    assert "3/3 " in text


def test_figures_of_equal_tables_are_equal_files(tmp_path):
    results = grokjax.load(synthetic_results(tmp_path / "sweep", [1.0], [0.5]))
    once, twice = (
        phase.write(phase.summarise(results), "t_grok", tmp_path / name)
        for name in ("once", "twice")
    )
    assert [path.name for path in once[-2:]] == ["report.html", "summary.md"]
    for a, b in zip(once, twice, strict=True):
        assert a.read_bytes() == b.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["{}", "--x", "nothing"], "nothing"),
        (["{}", "--metric", "status"], "status"),
        (["{}", "--x", "train_fraction", "--y", "train_fraction"], "train_fraction"),
        (["{}", "--out", "{}/sweep.json"], "sweep.json"),
        (["{}", "{}"], "--out"),
        (["nowhere"], "nowhere: there is no such folder"),
        (["mine.py"], "give a results folder or curves; an experiment file is run by"),
        (["{}/.."], "it is a folder of 1 results folders, give those that are meant"),
    ],
)
def test_bad_arguments_get_a_sentence_and_status_2(tmp_path, capsys, arguments, named):
    folder = synthetic_results(tmp_path / "sweep", [0.1, 1.0], [0.3])
    assert phase.main([word.format(folder) for word in arguments]) == 2
    message = capsys.readouterr().err
    assert named in message
    assert message.count("\n") == 1
    assert not (folder / "figures").exists()


def test_the_median_curve_keeps_a_run_that_has_settled():
    """Three runs, two of which end early at the top; the third stays at the bottom."""
    curves = pd.concat(
        pd.DataFrame(
            {
                "run_id": run_id,
                "step": range(0, 10 * length, 10),
                "train_accuracy": accuracy,
                "test_accuracy": accuracy,
                "train_loss": 1 - accuracy + 1e-3,
                "test_loss": 1 - accuracy + 1e-3,
            }
        )
        for run_id, length, accuracy in [("a", 5, 1.0), ("b", 6, 1.0), ("c", 20, 0.1)]
    )
    runs = pd.DataFrame(
        {"run_id": ["a", "b", "c"], "status": "done", "steps": 190, "last_step": [40, 50, 190]}
    ).assign(t_mem=[10, 10, None], t_grok=[10, 10, None])
    drawn = learning_curves(curves, {"cell": runs})
    strong = [line for line in drawn.ax_[0, 0].lines if line.get_alpha() is None]
    medians = [line.get_ydata() for line in strong if len(line.get_ydata()) == 19]
    assert len(medians) == 2
    assert all((median == 1.0).all() for median in medians)


def test_numbers_that_an_optimiser_brings_along_are_no_axis_of_the_map(tmp_path):
    """Two optimisers by three rates: b2 differs as their defaults do, and no cell pools runs."""
    folder = synthetic_results(tmp_path / "s", [0.1, 1.0, 10.0], [0.5, 0.7])
    results = grokjax.load(folder)
    runs = results.runs.rename(columns={"train_fraction": "b2"})
    runs["optimizer"] = runs["b2"].map({0.5: "AdamW", 0.7: "Adamax"})
    vars(results)["runs"] = runs
    axes = {"optimizer": ["AdamW", "Adamax"], "optimizer.weight_decay": [0.1, 1.0, 10.0]}
    results.manifest["axes"] = axes | {"optimizer.b2": [0.5, 0.7], "seed": [0, 1, 2]}
    found = phase.summarise(results)
    assert (found.x, found.y) == ("weight_decay", "optimizer")
    assert not [text for text in found.warnings if "pools" in text]
    pooled = phase.summarise(results, "weight_decay", "seed")
    assert any("pools runs that differ in optimizer" in text for text in pooled.warnings)
