"""Comparisons of times that may be censored."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokjax.analysis.compare import compare, logrank, superiority


def runs(**times):
    """A `runs` table: per value of `kind` its times, None where a run of 1000 steps did not grok."""
    rows = [
        {"kind": kind, "wd": wd, "status": "done", "t_grok": time, "last_step": 1000, "steps": 1000}
        for wd in (1.0, 2.0)
        for kind, values in times.items()
        for time in values
    ]
    return pd.DataFrame(rows).astype({"t_grok": "Int64"})


def test_equal_samples_show_no_effect_and_separate_ones_a_full_one():
    same = compare(runs(a=range(100, 140), b=range(100, 140)), "kind", by=["wd"])
    assert same["wd"].tolist() == [1.0, 2.0]
    assert (same["p"] > 0.95).all()
    assert same["superiority"].tolist() == [0.5, 0.5]
    apart = compare(runs(a=range(500, 520), b=range(100, 120)), "kind")
    assert len(apart) == 1
    assert apart["p"][0] < 1e-6
    assert apart["superiority"][0] == 1.0
    assert apart["median_a"][0] > 4 * apart["median_b"][0]


def test_a_run_that_never_grokked_counts_as_later_and_two_of_them_as_undecided():
    found = compare(runs(a=[None, None], b=[100, None]), "kind").iloc[0]
    assert (found["seen_a"], found["seen_b"]) == (0, 2)
    assert found["superiority"] == 0.75


times = st.lists(st.tuples(st.integers(1, 50), st.booleans()), min_size=2, max_size=20)


@given(times, times)
def test_swapping_the_samples_mirrors_the_effect(one, other):
    a, b = ((np.array([t for t, _ in s]), np.array([o for _, o in s])) for s in (one, other))
    assert superiority(a, b) == pytest.approx(1 - superiority(b, a))
    if a[1].any() and b[1].any():
        assert logrank(a, b) == pytest.approx(logrank(b, a), nan_ok=True)


def test_the_log_rank_p_value_is_uniform_under_no_effect():
    rng = np.random.default_rng(0)
    ps = []
    for _ in range(400):
        sample = rng.exponential(100, size=(2, 30))
        ps.append(logrank(*((np.minimum(x, 150), x < 150) for x in sample)))
    assert 0.02 < np.mean(np.array(ps) < 0.05) < 0.09
