"""The zone over weight decay, train fraction and learning rate, as a surface with its band.

Question:     how does the boundary of the Goldilocks zone move with the learning rate, and with
              the budget?
Command:      python experiments/zone_surface.py [TABLE] [FILE]
Cost:         ten seconds; it reads the table of the atlas's claim `zone_over_rates`, whose runs
              that claim's own command trains.
Expectation:  `results/zone_surface.pdf`: a panel for each learning rate, with the share of runs in
              each cell that grok by 2,000 updates, where a logistic model over all three says that
              half of them do by 1,000 and by 2,000, and 95 % bands over seeds; and both edges at
              65 % of the table against the rate, whose exponents it prints: near -1 to -1.4 for
              the lower edge, and -0.2 to -0.3 for the upper one.

The model is the claim's: quadratic in the logarithms of decay and rate and in the fraction. One
fit over all rates lets each rate's cells inform the others, and gives the surface in between.
"""

import runpy
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats

from grokjax.analysis import boundary, logistic
from grokjax.atlas import table
from grokjax.figures import style

claim = runpy.run_path(str(Path(__file__).parent / "atlas" / "zone_over_rates.py"))
features, rates, budget = (claim[name] for name in ("features", "RATES", "BUDGET"))
COLOURS = {budget // 2: style.TEST, budget: style.TRAIN}
MARKS = {"lower": ("o", "-"), "upper": ("s", "--")}
DARK = mpl.colormaps[style.PROBABILITY_MAP](1.0)
SHOWN = (0.08, 12.0)
"""Of decay × rate / 0.01."""
AT = 0.65
"""Share of the table where edges are read off: by 1,000 updates each rate has a zone there."""


class Surface:
    """Where half of the runs grok by a budget, with what seeds say of it."""

    def __init__(self, runs, budget):
        grokked = (runs["t_grok"].astype(float) <= budget).to_numpy(float)
        axes = ["weight_decay", "train_fraction", "learning_rate"]
        cells = runs[axes].drop_duplicates(ignore_index=True)
        into = boundary.cell_indicators(runs, cells, axes)
        given = features(*(cells[axis] for axis in axes))
        self.fit = logistic.fit(given, grokked @ into, np.ones(len(runs)) @ into)
        weights, self.degrees = boundary.seed_weights(runs, 300)
        draws = logistic.fit(given, (weights * grokked) @ into, weights @ into).coefficients
        sizes = np.linalg.norm(draws, axis=1, keepdims=True)
        self.draws = draws * np.linalg.norm(self.fit.coefficients) / sizes

    def certainty(self, decay, fraction, rate):
        """The logit over its standard error, in units of the 97.5 % quantile: 0 on the boundary."""
        x = features(decay, fraction, rate)
        error = (x @ self.draws.T).std(axis=-1) * stats.t.ppf(0.975, self.degrees)
        return x @ self.fit.coefficients / error

    def edges(self, coefficients):
        """Lowest and highest decay inside at `AT`, `[B, rates]` each; NaN where none is."""
        lowest, highest = [], []
        for rate in rates:
            decay = np.geomspace(*SHOWN, 600) * 1e-2 / rate
            inside = features(decay, np.full(600, AT), np.full(600, rate)) @ coefficients.T >= 0
            there = inside.any(axis=0)
            lowest.append(np.where(there, decay[inside.argmax(axis=0)], np.nan))
            highest.append(np.where(there, decay[::-1][inside[::-1].argmax(axis=0)], np.nan))
        return np.stack(lowest, axis=-1), np.stack(highest, axis=-1)


def exponent(edges):
    """Slope of log edge over log rate, `[B]`."""
    x = np.log(rates) - np.log(rates).mean()
    return (np.log(edges) * x).sum(axis=-1) / (x**2).sum()


def panel(ax, runs, rate, surfaces):
    """Cells of a rate as discs filled by their share, and where the surfaces cut it."""
    mine = runs[runs["learning_rate"] == rate]
    cells = mine.assign(grokked=mine["t_grok"].notna()).groupby(["weight_decay", "train_fraction"])
    shares = cells["grokked"].agg(["mean", "size"]).reset_index()
    at = (shares["weight_decay"], shares["train_fraction"])
    ax.scatter(
        *at, s=8 + 5 * shares["size"], c=shares["mean"],
        cmap=style.PROBABILITY_MAP, vmin=0, vmax=1, edgecolors="0.3", linewidths=0.5, zorder=3,
    )  # fmt: skip
    decay, fraction = np.meshgrid(
        np.geomspace(*SHOWN, 160) * 1e-2 / rate, np.linspace(0.36, 0.74, 120)
    )
    for by, surface in surfaces.items():
        level = surface.certainty(decay, fraction, np.full(decay.shape, rate))
        ax.contourf(decay, fraction, level, [-1, 1], colors=[COLOURS[by]], alpha=0.18)
        ax.contour(decay, fraction, level, [0], colors=[COLOURS[by]], linewidths=1.3)
    ax.set(xscale="log", title=f"learning rate {rate:g}", ylim=(0.36, 0.74))


def summarised(ax, surfaces):
    """Both edges against the rate, with 95 % of the resamples; the exponents are printed."""
    for by, surface in surfaces.items():
        found = surface.edges(surface.fit.coefficients[None])
        resampled = surface.edges(surface.draws)
        for (name, (mark, dash)), edge, drawn in zip(MARKS.items(), found, resampled, strict=True):
            low, high = np.nanpercentile(drawn, [2.5, 97.5], axis=0)
            at = np.array(rates) * (1.04 if by == budget else 0.96)
            error = np.maximum(0, [edge[0] - low, high - edge[0]])
            ax.errorbar(
                at, edge[0], error, color=COLOURS[by], marker=mark, ls=dash, ms=3.5, lw=1,
                elinewidth=0.7,
            )  # fmt: skip
            slopes = exponent(drawn)
            known = np.isfinite(slopes)
            low, high = np.percentile(slopes[known], [2.5, 97.5])
            print(
                f"{name} edge at {100 * AT:.0f} % by {by:,} updates: decay "
                f"{', '.join(f'{v:.2g}' for v in edge[0])} at rates {', '.join(map(str, rates))}; "
                f"∝ rate^{exponent(edge)[0]:.2f} [{low:.2f}, {high:.2f}] "
                f"({known.mean():.0%} of the resamples have an edge at every rate)"
            )
    ax.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="weight decay")
    ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
    ax.minorticks_off()
    ax.set_title(f"edges at {100 * AT:.0f} % of the table")


def main(source, path):
    runs = table.read(Path(source))
    surfaces = {by: Surface(runs, by) for by in COLOURS}
    with style.paper():
        figure = Figure(figsize=(style.PAGE, 4.2), layout="constrained")
        axes = figure.subplots(2, 3)
        places = [axes[0, 0], axes[0, 1], axes[1, 0], axes[1, 1]]
        for ax, rate in zip(places, rates, strict=True):
            panel(ax, runs, rate, surfaces)
        for ax in axes[:, 0]:
            ax.set_ylabel("train fraction")
        for ax in axes[1, :2]:
            ax.set_xlabel("weight decay")
        summarised(axes[0, 2], surfaces)
        axes[1, 2].axis("off")
        lines = [Line2D([], [], color=COLOURS[by], label=f"by {by:,} updates") for by in COLOURS]
        marks = [
            Line2D([], [], color="0.3", marker=mark, ls=dash, ms=4, label=f"{name} edge")
            for name, (mark, dash) in MARKS.items()
        ]
        shares = [
            Line2D([], [], color=colour, marker="o", ls="", mec="0.3", mew=0.5, label=text)
            for colour, text in (("white", "none groks"), (DARK, "all grok by 2,000"))
        ]
        axes[1, 2].legend(
            handles=[*lines, *marks, *shares], loc="upper left", title="half of the runs grok"
        )
    figure.savefig(path, dpi=130, metadata={"Software": None} if path.endswith("png") else None)


if __name__ == "__main__":
    main(
        sys.argv[1] if len(sys.argv) > 1 else "results/atlas/zone_over_rates/table.csv",
        sys.argv[2] if len(sys.argv) > 2 else "results/zone_surface.pdf",
    )
