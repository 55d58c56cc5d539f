"""Principal components of a run's path through weight space, beside those of a random walk.

Legend: T snapshots, K components.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from grokjax.config import ConfigError

if TYPE_CHECKING:
    from grokjax.results.load import Results

FEWEST = 4
"""Snapshots below which components say nothing."""


@dataclasses.dataclass(frozen=True, eq=False)
class Trajectory:
    """A path through weight space, along its principal components."""

    run_id: str
    steps: np.ndarray  # [T]
    coordinates: np.ndarray  # [T, K], centred
    shares: np.ndarray  # [K], of the variance
    null_shares: np.ndarray  # [K], of a walk of the same step lengths in random directions

    def table(self) -> pd.DataFrame:
        """`component`, its `share` of the variance, and the `null_share` of a random walk."""
        numbers = np.arange(1, len(self.shares) + 1)
        columns = {"component": numbers, "share": self.shares, "null_share": self.null_shares}
        return pd.DataFrame(columns)


def trajectory(
    results: Results, run_id: str, components: int = 5, role: str | None = None
) -> Trajectory:
    """The principal components of a run's snapshots.

    The first component of an isotropic random walk already has 6/π² = 61 % of the variance, so a
    large share is no finding: compare with `null_shares`. Snapshots that are evenly spaced in the
    logarithm give other shares than even ones, in both.

    Args:
      results: with snapshots.
      run_id: which run.
      components: number K of components.
      role: beginning of the names of the parameters to take, such as `attention_0`; None: all.

    Raises:
      ConfigError: the run has fewer than four snapshots, or no such parameters.
    """
    steps = np.sort(results.snapshots.loc[results.snapshots["run_id"] == run_id, "step"].to_numpy())
    if len(steps) < FEWEST:
        raise ConfigError(
            f"run_id={run_id!r}: it has {len(steps)} snapshots, a path needs {FEWEST} or more; "
            "train with snapshots=SnapshotSchedule(log_spaced=30)."
        )
    gram = _gram(results, run_id, steps, role)
    values, vectors = _components(gram)
    _, lengths = _steps(gram)
    null, _ = _components(random_walk(lengths))
    k = min(components, len(steps) - 1)
    coordinates = vectors[:, :k] * np.sqrt(values[:k])[None]
    return Trajectory(run_id, steps, coordinates, values[:k] / values.sum(), null[:k] / null.sum())


def random_walk(lengths: np.ndarray) -> np.ndarray:
    """The Gram matrix `[T, T]` of a walk whose T − 1 steps have these lengths.

    In random directions of many dimensions steps are orthogonal, so that positions s and t have the
    inner product of the squared lengths up to the earlier one.
    """
    travelled = np.concatenate([[0.0], np.cumsum(np.square(lengths))])
    return np.minimum(travelled[:, None], travelled[None])


def _gram(results: Results, run_id: str, steps: np.ndarray, role: str | None) -> np.ndarray:
    """Inner products of the snapshots' parameters, an array at a time."""
    from grokjax.results import snapshots

    files = [results.find_snapshot(run_id, int(step)) for step in steps]
    every = [snapshots.read(file) for file in files]
    names = [name for name in every[0] if name.startswith(f"params/{role or ''}")]
    if not names:
        raise ConfigError(f"role={role!r}: no parameter's name begins so, see Network.parameters.")
    gram = np.zeros((len(steps), len(steps)))
    for name in names:
        rows = np.stack([arrays[name].reshape(-1) for arrays in every]).astype(float)
        rows -= rows[0]  # distances from the start, before numbers are squared
        gram += rows @ rows.T
    return gram


def _components(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, the largest first, and vectors of a Gram matrix after centring."""
    centre = np.eye(len(gram)) - 1 / len(gram)
    values, vectors = np.linalg.eigh(centre @ gram @ centre)
    return np.maximum(values[::-1], 0), vectors[:, ::-1]


def _steps(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances from the start, and lengths of the steps between snapshots."""
    squares = np.diag(gram)
    between = squares[1:] + squares[:-1] - 2 * np.diag(gram, 1)
    return squares, np.sqrt(np.maximum(between, 0))
