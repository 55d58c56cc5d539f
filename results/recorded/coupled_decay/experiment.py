"""Is Adam with coupled L2 as good at grokking as AdamW, at the same effective decay?

Question:     weight decay 1 in AdamW is nothing like 1 in Adam with L2, where it is divided by the
              size of the gradient. Matched by the norm of the weights at memorisation, do the two
              grok at the same time?
Command:      python -m grokjax.sweep experiments/coupled_decay.py
Cost:         60 runs of at most 4,000 updates, six minutes on two CPU cores.
Expectation:  coupled decay works at strengths a thousand times smaller. At the same norm AdamW
              groks sooner: coupled decay is weak just where gradients are large.
"""

from grokjax import (
    Adam,
    AdamW,
    Experiment,
    ModularArithmetic,
    Thresholds,
    Transformer,
    grid,
)

rates = {"learning_rate": 1e-2, "b2": 0.98}
decoupled = [AdamW(weight_decay=decay, **rates) for decay in (0.03, 0.1, 0.3, 0.63, 1.0, 2.0)]
coupled = [Adam(weight_decay=decay, **rates) for decay in (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3)]

experiment = Experiment(
    task=ModularArithmetic("sub", p=53),
    model=Transformer(layers=1, width=32, heads=4, mlp_width=128),
    train_fraction=0.6,
    steps=4000,
    settle_steps=300,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(optimizer=[*decoupled, *coupled], seed=range(5)),
)
