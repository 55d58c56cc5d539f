"""Is there a delay where the loss is on the answer only, or on every position?

Question:     `BOS a op b = c EOS EOS` mod 97 in a tied GPT-2 of one block, full batch: loss of the
              test rows with the loss on c, or on all seven tokens that follow another, with and
              without weight decay?
Command:      python -m grokjax.sweep experiments/public/answer_or_all_positions.py
Cost:         4 runs of 1,000 full-batch updates of 4,704 rows; experiments/public/README.md has it.
              The source has 50,000.
Expectation:  on the answer test loss is near 0 by update 500 without a delay; on all tokens it
              rises without decay and comes near its floor of 2 ln 97 / 7 = 1.307 with decay 1.
Source:       a course, llm-fundamentals, 00012-grokking-conditions, README.
Printed:      test loss on the answer at update 500: 0.0011 without decay, 0.0181 with decay 1. On
              all tokens: 1.34 at 1,000 and 1.384 at 50,000 with decay 1; from 1.64 up to 2.511
              without, while the training loss comes to 1.057.

The vocabulary has 128 tokens, 27 of which are never there. What is decayed is not said, and is all
here.
"""

from grokjax import AdamW, Experiment, Table, Transformer, grid

P, WORDS = 97, ("op", "=", "BOS", "EOS")
OP, EQUALS, BOS, EOS = range(P, P + len(WORDS))
tokens = (*map(str, range(P)), *WORDS, *(f"unused {n}" for n in range(128 - P - len(WORDS))))
pairs = [(a, b) for a in range(P) for b in range(P)]

names = {"vocabulary": tokens, "class_names": tokens}
answer = Table(
    [[BOS, a, OP, b, EQUALS] for a, b in pairs],
    [(a + b) % P for a, b in pairs],
    table_name="answer",
    **names,
)
everything = Table(
    [[BOS]] * len(pairs),
    [[a, OP, b, EQUALS, (a + b) % P, EOS, EOS] for a, b in pairs],
    table_name="all_positions",
    **names,
)

experiment = Experiment(
    task=answer,
    model=Transformer(
        layers=1,
        width=128,
        heads=4,
        mlp_width=512,
        activation="gelu_tanh",
        norm="pre",
        final_norm=True,
        biases=True,
        tied=True,
        init="gpt2",
    ),
    optimizer=AdamW(learning_rate=1e-3, b2=0.98),
    steps=1000,
    settle_steps=None,
    log_every=100,
    sweep=grid(task=[answer, everything], weight_decay=[0.0, 1.0]),
)
