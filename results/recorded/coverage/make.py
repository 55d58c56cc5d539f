"""How often do 95 % intervals hold the truth, and what does dropping censored runs do?

Question:     on synthetic sweeps with a known boundary, exponent, median and zone, and with
              censoring, do the intervals of `grokjax.phase` cover the truth in 95 % of
              repetitions? How biased is the exponent when censored runs are left out?
Command:      python results/recorded/coverage/make.py   (about ten minutes on one core)
Result:       coverage.csv beside this file, a row a quantity.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from grokjax.analysis import cells, laws, synthetic
from grokjax.analysis.boundary import boundary
from grokjax.analysis.zone import goldilocks

REPETITIONS = 400
DECAYS = np.geomspace(0.1, 4.0, 9)
FRACTIONS = np.linspace(0.3, 0.7, 9)
PLACES = {"corner": 0.25, "middle": 0.7, "far": 2.0}


def repetition(seed: int, truth: synthetic.Truth, seeds: int) -> dict[str, float]:
    """Whether each interval held the truth (1 or 0), and estimates beside it."""
    rng = np.random.default_rng([seed, seeds])
    runs = synthetic.runs(rng, truth, DECAYS, FRACTIONS, seeds)
    found: dict[str, float] = {}
    fitted = boundary(runs)
    for name, decay in PLACES.items():
        found[f"boundary, {name}"] = fitted.inside_band(decay, truth.boundary(decay)).item()
    law = laws.fit(runs, "weight_decay", within=["train_fraction"])
    b = law.parameters.loc["b"]
    found["exponent"] = b["low"] <= truth.exponent <= b["high"]
    found["value: exponent"] = b["value"]
    dropped = laws.fit(runs[runs["t_grok"].notna()], "weight_decay", within=["train_fraction"])
    b = dropped.parameters.loc["b"]
    found["exponent, censored runs dropped"] = b["low"] <= truth.exponent <= b["high"]
    found["value: exponent, censored runs dropped"] = b["value"]
    cell = cells.cells(synthetic.runs(rng, truth, np.array([0.4]), np.array([0.5]), 40),
                       ["weight_decay", "train_fraction"]).iloc[0]
    median = truth.median(0.4, 0.5)
    high = np.inf if np.isnan(cell["high"]) else cell["high"]
    found["median of 40 runs"] = cell["low"] <= median <= high
    zone = goldilocks(runs).table.set_index("quantity").loc["area"]
    area = truth.area(DECAYS[0], DECAYS[-1], FRACTIONS[0], FRACTIONS[-1])
    found["area of the zone"] = zone["low"] <= area <= zone["high"]
    found["value: area of the zone"] = zone["value"] / area
    return found


def independent(seed: int, truth: synthetic.Truth, seeds: int) -> dict[str, float]:
    """The same for a band that takes runs for independent, on the same sweeps."""
    runs = synthetic.runs(np.random.default_rng([seed, seeds]), truth, DECAYS, FRACTIONS, seeds)
    fitted = boundary(runs, resamples=0)
    return {
        f"boundary, {name}, runs taken for independent": fitted.inside_band(
            decay, truth.boundary(decay)
        ).item()
        for name, decay in PLACES.items()
    }


def main(repetitions: int) -> pd.DataFrame:
    """All settings: a row a quantity and setting."""
    settings = {
        "independent runs, 5 seeds": (synthetic.Truth(), 5),
        "independent runs, 10 seeds": (synthetic.Truth(), 10),
        "noise shared by a seed, 10 seeds": (synthetic.Truth(sigma=0.4, seed_sigma=0.3), 10),
    }
    rows = []
    for name, (truth, seeds) in settings.items():
        drawn = pd.DataFrame(
            [
                repetition(i, truth, seeds) | independent(i, truth, seeds)
                for i in range(repetitions)
            ]
        )
        covers = [column for column in drawn if not column.startswith("value: ")]
        for column in covers:
            share = drawn[column].astype(float).mean()
            values = drawn.get(f"value: {column}", pd.Series(dtype=float))
            rows.append({
                "setting": name, "quantity": column, "repetitions": len(drawn), "coverage": share,
                "error": np.sqrt(share * (1 - share) / len(drawn)), "mean value": values.mean(),
            })
    return pd.DataFrame(rows)


if __name__ == "__main__":
    table = main(int(sys.argv[1]) if len(sys.argv) > 1 else REPETITIONS)
    print(table.round(4).to_string())
    if len(sys.argv) == 1:
        table.round(4).to_csv(Path(__file__).with_name("coverage.csv"), index=False)
