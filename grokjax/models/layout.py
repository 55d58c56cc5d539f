"""Which activations of a task's rows are the same, worked out on the host with NumPy.

A table such as `a b =` repeats itself: 97² rows have 97 different first tokens, and under a causal
mask the activations at the first position can be no more different than that. Before the first
attention an activation depends on its token and position alone. After it, under a causal mask, it
depends on the tokens up to its position, and without one on the whole row. All activations of a
level that depend on the same tokens are one *node*. Where a position has few nodes it is *shared*:
the network computes each node once, in a table that rows look up. Where it has about as many nodes
as there are rows, each row computes the position as its *own*. Positions that nothing later reads
are left out.

Legend: N rows of the table, T positions, M nodes, S shared and R own positions of a level.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

SHARING_PAYS = 0.5
"""Largest number of nodes for each row evaluated at which a position is shared."""


@dataclasses.dataclass(frozen=True, eq=False)
class Level:
    """The residual stream between two layers: the inputs of one, or those of the readout."""

    shared: tuple[int, ...]
    """Positions [S] whose nodes are computed once, in the table one position after another."""
    own: tuple[int, ...]
    """The other positions [R], computed row by row, in the order that rows hold them."""
    counts: tuple[int, ...]
    """Number of nodes [S] of each shared position."""
    index: np.ndarray  # [N, S] int32, the node of each row at each shared position
    position: np.ndarray  # [M] int32, the position of each node
    example: np.ndarray  # [M] int32, a row that has the node: any will do

    def spans(self, columns: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """First node and number of nodes of some of the shared positions."""
        starts = np.cumsum((0, *self.counts)).tolist()
        return tuple((starts[column], self.counts[column]) for column in columns)


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
    """The levels of a network on one table: one before each layer, and one for the readout."""

    inputs: np.ndarray  # tokens [N, T] int32, or features [N, I]
    levels: tuple[Level, ...]
    """Empty for an MLP, whose hidden layers see whole rows."""


def layout_by_rows(tokens: np.ndarray, layers: int, readout: Sequence[int]) -> Layout:
    """The layout that shares nothing: every row computes all its positions itself.

    Args:
      tokens: the whole table `[N, T]`.
      layers: number of attention layers.
      readout: positions that the logits are read from.
    """
    every = range(tokens.shape[1])
    wanted = [*[every] * layers, readout]
    return Layout(tokens, tuple(_level(tokens, positions, {}, ()) for positions in wanted))


def layout_by_nodes(
    tokens: np.ndarray, layers: int, readout: Sequence[int], causal: bool, rows: int
) -> Layout:
    """The layout that computes each node once, at positions where that pays.

    Args:
      tokens: the whole table `[N, T]`.
      layers: number of attention layers.
      readout: positions that the logits are read from.
      causal: whether attention sees no later positions.
      rows: number of rows that are evaluated at a time; 0 shares nothing.
    """
    levels: list[Level] = []
    for depth in range(layers + 1):
        # The readout sees some positions only, so the last layer computes no others.
        positions = range(tokens.shape[1]) if depth < layers else readout
        nodes = {}
        for position in positions:
            # The tokens that the activation depends on; equal ones make a node.
            context = tokens[:, [position]]
            if depth:
                context = tokens[:, : position + 1] if causal else tokens
            _, example, index = np.unique(context, axis=0, return_index=True, return_inverse=True)
            if len(example) <= SHARING_PAYS * rows:
                nodes[position] = example, index.reshape(-1)
        levels.append(_level(tokens, positions, nodes, levels[-1].own if levels else ()))
    return Layout(tokens, tuple(levels))


def _level(
    tokens: np.ndarray,
    positions: Sequence[int],
    nodes: dict[int, tuple[np.ndarray, np.ndarray]],
    own_before: tuple[int, ...],
) -> Level:
    """A level of a layout.

    Args:
      tokens: the whole table `[N, T]`.
      positions: that the level has.
      nodes: shared position → a row for each of its nodes, and the node of each row `[N]`.
      own_before: positions that rows computed themselves at the level before.
    """
    counts = tuple(len(example) for example, _ in nodes.values())
    starts = np.cumsum((0, *counts))
    index = np.zeros((len(tokens), len(nodes)), np.int32)
    for column, (_, node_of_row) in enumerate(nodes.values()):
        index[:, column] = starts[column] + node_of_row
    examples = [np.zeros(0, np.int32), *(example for example, _ in nodes.values())]
    return Level(
        shared=tuple(nodes),
        # A row reads the inputs of its own positions from the level before: first those that it
        # looks up there, then those that it computed itself (`Places.read`). Own positions stand in
        # that order, those that were shared before first, so that the q-th input is read for the
        # q-th own position and nothing has to be permuted.
        own=tuple(sorted((p for p in positions if p not in nodes), key=lambda p: p in own_before)),
        counts=counts,
        index=index,
        position=np.repeat(np.array(list(nodes), np.int32), counts),
        example=np.concatenate(examples).astype(np.int32),
    )
