"""Can an MLP that sees numbers as bits grok their sum modulo 113?

Question:     the same network as with one-hot operands, but each operand is its 7 binary digits,
              as plain numbers.
Command:      python -m grokjax.sweep experiments/public/operands_as_bits.py
Cost:         2 runs of at most 1,500 full-batch updates of 5,108 rows;
              experiments/public/README.md has it.
Expectation:  fits its training rows later than with one-hot operands, and may never generalise.
Source:       LucasPrietoAl/grokking-at-the-edge-of-numerical-stability, datasets.py, the data set
              of binary numbers.
Printed:      nothing; no command of the repository uses it.
"""

from grokjax import MLP, AdamW, Experiment, Table, grid

P = 113


def digits(number):
    """The binary digits of a number below 113, the highest first."""
    return [float(number >> place & 1) for place in reversed(range(7))]


pairs = [(a, b) for a in range(P) for b in range(P)]

experiment = Experiment(
    task=Table(
        [digits(a) + digits(b) for a, b in pairs],
        [(a + b) % P for a, b in pairs],
        table_name="bits",
    ),
    model=MLP(layers=2, mlp_width=200, biases=True, init="torch"),
    optimizer=AdamW(learning_rate=0.01, weight_decay=0.0, b2=0.99, eps=1e-25),
    train_fraction=0.4,
    steps=1500,
    settle_steps=None,
    log_every=50,
    sweep=grid(seed=range(2)),
)
