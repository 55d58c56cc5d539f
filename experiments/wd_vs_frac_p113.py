"""Where is the Goldilocks zone of the network of Nanda et al. 2023, for addition mod 113?

Question:     at which weight decays and train fractions does the one-layer transformer grok within
              50,000 updates, how long does it take there, and does it last?
Command:      python -m grokjax.sweep experiments/wd_vs_frac_p113.py
Cost:         400 runs of 50,000 updates, 20 million in all. Not run yet. *Estimated* for one H100:
              10 minutes and five compilations, from 34,000 updates a second at 30 % of the table
              (`python -m grokjax.bench --target h100 --precision default --cases 1L`). Two CPU
              cores take 13 to 26 ms for an update at 30 %: three to six days.
Expectation:  at decay 1 and 30 % of the table, memorisation after about 140 updates and grokking
              after about 10,000 (575-lab/grokking-mechanism prints 136 and 10,017, one seed).
              Grokking times fall with decay as a power of it, with an exponent between -0.6 and
              -1.1: decay 0.1 would then take 40,000 to 130,000 at 30 %, so that the lower edge lies
              there or above. They fall with the fraction above a critical one. Its rows matter, not
              its share: 1,100 rows, as mod 53 has it, would be a tenth of this table. At the
              strongest decays training collapses or never fits.

Each cell has ten seeds, of the weights and of the split together. No run ends early, so that
collapses are seen. Each fraction is a program of its own, of 80 runs. They are trained in the order
below: the fraction with published times first, then the ones around it, so that a sweep that is
stopped has whole rows.

`matmul_precision="default"` is TF32 on a GPU and changes nothing on a processor;
`--matmul-precision highest` asks the same in float32, for more time.
"""

from grokjax import AdamW, Experiment, ModularArithmetic, Thresholds, Transformer, grid

experiment = Experiment(
    task=ModularArithmetic("add", p=113),
    model=Transformer(layers=1, width=128, heads=4, mlp_width=512),
    optimizer=AdamW(learning_rate=1e-3, b2=0.98),
    steps=50_000,
    settle_steps=None,
    log_every=40,
    matmul_precision="default",
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(
        train_fraction=[0.3, 0.4, 0.25, 0.35, 0.2],
        weight_decay=[0.1, 0.18, 0.32, 0.56, 1.0, 1.8, 3.2, 5.6],
        seed=range(10),
    ),
)
