"""Would a refined sweep have found the boundary of the dense map, whatever its settings?

Question:     read off the dense tables of wd_vs_frac what refined sweeps would have trained: how
              often does their boundary stay inside the dense one's band, and what do runs
              drawn at random from the same lattice do?
Command:      python results/recorded/replay/make.py   (under a minute)
Result:       replay.csv beside this file, a row a replay.
"""

import itertools
from pathlib import Path

import grokjax
import numpy as np
import pandas as pd
from grokjax.analysis import onset
from grokjax.analysis.boundary import boundary
from grokjax.analysis.refine import choose, lattice

AXES = {"weight_decay": [0.1, 0.25, 0.63, 1.6, 4.0], "train_fraction": [0.3, 0.4, 0.5, 0.6, 0.7]}
SEEDS = range(5)
HERE = Path(__file__).parent


def coarse(dense: pd.DataFrame, seeds: int) -> pd.DataFrame:
    """The runs of the grid that is refined."""
    chosen = dense["seed"] < seeds
    for name, levels in AXES.items():
        chosen &= dense[name].isin(levels)
    return dense[chosen]


def refined(dense: pd.DataFrame, seeds: int, runs: int, rounds: int) -> pd.DataFrame:
    """What a refined sweep of so many runs in all would have trained."""
    have = coarse(dense, seeds)
    cells = itertools.product(*(lattice(levels, 1) for levels in AXES.values()))
    candidates = pd.DataFrame(cells, columns=list(AXES))
    for left in range(rounds, 0, -1):
        n = -(-(runs - len(have)) // left)
        chosen = choose(boundary(have), candidates, have, n, SEEDS)
        have = pd.concat([have, dense.merge(chosen, on=[*AXES, "seed"])], ignore_index=True)
    return have


def main() -> pd.DataFrame:
    """Every setting, and 12 draws at random of 90 runs beside the grid."""
    dense = onset.table(grokjax.load(HERE.parent / "wd_vs_frac"))
    whole = boundary(dense)
    rows = []

    def compare(have: pd.DataFrame, **setting: object) -> None:
        part = boundary(have)
        points = part.curve()
        log_odds, half = whole.surface(points["weight_decay"], points["train_fraction"])
        misplaced = (part.fine_surface[0] >= 0) != (whole.fine_surface[0] >= 0)
        far = np.abs(log_odds) / half
        rows.append({
            **setting, "total": len(have), "inside": (far <= 1).mean(), "furthest": far.max(),
            "misplaced": misplaced.mean(), "band": part.band_width(),
        })

    for seeds, runs, rounds in itertools.product(
        (1, 2), (110, 120, 130, 135, 138, 140, 141), (3, 4, 6)
    ):
        compare(refined(dense, seeds, runs, rounds), chosen="refined", seeds=seeds, rounds=rounds)
    grid = coarse(dense, 2)
    rest = dense[~dense["run_id"].isin(grid["run_id"])]
    for i in range(12):
        compare(pd.concat([grid, rest.sample(90, random_state=i)]), chosen="random", seeds=2, rounds=1)
    return pd.DataFrame(rows)


if __name__ == "__main__":
    table = main()
    table.round(4).to_csv(HERE / "replay.csv", index=False)
    wholly = table["inside"].eq(1).groupby(table["chosen"]).agg(["sum", "size"])
    print(wholly, table.groupby("chosen")[["furthest", "misplaced", "band"]].agg(["mean", "max"]))
