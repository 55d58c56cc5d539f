"""Censored times, against SciPy and against what they should say."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from grokjax import ConfigError
from grokjax.analysis import cells, survival
from grokjax.analysis.survival import Sample, kaplan_meier_median, medians
from grokjax.analysis.survival import survival as estimate

samples = st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=30)


def arrays(sample):
    return np.array([t for t, _ in sample], float), np.array([s for _, s in sample])


def test_median_of_censored_times():
    """Worked by hand: deaths at 1, 3, 5 of five, censored at 2 and 4; S = .8, .533, 0."""
    times, seen = np.array([1.0, 2, 3, 4, 5]), np.array([True, False, True, False, True])
    assert kaplan_meier_median(times, seen) == 5


@given(st.lists(samples, min_size=1, max_size=6))
def test_many_cells_at_once_are_scipys_estimates_one_by_one(cells):
    """The share left at every time, ties and censored runs included."""
    flat = [arrays(cell) for cell in cells]
    times, seen = (np.concatenate(part) for part in zip(*flat, strict=True))
    code = np.repeat(np.arange(len(cells)), [len(cell) for cell in cells])
    sample = Sample.of(times, seen, code, len(cells))
    left, _ = estimate(sample)
    for i, (t, s) in enumerate(flat):
        if not s.any():
            assert (left[i] == 1).all()
            continue
        expected = stats.ecdf(stats.CensoredData(uncensored=t[s], right=t[~s])).sf
        for time in np.unique(t):
            here = left[i][(sample.times[i] <= time) & (sample.weights[i] > 0)][-1]
            assert here == pytest.approx(expected.evaluate(time))


@given(samples, st.integers(0, 2**31))
def test_a_weight_is_a_number_of_copies(sample, seed):
    times, seen = arrays(sample)
    copies = np.random.default_rng(seed).integers(0, 4, len(times))
    packed = Sample.of(times, seen, np.zeros(len(times), int), 1)
    weighted = medians(packed, copies[packed.entry] * packed.weights)[0]
    again = kaplan_meier_median(np.repeat(times, copies), np.repeat(seen, copies))
    assert again is None if np.isnan(weighted) else weighted == again


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30))
def test_without_censoring_the_median_is_the_lower_sample_median(values):
    times = np.array(values, float)
    expected = np.sort(times)[(len(times) - 1) // 2]
    assert kaplan_meier_median(times, np.ones(len(times), bool)) == expected


@given(samples)
def test_dropping_censored_runs_never_makes_the_median_later(sample):
    times, seen = arrays(sample)
    censored = kaplan_meier_median(times, seen)
    dropped = kaplan_meier_median(times[seen], seen[seen])
    assert censored is None or dropped <= censored


def test_the_median_interval_is_where_scipys_band_crosses_one_half():
    rng = np.random.default_rng(0)
    times, seen = np.sort(rng.exponential(100, 60)), rng.random(60) < 0.8
    low, high = survival.median_intervals(Sample.of(times, seen, np.zeros(60, int), 1))
    curve = survival.kaplan_meier_curve(times, seen)
    assert low[0] == curve["step"][curve["high"] >= 0.5].iloc[0]
    assert high[0] == curve["step"][curve["low"] >= 0.5].iloc[0]


def test_wilson_is_scipys():
    low, high = survival.wilson(np.array([0, 3, 5]), np.array([5, 10, 5]))
    for i, (k, n) in enumerate([(0, 5), (3, 10), (5, 5)]):
        expected = stats.binomtest(k, n).proportion_ci(method="wilson")
        assert (low[i], high[i]) == pytest.approx((expected.low, expected.high))
    for n in range(1, 100):
        assert survival.wilson(np.array(0), np.array(n))[0] == 0
        assert survival.wilson(np.array(n), np.array(n))[1] == 1


def test_the_spread_of_a_cell_counts_its_censored_runs():
    rng = np.random.default_rng(1)
    times = 10 ** rng.normal(3, 0.3, 4000)
    seen = times < 1500
    sample = Sample.of(np.minimum(times, 1500), seen, np.zeros(4000, int), 1)
    assert survival.spreads(sample)[0] == pytest.approx(0.3, abs=0.015)
    assert np.log10(times[seen]).std() < 0.25  # what leaving them out would say


def test_a_cell_with_a_gap_of_zero_has_no_spread_of_logarithms():
    times = np.array([0.0, 1000, 1100, 900, 1050])
    sample = Sample.of(times, np.ones(5, bool), np.zeros(5, int), 1)
    assert np.isnan(survival.spreads(sample)[0])


def crossed(seed_sd, split_sd, rest_sd, n=60):
    rng = np.random.default_rng(0)
    y = (
        3
        + rng.normal(0, seed_sd, n)[:, None]
        + rng.normal(0, split_sd, n)
        + rng.normal(0, rest_sd, (n, n))
    )
    seed, split = np.meshgrid(range(n), range(n), indexing="ij")
    return pd.DataFrame(
        {"seed": seed.ravel(), "split_seed": split.ravel(), "t_grok": 10 ** y.ravel()}
    ).assign(status="done", steps=10**9, last_step=10**9)


def test_shares_of_variance_are_those_that_went_in():
    found = cells.variance_shares(crossed(0.3, 0.1, 0.2)).set_index("source")
    assert found.at["seed", "variance"] == pytest.approx(0.09, rel=0.3)
    assert found.at["split_seed", "variance"] == pytest.approx(0.01, rel=0.4)
    assert found.at["interaction", "variance"] == pytest.approx(0.04, rel=0.1)
    assert found["share"].sum() == pytest.approx(1)
    assert (found["low"] <= found["share"]).all()
    assert (found["high"] >= found["share"]).all()


def test_seeds_and_splits_that_do_not_cross_are_refused():
    with pytest.raises(ConfigError, match="split_seed"):
        cells.variance_shares(crossed(0.3, 0.1, 0.2, n=4).iloc[:-1])


def test_a_table_that_is_not_that_of_runs_is_told_what_it_lacks():
    table = pd.DataFrame({"t_grok": [100.0], "last_step": [200]})
    with pytest.raises(ConfigError, match="no column status or steps, which t_grok is read with"):
        survival.censored_times(table, "t_grok")
    with pytest.raises(ConfigError, match="no column t_mem or"):
        survival.censored_times(table.assign(grok_gap=1.0), "grok_gap")
    with pytest.raises(ConfigError, match="metric='grok': no time, choose from t_grok,"):
        survival.censored_times(table, "grok")
