"""When does dropout alone grok subtraction mod 96, and when with weight decay?

Question:     batches drawn with replacement, dropout everywhere, and by default no weight decay:
              a reader asks whether 0 is meant where the paper has 1.
Command:      python -m grokjax.sweep experiments/public/subtraction_with_replacement.py
Cost:         2 runs in batches of 512, two blocks of 128; experiments/public/README.md has it.
Expectation:  decay 1 groks within some thousand updates, decay 0 long after.
Source:       Sea-Snell/grokking, issue 4; config/ and grokk_replica/transformer.py.
Printed:      the author: figure 1 is made without weight decay, on a budget of 10⁶ updates.

Token embeddings are multiplied by √128 before positions are added.
"""

from grokjax import AdamW, Experiment, ModularArithmetic, Transformer, grid

experiment = Experiment(
    task=ModularArithmetic("sub", p=96, format="a op b ="),
    model=Transformer(
        layers=2,
        width=128,
        heads=4,
        head_width=32,
        mlp_width=512,
        activation="gelu",
        norm="pre",
        final_norm=True,
        biases=True,
        init="torch",
        embed_scale=128**0.5,
        dropout=0.1,
        dropout_places=("embeddings", "weights", "attention", "hidden", "mlp"),
    ),
    optimizer=AdamW(learning_rate=1e-3, b2=0.98, warmup_steps=10, warmup_shape="linear_from_start"),
    train_fraction=0.4,
    batch_size=512,
    batches="replacement",
    steps=1_000_000,
    log_every=100,
    sweep=grid(weight_decay=[1.0, 0.0]),
)
