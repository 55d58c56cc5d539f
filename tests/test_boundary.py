"""The boundary and the zone, on sweeps whose boundary is known."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from grokjax.analysis import logistic, synthetic
from grokjax.analysis.boundary import QUADRATIC, at_budgets, boundary
from grokjax.analysis.errors import NotEnoughRunsError
from grokjax.analysis.isotonic import isotonic
from grokjax.analysis.zone import goldilocks

DECAYS, FRACTIONS = np.geomspace(0.1, 4, 9), np.linspace(0.3, 0.7, 9)


def sweep(seed=0, seeds=10, **truth):
    found = synthetic.Truth(**truth)
    return found, synthetic.runs(np.random.default_rng(seed), found, DECAYS, FRACTIONS, seeds)


def test_without_penalty_the_fit_is_that_of_statsmodels():
    import statsmodels.api as sm

    rng = np.random.default_rng(0)
    features = np.column_stack([np.ones(40), rng.normal(size=(40, 2))])
    n = rng.integers(3, 9, 40)
    k = rng.binomial(n, logistic.expit(features @ [0.3, 1.0, -0.7]))
    ours = logistic.fit(features, k, n, penalty=False)
    theirs = sm.GLM(np.column_stack([k, n - k]), features, sm.families.Binomial()).fit()
    np.testing.assert_allclose(ours.coefficients, theirs.params, rtol=1e-6)
    np.testing.assert_allclose(ours.covariance, theirs.cov_params(), rtol=1e-4)


def test_the_penalty_maximises_jeffreys_likelihood():
    """By finite differences of log-likelihood + ½ log |information|."""
    rng = np.random.default_rng(1)
    features = np.column_stack([np.ones(30), rng.normal(size=30)])
    n = np.full(30, 2)
    k = rng.binomial(n, logistic.expit(features @ [0.2, 1.5]))

    def penalised(beta):
        p = logistic.expit(features @ beta)
        information = features.T @ (features * (n * p * (1 - p))[:, None])
        return (k * np.log(p) + (n - k) * np.log(1 - p)).sum() + np.linalg.slogdet(information)[
            1
        ] / 2

    best = logistic.fit(features, k, n).coefficients
    for direction in np.eye(2):
        slope = (penalised(best + 1e-5 * direction) - penalised(best - 1e-5 * direction)) / 2e-5
        assert abs(slope) < 1e-4


def test_separated_cells_have_a_finite_boundary_between_them():
    features = np.column_stack([np.ones(8), np.arange(8.0)])
    found = logistic.fit(features, np.repeat([0, 5], 4), np.full(8, 5))
    assert found.converged
    assert -found.coefficients[0] / found.coefficients[1] == pytest.approx(3.5)


def test_resamples_at_once_are_fitted_as_one_by_one():
    rng = np.random.default_rng(2)
    features = np.column_stack([np.ones(20), rng.normal(size=20)])
    k, n = rng.binomial(5, 0.4, (3, 20)), np.full((3, 20), 5.0)
    together = logistic.fit(features, k, n).coefficients
    for i in range(3):
        np.testing.assert_allclose(
            together[i], logistic.fit(features, k[i], n[i]).coefficients, rtol=1e-4
        )


@pytest.mark.parametrize("bend", [0.0, 1.5])
def test_the_curve_lies_where_half_of_the_runs_grok(bend):
    truth, runs = sweep(seeds=20, bend=bend)
    found = boundary(runs)
    decay = np.geomspace(0.15, 3, 12)
    expected = truth.boundary(decay)
    on_map = (expected > 0.33) & (expected < 0.67)
    assert on_map.sum() > 5
    p = found.probability(decay[on_map], expected[on_map])
    assert np.abs(p - 0.5).max() < 0.2
    assert found.inside_band(decay[on_map], expected[on_map]).mean() > 0.7
    assert found.p_fit > 0.001


def test_the_curve_and_its_band_are_tables():
    _, runs = sweep(seeds=20)
    found = boundary(runs)
    curve, band = found.curve(), found.band()
    assert list(curve) == ["line", "weight_decay", "train_fraction"]
    assert list(band) == ["side", *curve]
    p = found.probability(curve["weight_decay"], curve["train_fraction"])
    np.testing.assert_allclose(p, 0.5, atol=0.01)
    for side, sign in (("low", -1), ("high", 1)):
        points = band[band["side"] == side]
        log_odds, half = found.surface(points["weight_decay"], points["train_fraction"])
        np.testing.assert_allclose(log_odds, sign * half, atol=0.1)


@pytest.mark.parametrize(("inside", "pieces"), [(1.0, 2), (-1.0, 0)])
def test_a_curve_in_pieces_counts_them_and_without_any_it_is_an_empty_table(inside, pieces):
    """Log-odds that fall from the centre of the map, at which they are `inside`, both ways."""
    _, runs = sweep(seeds=20)
    found = boundary(runs)
    coefficients = np.array([inside, 0, 0, 0, -4.0, 0])
    fit = dataclasses.replace(found.fit, coefficients=coefficients)
    draws = np.tile(coefficients, (3, 1))
    valley = dataclasses.replace(found, terms=QUADRATIC, fit=fit, draws=draws)
    curve = valley.curve()
    assert list(curve) == ["line", "weight_decay", "train_fraction"]
    assert sorted(curve["line"].unique()) == list(range(pieces))
    assert all(line["weight_decay"].nunique() == 1 for _, line in curve.round(6).groupby("line"))
    assert curve["line"].dtype.kind == "i" and len(valley.band()) == 2 * len(curve)


def test_edges_lie_on_the_curve_and_beyond_the_map_is_nan():
    truth, runs = sweep(seeds=20)
    edges = boundary(runs).edges().set_index("train_fraction")
    assert edges.at[0.7, "inside"]
    assert np.isnan(edges.at[0.7, "lower"])  # below the lowest weight decay
    assert np.isnan(edges["upper"]).all()
    row = edges.loc[0.5]
    assert row["lower_low"] < row["lower"] < row["lower_high"]
    assert truth.boundary(row["lower"]) == pytest.approx(0.5, abs=0.03)


def test_a_smaller_budget_has_the_boundary_of_that_budget():
    _, runs = sweep(seeds=20)
    small = boundary(runs, budget=1500)
    expected = synthetic.Truth(budget=1500).boundary(1.0)
    assert small.probability(1.0, expected) == pytest.approx(0.5, abs=0.15)
    found = at_budgets(runs, "weight_decay", "train_fraction")
    shares = [float((b.fine_surface[0] >= 0).mean()) for b in found]
    assert shares == sorted(shares)
    assert [b.budget for b in found] == [1000, 2000, 4000]


@pytest.mark.parametrize(("scale", "word"), [(1e9, "0 of 405 runs grokked"), (1e-9, "did not")])
def test_a_side_without_data_is_refused(scale, word):
    _, runs = sweep(seeds=5, scale=scale)
    with pytest.raises(NotEnoughRunsError, match=word):
        boundary(runs)


def test_runs_without_decay_have_no_place_on_a_log_axis_and_are_counted():
    _, runs = sweep(seeds=5)
    more = runs[runs["weight_decay"] == DECAYS[0]].assign(weight_decay=0.0)
    found = boundary(pd.concat([runs, more]))
    assert found.n_left_out == len(more)
    assert found.x.kind == "log"


def test_runs_with_a_smaller_budget_do_not_tell_about_a_larger_one():
    """Half of them end earlier: those that grokked by then would count, the others would not."""
    truth, runs = sweep(seeds=20)
    early = runs["seed"] % 2 == 0
    late = early & ~(runs["t_grok"] <= 1500).fillna(False)
    mixed = runs.assign(steps=np.where(early, 1500, 4000), last_step=np.where(early, 1500, 4000))
    mixed.loc[late, ["t_grok", "t_grok_interpolated", "grok_gap"]] = None
    assert boundary(mixed).budget == 1500
    found = boundary(mixed, budget=4000)
    assert found.data["n"].eq(10).all()
    assert found.probability(1.0, truth.boundary(1.0)) == pytest.approx(0.5, abs=0.15)
    places = goldilocks(mixed, budget=1500).places
    assert places["median"].max() <= 1500


def test_an_axis_of_one_level_or_of_words_has_no_boundary():
    _, runs = sweep(seeds=5)
    with pytest.raises(NotEnoughRunsError, match="two levels"):
        boundary(runs[runs["weight_decay"] == DECAYS[3]])
    with pytest.raises(NotEnoughRunsError, match="numbers"):
        boundary(runs.assign(norm=runs["seed"].map(str)), x="norm")
    with pytest.raises(NotEnoughRunsError, match="no run"):
        boundary(runs.assign(status="failed"))


def test_isotonic_regression_finds_the_same_boundary_without_a_model():
    truth, runs = sweep(seeds=20)
    found = isotonic(runs, "weight_decay", "train_fraction", resamples=50)
    middle = found[found["train_fraction"].between(0.35, 0.65)]
    assert len(middle) > 4
    expected = truth.boundary(middle["weight_decay"])
    assert np.abs(middle["train_fraction"] - expected).max() < 0.06
    assert (found["violation"] < 0.1).all()


def test_the_zone_has_the_area_that_the_truth_has():
    truth, runs = sweep(seeds=20)
    zone = goldilocks(runs)
    row = zone.table.set_index("quantity").loc["area"]
    area = truth.area(DECAYS[0], DECAYS[-1], FRACTIONS[0], FRACTIONS[-1])
    assert row["value"] == pytest.approx(area, rel=0.05)
    assert row["low"] < area < row["high"]
    fastest = zone.places.set_index("place").loc["fastest cell"]
    assert (fastest["weight_decay"], fastest["train_fraction"]) == (DECAYS[-1], FRACTIONS[-1])


def test_seeds_that_move_together_widen_the_band():
    """Errors that take runs for independent would not see it: each run is as noisy as before."""

    def half_width(seed, **truth):
        """Of the band along the fraction, at weight decay 1."""
        known, runs = sweep(seed, seeds=8, **truth)
        found, at = boundary(runs), known.boundary(1.0)
        slope = (found.surface(1.0, at + 0.01)[0] - found.surface(1.0, at - 0.01)[0]) / 0.02
        return found.surface(1.0, at)[1] / slope

    together = [half_width(i, sigma=0.28, seed_sigma=0.28) for i in range(6)]
    alone = [half_width(i, sigma=0.4) for i in range(6)]
    assert np.median(together) > 1.3 * np.median(alone)


@pytest.mark.parametrize("seed", range(3))
def test_with_three_seeds_the_band_has_no_corners(seed):
    """Resamples of three seeds are six; a band of their quantiles would be made of six bands."""
    found = boundary(sweep(seed, seeds=3)[1])
    xs, _ = found.fine
    for level in (0.4, 0.5, 0.6):
        _, half = found.surface(xs, np.full(len(xs), level))
        bends = np.abs(np.diff(half, 2))
        assert bends.max() < 0.01 * np.ptp(half)


@pytest.mark.parametrize("seeds", [2, 3, 20])
def test_the_region_of_the_band_covers_what_is_inside(seeds):
    found = boundary(sweep(seeds=seeds)[1])
    rings = found.region()
    area = 0.0
    for ring in rings:
        assert (ring[0] == ring[-1]).all()
        u, v = found.x.forward(ring[:, 0]), found.y.forward(ring[:, 1])
        area += (u[:-1] * v[1:] - u[1:] * v[:-1]).sum() / 2  # holes count as negative
    u, v = found.x.forward(DECAYS), found.y.forward(FRACTIONS)
    assert area / (np.ptp(u) * np.ptp(v)) == pytest.approx(found.band_width(), abs=0.01)


def test_two_seeds_are_too_few_to_resample_and_leave_open_intervals():
    _, runs = sweep(seeds=2)
    zone = goldilocks(runs)
    assert zone.boundary.degrees == 0
    assert zone.table[["low", "high"]].isna().all(axis=None)
    assert zone.places["agree"].isna().all()
