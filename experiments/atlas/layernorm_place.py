"""How does the place of LayerNorm move grokking?

Command:      python -m grokjax.atlas run layernorm_place
Cost:         32 runs of at most 2,500 updates, three minutes of one core.
"""

from grokjax import AdamW, Experiment, ModularArithmetic, Thresholds, Transformer, grid
from grokjax.atlas import Claim, Decision, all_of, judge, ratio, told


def trained(norm):
    return Experiment(
        task=ModularArithmetic("sub", p=23),
        model=Transformer(layers=1, width=32, heads=4, mlp_width=128, norm=norm),
        optimizer=AdamW(learning_rate=5e-3, weight_decay=1.0, b2=0.98),
        train_fraction=0.8,
        steps=2500,
        settle_steps=100,
        log_every=20,
        thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
        sweep=grid(seed=range(8)),
    )


def decide(table):
    of = dict(iter(table.groupby("experiment")))
    first = {name: ratio(of[name], of["mlp"]) for name in ("none", "attention", "both")}
    return Decision(
        verdict=all_of(judge(first["none"], low=1.0), judge(first["both"], low=1.0)),
        effect=first["none"],
        because="Beside LayerNorm before the MLP alone, "
        + ", ".join(f"{name} takes {told(effect)} times as long" for name, effect in first.items())
        + ".",
    )


claim = Claim(
    topic="networks",
    sentence="LayerNorm before the MLP alone makes a transformer grok sooner than LayerNorm "
    "nowhere or in both places.",
    source="arXiv 2602.06702 (2026, repository jaisidhsingh/layernorm-grok, notebooks/plots_1), "
    "addition mod 113, five seeds: 954 updates before the MLP, 3,297 before both, 7,126 before "
    "attention, 7,763 nowhere.",
    setting="Subtraction mod 23 from 80 % of the table, one layer of width 32, AdamW at 0.005 "
    "with decay 1, 8 seeds, at most 2,500 updates; the rates are not tuned for each place, as in "
    "the source.",
    confirms="the median t_grok without LayerNorm and that with it in both places are larger than "
    "with it before the MLP (lower limits of the ratios above 1).",
    refutes="either ratio lies below 1.",
    unit="t_grok without LayerNorm over t_grok with it before the MLP",
    experiments={
        "mlp": trained("mlp"),
        "both": trained("pre"),
        "attention": trained("attention"),
        "none": trained("none"),
    },
    decide=decide,
)
