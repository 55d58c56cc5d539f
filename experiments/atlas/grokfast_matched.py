"""Is Grokfast faster than a baseline that was tuned as well?

Command:      python -m grokjax.atlas run grokfast_matched
Cost:         192 runs of at most 3,000 updates, two minutes of one core.
"""

from grokjax import MLP, AdamW, Experiment, GrokfastEMA, ModularArithmetic, Thresholds, grid
from grokjax.analysis.survival import censored_times
from grokjax.atlas import Claim, Decision, judge, ratio, told

RATES = [2.5e-3, 5e-3, 1e-2, 2e-2, 4e-2, 8e-2]


def trained(modifiers):
    return Experiment(
        task=ModularArithmetic("sub", p=23, format="a b"),
        model=MLP(width=32, mlp_width=64),
        optimizer=AdamW(weight_decay=1.0, b2=0.98),
        modifiers=modifiers,
        train_fraction=0.7,
        steps=3000,
        settle_steps=100,
        log_every=10,
        thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
        sweep=grid(learning_rate=RATES, seed=range(16)),
    )


def mean_time(runs):
    times, _ = censored_times(runs, "t_grok")
    return float(times.mean())


def first(runs, n):
    """Whether a run is of the first seeds, whichever they begin with."""
    return runs["seed"] < runs["seed"].min() + n


def best_rate(runs):
    """The rate with the shortest mean time on the first eight seeds, censored times at their "
    "bound."""
    some = runs[first(runs, 8)]
    return min(RATES, key=lambda rate: mean_time(some[some["learning_rate"] == rate]))


def decide(table):
    held_out, chosen = {}, {}
    for name, runs in table.groupby("experiment"):
        chosen[name] = best_rate(runs)
        held_out[name] = runs[~first(runs, 8) & (runs["learning_rate"] == chosen[name])]
    effect = ratio(held_out["baseline"], held_out["grokfast"])
    same = {name: runs[runs["learning_rate"] == 1e-2] for name, runs in table.groupby("experiment")}
    untuned = ratio(same["baseline"], same["grokfast"])
    return Decision(
        verdict=judge(effect, low=2.0),
        effect=effect,
        because=f"Each at its own best rate ({chosen['baseline']:g} without, "
        f"{chosen['grokfast']:g} with), chosen on eight seeds "
        f"and compared on eight others, the baseline takes {told(effect)} times as long; at 0.01 "
        f"for both it is {told(untuned)}.",
    )


claim = Claim(
    topic="accelerators",
    sentence="Grokfast makes grokking much faster, also against a baseline with the same weight "
    "decay and its own best learning rate.",
    source="Lee et al. 2024 (arXiv 2405.20233), figure 1 and README: more than 40 times, against "
    "a baseline without decay.",
    setting="Subtraction mod 23 from 70 % of the table, an MLP (32, 64), AdamW with decay 1 for "
    "both, six learning rates, GrokfastEMA(2, 0.98), 16 seeds: eight to choose the rate, eight to "
    "compare. Theirs is multiplication mod 97 with a transformer.",
    confirms="the baseline's median t_grok is more than twice Grokfast's, each at its best rate "
    "(lower limit).",
    refutes="it is less than twice (upper limit).",
    unit="t_grok of the baseline over Grokfast's",
    experiments={"baseline": trained(()), "grokfast": trained((GrokfastEMA(2.0, memory=0.98),))},
    cells=("learning_rate",),
    decide=decide,
)
