"""Onsets of curves whose answers are known."""

import dataclasses

import numpy as np
import pytest

from grokjax import Thresholds
from grokjax.analysis.onset import first_crossing, summarise, sustained_crossing

STEPS = np.arange(0, 5010, 10)


def curve(test, train=None, step=STEPS):
    """A curve with these accuracies; memorised at step 100 unless told."""
    test = np.asarray(test, float)
    train = np.where(step >= 100, 1.0, 0.5) if train is None else np.asarray(train, float)
    return {
        "step": step,
        "train_accuracy": train,
        "test_accuracy": test,
        "train_loss": np.zeros(len(step)),
        "test_loss": 1 - test,
    }


def onsets(test, train=None, step=STEPS, chance=0.02, **thresholds):
    return summarise(curve(test, train, step), chance, Thresholds(**thresholds))


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
    assert sustained_crossing(STEPS, test, 0.9, settle=10) == expected


def test_noise_around_the_threshold():
    test = np.where(STEPS < 1000, 0.0, 0.9 + 0.01 * (-1.0) ** np.arange(len(STEPS)))
    assert first_crossing(STEPS, test, 0.9) == 1000
    assert sustained_crossing(STEPS, test, 0.9, settle=10) is None


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
    assert first_crossing(step, test, 0.9) == 200
    assert sustained_crossing(step, test, 0.9, settle=2) == 200


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
