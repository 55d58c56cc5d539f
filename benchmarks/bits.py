"""A small sweep to train twice, whose tables should have the same bits.

Question:     are the tables of equal sweeps on a GPU equal, to the last bit?
Command:      python benchmarks/gpu_hour.py bits
Cost:         16 runs of 1,000 updates, three times. Not run yet. *Estimated* for one H100: seconds
              of training and two compilations.
Expectation:  equal where the compiled program is the same one. A compiler that times its kernels
              may choose others the next time, and then bits may differ.

The network of `experiments/wd_vs_frac_p113.py`, which is to be resumed to the same bits.
"""

from grokjax import AdamW, Experiment, ModularArithmetic, Transformer, grid

experiment = Experiment(
    task=ModularArithmetic("add", p=113),
    model=Transformer(layers=1, width=128, heads=4, mlp_width=512),
    optimizer=AdamW(learning_rate=1e-3, b2=0.98),
    train_fraction=0.3,
    steps=1000,
    settle_steps=None,
    log_every=40,
    matmul_precision="default",
    sweep=grid(weight_decay=[0.3, 1.0], seed=range(8)),
)
