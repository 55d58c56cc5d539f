"""What measures say over a run: its three phases, its spectrum, and when each measure moved.

Wide measures are those of `Results.measures_wide`, joined with nothing.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from grokjax.config import ConfigError

if TYPE_CHECKING:
    from grokjax.results.load import Results


@dataclasses.dataclass(frozen=True)
class PhaseRule:
    """Where the phases of Nanda et al. 2023 (arXiv 2301.05217) end."""

    below_peak: float = 0.9
    """Share of its highest value below which the test loss falls for good when cleanup begins."""
    halfway: float = 0.5
    """Share of a measure's way from its null to its last value at which it counts as moved."""


def phases(
    curve: pd.DataFrame, t_mem: float | None, t_grok: float | None, rule: PhaseRule = PhaseRule()
) -> pd.DataFrame:
    """The phases of a run: memorisation, circuit formation, cleanup.

    Memorisation lasts until t_mem; cleanup begins when the test loss falls below a share of its
    highest value for good, and ends at t_grok; circuit formation is between the two.

    Args:
      curve: of the run: `step`, `test_loss`.
      t_mem: step at which it memorised; None or NaN: it has not.
      t_grok: step at which it grokked; None or NaN: it has not, and there is no cleanup.
      rule: where phases end.

    Returns:
      `phase`, `start` and `end` in updates, of the phases that the run had.
    """
    if t_mem is None or pd.isna(t_mem):
        return pd.DataFrame(columns=["phase", "start", "end"])
    step, loss = curve["step"].to_numpy(), curve["test_loss"].to_numpy()
    last = float(step[-1])
    rows = [("memorisation", 0.0, float(t_mem))]
    if t_grok is None or pd.isna(t_grok):
        rows.append(("circuit formation", float(t_mem), last))
        return pd.DataFrame(rows, columns=["phase", "start", "end"])
    before = step <= t_grok
    high = np.flatnonzero(loss[before] >= rule.below_peak * np.nanmax(loss[before]))
    begins = max(float(step[high[-1]]), float(t_mem))
    rows.append(("circuit formation", float(t_mem), begins))
    rows.append(("cleanup", begins, float(t_grok)))
    return pd.DataFrame(rows, columns=["phase", "start", "end"])


def moved(wide: pd.DataFrame, columns: list[str], rule: PhaseRule = PhaseRule()) -> pd.DataFrame:
    """When each measure of each run is halfway from its null, step 0, to its last value.

    Args:
      wide: wide measures of any number of runs.
      columns: the measures.
      rule: what halfway is.

    Returns:
      `run_id`, `measure`, `start` and `end` values, and `step`: the first at which it is halfway
      and stays there; NaN where there is no step 0.
    """
    rows = []
    for run_id, of_run in wide.sort_values("step").groupby("run_id", sort=False):
        for name in columns:
            known = of_run[["step", name]].dropna()
            if len(known) < 2 or known["step"].iloc[0] != 0:
                continue
            values, steps = known[name].to_numpy(), known["step"].to_numpy()
            way = values[-1] - values[0]
            done = (values - values[0]) / way if way else np.zeros(len(values))
            behind = np.flatnonzero(done < rule.halfway)
            at = behind[-1] + 1 if len(behind) else 0
            step = float(steps[at]) if way and at < len(steps) else np.nan
            rows.append((run_id, name, values[0], values[-1], step))
    return pd.DataFrame(rows, columns=["run_id", "measure", "start", "end", "step"])


def embedding_spectrum(results: Results, run_id: str) -> pd.DataFrame:
    """The norm of every frequency of the token embedding at the run's snapshots.

    Args:
      results: with snapshots.
      run_id: which run, of a task on residues.

    Returns:
      `step`, `frequency` and `norm`.

    Raises:
      ConfigError: there is no embedding of residues.
    """
    row: Any = results.runs.set_index("run_id").loc[run_id]
    steps = results.snapshots.loc[results.snapshots["run_id"] == run_id, "step"]
    modulus: Any = row.get("p")
    found = []
    for step in sorted(steps):
        embed = results.snapshot(run_id, int(step)).get("embed")
        if embed is None or isinstance(embed, dict) or pd.isna(modulus):
            raise ConfigError(
                f"run_id={run_id!r}: its network has no embedding of residues, choose a "
                "transformer on modular arithmetic."
            )
        waves = np.fft.rfft(np.asarray(embed, float)[: int(modulus)], axis=0)[1:]
        norms = np.sqrt((np.abs(waves) ** 2).sum(axis=1) * 2 / int(modulus))
        frequencies = np.arange(1, len(norms) + 1)
        found.append(pd.DataFrame({"step": step, "frequency": frequencies, "norm": norms}))
    if not found:
        raise ConfigError(f"run_id={run_id!r}: no snapshots of it were kept.")
    return pd.concat(found, ignore_index=True)
