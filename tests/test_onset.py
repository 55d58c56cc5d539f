"""Onsets of curves whose answers are known."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import grokjax
from grokjax import Thresholds
from grokjax.analysis.curves import Curves
from grokjax.analysis.onset import onsets as measure
from grokjax.analysis.onset import summarise
from grokjax.results.schema import onset_columns

STEPS = np.arange(0, 5010, 10)


def curve(test, train=None, step=STEPS, loss=None):
    """A curve with these accuracies; memorised at step 100 unless told."""
    test = np.asarray(test, float)
    train = np.where(step >= 100, 1.0, 0.5) if train is None else np.asarray(train, float)
    return {
        "step": step,
        "train_accuracy": train,
        "test_accuracy": test,
        "train_loss": np.zeros(len(step)),
        "test_loss": 2 - test if loss is None else np.asarray(loss, float),
        "weight_norm": 50 - step / (step[-1] + 1),
    }


def onsets(test, train=None, step=STEPS, chance=0.02, loss=None, **thresholds):
    return summarise(curve(test, train, step, loss), chance, Thresholds(**thresholds))


def logistic(centre, rate):
    """Test accuracy from chance to 1 around `centre`."""
    return 0.02 + 0.98 / (1 + np.exp(-rate * (STEPS - centre)))


def test_a_clean_grokking_run():
    found = onsets(logistic(3000, 0.02))
    assert found["t_mem"] == 100
    assert found["t_grok"] == STEPS[logistic(3000, 0.02) >= 0.9][0] == found["t_grok_sustained"]
    assert found["t_grok_50"] < found["t_grok"] < found["t_grok_99"]
    assert found["grok_gap"] == found["t_grok"] - 100
    assert found["grok_ratio"] == pytest.approx(found["t_grok"] / 100)
    assert found["phase"] == "grokking"
    # 10 to 90 % of a logistic takes 2 ln 9 / rate, whatever its height.
    assert found["transition_width"] == pytest.approx(2 * np.log(9) / 0.02, rel=1e-2)


def test_a_run_that_only_memorises_is_censored():
    found = onsets(np.full(len(STEPS), 0.02))
    assert found["t_mem"] == 100
    for name in ("t_grok", "t_grok_sustained", "grok_gap", "grok_ratio", "transition_width"):
        assert found[name] is None
    assert found["phase"] == "memorization"


def test_a_spike_crosses_but_does_not_last():
    test = logistic(4000, 0.02)
    test[50] = 0.95
    found = onsets(test)
    assert found["t_grok"] == 500
    assert found["t_grok_sustained"] == STEPS[test >= 0.9][1]


def test_a_collapse_keeps_its_first_crossing_and_has_no_sustained_one():
    test = logistic(2000, 0.02)
    test[-1] = 0.3
    found = onsets(test)
    assert found["t_grok"] is not None
    assert found["t_grok_sustained"] is None
    assert found["max_test_accuracy"] > 0.99
    assert found["final_test_accuracy"] == 0.3


@pytest.mark.parametrize(("last", "expected"), [(10, None), (11, 4900)])
def test_a_crossing_is_sustained_only_after_settling(last, expected):
    test = np.zeros(len(STEPS))
    test[-last:] = 1
    assert onsets(test, settle=10)["t_grok_sustained"] == expected


def test_noise_around_the_threshold():
    test = np.where(STEPS < 1000, 0.0, 0.9 + 0.01 * (-1.0) ** np.arange(len(STEPS)))
    found = onsets(test)
    assert found["t_grok"] == 1000
    assert found["t_grok_sustained"] is None
    assert found["n_collapses"] == 0


def test_a_tail_of_nan_is_neither_a_crossing_nor_sustained():
    test = logistic(1000, 0.02)
    test[-3:] = np.nan
    found = onsets(test)
    assert found["t_grok"] is not None
    assert found["t_grok_sustained"] is None
    assert found["max_test_accuracy"] > 0.99


def test_an_irregular_log_reports_its_own_steps():
    step = np.array([0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000])
    test = np.where(step >= 200, 1.0, 0.0)
    found = onsets(test, step=step, settle=2)
    assert found["t_grok"] == found["t_grok_sustained"] == 200
    assert found["t_grok_interpolated"] == pytest.approx(100 + 0.9 * 100)


def test_the_teaching_example_crosses_at_102k_and_not_at_101k():
    """1 % until 100K, 57 % at 101K, 98 % at 102K, 100 % at 103K, memorised at 7000."""
    step = np.array([0, 7_000, 100_000, 101_000, 102_000, 103_000])
    test = np.array([0.01, 0.01, 0.01, 0.57, 0.98, 1.0])
    found = onsets(test, (step >= 7000).astype(float), step, chance=0.01)
    assert found["t_mem"] == 7_000
    assert found["t_grok"] == 102_000
    assert found["t_grok_50"] == 101_000
    assert found["grok_gap"] == 95_000


@pytest.mark.parametrize(
    ("t_mem", "t_grok", "expected"),
    [
        (100, 1100, "grokking"),
        (100, 1090, "comprehension"),
        (100, 50, "comprehension"),
        (100, None, "memorization"),
        (None, None, "confusion"),
        (None, 100, "comprehension"),
    ],
)
def test_phases_by_gap_in_steps(t_mem, t_grok, expected):
    never = 10**9
    train = STEPS >= (never if t_mem is None else t_mem)
    test = STEPS >= (never if t_grok is None else t_grok)
    assert onsets(test, train)["phase"] == expected


@pytest.mark.parametrize(("t_grok", "expected"), [(500, "grokking"), (490, "comprehension")])
def test_phases_by_ratio(t_grok, expected):
    found = onsets(STEPS >= t_grok, gap_rule="ratio", gap_ratio=5)
    assert found["phase"] == expected


def test_width_starts_at_the_plateau_and_not_at_zero():
    """A commutative table gives half of the answers away before anything is understood."""
    test = 0.5 + 0.5 / (1 + np.exp(-0.02 * (STEPS - 3000)))
    assert onsets(test)["transition_width"] == pytest.approx(2 * np.log(9) / 0.02, rel=2e-2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nine_rows_of_ten_are_at_the_threshold_in_any_precision(dtype):
    """Else a resumed run, whose curve comes from a float64 column, could grok later."""
    right = np.where(STEPS < 3000, 4, 180)
    exact = (right.astype(np.float32) / np.float32(200)).astype(dtype)
    assert onsets(exact)["t_grok"] == 3000


def test_thresholds_name_their_columns():
    thresholds = dataclasses.replace(Thresholds(), also=(0.75, 0.995))
    found = summarise(curve(logistic(1000, 0.02)), 0.02, thresholds)
    assert {"t_grok_75", "t_grok_75_sustained", "t_grok_99.5", "t_grok_99.5_sustained"} <= set(
        found
    )


def test_the_columns_are_those_of_the_schema():
    thresholds = Thresholds(also=(0.3, 0.7))
    found = summarise(curve(logistic(1000, 0.02)), 0.02, thresholds)
    assert set(found) == set(onset_columns(thresholds))


def test_the_teaching_example_of_a_tenth_of_the_table_has_941_rows():
    """The text takes 10 % of the mod-97 table for 94 examples."""
    task = grokjax.ModularArithmetic("add", p=97)
    assert grokjax.Experiment(task=task, train_fraction=0.1).n_train == 941


def test_interpolated_times_lie_where_the_line_meets_the_threshold():
    test = np.interp(STEPS, [0, 1000, 3000, 5000], [0, 0, 1, 1])
    found = onsets(test, np.interp(STEPS, [0, 110], [0, 1]))
    assert found["t_grok_interpolated"] == pytest.approx(2800)
    assert found["t_mem_interpolated"] == pytest.approx(0.99 * 110)
    assert found["slope_at_t_grok"] == pytest.approx(1 / 2000)
    assert found["relative_width"] == found["transition_width"] / found["t_grok"]


@pytest.mark.parametrize("every", [10, 70])
def test_the_argmax_detector_finds_the_centre_of_a_rise(every):
    step = STEPS[:: every // 10]
    test = 0.02 + 0.98 * expit(0.01 * (step - 3000))
    assert abs(onsets(test, step=step)["t_grok_argmax"] - 3000) <= every


@pytest.mark.parametrize(
    ("why", "test"),
    [
        ("a plateau far above chance", 0.5 + 0.5 * expit(0.02 * (STEPS - 3000))),
        ("a rise that ends near chance", 0.02 + 0.2 * expit(0.02 * (STEPS - 3000))),
        ("a spike", np.where(STEPS == 2000, 0.95, 0.02)),
        ("nothing", np.full(len(STEPS), 0.02)),
    ],
)
def test_the_argmax_detector_knows_when_it_is_not_valid(why, test):
    assert onsets(test)["t_grok_argmax"] is None, why


def test_a_plateau_has_a_level_and_a_length():
    test = 0.3 + 0.7 * (STEPS >= 3000)
    found = onsets(test)
    assert found["plateau_level"] == pytest.approx(0.3)
    assert found["plateau_length"] == pytest.approx(2900, abs=10)
    unfinished = onsets(np.full(len(STEPS), 0.3))
    assert unfinished["plateau_level"] == pytest.approx(0.3)
    assert unfinished["plateau_length"] is None


def test_a_rise_in_two_steps_counts_whole():
    test = np.select([STEPS < 1000, STEPS < 3000], [0.02, 0.5], 1.0)
    found = onsets(test)
    assert found["t_grok_50"] == 1000
    assert found["t_grok"] == 3000
    assert found["transition_width"] == pytest.approx(2000, abs=20)


def test_a_curve_that_ends_in_its_rise_is_censored_and_not_partial():
    test = 0.02 + 0.6 * np.clip((STEPS - 4000) / 1000, 0, 1)
    found = onsets(test)
    assert found["t_grok"] is None
    assert found["t_grok_50"] is not None
    assert found["partial"] is False


def test_collapses_are_counted_dated_and_measured():
    test = np.where(STEPS < 1000, 0.02, 0.99)
    test[(STEPS >= 2000) & (STEPS < 2200)] = 0.4
    test[(STEPS >= 2100) & (STEPS < 2150)] = 0.8  # not back yet: one collapse, not two
    once = onsets(test)
    assert (once["n_collapses"], once["t_collapse"], once["recovered"]) == (1, 2000, True)
    assert once["collapse_depth"] == pytest.approx(0.59)
    test[STEPS >= 4000] = 0.1
    twice = onsets(test)
    assert (twice["n_collapses"], twice["t_collapse"], twice["recovered"]) == (2, 2000, False)
    assert twice["collapse_depth"] == pytest.approx(0.89)


def test_a_dip_above_the_threshold_of_collapse_is_none():
    test = np.where(STEPS < 1000, 0.02, 0.99)
    test[STEPS == 3000] = 0.75
    found = onsets(test)
    assert found["n_collapses"] == 0
    assert found["t_collapse"] is found["collapse_depth"] is found["recovered"] is None


@pytest.mark.parametrize(("level", "partial"), [(0.02, False), (0.1, False), (0.5, True)])
def test_a_stable_plateau_between_chance_and_grokking_is_partial(level, partial):
    test = np.where(STEPS < 2000, 0.02, level + 0.01 * (-1.0) ** np.arange(len(STEPS)))
    assert onsets(test)["partial"] is partial


def test_early_means_above_chance_when_memorised():
    assert onsets(0.5 + 0.4 * (STEPS > 3000))["early"] is True
    assert onsets(logistic(3000, 0.02))["early"] is False
    assert onsets(logistic(50, 0.2), train=np.zeros(len(STEPS)))["early"] is False


def test_double_descent_falls_rises_and_falls():
    twice = np.interp(STEPS, [0, 500, 2000, 4000, 5000], [4.0, 2.0, 8.0, 0.1, 0.1])
    assert onsets(logistic(3000, 0.02), loss=twice)["double_descent"] is True
    grokking = np.interp(STEPS, [0, 2000, 4000, 5000], [4.0, 20.0, 0.1, 0.1])
    assert onsets(logistic(3000, 0.02), loss=grokking)["double_descent"] is False
    falling = np.interp(STEPS, [0, 5000], [4.0, 0.1])
    assert onsets(logistic(3000, 0.02), loss=falling)["double_descent"] is False


def test_a_run_among_others_has_the_onsets_that_it_has_alone():
    """Ragged lengths, irregular logs, NaN tails, one log point."""
    rng, curves = np.random.default_rng(0), []
    for length in (1, 2, 12, 40, 300):
        step = np.cumsum(rng.integers(1, 30, length))
        test = np.clip(
            expit(0.02 * (step - rng.uniform(0, 3000))) + rng.normal(0, 0.05, length), 0, 1
        )
        if length == 40:
            test[-5:] = np.nan
        train = np.clip(step / 200, 0, 1)
        curves.append(curve(test, train, step, loss=np.exp(rng.normal(0, 1, length))))
    tables = [pd.DataFrame(c).assign(run_id=f"{i}") for i, c in enumerate(curves)]
    together = Curves.of_table(pd.concat(tables).sample(frac=1, random_state=0))
    found = measure(together, np.full(len(curves), 0.02), Thresholds())
    for i, alone in enumerate(curves):
        expected = summarise(alone, 0.02, Thresholds())
        got = {name: values.tolist()[i] for name, values in found.items()}
        assert got == pytest.approx(expected, nan_ok=True), i
