"""Is the sum of three numbers grokked from two fifths of the table?

Question:     a + b + c mod 23 with hardly any weight decay, gradients clipped to a tenth, and
              sinusoidal positions.
Command:      python -m grokjax.sweep experiments/public/three_addends.py
Cost:         1 run of 15,000 updates in batches of 512, one block of 256;
              experiments/public/README.md has it.
Expectation:  training rows are fitted within 100 epochs of ten updates, and test rows later.
Source:       LeoDreamer2004/Modular-Addition, code/src/configs/transformer/AdamW-3.jsonc.
Printed:      a figure for other fractions only.

Logits are the mean over positions. The schedule called constant is PyTorch's, a third of the
learning rate for the first five epochs. Not the same here: their token embedding is a linear map of
one-hot tokens, uniform and with one bias for all tokens, where ours is normal with the same
variance; and the second map of their MLP block has no bias.
"""

from grokjax import AdamW, ClipNorm, Clipping, Experiment, Operation, Transformer

experiment = Experiment(
    task=Operation("(a + b + c) % p", p=23, format="a + b + c =", classes=26),
    model=Transformer(
        layers=1,
        width=256,
        heads=8,
        mlp_width=128,
        norm="post",
        biases=True,
        positions="sinusoidal",
        readout="mean",
        init="torch",
        attention_init="multihead",
        embed_init_scale=(3 * 26) ** -0.5,
    ),
    optimizer=AdamW(
        learning_rate=1e-3,
        weight_decay=1e-3,
        b2=0.999,
        warmup_steps=50,
        warmup_shape="constant",
        warmup_start=1 / 3,
    ),
    modifiers=(ClipNorm(0.1),),
    instruments=(Clipping(),),
    train_fraction=0.4,
    batch_size=512,
    batches="keep_last",
    steps=15_000,
    settle_steps=500,
    log_every=10,
)
