"""Are quotients, sums and differences mod 97 grokked from 2,000 lines of text, letter by letter?

Question:     files of a course have lines such as `52 / 95 = 71`, drawn with replacement: 2,000 to
              train on, 2,000 to look at and 1,000 to test. The loss is on the answer only.
Command:      python -m grokjax.sweep experiments/public/letters_of_a_course.py
Cost:         1 run of 10,000 updates in batches of 32, two blocks of 128;
              experiments/public/README.md has it.
Expectation:  training lines are remembered, and hardly others than those that are there twice.
Source:       Yevsquant/cs-493s-hw2, part2/data_generation.py, train23.py and model.py.
Printed:      validation accuracy of letters stays near 0.49 where lines are few.

The lines are drawn here as their program draws them, operands up to p included, and from another
seed. Rows are filled up on the left, where theirs are on the right; the end of an answer is learnt
as one token where theirs is a line's end and then up to four more. Their accuracy counts these
tokens, and ours whole answers. Not decayed: gains of norms.
"""

import random
import tempfile
from pathlib import Path

from grokjax import AdamW, Experiment, GivenSplit, ParameterGroups, Table, Transformer


def lines(number, p, seed):
    """Lines `a op b = c` with a in 0 … p, b in 1 … p and c modulo p."""
    draw = random.Random(seed)
    drawn = []
    while len(drawn) < number:
        a, b, op = draw.randrange(p + 1), 1 + draw.randrange(p), "+-/"[draw.randrange(3)]
        if op == "/" and b % p == 0:
            continue
        c = {"+": a + b, "-": a - b, "/": a * pow(b, p - 2, p)}[op] % p
        drawn.append(f"{a} {op} {b} = {c}")
    return drawn


def table():
    """The table of 5,000 lines: two fifths to train on, two fifths in neither set, and the test."""
    drawn = lines(5000, 97, seed=42)
    files = {"train": drawn[:2000], "third": drawn[2000:4000], "test": drawn[4000:]}
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            Path(folder, f"{name}.txt").write_text("\n".join(content))
        paths = {name: Path(folder, f"{name}.txt") for name in files}
        return Table.read(pattern="{x} {op} {y} = {target}", characters=True, **paths)


experiment = Experiment(
    task=table(),
    split=GivenSplit(),
    model=Transformer(
        layers=2,
        width=128,
        heads=4,
        mlp_width=512,
        activation="gelu",
        norm="pre",
        final_norm=True,
        tied=True,
        init="gpt2",
        dropout=0.1,
        dropout_places=("embeddings", "weights", "attention", "mlp"),
    ),
    optimizer=AdamW(learning_rate=3e-4, weight_decay=0.1, b2=0.98),
    groups=ParameterGroups(bias_decay=0.0),
    batch_size=32,
    batches="keep_last",
    steps=10_000,
    settle_steps=None,
    log_every=100,
)
