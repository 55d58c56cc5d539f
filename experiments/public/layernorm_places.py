"""How does the place of LayerNorm move the time of grokking?

Question:     sums mod 113 with LayerNorm nowhere, before attention, before the MLP, before both, or
              before queries and keys or values alone: t_grok?
Command:      python -m grokjax.sweep experiments/public/layernorm_places.py
Cost:         6 runs of at most 10,000 full-batch updates of 3,831 rows;
              experiments/public/README.md has it. The source has five seeds.
Expectation:  before the MLP first by far, then before both, then before attention, then nowhere.
Source:       jaisidhsingh/layernorm-grok (arXiv 2602.06702), scripts/layernorm.sh,
              src/models/transformer.py and notebooks/plots_1.ipynb.
Printed:      update at which the mean test accuracy of five seeds is 99.5 % first: 7,763 nowhere,
              7,126 before attention, 3,297 before both, 954 before the MLP. First seed at 100 %:
              6,613, 3,718, 2,510 and 859.

Not the same here: their position embeddings are N(0, 0.02²), ours as large as those of tokens; and
their truncated normals are not widened for what is cut off, 12 % less than ours.
"""

from grokjax import AdamW, Experiment, Operation, Thresholds, Transformer, grid


def network(norm):
    """With what the source calls off, attn-pre, mlp-pre, pre, attn-pre-qk or attn-pre-v."""
    return Transformer(
        layers=1,
        width=128,
        heads=4,
        mlp_width=512,
        biases=True,
        attention_biases=False,
        unembed_biases=False,
        causal=False,
        init="lecun",
        attention_init="multihead",
        norm=norm,
        **({} if norm == "none" else {"norm_epsilon": 1e-30}),
    )


places = ["mlp", "pre", "attention", "none", "queries_keys", "values"]

experiment = Experiment(
    task=Operation("(x + y) % p", p=113, format="a b =", classes=114),
    model=network("mlp"),
    optimizer=AdamW(learning_rate=1e-3, weight_decay=1.0, b2=0.98),
    train_fraction=0.3,
    steps=10_000,
    settle_steps=500,
    log_every=10,
    thresholds=Thresholds(grokked=0.995),
    sweep=grid(model=[network(norm) for norm in places]),
)
