"""Is it coming? Features with known answers, and predictions that are right and wrong."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy.optimize import check_grad
from sklearn.metrics import roc_auc_score

from grokjax import ConfigError
from grokjax.analysis import forecast
from grokjax.analysis.aft import NOISE
from grokjax.analysis.errors import NotEnoughRunsError
from grokjax.analysis.predictive import Ridged, reached
from grokjax.analysis.ranks import Units, auroc, concordance
from grokjax.figures import forecasts, style

STEPS = np.array([0, 20, 50, 60, 80, 100, 120, 200])
SIGMA = 0.5


def sweep(seeds=10, budget=10**6, effect=1.0, rng=0):
    """A map in which `cause` makes t_grok within cells, `decay` only between them, `noise` never."""
    rng = np.random.default_rng(rng)
    cells = [(wd, f, s) for wd in (0.1, 1.0, 10.0) for f in (0.4, 0.6) for s in range(seeds)]
    runs = pd.DataFrame(cells, columns=["weight_decay", "train_fraction", "seed"])
    cause, n = rng.normal(size=len(runs)), len(runs)
    location = 6.5 - 0.8 * np.log(runs["weight_decay"]) - effect * cause
    times = 100 + np.ceil(np.exp(location + rng.normal(0, SIGMA, n)))
    t_grok = pd.array(times.astype(int), dtype="Int64")
    t_grok[times > budget] = pd.NA
    runs = runs.assign(
        run_id=[f"r{i}" for i in range(n)], t_grok=t_grok, steps=budget, status="done",
        last_step=np.minimum(times + 10, budget).astype(int),
    )  # fmt: skip
    parts = [
        pd.DataFrame({
            "run_id": runs["run_id"], "step": step, "cause": cause, "decay": runs["weight_decay"],
            "noise": rng.normal(size=n), "weight_norm": 30 - np.log1p(step),
        })
        for step in STEPS
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True), runs


def row_of(table, name):
    return table.set_index("feature").loc[name]


def units(n):
    return Units(np.arange(n), n)


# --- C-index


def test_the_c_index_of_a_small_example_by_hand():
    times = np.array([1.0, 2.0, 2.0, 3.0, 4.0])
    seen = np.array([True, True, False, False, True])
    x = np.array([5.0, 1.0, 2.0, 1.0, 9.0])
    # Comparable, the sooner first: 0 with 1, 2, 3, 4 (right, right, right, wrong); 1 with 2, which
    # was censored when 1 grokked (wrong), with 3 (tied, a half) and with 4 (wrong). Censored ones
    # with later ones, and the last: none.
    found = concordance(x, times, seen, np.zeros(5, int), units(5))
    assert found.n == 7
    assert found.value == pytest.approx(3.5 / 7)
    # In cells {0, 4} and {1, 2, 3}: 0–4 wrong, 1–2 wrong, 1–3 half.
    apart = concordance(x, times, seen, np.array([0, 1, 1, 1, 0]), units(5))
    assert (apart.n, apart.value) == (3, pytest.approx(0.5 / 3))


def test_without_a_comparable_pair_there_is_no_number():
    none = concordance(np.ones(3), np.ones(3), np.zeros(3, bool), np.zeros(3, int), units(3))
    assert none.n == 0 and np.isnan([none.value, none.low, none.high]).all()


runs_ = st.lists(
    st.tuples(st.integers(-5, 5), st.integers(1, 6), st.booleans(), st.integers(0, 2)),
    min_size=2, max_size=25,
)  # fmt: skip


@given(runs_)
def test_the_c_index_hangs_on_the_order_alone_and_mirrors_with_the_sign(drawn):
    x, times, seen, cell = (np.array(values) for values in zip(*drawn, strict=True))
    args = times.astype(float), seen, cell, units(len(x))
    plain = concordance(x.astype(float), *args)
    bent = concordance(np.exp(x / 2) * 7 - 3, *args)
    mirrored = concordance(-x.astype(float), *args)
    assert bent == pytest.approx(plain, nan_ok=True) or (plain.n == bent.n == 0)
    if plain.n:
        assert mirrored.value == pytest.approx(1 - plain.value)


def test_auroc_is_that_of_scikit_learn():
    rng = np.random.default_rng(3)
    for _ in range(20):
        x, positive = rng.integers(0, 6, 60).astype(float), rng.random(60) < 0.4
        found = auroc(x, positive, np.zeros(60, int), units(60))
        assert found.value == pytest.approx(roc_auc_score(positive, x))


@pytest.mark.parametrize(("effect", "shared"), [(0.0, 0.0), (1.0, 0.0), (0.5, 0.5)])
def test_intervals_of_five_seeds_hold_the_truth_as_often_as_they_say(effect, shared):
    rng, n_cells, seeds = np.random.default_rng(1), 15, 5
    cell, seed = np.repeat(np.arange(n_cells), seeds), np.tile(np.arange(seeds), n_cells)
    found = []
    for _ in range(300):
        common = shared * rng.normal(size=(2, seeds))[:, seed]
        x = rng.normal(size=len(cell)) + common[0]
        times = np.exp(
            rng.normal(size=n_cells)[cell] - effect * x + rng.normal(size=len(cell)) + common[1]
        )
        found.append(concordance(x, times, times < 3, cell, Units(seed, seeds)))
    truth = np.mean([one.value for one in found])
    inside = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.91 <= inside <= 0.99


# --- What is known by a step


def test_only_what_was_measured_by_the_step_is_known_of_those_at_risk():
    features, runs = sweep(seeds=2)
    first, second, third = runs["run_id"][:3]
    at = runs["run_id"].isin([first, second, third])
    runs.loc[runs["run_id"] == first, "t_grok"] = 100
    runs.loc[runs["run_id"] == second, ["t_grok", "last_step"]] = [pd.NA, 100]
    runs.loc[runs["run_id"] == third, "status"] = "failed"
    known = forecast.at(features, runs, 100)
    assert set(known["run_id"]) == set(runs["run_id"][~at])
    future = features["step"] > 100
    changed = features.assign(cause=features["cause"].mask(future, 1e6))
    pd.testing.assert_frame_equal(forecast.at(changed, runs, 100), known)
    assert known["noise"].tolist() == [
        features.query("run_id == @r and step == 100")["noise"].item() for r in known["run_id"]
    ]


def test_a_value_that_is_no_number_is_not_measured_and_slopes_take_three_points():
    steps = np.array([0, 10, 50, 60, 80, 100])
    features = pd.DataFrame({
        "run_id": "a", "step": steps,
        "log": 2.5 * np.log(np.maximum(steps, 1e-9)),
        "holes": [0.0, 1.0, 2.0, 3.0, np.inf, np.nan],
    })  # fmt: skip
    runs = pd.DataFrame({
        "run_id": ["a"], "t_grok": pd.array([500], "Int64"), "last_step": [500], "steps": [900],
        "status": ["done"],
    })  # fmt: skip
    known = forecast.at(features, runs, 100).iloc[0]
    assert known["log slope"] == pytest.approx(2.5)
    assert known["holes"] == 3.0
    assert "holes slope" not in known
    with pytest.raises(NotEnoughRunsError, match="step=500: every run has grokked"):
        forecast.at(features, runs, 500)
    with pytest.raises(ConfigError, match="it lacks step"):
        forecast.at(features.drop(columns="step"), runs, 100)


# --- Scores


def test_a_cause_survives_stratification_and_what_only_follows_weight_decay_does_not():
    features, runs = sweep(seeds=12)
    scores = forecast.score(features, runs, 100)
    cause, decay, noise, clock = (row_of(scores, n) for n in ("cause", "decay", "noise", "step"))
    # Of normal pairs with correlation ρ: ½ + arcsin(ρ)/π, and here ρ² = 1 / (1 + SIGMA²).
    truth = 0.5 + np.arcsin(1 / np.sqrt(1 + SIGMA**2)) / np.pi
    assert cause["c_low"] < truth < cause["c_high"] and cause["c_low"] > 0.6
    assert decay["c"] == decay["c_low"] == decay["c_high"] == 0.5
    assert decay["pooled_low"] > 0.7
    assert noise["c_low"] < 0.5 < noise["c_high"]
    assert (clock["c"], clock["pooled"]) == (0.5, 0.5) and clock["baseline"]
    assert cause["pairs"] == 6 * 12 * 11 / 2
    claims = forecast.claims(scores)
    assert claims["cause"].startswith("cause survives stratification, larger values come sooner")
    assert claims["decay"].startswith("decay does not survive stratification: C = 0.50")
    assert claims["noise"].startswith("noise is not told from a coin")


def test_horizons_ask_those_who_are_followed_so_far():
    features, runs = sweep(budget=900)
    runs["steps"] = 2000
    left = runs["t_grok"].isna() & (runs["seed"] % 2 == 0)
    runs.loc[left, "last_step"] = 300  # nobody knows whether these grok within 500 updates
    scores = forecast.score(features, runs, 100, strata=(), horizons=(500,))
    told = runs[~left]
    x = features[features["step"] == 100].set_index("run_id").loc[told["run_id"], "cause"]
    expected = roc_auc_score((told["t_grok"] <= 600).fillna(False), x)
    assert row_of(scores, "cause")["auroc_500"] == pytest.approx(expected)
    assert row_of(scores, "cause")["auroc_500_pooled"] == pytest.approx(expected)


def test_without_seeds_runs_are_resampled_and_with_two_seeds_nothing_is_said():
    features, runs = sweep(seeds=6)
    cause = row_of(forecast.score(features, runs.drop(columns="seed"), 100), "cause")
    assert cause["c_low"] < cause["c"] < cause["c_high"]
    two = forecast.score(features, runs[runs["seed"] < 2], 100)
    assert np.isnan(row_of(two, "cause")["c_low"])
    assert "fewer than three seeds" in forecast.claims(two)["cause"]


# --- Alarms


def alarm_runs(n_never, peaks, leads, between=0.0):
    """Runs of two cells: some that never grok with these peaks, some that grok at step 500."""
    runs = pd.DataFrame({
        "run_id": [f"r{i}" for i in range(n_never + len(leads))],
        "t_grok": pd.array([None] * n_never + [500] * len(leads), "Int64"),
        "last_step": 1000, "steps": 1000, "status": "done",
        "weight_decay": [1.0] * (n_never + len(leads)),
        "seed": np.arange(n_never + len(leads)) % 5,
    })  # fmt: skip
    rows = []
    for run, height, lead in zip(
        runs["run_id"], [*peaks, *[99.0] * len(leads)], [*[700] * n_never, *leads], strict=True
    ):
        start = 500 - lead if height == 99.0 else 700
        steps = np.arange(0, 1001, 50)
        rows.append(
            pd.DataFrame({"run_id": run, "step": steps, "x": np.where(steps >= start, height, 0.0)})
        )
    return pd.concat(rows, ignore_index=True), runs


def test_a_lead_is_counted_from_the_first_alarm_at_the_rate_that_is_allowed():
    features, runs = alarm_runs(10, np.arange(1.0, 11.0), [200, 200, 300, 0, 100])
    leads = forecast.lead(features, runs, false_alarm=0.1)
    found = leads.query("feature == 'x' and scope == 'pooled'").set_index("direction")
    rises = found.loc["rises"]
    assert rises["threshold"] == 9.0  # one of ten lies above
    assert rises["false_alarms"] == pytest.approx(0.1)
    assert rises["detected"] == pytest.approx(0.8)  # at t_grok it is no warning
    assert rises["lead"] == 200
    assert rises["lead_low"] <= 200 <= rises["lead_high"]
    assert found.loc["falls", "lead"] == 0
    none = forecast.lead(features, runs, false_alarm=0.0).query(
        "feature == 'x' and scope == 'pooled'"
    )
    assert none.set_index("direction").loc["rises", "threshold"] == 10.0
    falling = forecast.lead(features.assign(x=-features["x"]), runs).query("scope == 'pooled'")
    mirrored = falling[falling["feature"] == "x"].set_index("direction").loc["falls"]
    assert (mirrored["lead"], mirrored["threshold"]) == (200, -9.0)


def test_an_alarm_by_the_clock_or_by_weight_decay_is_none_within_cells():
    features, runs = alarm_runs(10, np.zeros(10), [200] * 5)
    runs["weight_decay"] = np.where(np.arange(15) % 2, 1.0, 10.0)
    runs.loc[runs["t_grok"].isna() & (np.arange(15) > 1), "weight_decay"] = 1.0
    features["decay"] = features["run_id"].map(runs.set_index("run_id")["weight_decay"])
    leads = forecast.lead(features, runs, false_alarm=0.2)
    by = leads.set_index(["feature", "scope", "direction"])
    assert by.loc[("decay", "pooled", "rises"), "detected"] > 0.5
    assert by.loc[("decay", "within", "rises"), "detected"] == 0
    assert by.loc[("step", "pooled", "rises"), "detected"] == 0
    with pytest.raises(ConfigError, match=r"false_alarm=1.5: give a share"):
        forecast.lead(features, runs, false_alarm=1.5)


def test_where_every_run_groks_no_rate_of_false_alarms_is_known():
    features, runs = alarm_runs(0, [], [200] * 5)
    leads = forecast.lead(features, runs)
    assert leads["lead"].isna().all() and leads["false_alarms"].isna().all()


# --- Predictions


@pytest.fixture(scope="module")
def predicted():
    features, runs = sweep(seeds=30, budget=2500)
    return forecast.predict(features, runs, 100)


def test_predictions_of_log_normal_times_are_calibrated(predicted):
    assert 0.05 < predicted["t_grok"].isna().mean() < 0.5
    by_level = forecast.calibration(predicted).set_index("level")
    for level in (0.5, 0.9):
        for name in ("covered", "below"):
            row = by_level.loc[level]
            assert row[f"{name}_low"] < level < row[f"{name}_high"], (level, name)
    assert predicted["p_by_budget"].mean() == pytest.approx(predicted["seen"].mean(), abs=0.06)
    order = predicted[["step", "q05", "q25", "q50", "q75", "q95"]].to_numpy(float)
    assert (np.diff(order) > 0).all()
    assert reached(predicted, predicted["q25"].to_numpy()) == pytest.approx(0.25)


@pytest.mark.parametrize(
    "wrong",
    [lambda p: p.assign(scale=p["scale"] / 3), lambda p: p.assign(scale=p["scale"] * 3)],
    ids=["too sure", "too unsure"],
)
def test_predictions_that_are_too_sure_or_not_sure_enough_are_found_out(predicted, wrong):
    row = forecast.calibration(wrong(predicted)).set_index("level").loc[0.5]
    assert not row["covered_low"] < 0.5 < row["covered_high"]


def test_predictions_that_come_late_are_found_out_below_their_quantiles(predicted):
    late = predicted.assign(location=predicted["location"] + predicted["scale"])
    row = forecast.calibration(late).set_index("level").loc[0.5]
    assert row["below_low"] > 0.6


def test_a_censored_run_counts_with_the_part_that_may_still_come():
    told = pd.DataFrame({
        "step": 0, "location": 0.0, "scale": 1.0, "degrees": 1e9,
        "time": np.exp([0.0, -0.2533471, 5.0]), "seen": [True, False, False],
    })  # fmt: skip
    row = forecast.calibration(told, [0.5]).iloc[0]
    # F is 0.5, 0.4, almost 1: the first is inside of (0.25, 0.75), the second in 0.35 of 0.6.
    assert row["covered"] == pytest.approx((1 + 0.35 / 0.6 + 0) / 3, abs=1e-5)
    assert row["below"] == pytest.approx((1 + 0.1 / 0.6 + 0) / 3, abs=1e-5)
    assert (row["n"], row["n_seen"]) == (3, 1)


def test_a_run_is_told_by_other_seeds_alone():
    features, runs = sweep(seeds=6, budget=3000)
    plain = forecast.predict(features, runs, 100)
    changed = runs.copy()
    mine = changed["seed"] == 0
    changed.loc[mine, "t_grok"] = changed.loc[mine, "t_grok"].mask(changed["t_grok"].notna(), 150)
    again = forecast.predict(features, changed, 100)
    of_mine = plain["run_id"].isin(runs["run_id"][mine])
    assert of_mine.sum() == 6
    pd.testing.assert_series_equal(plain["q50"][of_mine], again["q50"][of_mine])
    assert not np.allclose(plain["q50"][~of_mine], again["q50"][~of_mine])


def test_features_alone_and_together_and_none():
    features, runs = sweep(seeds=10, budget=5000)
    together = forecast.predict(features, runs, 100)
    alone = forecast.predict(features, runs, 100, columns=["cause"])
    nothing = forecast.predict(features, runs, 100, columns=(), within=())
    scored = {
        name: row_of(forecast.score(features, runs, 100, predictions=p), "together")
        for name, p in (("together", together), ("alone", alone), ("nothing", nothing))
    }
    assert scored["alone"]["c_low"] > 0.6 and scored["together"]["c_low"] > 0.6
    assert scored["alone"]["pooled"] > scored["alone"]["c"]
    assert nothing["q50"].nunique() <= 10  # one for each seed that was held out
    assert alone["scale"].mean() < 0.8 * nothing["scale"].mean()
    with pytest.raises(ConfigError, match="columns='cuase': choose from"):
        forecast.predict(features, runs, 100, columns=["cuase"])
    with pytest.raises(ConfigError, match="predict at step 80"):
        forecast.score(features, runs, 80, predictions=alone)


def test_more_features_than_runs_and_values_that_blow_up_leave_predictions_finite():
    features, runs = sweep(seeds=4, budget=3000)
    rng = np.random.default_rng(5)
    many = pd.DataFrame(rng.normal(size=(len(features), 60))).add_prefix("junk")
    features = features.join(many)
    features.loc[features.index[-10:], "junk0"] = 1e200
    features.loc[features["step"] == 100, "junk1"] = np.inf
    found = forecast.predict(features, runs, 100)
    assert np.isfinite(found[["location", "scale", "degrees"]]).all(axis=None)
    assert found["scale"].between(0.2, 10).all()
    row = forecast.calibration(found).set_index("level").loc[0.9]
    assert row["covered_high"] > 0.85


def test_too_few_that_grokked_are_refused():
    features, runs = sweep(seeds=3)
    runs.loc[4:, "t_grok"] = pd.NA
    with pytest.raises(NotEnoughRunsError, match="a prediction takes 5"):
        forecast.predict(features, runs, 100)


def test_the_penalty_has_the_derivatives_that_it_says():
    rng = np.random.default_rng(0)
    x, y, seen = rng.normal(size=(20, 3)), rng.normal(size=20), rng.random(20) < 0.7
    data = Ridged(
        y,
        seen,
        np.zeros(20, int),
        1,
        lambda _: x,
        np.zeros(20),
        NOISE["lognormal"],
        np.array([4.0, 1.0, 0.0]),
    )
    theta = rng.normal(size=5) * 0.3
    loss, slope = (lambda t: data._loss(t, 0.0)[0]), (lambda t: data._loss(t, 0.0)[1])
    assert check_grad(loss, slope, theta) < 1e-4
    for i, row in enumerate(data.information(theta)):
        step = 1e-5 * np.eye(5)[i]
        assert row == pytest.approx((slope(theta + step) - slope(theta - step)) / 2e-5, abs=1e-5)


# --- Report and figures


@pytest.fixture(scope="module")
def made():
    features, runs = sweep(seeds=8, budget=2500)
    predictions = forecast.predict(features, runs, 100)
    return {
        "predictions": predictions,
        "scores": forecast.score(features, runs, 100, predictions=predictions),
        "coverage": forecast.calibration(predictions),
        "leads": forecast.lead(*alarm_runs(10, np.arange(1.0, 11.0), [200] * 10)),
    }


def test_the_report_says_it_all(made):
    text = forecast.report(made["scores"], made["leads"], made["coverage"])
    assert "features survive stratification" in text.splitlines()[0]
    assert "- decay does not survive stratification" in text
    assert "- together survives stratification" in text
    assert "- x rises 200 updates before t_grok [200, 200], pooled; it warns 100% of 10" in text
    assert "step rises" not in text
    assert "in those of 50%" in text


DRAW = {
    "calibration of predicted t_grok: ": lambda m, **at: forecasts.calibration_plot(m["coverage"], **at),
    "C-index of ": lambda m, **at: forecasts.concordance_plot(m["scores"], **at),
    "predictions of 48 runs, told at step 100": lambda m, **at: forecasts.prediction_plot(m["predictions"], **at),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAW)
def test_figures_draw_alone_and_where_they_are_told(made, name):
    alone = DRAW[name](made)
    assert repr(alone).startswith(name)
    assert alone.figure_.get_size_inches()[0] == style.COLUMN
    assert alone.figure_.legends
    figure = Figure(figsize=(7, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    drawn = DRAW[name](made, ax=left, legend=False)
    assert drawn.figure_ is figure and drawn.ax_ is left and not figure.legends
    assert not right.lines and not right.collections
    figure.draw_without_rendering()


def test_the_dot_plot_shows_baselines_and_both_ends(made):
    drawn = forecasts.concordance_plot(made["scores"], most=5)
    shown = drawn.data_["scores"]
    assert len(shown) == 5 and shown["baseline"].sum() == made["scores"]["baseline"].sum()
    assert shown["c"].is_monotonic_decreasing
    best = made["scores"].sort_values("c").iloc[-1]["feature"]
    assert best in set(shown["feature"])
    assert [t.get_text() for t in drawn.ax_.get_yticklabels()] == [
        name.replace("_", " ") for name in shown["feature"]
    ]
