"""Does every optimiser keep the clock of weight decay?

Command:      python -m grokjax.atlas run decay_clock_optimisers
Cost:         96 runs of at most 4,000 updates, about two minutes of one core.
"""

from grokjax import MLP, SGD, Adam, AdamW, Experiment, ModularArithmetic, Muon, Thresholds, grid
from grokjax.atlas import Claim, Decision, all_of, exponent, judge, told


def trained(optimizer, decays):
    return Experiment(
        task=ModularArithmetic("sub", p=23, format="a b"),
        model=MLP(width=32, mlp_width=64),
        optimizer=optimizer,
        train_fraction=0.7,
        steps=4000,
        settle_steps=200,
        log_every=20,
        thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
        sweep=grid(weight_decay=decays, seed=range(8)),
    )


def decide(table):
    of = {
        name: exponent(runs, "weight_decay")
        for name, runs in table.groupby("experiment", sort=False)
    }
    verdict = all_of(*(judge(effect, -1.3, -0.7) for effect in of.values()))
    numbers = ", ".join(f"{told(effect)} with {name}" for name, effect in of.items())
    return Decision(
        verdict=verdict, effect=of["adam_l2"], because=f"The exponent of decay is {numbers}."
    )


claim = Claim(
    topic="weight decay",
    sentence="t_grok is inversely proportional to weight decay whatever the optimiser.",
    source="Truong et al. 2026 (arXiv 2603.13331), delay ∝ 1/γ_eff with γ_eff = ηλ for SGD and at "
    "least that for AdamW; told of grokking in general by many accounts.",
    setting="Subtraction mod 23 from 70 % of the table, the MLP of `decay_clock`, 8 seeds, three "
    "decays over a factor of four for each of AdamW, Adam with L2, SGD with momentum and "
    "decoupled decay, and Muon, each at a learning rate at which it groks (tried with seeds 900 "
    "to 902). The source compares SGD and AdamW.",
    confirms="the interval of the exponent lies within (−1.3, −0.7) for every optimiser.",
    refutes="it lies outside of that range for any of them.",
    unit="exponent of t_grok in the decay of Adam with L2",
    experiments={
        "adamw": trained(AdamW(learning_rate=1e-2, b2=0.98), [0.5, 1.0, 2.0]),
        "adam_l2": trained(Adam(learning_rate=1e-2, b2=0.98), [3e-4, 6e-4, 1.2e-3]),
        "sgd": trained(
            SGD(learning_rate=1.0, momentum=0.9, decay="decoupled"), [3e-3, 6e-3, 1.2e-2]
        ),
        "muon": trained(Muon(learning_rate=3e-2), [0.125, 0.25, 0.5]),
    },
    cells=("weight_decay",),
    decide=decide,
)
