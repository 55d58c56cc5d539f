"""Does StableMax grok later than cross-entropy where gradients are kept off the weights?

Question:     figure 1a of Prieto et al. (2025) groks within 300 updates with projected gradients
              and no weight decay. A reader asks with which loss, and finds that StableMax lags.
Command:      python -m grokjax.sweep experiments/public/stablemax_orthograd.py
Cost:         4 runs of 300 full-batch updates of 5,108 rows; experiments/public/README.md has it.
Expectation:  all runs grok within 300 updates, those with StableMax later.
Source:       LucasPrietoAl/grokking-at-the-edge-of-numerical-stability, issue 7, and
              run_main_experiments.sh, second line of figure 1.
Printed:      curves only: both losses are at 100 % test accuracy before update 300, StableMax
              later than cross-entropy.

Their wrapper builds a second AdamW and loads the state of the first into itself, so that what runs
has PyTorch's defaults, b2 = 0.999 and eps = 1e-8, and not the 0.99 of the command. Cross-entropy is
taken in float32, StableMax in float64.
"""

from grokjax import (
    MLP,
    AdamW,
    CrossEntropy,
    Experiment,
    ModularArithmetic,
    OrthoGrad,
    StableMax,
    grid,
    zipped,
)

experiment = Experiment(
    task=ModularArithmetic("add", p=113, format="a b"),
    model=MLP(layers=2, mlp_width=200, token_inputs="one_hot", init="torch"),
    optimizer=AdamW(learning_rate=0.01, weight_decay=0.0, b2=0.999),
    modifiers=(OrthoGrad(),),
    train_fraction=0.4,
    steps=300,
    settle_steps=None,
    log_every=10,
    sweep=zipped(loss=[CrossEntropy(), StableMax()], loss_dtype=["float32", "float64"])
    * grid(seed=range(2)),
)
