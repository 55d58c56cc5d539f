"""Logistic and erf rises: known parameters come back, traps are flagged."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import curve_fit
from scipy.special import erf, expit

from grokjax import ConfigError, Thresholds
from grokjax.analysis.curves import Curves
from grokjax.analysis.fits import SHAPES, rises
from grokjax.analysis.onset import summarise

STEP = np.arange(0, 5001, 20)
FORMS = {
    "logistic": lambda t, low, high, rate, centre: low + (high - low) * expit(rate * (t - centre)),
    "erf": lambda t, low, high, rate, centre: (
        (high - low) / 2 * erf(rate * (t - centre)) + (high + low) / 2
    ),
}


def batch(*accuracies, step=STEP):
    tables = [
        pd.DataFrame({"run_id": f"{i:03d}", "step": step[: len(a)], "test_accuracy": a})
        for i, a in enumerate(accuracies)
    ]
    return Curves.of_table(pd.concat(tables), ["test_accuracy"])


def noise(seed):
    return np.random.default_rng(seed).normal(0, 0.01, len(STEP))


@pytest.mark.parametrize("kind", list(SHAPES))
def test_parameters_and_errors_are_scipys(kind):
    rng, curves, truths = np.random.default_rng(0), [], []
    for i in range(20):
        truth = (
            rng.uniform(0, 0.3),
            rng.uniform(0.8, 1),
            rng.uniform(0.003, 0.02),
            rng.uniform(800, 4000),
        )
        curves.append(FORMS[kind](STEP, *truth) + noise(i))
        truths.append(truth)
    found = rises(batch(*curves), kind)
    assert not found["failed"].any()
    for curve, truth, row in zip(curves, truths, found.itertuples(), strict=True):
        theirs, covariance = curve_fit(FORMS[kind], STEP, curve, p0=truth)
        ours = np.array([row.low, row.high, row.rate, row.centre])
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)
        errors = [row.low_error, row.high_error, row.rate_error, row.centre_error]
        np.testing.assert_allclose(errors, np.sqrt(np.diag(covariance)), rtol=2e-2)
        assert np.all(np.abs(ours - truth) < 5 * np.sqrt(np.diag(covariance)))


def test_the_width_of_a_fit_is_the_width_that_onset_measures():
    test = FORMS["logistic"](STEP, 0.02, 1.0, 0.005, 2500)
    fitted = rises(batch(test))["width"][0]
    zeros = np.zeros(len(STEP))
    curve = {
        "step": STEP,
        "test_accuracy": test,
        "train_accuracy": zeros,
        "train_loss": zeros,
        "test_loss": zeros + 1,
    }
    measured = summarise(curve, 0.02, Thresholds())["transition_width"]
    assert fitted == pytest.approx(measured, rel=0.01)
    assert rises(batch(test), "erf")["width"][0] == pytest.approx(fitted, rel=0.1)


@pytest.mark.parametrize(
    ("why", "curve"),
    [
        ("no rise", np.full(len(STEP), 0.02)),
        ("noise", 0.5 + noise(1)),
        ("a rise too small", 0.02 + 0.05 * expit(0.01 * (STEP - 2500))),
        ("a spike", np.where(STEP == 2000, 0.95, 0.02)),
        ("two steps", np.select([STEP < 1000, STEP < 4000], [0.02, 0.5], 1.0) + 0.2 * np.sin(STEP)),
        ("too short", np.array([0.02, 0.5, 1.0])),
        ("nothing but NaN", np.full(len(STEP), np.nan)),
    ],
)
def test_what_is_no_rise_is_flagged(why, curve):
    assert rises(batch(curve))["failed"][0], why


def test_a_collapse_is_no_part_of_the_rise_and_nan_no_value():
    test = FORMS["logistic"](STEP, 0.02, 1.0, 0.01, 2000)
    collapsed = np.where(STEP > 4000, 0.1, test)
    broken = np.where(STEP > 4500, np.nan, test)
    found = rises(batch(test, collapsed, broken))
    assert not found["failed"].any()
    np.testing.assert_allclose(found["centre"], 2000, atol=5)


def test_a_curve_that_ends_in_its_rise_says_how_little_it_knows():
    whole = FORMS["logistic"](STEP, 0.02, 1.0, 0.005, 2500) + noise(3)
    found = rises(batch(whole, whole[STEP < 2400]))
    assert found["failed"][1] or found["high_error"][1] > 10 * found["high_error"][0]


def test_runs_do_not_change_each_other():
    a = FORMS["logistic"](STEP, 0.02, 1.0, 0.01, 2000) + noise(0)
    b = np.full(len(STEP), 0.02)
    alone, among = rises(batch(a)), rises(batch(a, b, a[:150]))
    np.testing.assert_allclose(
        alone.drop(columns="run_id").iloc[0].astype(float),
        among.drop(columns="run_id").iloc[0].astype(float),
        rtol=1e-6,
    )


def test_an_unknown_kind_is_named():
    with pytest.raises(ConfigError, match="gompertz"):
        rises(batch(np.zeros(len(STEP))), "gompertz")
