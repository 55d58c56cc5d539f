"""Small algorithms on tokens: rearranged strings, paths, programs, chains of facts.

Legend: N rows, T positions, L symbols of a string, n nodes of a graph.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from grokjax.config.sequences import INSTRUCTIONS, Reachability, RegisterProgram, Sequence, TwoHop
from grokjax.tasks.boolean import FEW, draw_distinct, every_row
from grokjax.tasks.dataset import Dataset, make_dataset

RULES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "copy": lambda x: x,
    "reverse": lambda x: x[:, ::-1],
    "sort": lambda x: np.sort(x, axis=1),
}


def token_table(inputs: np.ndarray, targets: np.ndarray, vocabulary: int, classes: int) -> Dataset:
    """The table of tokens and one class a row.

    Args:
      inputs: tokens [N, T].
      targets: classes [N].
      vocabulary: number of different tokens.
      classes: number of classes.
    """
    return Dataset(inputs.astype(np.int32), targets.astype(np.int32), vocabulary, classes)


def column(rows: np.ndarray, token: int) -> np.ndarray:
    """A column [N, 1] that holds the same token for each of the rows."""
    return np.full((len(rows), 1), token)


def draw_rows(sizes: list[int], samples: int | None, table_seed: int) -> np.ndarray:
    """All rows [N, T] whose entry t is one of 0 … sizes[t]-1, or some of them.

    Args:
      sizes: number of values of each entry [T].
      samples: number of distinct rows to draw; None: all rows.
      table_seed: seed of which rows are drawn.
    """
    if samples is None:
        return every_row(sizes)
    return draw_distinct(np.random.default_rng(table_seed), sizes, samples)


@make_dataset.register
def sequence(task: Sequence) -> Dataset:
    """Strings followed by their rearrangements."""
    x = draw_rows([task.symbols] * task.length, task.samples, task.table_seed)
    y = RULES[task.rule](x)
    return Dataset(
        inputs=np.concatenate([x, column(x, task.symbols), y[:, :-1]], axis=1).astype(np.int32),
        targets=np.ascontiguousarray(y, np.int32),
        vocabulary=task.symbols + 1,
        n_classes=task.symbols,
        answers=tuple(range(task.length, 2 * task.length)),
    )


def has_path(edges: np.ndarray, pairs: np.ndarray, nodes: int) -> np.ndarray:
    """Whether t can be reached from s [N].

    Args:
      edges: bits [N, n(n-1)] of the adjacency matrices, without diagonals.
      pairs: s and t [N, 2].
      nodes: n.
    """
    adjacent = np.zeros((len(edges), nodes, nodes), bool)
    adjacent[:, ~np.eye(nodes, dtype=bool)] = edges
    reached = np.eye(nodes, dtype=bool)[pairs[:, 0]]
    for _ in range(nodes - 1):
        reached = reached | (reached[:, :, None] & adjacent).any(axis=1)
    return reached[np.arange(len(edges)), pairs[:, 1]]


def _graph_rows(bits: np.ndarray, pair: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of edges, s and t, and whether each has a path.

    Args:
      bits: adjacency matrices without diagonals [N, n(n-1)].
      pair: number of the pair (s, t) among all ordered pairs with s ≠ t [N], in 0 … n(n-1)-1.
      nodes: n.
    """
    pairs = np.argwhere(~np.eye(nodes, dtype=bool))
    ends = pairs[pair]
    rows = np.concatenate([bits, ends], axis=1).astype(np.int32)
    return rows, has_path(bits, ends, nodes)


def _choose_balanced(truth: np.ndarray, samples: int) -> np.ndarray:
    """Indices of `samples` rows, half of them true as far as there are enough of either kind."""
    yes, no = np.flatnonzero(truth), np.flatnonzero(~truth)
    n_yes = max(min(samples // 2, len(yes)), samples - len(no))
    return np.concatenate([yes[:n_yes], no[: samples - n_yes]])


def _draw_graphs(task: Reachability, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows, half of them with a path, and whether each has one."""
    rng, n_pairs = np.random.default_rng(task.table_seed), task.nodes * (task.nodes - 1)
    if task.every <= FEW:
        listed = rng.permutation(every_row([2] * n_pairs + [n_pairs]))
        rows, truth = _graph_rows(listed[:, :-1], listed[:, -1], task.nodes)
    else:
        rows, truth = np.empty((0, n_pairs + 2), np.int32), np.empty(0, bool)
        while min(truth.sum(), (~truth).sum()) < (samples + 1) // 2:
            # The density of edges is random too: with a fixed one nearly all pairs of a large
            # graph are connected, or nearly none.
            edges = rng.random((samples, n_pairs)) < rng.random((samples, 1))
            pair = rng.integers(n_pairs, size=samples)
            more, more_truth = _graph_rows(edges, pair, task.nodes)
            rows, truth = np.concatenate([rows, more]), np.concatenate([truth, more_truth])
            last = {bytes(row): at for at, row in enumerate(rows)}
            unique = list(last.values())
            rows, truth = rows[unique], truth[unique]
    chosen = rng.permutation(_choose_balanced(truth, samples))
    return rows[chosen], truth[chosen]


@make_dataset.register
def reachability(task: Reachability) -> Dataset:
    """Graphs with two of their nodes, and whether a path leads from one to the other."""
    n_pairs = task.nodes * (task.nodes - 1)
    if task.samples is None:
        listed = every_row([2] * n_pairs + [n_pairs])
        rows, truth = _graph_rows(listed[:, :-1], listed[:, -1], task.nodes)
    else:
        rows, truth = _draw_graphs(task, task.samples)
    nodes = 2 + rows[:, n_pairs:]  # after the tokens of the bits
    equals = column(rows, 2 + task.nodes)
    inputs = np.concatenate([rows[:, :n_pairs], nodes, equals], axis=1)
    return token_table(inputs, truth, vocabulary=3 + task.nodes, classes=2)


EFFECTS: dict[str, Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "a+=b": lambda a, b: (a + b, b),
    "b+=a": lambda a, b: (a, b + a),
    "a-=b": lambda a, b: (a - b, b),
    "b-=a": lambda a, b: (a, b - a),
    "a*=b": lambda a, b: (a * b, b),
    "swap": lambda a, b: (b, a),
    "a+=1": lambda a, b: (a + 1, b),
    "b+=1": lambda a, b: (a, b + 1),
}


def execute(a: np.ndarray, b: np.ndarray, programs: np.ndarray, modulus: int) -> np.ndarray:
    """Register a [N] at the end of programs.

    Args:
      a: register a at the start [N].
      b: register b at the start [N].
      programs: numbers of the instructions, in order [N, instructions].
      modulus: registers are taken modulo this number.
    """
    for step in programs.T:
        outcomes = np.array([EFFECTS[name](a, b) for name in INSTRUCTIONS])
        a, b = outcomes[step, :, np.arange(len(step))].T % modulus
    return a


@make_dataset.register
def program(task: RegisterProgram) -> Dataset:
    """Programs, with what is in register a at their end."""
    sizes = [task.modulus] * 2 + [len(INSTRUCTIONS)] * task.instructions
    rows = draw_rows(sizes, task.samples, task.table_seed)
    registers, programs = rows[:, :2], rows[:, 2:]
    equals = task.modulus + len(INSTRUCTIONS)
    inputs = np.concatenate([registers, task.modulus + programs, column(rows, equals)], axis=1)
    targets = execute(rows[:, 0], rows[:, 1], programs, task.modulus)
    return token_table(inputs, targets, vocabulary=equals + 1, classes=task.modulus)


def facts(task: TwoHop) -> tuple[np.ndarray, np.ndarray]:
    """The facts of a random graph, in two arrays [entities, edges].

    Returns:
      The relations that each entity has a fact for, in order, and the targets of these facts.
    """
    rng = np.random.default_rng(task.table_seed)
    shuffled = rng.permuted(np.tile(np.arange(task.relations), (task.entities, 1)), axis=1)
    relations = np.sort(shuffled[:, : task.edges], axis=1)
    # Drawn from one entity less and moved up past the entity itself, which is never its own target.
    other = rng.integers(task.entities - 1, size=relations.shape)
    return relations, other + (other >= np.arange(task.entities)[:, None])


@make_dataset.register
def two_hop(task: TwoHop) -> Dataset:
    """The facts, then every fact followed by every fact about its target."""
    relations, targets = facts(task)
    entity = np.repeat(np.arange(task.entities), task.edges)
    first, bridge = relations.ravel(), targets.ravel()
    padding = task.entities + task.relations
    single = np.stack([entity, first + task.entities, np.full_like(entity, padding)], axis=1)
    double = np.repeat(single, task.edges, axis=0)
    double[:, 2] = task.entities + relations[bridge].ravel()
    rows = np.concatenate([single, double])
    inputs = np.concatenate([rows, column(rows, padding + 1)], axis=1)
    answers = np.concatenate([bridge, targets[bridge].ravel()])
    return token_table(inputs, answers, vocabulary=padding + 2, classes=task.entities)
