"""Memorised or understood? Measures with known answers."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score

from grokjax import ConfigError, Thresholds
from grokjax.analysis import understood
from grokjax.analysis.errors import NotEnoughRunsError
from grokjax.figures import forecasts, style


def networks(seeds=8, rng=0):
    """Runs that generalise, that memorise, and that learn random labels; each asked twice.

    `gap` is larger by 2 spreads where a network generalises, `decay` is weight decay, which most
    of those have, `noise` is noise, `labels` is larger for random labels.
    """
    rng, runs, rows = np.random.default_rng(rng), [], []
    for seed in range(seeds):
        for kind, n in (("generalising", 6), ("memorising", 4), ("control", 3)):
            for i in range(n):
                run_id = f"{kind}{seed}-{i}"
                decay = 1.0 if (kind == "generalising") == (i > 0) else 0.1
                runs.append({
                    "run_id": run_id, "seed": seed, "weight_decay": decay, "status": "done",
                    "label_noise": float(kind == "control"), "op": "add", "chance": 0.01,
                })  # fmt: skip
                understands = kind == "generalising"
                for step in (1000, 5000):
                    rows.append({
                        "run_id": run_id, "step": step,
                        "train_accuracy": 1.0 if step == 5000 or not understands else 0.5,
                        "test_accuracy": 0.95 if understands else 0.02,
                        "gap": 1e6 + 2.0 * understands + rng.normal(),
                        "decay": decay, "noise": rng.normal(),
                        "labels": float(kind == "control") + 0.1 * rng.normal(),
                    })  # fmt: skip
    return pd.DataFrame(rows), pd.DataFrame(runs)


@pytest.fixture(scope="module")
def table():
    return understood.compare(*networks()).set_index("measure")


def test_a_measure_that_tells_them_apart_and_one_that_does_not(table):
    gap, noise = table.loc["gap"], table.loc["noise"]
    assert gap["auroc_low"] < 0.921 < gap["auroc_high"]  # Φ(2/√2)
    assert gap["d_low"] < 2 < gap["d_high"] and gap["d_low"] > 1
    assert gap["balanced_accuracy"] == pytest.approx(0.841, abs=0.06)  # Φ(1)
    assert gap["threshold"] == pytest.approx(1e6 + 1, abs=0.7) and gap["above"]
    assert noise["auroc_low"] < 0.5 < noise["auroc_high"]
    assert noise["d_low"] < 0 < noise["d_high"]
    assert (gap["n_generalising"], gap["n_memorising"], gap["n_control"]) == (48, 32, 24)


def test_a_measure_that_follows_weight_decay_tells_nothing_within_cells(table):
    assert table.loc["decay", "auroc"] > 0.7
    assert table.loc["decay", "auroc_within"] == 0.5
    assert table.loc["gap", "auroc_within_low"] > 0.6


def test_a_measure_of_random_labels_is_found_out_by_the_control(table):
    assert table.loc["labels", "auroc_control"] == 1.0
    assert table.loc["gap", "auroc_control_low"] < 0.5 < table.loc["gap", "auroc_control_high"]


def test_numbers_are_those_of_other_libraries_and_of_the_formula():
    features, runs = networks(rng=4)
    found = understood.compare(features, runs).set_index("measure").loc["gap"]
    last = features[features["step"] == 5000]
    kind = last["run_id"].str.startswith("generalising")
    assert found["auroc"] == pytest.approx(roc_auc_score(kind, last["gap"]))
    a, b = last["gap"][kind], last["gap"][~kind]
    spread = np.sqrt(((len(a) - 1) * a.var() + (len(b) - 1) * b.var()) / (len(a) + len(b) - 2))
    assert found["d"] == pytest.approx((a.mean() - b.mean()) / spread)


def test_thresholds_are_judged_on_seeds_that_they_were_not_chosen_on():
    chosen, held_out = [], []
    for rng in range(12):
        features, runs = networks(seeds=4, rng=rng)
        row = understood.compare(features, runs, resamples=20).set_index("measure").loc["noise"]
        last = features[features["step"] == 5000]
        kind = last["run_id"].str.startswith("generalising").to_numpy()
        right = ((last["noise"] > row["threshold"]) == row["above"]).to_numpy() == kind
        chosen.append((right[kind].mean() + right[~kind].mean()) / 2)
        held_out.append(row["balanced_accuracy"])
    assert np.mean(chosen) > 0.58  # the best threshold for noise flatters it
    assert np.mean(held_out) == pytest.approx(0.5, abs=0.05)


def test_only_networks_that_have_memorised_are_asked():
    features, runs = networks()
    early = features.assign(gap=features["gap"].where(features["step"] == 5000, 1e9))
    known = early[(early["step"] == 5000) | early["run_id"].str.startswith("generalising")]
    pd.testing.assert_frame_equal(
        understood.compare(known, runs),
        understood.compare(features[features["step"] == 5000], runs),
    )
    strict = understood.compare(
        features.assign(train_accuracy=features["train_accuracy"] * 0.97), runs,
        Thresholds(memorised=0.95),
    )  # fmt: skip
    assert strict["n_generalising"].max() == 48
    with pytest.raises(NotEnoughRunsError, match="0 generalise and 0 do not"):
        understood.compare(features.assign(train_accuracy=0.9), runs)


def test_at_one_step_the_clock_tells_nothing_and_a_run_is_in_one_state():
    features, runs = networks()
    features.loc[features["run_id"].str.startswith("gen") & (features["step"] == 1000),
                 ["train_accuracy", "test_accuracy"]] = [1.0, 0.02]  # fmt: skip
    late = understood.compare(features, runs).set_index("measure")
    assert late.loc["step", "n_memorising"] == 32 + 48  # once in each state
    at_once = understood.compare(features, runs, step=6000).set_index("measure")
    assert at_once.loc["step", "n_memorising"] == 32
    assert at_once.loc["step", "auroc"] == 0.5
    with pytest.raises(NotEnoughRunsError, match="0 generalise and 104 do not"):
        understood.compare(features, runs, step=1000)


def test_measures_and_accuracies_may_have_steps_of_their_own():
    features, runs = networks()
    measures = features[["run_id", "step", "gap"]].assign(step=features["step"] + 7)
    curves = features.drop(columns="gap")
    apart = pd.concat([curves, measures], ignore_index=True)
    apart.loc[apart["step"] == 1007, "gap"] = np.inf
    found = understood.compare(apart, runs).set_index("measure").loc["gap"]
    whole = understood.compare(features, runs).set_index("measure").loc["gap"]
    assert found["auroc"] == pytest.approx(whole["auroc"])
    with pytest.raises(ConfigError, match="it lacks test_accuracy"):
        understood.compare(features.drop(columns="test_accuracy"), runs)


def test_a_table_of_random_results_is_a_control_too():
    features, runs = networks()
    by_noise = understood.compare(features, runs)
    runs["op"] = np.where(runs["label_noise"] == 1, "random", "add")
    pd.testing.assert_frame_equal(
        understood.compare(features, runs.drop(columns="label_noise")), by_noise
    )


def test_the_figure_draws_alone_and_where_it_is_told(table):
    measures = table.reset_index()
    drawn = forecasts.understood_plot(measures, most=3)
    assert repr(drawn).startswith("memorised or understood by 3 of 5 measures")
    assert drawn.figure_.get_size_inches()[0] == style.COLUMN
    shown = drawn.data_["table"]
    assert shown["auroc"].is_monotonic_decreasing and "step" in set(shown["measure"])
    assert [h.get_label() for h in drawn.handles_][-1] == "random labels against memorising"
    without = measures.assign(auroc_control=np.nan)
    figure = Figure(figsize=(7, 3), layout="constrained")
    left, _ = figure.subplots(1, 2)
    other = forecasts.understood_plot(without, ax=left, legend=False)
    assert other.ax_ is left and len(other.handles_) == 2
    figure.draw_without_rendering()
