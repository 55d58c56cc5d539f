"""Is weight decay the clock of grokking, with t_grok ∝ 1/decay on every task?

Command:      python -m grokjax.atlas run decay_clock
Cost:         96 runs of at most 4,000 updates, about a minute of one core.
"""

from grokjax import MLP, AdamW, Experiment, ModularArithmetic, Thresholds, grid
from grokjax.atlas import Claim, Decision, all_of, exponent, judge, told

OPS = ("sub", "mul", "add")

base = Experiment(
    task=ModularArithmetic("sub", p=23, format="a b"),
    model=MLP(width=32, mlp_width=64),
    optimizer=AdamW(learning_rate=1e-2, b2=0.98),
    train_fraction=0.7,
    steps=4000,
    settle_steps=200,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
)
decays = grid(weight_decay=[0.5, 0.71, 1.0, 1.41], seed=range(8))


def decide(table):
    of = {op: exponent(runs, "weight_decay") for op, runs in table.groupby("op", sort=False)}
    each = {op: judge(effect, -1.25, -0.75) for op, effect in of.items()}
    numbers = ", ".join(f"{told(effect)} for {op}" for op, effect in of.items())
    return Decision(
        verdict=all_of(*each.values()),
        effect=exponent(table, "weight_decay", within=["op"]),
        because=f"The exponent of decay is {numbers}.",
    )


claim = Claim(
    topic="weight decay",
    sentence="Inside the zone t_grok is inversely proportional to weight decay, whatever the task.",
    source="Liu, Michaud & Tegmark 2022 (Omnigrok, arXiv 2210.01117): decay takes the norm to the "
    "zone at a rate γ, so that t ∝ 1/γ; Truong et al. 2026 (arXiv 2603.13331) report inverse "
    "scaling with R² = 0.97.",
    setting="Differences, products and sums mod 23 from 70 % of the table, an MLP with embeddings "
    "of 32 and 64 units, AdamW at 0.01, decays 0.5 to 1.41, 8 seeds, at most 4,000 updates; "
    "theirs are larger transformers and MLPs. Tried before with seeds 900 to 904: at decay 0.3 "
    "and 1 subtraction groks in 3 and 5 of 5 runs.",
    confirms="the 95 % interval of the exponent (censored log-normal fit) lies within (−1.25, "
    "−0.75) for every task.",
    refutes="it lies outside of that range for any task.",
    unit="exponent of t_grok in weight decay, one for all tasks",
    experiments={"tasks": base.replaced(sweep=grid({"task.op": OPS}) * decays)},
    cells=("op", "weight_decay"),
    decide=decide,
)
