"""Is Muon faster than AdamW when both are tuned over the same wide grid?

Command:      python -m grokjax.atlas run muon_searched
Cost:         384 runs of at most 2,000 updates, four minutes of one core.

The best cells of `muon_matched` lie on the edge of its grids, whose decays end at 0.5 for Muon and
at 2 for AdamW. Here both have the same grid around those cells.
"""

from grokjax import MLP, AdamW, Experiment, ModularArithmetic, Muon, Thresholds, grid
from grokjax.analysis.survival import censored_times
from grokjax.atlas import CONFIRMED, CONTRADICTED, NOT_DECIDED, Claim, Decision, judge, ratio, told

RATES, DECAYS = [4e-2, 8e-2, 0.16, 0.32], [0.5, 1.0, 2.0, 4.0]


def trained(optimizer):
    return Experiment(
        task=ModularArithmetic("sub", p=23, format="a b"),
        model=MLP(width=32, mlp_width=64),
        optimizer=optimizer,
        train_fraction=0.7,
        steps=2000,
        settle_steps=100,
        log_every=10,
        thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
        sweep=grid(learning_rate=RATES, weight_decay=DECAYS, seed=range(12)),
    )


def first(runs, n):
    """Whether a run is of the first seeds, whichever they begin with."""
    return runs["seed"] < runs["seed"].min() + n


def best_cell(runs):
    """The rate and decay with the shortest mean time on the first four seeds, censored at the "
    "bound."""
    some = runs[first(runs, 4)]
    times = {
        cell: censored_times(of, "t_grok")[0].mean()
        for cell, of in some.groupby(["learning_rate", "weight_decay"])
    }
    return min(times, key=times.get)


def at_the_edge(rate, decay):
    return rate in (RATES[0], RATES[-1]) or decay in (DECAYS[0], DECAYS[-1])


def decide(table):
    held_out, chosen = {}, {}
    for name, runs in table.groupby("experiment"):
        rate, decay = chosen[name] = best_cell(runs)
        mine = (runs["learning_rate"] == rate) & (runs["weight_decay"] == decay)
        held_out[name] = runs[mine & ~first(runs, 4)]
    effect = ratio(held_out["adamw"], held_out["muon"])
    cells = ", ".join(f"{name} at ({rate:g}, {decay:g})" for name, (rate, decay) in chosen.items())
    verdict = judge(effect, low=1.2)
    slower = {CONTRADICTED: "muon", CONFIRMED: "adamw"}.get(verdict)
    if slower and at_the_edge(*chosen[slower]):  # it might have been faster further out
        verdict = NOT_DECIDED
    return Decision(
        verdict=verdict,
        effect=effect,
        because=f"Best cells on four seeds are {cells}; on eight others AdamW takes "
        f"{told(effect)} times as long as Muon.",
    )


claim = Claim(
    topic="accelerators",
    sentence="Muon groks sooner than AdamW, each at the best learning rate and decay of one wide "
    "grid.",
    source="Tveit et al. 2025 (arXiv 2504.16041): mean grokking epoch 102.9 with Muon, 153.1 "
    "with AdamW, a factor of 1.49, at equal decay.",
    setting="Subtraction mod 23 from 70 % of the table, an MLP (32, 64) of which Muon moves the "
    "one inner matrix and AdamW the rest, learning rates 0.04 to 0.32 by decays 0.5 to 4 for both, "
    "12 seeds: four to choose the cell, eight to compare. Theirs are transformers.",
    confirms="AdamW's median t_grok is more than 1.2 times Muon's (lower limit), and AdamW's best "
    "cell is inside of the grid.",
    refutes="it is less than 1.2 times Muon's (upper limit), and Muon's best cell is inside.",
    unit="t_grok of AdamW over Muon's",
    experiments={
        "adamw": trained(AdamW(b2=0.98)),
        "muon": trained(Muon()),
    },
    cells=("learning_rate", "weight_decay"),
    decide=decide,
)
