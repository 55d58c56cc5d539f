"""When is a sum grokked under a learning rate that falls by a hundredth every hundred epochs?

Question:     a + b mod 97 at half of the table, with a weight decay of a thousandth, gradients
              clipped to 3 and PyTorch's StepLR.
Command:      python -m grokjax.sweep experiments/public/step_schedule.py
Cost:         1 run of at most 50,000 updates in batches of 512, one block of 512;
              experiments/public/README.md has it.
Expectation:  training rows are fitted in 250 epochs of ten updates, and test rows in 3,000.
Source:       LeoDreamer2004/Modular-Addition, code/src/configs/transformer/AdamW-0.5.jsonc and
              code/result/transformer/accuracy-adamw-0.5-2.txt.
Printed:      by epoch: 99 % of the training rows at 242, 50 % of the test rows at 818, 90 % at
              2,486, 95 % at 2,836, all at 5,000.

The same differences as in three_addends.py.
"""

from grokjax import AdamW, ClipNorm, Experiment, Operation, Transformer

experiment = Experiment(
    task=Operation("(a + b) % p", p=97, format="a + b =", classes=100),
    model=Transformer(
        layers=1,
        width=512,
        heads=4,
        mlp_width=256,
        norm="post",
        biases=True,
        positions="sinusoidal",
        readout="mean",
        init="torch",
        attention_init="multihead",
        embed_init_scale=(3 * 100) ** -0.5,
    ),
    optimizer=AdamW(
        learning_rate=3e-4,
        weight_decay=1e-3,
        b2=0.999,
        schedule="step",
        schedule_steps=1000,
        schedule_factor=0.99,
    ),
    modifiers=(ClipNorm(3.0),),
    batch_size=512,
    batches="keep_last",
    steps=50_000,
    log_every=10,
)
