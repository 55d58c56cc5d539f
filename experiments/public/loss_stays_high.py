"""Is a training loss near 1.5 for 5,000 updates grokking, or a mistake in a program?

Question:     someone rebuilds the network of Nanda et al. in another framework, and both losses
              stay near 1.5. What should the training loss be after 500 updates?
Command:      python -m grokjax.sweep experiments/public/loss_stays_high.py
Cost:         1 run of 500 full-batch updates of 3,831 rows; experiments/public/README.md has it.
Expectation:  the training loss is below 0.01 by update 500, so that 1.5 is a mistake.
Source:       ai.stackexchange, question 45255.
Printed:      training and test loss near 1.5 for 5,000 epochs.
"""

from grokjax import AdamW, Experiment, ModularArithmetic, Transformer

experiment = Experiment(
    task=ModularArithmetic("add", p=113),
    model=Transformer(layers=1, width=128, heads=4, mlp_width=512, biases=False),
    optimizer=AdamW(learning_rate=1e-3, weight_decay=1.0, b2=0.98),
    train_fraction=0.3,
    steps=500,
    settle_steps=None,
    log_every=10,
)
