"""Does a network of today's parts grok division within 1,500 updates?

Question:     SwiGLU, RMSNorm and rotary positions of base 10⁶ with a single head: when is division
              mod 97 grokked at half of the table?
Command:      python -m grokjax.sweep experiments/public/swiglu_rope_division.py
Cost:         2 runs of 1,500 updates in batches of 512; experiments/public/README.md has it.
Expectation:  test accuracy is at the top before update 1,500.
Source:       stockeh/mlx-grokking, README.md; main.py and models.py.
Printed:      grokking in fewer than 150 epochs of ten updates.

MLX's AdamW does not correct the bias of its two means, its embeddings are N(0, 1 / width), and its
dropout acts on the gate of a hidden unit, which is the same as on the unit.
"""

import jax.numpy as jnp
import optax

from grokjax import Experiment, Operation, Transformer, grid, own, traced


@own.optimizer
def adamw_of_mlx(*, b1: float = traced(0.9), b2: float = traced(0.98), eps: float = traced(1e-8)):
    """Adam whose means start at zero, uncorrected: m / (√v + eps); eps alone is corrected."""

    def uncorrected(count):
        return (1 - b1 ** (count + 1)) / jnp.sqrt(1 - b2 ** (count + 1))

    return optax.chain(optax.scale_by_adam(b1, b2, eps), optax.scale_by_schedule(uncorrected))


experiment = Experiment(
    task=Operation("x / y % p", p=97, where="y", format="a op b =", classes=99),
    model=Transformer(
        layers=2,
        width=128,
        heads=1,
        mlp_width=512,
        activation="silu",
        gated=True,
        norm="rms",
        final_norm=True,
        positions="rotary",
        rotary_base=1e6,
        init="torch",
        embed_init_scale=128**-0.5,
        dropout=0.2,
        dropout_places=("hidden",),
    ),
    optimizer=adamw_of_mlx(
        learning_rate=1e-3,
        weight_decay=1.0,
        warmup_steps=10,
        warmup_shape="linear_from_start",
    ),
    batch_size=512,
    batches="keep_last",
    steps=1500,
    settle_steps=None,
    log_every=10,
    sweep=grid(seed=range(2)),
)
