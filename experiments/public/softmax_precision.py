"""How far does a network get before the softmax of float16, float32 and float64 stops its gradient?

Question:     without weight decay an MLP memorises, and then the softmax rounds its gradient to
              zero; the fewer bits, the sooner. How much test accuracy is there by then?
Command:      python -m grokjax.sweep experiments/public/softmax_precision.py
Cost:         9 runs of 20,000 full-batch updates of up to 8,938 rows;
              experiments/public/README.md has it.
Expectation:  at each fraction float16 stops first, and float64 last.
Source:       LucasPrietoAl/grokking-at-the-edge-of-numerical-stability, run_main_experiments.sh,
              figure 2.
Printed:      curves only: test accuracy stops rising when all training losses are exactly zero,
              with float16 first.
"""

from grokjax import MLP, AdamW, Experiment, ModularArithmetic, Numerics, grid, zipped

experiment = Experiment(
    task=ModularArithmetic("add", p=113, format="a b"),
    model=MLP(layers=2, mlp_width=200, token_inputs="one_hot", init="torch"),
    optimizer=AdamW(learning_rate=5e-4, weight_decay=0.0, b2=0.99),
    instruments=(Numerics(),),
    steps=20_000,
    settle_steps=None,
    log_every=500,
    sweep=zipped(train_fraction=[0.4, 0.6, 0.7], eps=[1e-30, 1e-25, 1e-25])
    * grid(loss_dtype=["float16", "float32", "float64"]),
)
