"""Which activations of a task's rows are the same, worked out on the host. NumPy only.

Before the first attention an activation depends on its token and position alone. After
it, under a causal mask, it depends on the tokens up to its position, and without one on
the whole row. Activations that depend on the same thing are one *node*. Where a position
has few nodes the network computes each once, in a table that rows look up; where it has
about as many as there are rows, it is computed row by row. What nobody reads is left out.

Legend: N rows of the table, T positions, M nodes, S shared and R own positions, Q asked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

SHARING_PAYS = 0.5
"""A position is shared if it has at most this many nodes for each row evaluated."""


@dataclasses.dataclass(frozen=True, eq=False)
class Level:
    """The inputs of one layer, or what the readout sees."""

    shared: tuple[int, ...]
    """Positions [S] whose nodes stand in the table, one position after another."""
    own: tuple[int, ...]
    """The other positions [R], computed row by row."""
    counts: tuple[int, ...]
    """Nodes [S] of each shared position."""
    index: np.ndarray  # [N, S] int32, the node that a row has at a shared position
    position: np.ndarray  # [M] int32
    example: np.ndarray  # [M] int32, a row that has the node

    def spans(self, columns: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """First node and number of nodes of some of the shared positions."""
        starts = np.cumsum((0, *self.counts)).tolist()
        return tuple((starts[column], self.counts[column]) for column in columns)


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
    """The inputs of every layer, and last what the readout sees."""

    inputs: np.ndarray  # tokens [N, T] int32, or features [N, F]
    levels: tuple[Level, ...]
    """None for an MLP, whose hidden layers see whole rows."""


def layout_by_rows(tokens: np.ndarray, layers: int, readout: Sequence[int]) -> Layout:
    """Every position of every row for itself: the layout in which nothing repeats."""
    every = range(tokens.shape[1])
    wanted = [*[every] * layers, readout]
    return Layout(tokens, tuple(_level(tokens, positions, {}, ()) for positions in wanted))


def layout_by_nodes(
    tokens: np.ndarray, layers: int, readout: Sequence[int], causal: bool, rows: int
) -> Layout:
    """Each node once, where that pays.

    Args:
      tokens: the whole table `[N, T]`.
      layers: of the network.
      readout: positions that the logits are read from.
      causal: whether attention sees no later positions.
      rows: how many rows are evaluated at a time.
    """
    levels: list[Level] = []
    for depth in range(layers + 1):
        positions = range(tokens.shape[1]) if depth < layers else readout
        nodes = {}
        for position in positions:
            seen = tokens[:, [position]]
            if depth:
                seen = tokens[:, : position + 1] if causal else tokens
            _, example, index = np.unique(seen, axis=0, return_index=True, return_inverse=True)
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
    """The level with these positions, those in `nodes` (examples, index of rows) shared."""
    counts = tuple(len(example) for example, _ in nodes.values())
    starts = np.cumsum((0, *counts))
    index = np.zeros((len(tokens), len(nodes)), np.int32)
    for column, (_, of_row) in enumerate(nodes.values()):
        index[:, column] = starts[column] + of_row
    examples = [np.zeros(0, np.int32), *(example for example, _ in nodes.values())]
    return Level(
        shared=tuple(nodes),
        # Those that become own here stand before those that were, as the network reads them.
        own=tuple(sorted((p for p in positions if p not in nodes), key=lambda p: p in own_before)),
        counts=counts,
        index=index,
        position=np.repeat(np.array(list(nodes), np.int32), counts),
        example=np.concatenate(examples).astype(np.int32),
    )
