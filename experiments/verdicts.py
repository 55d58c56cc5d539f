"""What five or more seeds say about popular claims on what happens inside of a network that groks.

Question:     do progress measures move before the test accuracy? Do norm and rank fall through the
              transition? Does the Hessian have two clusters? Are ablations diffuse before and
              specific after? Can the transition be foretold, among runs of equal hyperparameters?
Command:      python experiments/verdicts.py results/measures_map
Cost:         a quarter of a minute; the measures themselves see measures_map.py. Hessian,
              ablations and commutator need
              python -m grokjax.measure results/measures_map --steps t_mem t_grok end \
                  --instruments hessian:density=2,order=16,probes=8 ablations commutator:pairs=5
Expectation:  structure moves first; the other claims hold to a degree that is printed.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

import grokjax
from grokjax.analysis import forecast, progress, understood

LEADING = (
    "fourier.circulant",
    "fourier.neurons.share",
    "fourier.embedding.gini",
    "fourier.excluded",
    "spectra.readout.effective",
    "clock_or_pizza.circularity",
    "probes.readout",
    "norms.all.norm",
    "trajectory.all.cosine",
)
THROUGH = ("norms.all.norm", "spectra.readout.effective", "spectra.embedding.effective")
STEP = 400
"""Update at which the forecast is asked for."""


def share(flags: pd.Series, seeds: pd.Series) -> str:
    """A share of runs with a 95 % interval over seeds (normal, of the seeds' shares)."""
    by_seed = flags.astype(float).groupby(seeds).mean()
    half = 1.96 * by_seed.std() / np.sqrt(len(by_seed))
    return f"{flags.mean():.2f} ± {half:.2f} of {len(flags)} runs"


def at(wide: pd.DataFrame, steps: pd.Series, column: str) -> pd.Series:
    """A measure of each run at a step, the last known one before it."""
    known = wide[["run_id", "step", column]].dropna()
    known = known.merge(steps.rename("until"), left_on="run_id", right_index=True)
    known = known[known["step"] <= known["until"].astype(float)]
    return known.sort_values("step").groupby("run_id")[column].last()


def leads(runs: pd.DataFrame, wide: pd.DataFrame, curves: pd.DataFrame) -> None:
    """Which measures are halfway before the test accuracy is."""
    print("halfway from step 0 to the end before the test accuracy is halfway:")
    accuracy = progress.moved(curves[["run_id", "step", "test_accuracy"]], ["test_accuracy"])
    reference = accuracy.set_index("run_id")["step"]
    columns = [name for name in LEADING if name in wide]
    moved = progress.moved(wide, columns)
    for name, of_measure in moved.groupby("measure", sort=False):
        steps = of_measure.set_index("run_id")["step"].dropna()
        both = runs.loc[steps.index.intersection(runs.index)].join(steps.rename("moved"))
        both = both.join(reference.rename("accuracy")).dropna(subset=["moved", "accuracy"])
        first = both["moved"] < both["accuracy"]
        ratio = (both["moved"] / both["accuracy"]).median()
        print(f"  {name:32} {share(first, both['seed'])}, median ratio of steps {ratio:.2f}")


def through(runs: pd.DataFrame, wide: pd.DataFrame) -> None:
    """Whether norm and ranks fall from the plateau to the end."""
    print("lower at the end than at t_mem, and at t_grok than at t_mem:")
    for name in (name for name in THROUGH if name in wide):
        values = {
            moment: at(wide, runs[column], name)
            for moment, column in (("t_mem", "t_mem"), ("t_grok", "t_grok"), ("end", "last_step"))
        }
        table = pd.DataFrame(values).dropna()
        seeds = runs["seed"].reindex(table.index)
        falls = [share(table[moment] < table["t_mem"], seeds) for moment in ("end", "t_grok")]
        ratio = (table["t_grok"] / table["t_mem"]).median()
        print(f"  {name:32} {falls[0]}; {falls[1]}; median t_grok / t_mem {ratio:.2f}")


def at_moments(runs: pd.DataFrame, wide: pd.DataFrame) -> None:
    """Hessian and ablations at t_mem, t_grok and the end."""
    columns = [
        name
        for name in (
            "hessian.top.1",
            "hessian.trace",
            "hessian.lowest",
            "hessian.preconditioned_over_threshold",
            "hessian.outliers",
            "hessian.gap",
            "commutator.median",
            "ablations.neurons.half_of_damage",
            "ablations.neurons.needed",
            "ablations.neurons.largest",
        )
        if name in wide
    ]
    print("medians over runs at step 0, t_mem, t_grok and the end:")
    for name in columns:
        told = []
        for column in (None, "t_mem", "t_grok", "last_step"):
            steps = runs[column] if column else runs["last_step"] * 0
            exact = wide.set_index(["run_id", "step"])[name].dropna()
            keys = [(run, int(step)) for run, step in steps.dropna().items()]
            told.append(exact.reindex(keys).median())
        print(f"  {name:40} " + "  ".join(f"{value:10.4g}" for value in told))


def foretold(runs: pd.DataFrame, wide: pd.DataFrame, curves: pd.DataFrame) -> None:
    """Concordance within cells, and calibration."""
    features = curves.merge(wide, on=["run_id", "step"], how="outer")
    scores = forecast.score(features, runs.reset_index(), STEP)
    survive = (scores["c_low"] > 0.5) | (scores["c_high"] < 0.5)
    print(
        f"at step {STEP}: {survive.sum()} of {len(scores)} features tell more than chance in cells"
    )
    apart = scores.assign(apart=(scores["c"] - 0.5).abs()).sort_values("apart", ascending=False)
    baselines = apart[apart["baseline"]] if "baseline" in apart else apart.head(0)
    for row in pd.concat([apart.head(8), baselines]).itertuples():
        print(
            f"  {row.feature:36} C {row.c:.2f} [{row.c_low:.2f}, {row.c_high:.2f}] in cells, "
            f"{row.pooled:.2f} over all"
        )
    chosen = ["train_loss", "weight_norm", *(name for name in LEADING[:3] if name in wide)]
    predicted = forecast.predict(features, runs.reset_index(), STEP, columns=chosen)
    covered = forecast.calibration(predicted).set_index("level")["covered"]
    print(f"  predicted 50 and 90 % intervals hold {covered[0.5]:.0%} and {covered[0.9]:.0%}")


def told_apart(results: grokjax.Results, wide: pd.DataFrame, curves: pd.DataFrame) -> None:
    """Memorised or understood, at equal training accuracy, on held-out seeds."""
    features = curves.merge(wide, on=["run_id", "step"], how="outer")
    table = understood.compare(features, results.runs)
    print("memorised or understood at the end, balanced accuracy on held-out seeds:")
    best = table.sort_values("balanced_accuracy", ascending=False).head(8)
    for row in best.itertuples():
        print(
            f"  {row.measure:36} {row.balanced_accuracy:.2f}, AUROC {row.auroc:.2f}, d {row.d:.1f}"
        )


def main(path: str) -> None:
    """Print the verdicts of a sweep with measures."""
    results = grokjax.load(path)
    wide, curves = results.measures_wide(), results.curves
    runs = results.runs.set_index("run_id")
    real = runs[runs["label_noise"] == 0] if "label_noise" in runs else runs
    grokked = real[real["t_grok"].notna() & real["t_mem"].notna()]
    print(f"{len(real)} runs on true labels, {len(grokked)} grokked")
    mine = wide[wide["run_id"].isin(grokked.index)]
    leads(grokked, mine, curves[curves["run_id"].isin(grokked.index)])
    through(grokked, mine)
    at_moments(grokked, mine)
    of_real = curves[curves["run_id"].isin(real.index)]
    foretold(real, wide[wide["run_id"].isin(real.index)], of_real)
    told_apart(results, wide, curves)


if __name__ == "__main__":
    main(*sys.argv[1:2] or ("results/measures_map",))
