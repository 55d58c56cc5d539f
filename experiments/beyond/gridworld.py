"""A small gridworld: routes between pairs of cells that training has not seen.

Question:     does a planner that is trained by expected return on some pairs of start and goal find
              the shortest way between the others, and does that come long after the training pairs?
Command:      python -m grokjax.sweep experiments/beyond/gridworld.py
Cost:         20 runs of at most 4,000 updates, about four minutes on two CPU cores.
Expectation:  on a torus, where all that matters is goal minus start, late generalisation as in
              modular subtraction; with walls in the way it stays at part of the pairs.

A row is a pair of cells, and a network answers with a plan: for each of H moves the logits of four
actions. Actions are drawn from the plan without looking at where one is, and moves are certain, so
that the expected return follows exactly from the distribution over cells, move by move. It is
Σ_t discount^(t-1) P(the goal is reached first with move t). A row is right when the plan's most
probable actions reach the goal in as few moves as there can be.
"""

import dataclasses
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from grokjax import AdamW, Change, Experiment, Loss, Task, Thresholds, grid, own, traced, zipped
from grokjax.config.fields import require
from grokjax.tasks import Dataset

MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""Rows and columns that up, down, left and right go."""


def successors(world, torus):
    """The cell `[S, 4]` that each action leads to from each of the S free cells, by number.

    Args:
      world: rows of the world, "." a free cell and "#" a wall, with a "/" between them.
      torus: whether what leaves at one edge enters at the other; else it stays where it is.
    """
    free = np.array([[cell == "." for cell in row] for row in world.split("/")])
    height, width = free.shape
    number = np.cumsum(free).reshape(free.shape) - 1
    result = np.empty((free.sum(), len(MOVES)), np.int32)
    for here, (y, x) in enumerate(np.argwhere(free)):
        for action, (dy, dx) in enumerate(MOVES):
            to = (y + dy) % height, (x + dx) % width
            inside = torus or to == (y + dy, x + dx)
            result[here, action] = number[to] if inside and free[to] else here
    return result


def distances(after):
    """Moves `[S, S]` from each cell to each other, -1 where no way leads.

    Args:
      after: the cell that each action leads to `[S, 4]`.
    """
    cells = len(after)
    found = np.where(np.eye(cells, dtype=bool), 0, -1)
    for moves in range(1, cells):
        # From a cell one gets there if from one of those next to it one does with one move less.
        near = (found[after] == moves - 1).any(axis=1)
        found = np.where((found < 0) & near, moves, found)
    return found


def reached_at(plan, pairs, after):
    """Probability `[..., H]` that each move of a plan is the first to reach the goal.

    Args:
      plan: probabilities of the actions of each move, `[..., H, 4]`.
      pairs: number of the pair, start · S + goal, `[...]`.
      after: the cell that each action leads to `[S, 4]`.
    """
    cells = len(after)
    at = jax.nn.one_hot(pairs // cells, cells, dtype=plan.dtype)
    goal = jax.nn.one_hot(pairs % cells, cells, dtype=plan.dtype)
    leads = jax.nn.one_hot(after, cells, dtype=plan.dtype)  # [S, 4, S]
    arrived = []
    for move in range(plan.shape[-2]):
        at = jnp.einsum("...s,...a,sat->...t", at, plan[..., move, :], leads)
        arrived.append(jnp.sum(at * goal, axis=-1))
        at = at * (1 - goal)  # an episode ends at the goal
    return jnp.stack(arrived, axis=-1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gridworld(Task):
    """All pairs of different cells of a small world, start and goal, to be joined by a plan.

    Tokens: start, goal, and a "?" for each of the H moves, H the largest distance in the world.
    Each of a row's H answers has the number of its pair, start · S + goal, as its target.
    """

    target_kind: ClassVar[str] = "sequence"

    world: str = "...../...../...../...../....."
    """Rows of the world, "." a free cell and "#" a wall, with a "/" between them."""
    torus: bool = True
    """Whether what leaves at one edge enters at the other; else it stays where it is."""

    def check(self):
        rows = self.world.split("/")
        plain = set(self.world) <= set("./#") and len(set(map(len, rows))) == 1
        require(plain, "world", self.world, "write rows of one length of . and #, a / between them")
        require(self.cells > 1, "world", self.world, "give it two free cells or more")
        joined = (distances(successors(self.world, self.torus)) >= 0).all()
        require(joined, "world", self.world, "open a way from each free cell to each other")

    @property
    def cells(self):
        """Number of free cells."""
        return self.world.count(".")

    @property
    def n_rows(self):
        return self.cells * (self.cells - 1)

    def dataset(self):
        cells = self.cells
        ends = np.argwhere(~np.eye(cells, dtype=bool)).astype(np.int32)
        moves = distances(successors(self.world, self.torus)).max()
        asked = np.full((len(ends), moves), cells, np.int32)
        return Dataset(
            inputs=np.concatenate([ends, asked], axis=1),
            targets=np.repeat(ends @ np.array([[cells], [1]], np.int32), moves, axis=1),
            vocabulary=cells + 1,
            n_classes=len(MOVES),
            answers=tuple(range(2, 2 + moves)),
        )

    def right(self, outputs, targets):
        after = successors(self.world, self.torus)
        pairs = targets[:, 0]
        is_pair = jax.nn.one_hot(pairs, self.cells**2, dtype=jnp.int32)
        fewest = is_pair @ jnp.asarray(distances(after).reshape(-1))
        greedy = jax.nn.one_hot(outputs.argmax(axis=-1), len(MOVES), dtype=outputs.dtype)
        arrives = reached_at(greedy, pairs, after)
        in_time = jnp.arange(1, arrives.shape[-1] + 1)[None] == fewest[:, None]
        return jnp.any((arrives > 0.5) & in_time, axis=-1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExpectedReturn(Loss):
    """−(Σ_t discount^(t-1) P(first at the goal with move t) + entropy · mean_t H(plan_t)), exactly.

    Its gradient is the policy gradient (Sutton et al. 2000), by the distribution over cells.
    """

    world: str = Gridworld.world
    """Rows of the world, those of the task."""
    torus: bool = Gridworld.torus
    """Whether its edges are joined, as the task's are."""
    discount: float = traced(0.95)
    """What a reward is worth a move later."""
    entropy: float = traced(0.0)
    """Weight of the mean entropy of a move, in nats."""

    def check_task(self, task):
        remedy = "it is the return in a world, give task=Gridworld(...) of the same one"
        same = isinstance(task, Gridworld) and (task.world, task.torus) == (self.world, self.torus)
        require(same, "loss", self.kind, remedy)

    def per_target(self, outputs, targets):
        logs = jax.nn.log_softmax(outputs)
        plan = jnp.exp(logs)
        arrives = reached_at(plan, targets[..., 0], successors(self.world, self.torus))
        worth = self.discount ** jnp.arange(arrives.shape[-1])
        returns = jnp.tensordot(arrives, worth, 1)[..., None]
        # A row counts as the mean over its answers, which all have the return of the whole plan.
        return self.entropy * jnp.sum(plan * logs, axis=-1) - returns


class Planner(nn.Module):
    """Embeddings of start and goal side by side, a hidden layer, logits of every move."""

    cells: int
    moves: int
    width: int
    hidden: int

    @nn.compact
    def __call__(self, tokens):
        ends = nn.one_hot(tokens[:, :2], self.cells)
        x = nn.Dense(self.width, use_bias=False, name="embed")(ends).reshape(len(tokens), -1)
        x = nn.relu(nn.Dense(self.hidden, name="hidden")(x))
        self.sow("looks", "neurons", x)
        return nn.Dense(4 * self.moves, name="unembed")(x).reshape(-1, self.moves, 4)


@own.model
def planner(dataset, *, width: int = 32, hidden: int = 128):
    """A multilayer perceptron that makes a whole plan at once."""
    return Planner(dataset.vocabulary - 1, len(dataset.answers), width, hidden)


TORUS = {"world": "...../...../...../...../.....", "torus": True}
ROOMS = {"world": "...../.#.#./...../.#.#./.....", "torus": False}

experiment = Experiment(
    task=Gridworld(**TORUS),
    model=planner(),
    loss=ExpectedReturn(**TORUS, entropy=0.6),
    optimizer=AdamW(learning_rate=3e-3, b2=0.98),
    train_fraction=0.7,
    steps=4_000,
    log_every=20,
    settle_steps=400,
    # With little entropy from the start, plans settle on ways that miss the goal: 80 % are right.
    changes=(Change(1_000, entropy=0.02),),
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=zipped(
        task=[Gridworld(**TORUS), Gridworld(**ROOMS)],
        loss=[ExpectedReturn(**TORUS, entropy=0.6), ExpectedReturn(**ROOMS, entropy=0.6)],
    )
    * grid(weight_decay=[1.0, 3.0], seed=range(5)),
)
