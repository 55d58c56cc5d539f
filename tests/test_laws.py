"""Laws: known exponents come back, censoring and all."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from grokjax import ConfigError
from grokjax.analysis import cells, compare, isotonic, law_checks, laws, synthetic
from grokjax.analysis.aft import NOISE, CensoredData
from grokjax.analysis.errors import NotEnoughRunsError

DECAYS, FRACTIONS = np.geomspace(0.1, 4, 9), np.linspace(0.3, 0.7, 5)


def sweep(seeds=10, seed=0, **truth):
    found = synthetic.Truth(**truth)
    return synthetic.runs(np.random.default_rng(seed), found, DECAYS, FRACTIONS, seeds)


def line(median, x, sigma=0.3, n=40, budget=10**7, weibull=False):
    """Runs of one axis: t_grok around `median(x)`."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": np.repeat(x, n)})
    noise = np.log(rng.exponential(size=len(table))) if weibull else rng.normal(size=len(table))
    with np.errstate(over="ignore"):
        time = median(table["x"].to_numpy()) * np.exp(sigma * noise)
    seen = time <= budget
    return table.assign(
        run_id=range(len(table)), seed=np.tile(range(n), len(x)), status="done", steps=budget,
        last_step=budget, t_grok=np.where(seen, time, np.nan),
        t_grok_interpolated=np.where(seen, time, np.nan),
    )  # fmt: skip


@pytest.mark.parametrize("distribution", list(NOISE))
def test_noise_is_that_of_scipy(distribution):
    z = np.linspace(-6, 3, 50)
    theirs = {"lognormal": stats.norm, "weibull": stats.gumbel_l}[distribution]
    ours = NOISE[distribution]
    np.testing.assert_allclose(ours.density[0](z), theirs.logpdf(z), rtol=1e-10)
    np.testing.assert_allclose(ours.survival[0](z), theirs.logsf(z), rtol=1e-10, atol=1e-14)
    assert ours.quantile(0.3) == pytest.approx(theirs.ppf(0.3))
    for functions in (ours.density, ours.survival):
        for f, slope in itertools.pairwise(functions):
            by_difference = (f(z + 1e-5) - f(z - 1e-5)) / 2e-5
            np.testing.assert_allclose(slope(z), by_difference, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("distribution", list(NOISE))
def test_the_information_is_that_of_finite_differences(distribution):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 1))
    seen = rng.random(50) < 0.6
    problem = CensoredData(
        rng.normal(size=50),
        seen,
        np.arange(50) % 2,
        2,
        lambda _: features,
        np.zeros(50),
        NOISE[distribution],
    )
    theta = np.array([0.2, 0.3, -0.4, 0.1])
    found = problem.information(theta)
    for i, step in enumerate(1e-4 * np.eye(4)):
        for j, other in enumerate(1e-4 * np.eye(4)):
            corners = [
                problem.scores(theta + a * step + b * other).sum() * a * b
                for a in (1, -1)
                for b in (1, -1)
            ]
            assert found[i, j] == pytest.approx(-sum(corners) / 4e-8, rel=1e-4, abs=1e-4)


def test_a_power_law_comes_back_with_its_exponent():
    runs = sweep()
    law = laws.fit(runs, "weight_decay", within=["train_fraction"])
    b, sigma = law.parameters.loc["b"], law.parameters.loc["sigma"]
    assert law.n_censored > 50
    assert b["low"] < -0.8 < b["high"]
    assert b["high"] - b["low"] < 0.2
    assert sigma["low"] < 0.5 < sigma["high"]


def test_dropping_censored_runs_is_biased():
    runs = sweep(seeds=20)
    kept = laws.fit(runs, "weight_decay", within=["train_fraction"]).parameters.loc["b"]
    seen = runs[runs["t_grok"].notna()]
    dropped = laws.fit(seen, "weight_decay", within=["train_fraction"]).parameters.loc["b"]
    assert kept["low"] < -0.8 < kept["high"]
    assert dropped["low"] > -0.8  # too flat: the late times are the ones that are missing


def test_products_of_columns_are_axes():
    runs = sweep().assign(learning_rate=0.01)
    plain, product = (
        laws.fit(runs, axis, within=["train_fraction"]).parameters.loc["b", "value"]
        for axis in ("weight_decay", "learning_rate*weight_decay")
    )
    assert product == pytest.approx(plain, abs=1e-4)


def test_a_critical_point_comes_back_and_below_it_is_never():
    x = np.array([0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8])
    with np.errstate(divide="ignore", invalid="ignore"):
        runs = line(lambda x: np.where(x > 0.32, 100 * (x - 0.32) ** -1.5, np.inf), x, budget=10**6)
    law = laws.fit(runs, "x", "critical")
    found = law.parameters
    assert found.at["x_c", "low"] < 0.32 < found.at["x_c", "high"]
    assert found.at["b", "low"] < -1.5 < found.at["b", "high"]
    times = law.quantile(pd.DataFrame({"x": [0.3, 0.6]}))
    assert np.isinf(times[0])
    assert times[1] == pytest.approx(100 * 0.28**-1.5, rel=0.1)


@pytest.mark.parametrize(
    ("form", "median"),
    [
        ("power", lambda x: 1000 * x**-1.0),
        ("exponential", lambda x: 1000 * np.exp(-2 * x)),
        ("constant", lambda x: 1000 + 0 * x),
    ],
)
@pytest.mark.parametrize("weibull", [False, True])
def test_akaike_names_the_form_that_the_data_came_from(form, median, weibull):
    runs = line(median, np.geomspace(0.1, 2, 7), weibull=weibull)
    table = law_checks.compare_forms(runs, "x")
    distribution = "weibull" if weibull else "lognormal"
    row = table[(table["form"] == form) & (table["distribution"] == distribution)].iloc[0]
    assert row["delta"] < 4  # twice the price of the parameters that richer forms have more
    wrong = {"power": "exponential", "exponential": "power", "constant": "norm"}[form]
    assert not (table["delta"][table["form"] == wrong] < 10).any()


def test_the_norm_form_takes_runs_whose_norm_fell():
    runs = line(lambda x: 500 * np.log(40 / 20) / x, np.geomspace(0.1, 2, 6), sigma=0.1)
    runs = runs.assign(weight_norm_at_t_mem=40.0, weight_norm_at_t_grok=20.0)
    runs.loc[0, "weight_norm_at_t_grok"] = 50.0
    law = laws.fit(runs, "x", "norm")
    assert law.n == len(runs) - 1
    assert law.quantile(runs.iloc[[1]])[0] == pytest.approx(500 * np.log(2) / 0.1, rel=0.05)
    seen = law_checks.compare_forms(runs, "x").query("data == 'seen'")
    assert seen.iloc[0]["form"] in ("norm", "power")


def test_residuals_accept_a_true_law_and_reject_a_bent_one():
    true = sweep()
    law = laws.fit(true, "weight_decay", within=["train_fraction"])
    found = law_checks.diagnose(true, law)
    assert 0.9 < found["inside"] <= 1
    assert found["p_curvature"] > 0.01
    bent = sweep(bend=1.0)
    assert (
        law_checks.diagnose(bent, laws.fit(bent, "weight_decay", within=["train_fraction"]))[
            "p_curvature"
        ]
        < 1e-3
    )


def test_seeds_held_out_are_predicted():
    runs = sweep(seeds=5)
    law = laws.fit(runs, "weight_decay", within=["train_fraction"])
    found = law_checks.held_out(runs, law)
    assert found["seeds"].tolist() == list("01234")
    assert 0.85 < found["inside"].mean() <= 1
    assert (found["score"] > found["score_constant"]).all()


def test_a_seed_may_lack_levels_that_the_law_knows():
    """As in a refined map, where cells do not have all seeds."""
    runs = sweep(seeds=5)
    few = runs[(runs["seed"] > 0) | (runs["train_fraction"] == FRACTIONS[-1])]
    law = laws.fit(few, "weight_decay", within=["train_fraction"])
    assert len(law_checks.held_out(few, law)) == 5


def test_levels_at_which_most_are_censored_stay_in_the_law_of_the_other_axis():
    """Their censored runs are what says that t_grok is late there."""
    runs = sweep(budget=1500, bend=3.0)
    kept = law_checks.below_fastest(runs, "weight_decay", "train_fraction")
    assert set(kept["train_fraction"]) == set(FRACTIONS)
    shares = kept["t_grok"].notna().groupby(kept["train_fraction"]).mean()
    assert shares.min() < 0.4


def test_the_descending_side_ends_at_the_fastest_cell():
    runs = sweep(bend=3.0)
    kept = law_checks.below_fastest(runs, "weight_decay", "train_fraction")
    most = kept.groupby("train_fraction")["weight_decay"].max()
    assert 1 < most[0.7] < DECAYS[-1]
    assert kept["weight_decay"].min() == DECAYS[0]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"axis": "nothing"}, "nothing"),
        ({"axis": "weight_decay", "form": "magic"}, "magic"),
        ({"axis": "weight_decay", "distribution": "cauchy"}, "cauchy"),
        ({"axis": "steps"}, "steps"),
        ({"axis": "weight_decay", "form": "norm"}, "norm"),
    ],
)
def test_bad_laws_get_a_sentence(arguments, named):
    with pytest.raises(ConfigError, match=named):
        laws.fit(sweep(), **arguments)


def test_too_few_runs_are_no_mistake_and_a_misspelt_column_is_none_of_the_data():
    runs = sweep(seeds=4)
    with pytest.raises(NotEnoughRunsError, match="show no power law"):
        laws.fit(runs.head(3), "weight_decay")
    assert law_checks.compare_forms(runs.head(3), "weight_decay").empty
    for misspelt in (
        lambda: laws.fit(runs, "weight_decy"),
        lambda: laws.fit(runs, "weight_decay", within=["train_fractoin"]),
        lambda: law_checks.compare_forms(runs, "weight_decy"),
        lambda: isotonic.isotonic(runs, "weight_decy", "train_fraction"),
        lambda: compare.compare(runs, "weight_decy"),
        lambda: compare.compare(runs, "weight_decay", by=["train_fractoin"]),
        lambda: cells.variance_shares(runs.rename(columns={"seed": "sed"})),
    ):
        with pytest.raises(ConfigError, match="a column of the runs") as refused:
            misspelt()
        assert not isinstance(refused.value, NotEnoughRunsError)
