"""One cell of a map in two precisions of matrix products.

Question:     in the cell of `experiments/precision.py` where most runs grok, are t_mem and t_grok
              distributed alike with products in float32 and in one pass of TF32?
Command:      python benchmarks/gpu_hour.py precision
Cost:         128 runs of at most 6,000 updates. Not run yet. *Estimated* for one H100: under a
              minute of training and two compilations.
Expectation:  alike: with operands rounded to TF32 on a processor 32 seeds showed no difference.

On a processor both are the same, bit for bit.
"""

from grokjax import AdamW, Experiment, ModularArithmetic, Thresholds, Transformer, grid

experiment = Experiment(
    task=ModularArithmetic("sub", p=53),
    model=Transformer(layers=1, width=32, heads=4, mlp_width=128),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=0.5, b2=0.98),
    train_fraction=0.6,
    steps=6000,
    settle_steps=300,
    log_every=10,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(matmul_precision=["highest", "default"], seed=range(64)),
)
