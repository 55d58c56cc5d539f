"""Modular functions in context: what the task is must be read from examples in the row itself.

Question:     a row shows k examples of an unknown function a·x + b·y mod p and asks for another
              value. Is the training set memorised first, are unseen rows of the same functions
              right later, and functions that no row was of later still, or never (He et al. 2024)?
Command:      python -m grokjax.sweep experiments/beyond/in_context.py
Cost:         20 runs of at most 6,000 updates, about three minutes on two CPU cores.
Expectation:  in this order, with the last two closer together the more functions are seen.

The table has rows of seen functions alone: its test set are their unseen rows. Rows of the other
functions are a third set that nobody trains on; the instrument `unseen_functions` scores it.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np

from grokjax import MLP, AdamW, Experiment, Task, Thresholds, grid, models, own
from grokjax.config.fields import require
from grokjax.tasks import Dataset


@dataclasses.dataclass(frozen=True, kw_only=True)
class InContext(Task):
    """`x_1 z_1 … x_k z_k x =`, with z_i = a·x_i mod p; the answer is a·x mod p, a being unknown.

    He et al. 2024 (arXiv 2406.02550): a and x are vectors of one or two numbers, none of them zero,
    and a·x their scalar product. Every seen a and every list of k + 1 vectors x makes a row.
    """

    p: int = 11
    """The prime modulus; numbers are tokens 0 … p − 1, and p is the sign =."""
    operands: int = 1
    """How many numbers a and x have: 1 for a·x, 2 for a·x + b·y."""
    examples: int = 1
    """Number k of examples in a row."""
    unseen: float = 0.3
    """Share of the functions that the table has no row of."""
    samples: int | None = None
    """Number of rows in the table, drawn without repetition; None: all."""
    table_seed: int = 0
    """Seed of which functions are seen, and which rows are drawn."""

    def check(self):
        prime = self.p > 1 and all(self.p % n for n in range(2, self.p))
        require(prime, "p", self.p, "give a prime")
        require(self.operands in (1, 2), "operands", self.operands, "give 1 or 2")
        require(self.examples >= 1, "examples", self.examples, "give 1 or more")
        both = 0 < len(self.functions(seen=False)) < self.vectors
        require(both, "unseen", self.unseen, "give a share that leaves functions of both kinds")
        fits = self.samples is None or 2 <= self.samples <= self.every
        require(fits, "samples", self.samples, f"there are {self.every} rows, give 2 to so many")

    @property
    def vectors(self):
        """Number of vectors that are not zero, which are as many functions."""
        return self.p**self.operands - 1

    @property
    def every(self):
        """Number of all rows of the seen functions."""
        return len(self.functions(seen=True)) * self.vectors ** (self.examples + 1)

    @property
    def n_rows(self):
        return self.samples or self.every

    def functions(self, seen):
        """Numbers of the seen functions, or of the others, below `vectors`."""
        order = np.random.default_rng(self.table_seed).permutation(self.vectors)
        n_unseen = round(self.unseen * self.vectors)
        return np.sort(order[n_unseen:] if seen else order[:n_unseen])

    def rows(self, functions, samples):
        """Rows of some functions, all of them or so many."""
        sizes = (len(functions), *[self.vectors] * (self.examples + 1))
        which = np.arange(np.prod(sizes))
        if samples is not None:
            rng = np.random.default_rng([self.table_seed, samples])
            which = np.sort(rng.choice(len(which), samples, replace=False))
        function, *shown = np.unravel_index(which, sizes)
        values = np.array(list(np.ndindex(*[self.p] * self.operands)))[1:]  # without zero
        a, x = values[functions[function]], values[np.stack(shown, axis=1)]
        z = np.sum(a[:, None] * x, axis=2) % self.p
        pairs = np.concatenate([x, z[:, :, None]], axis=2).reshape(len(which), -1)
        equals = np.full((len(which), 1), self.p)
        return Dataset(
            inputs=np.concatenate([pairs[:, :-1], equals], axis=1).astype(np.int32),
            targets=z[:, -1].astype(np.int32),
            vocabulary=self.p + 1,
            n_classes=self.p,
        )

    def dataset(self):
        return self.rows(self.functions(seen=True), self.samples)


MOST_UNSEEN = 500
"""Rows of unseen functions that are scored, where there are more."""


@own.instrument
def unseen_functions(observed):
    """Accuracy on rows of the functions that nobody trains on."""
    task = observed.task
    functions = task.functions(seen=False)
    n_rows = len(functions) * task.vectors ** (task.examples + 1)
    other = task.rows(functions, MOST_UNSEEN if n_rows > MOST_UNSEEN else None)
    layout = models.plain_layout(observed.model, other)
    rows = jnp.arange(len(other.targets))
    outputs = models.apply(observed.model, other, layout, observed.params, rows)
    return jnp.mean(outputs.argmax(axis=-1) == jnp.asarray(other.targets))


experiment = Experiment(
    task=InContext(),
    model=MLP(width=32, mlp_width=128),
    optimizer=AdamW(learning_rate=3e-3, b2=0.98),
    instruments=(unseen_functions,),
    train_fraction=0.8,
    steps=6_000,
    log_every=20,
    settle_steps=None,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(unseen=[0.1, 0.3], weight_decay=[1.0, 3.0], seed=range(5)),
)
