"""Is decay needed only after memorising?

Command:      python -m grokjax.atlas run decay_after_memorising
Cost:         48 runs of at most 6,000 updates, a minute of one core.
"""

from grokjax import MLP, AdamW, Change, Experiment, ModularArithmetic, Thresholds, grid
from grokjax.atlas import Claim, Decision, judge, ratio, told


def trained(decay, changes, delays=None):
    axes = {} if delays is None else {"changes.0.delay": delays}
    return Experiment(
        task=ModularArithmetic("sub", p=23, format="a b"),
        model=MLP(width=32, mlp_width=64),
        optimizer=AdamW(learning_rate=1e-2, weight_decay=decay, b2=0.98),
        changes=changes,
        train_fraction=0.7,
        steps=5000,
        settle_steps=200,
        log_every=20,
        thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
        sweep=grid(axes, seed=range(12)),
    )


def decide(table):
    of = dict(iter(table.groupby("experiment")))
    effect = ratio(of["at_t_mem"], of["from_the_start"])
    late = of["later"].assign(
        t_grok=of["later"]["t_grok"] - 1000, last_step=of["later"]["last_step"] - 1000
    )
    wait = ratio(late, of["from_the_start"])
    without = int(of["never"]["t_grok"].notna().sum())
    return Decision(
        verdict=judge(effect, 0.75, 4 / 3),
        effect=effect,
        because=f"With decay from t_mem on t_grok is {told(effect)} times that with decay from "
        f"the start; 1,000 updates later the "
        f"wait from then is {told(wait)} times as long; {without} of 12 grok without decay.",
    )


claim = Claim(
    topic="weight decay",
    sentence="Decay does its work after memorisation only: switched on at t_mem, it leads to "
    "grokking as soon as from the start.",
    source="Told of the circuit-efficiency account (Varma et al. 2023, arXiv 2309.02390) and of "
    "Omnigrok; results/README.md, decay_later, saw it in a transformer on five seeds.",
    setting="Subtraction mod 23 from 70 % of the table, an MLP (32, 64), AdamW at 0.01 with decay "
    "1 from the start, from t_mem, from 1,000 updates after it, or never, 12 seeds, at most 5,000 "
    "updates.",
    confirms="the ratio of median t_grok with decay from t_mem and from the start lies within "
    "(3/4, 4/3).",
    refutes="its interval lies outside of it.",
    unit="t_grok with decay from t_mem over that from the start",
    experiments={
        "from_the_start": trained(1.0, ()),
        "at_t_mem": trained(0.0, (Change(at="t_mem", weight_decay=1.0),)),
        "later": trained(0.0, (Change(at="t_mem", delay=1000, weight_decay=1.0),)),
        "never": trained(0.0, ()),
    },
    decide=decide,
)
