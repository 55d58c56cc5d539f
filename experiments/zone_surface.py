"""The zone over weight decay, train fraction and learning rate, as a surface with its band.

Question:     how does the boundary of the Goldilocks zone move with the learning rate, and with
              the budget?
Command:      python experiments/zone_surface.py [TABLE] [FILE]
Cost:         ten seconds; it reads the table of the atlas's claim `zone_over_rates`, whose runs
              that claim's own command trains.
Expectation:  `results/zone_surface.pdf`: a panel for each learning rate, with the share of runs in
              each cell that grok by 2,000 updates, where a logistic model over all three says that
              half of them do by 1,000 and by 2,000, and 95 % bands over seeds; and the decay of the
              lower edge at 60 % of the table against the rate, at four budgets.

The model is the claim's: quadratic in the logarithms of decay and rate and in the fraction. One
fit over all rates lets each rate's cells inform the others, and gives the surface in between.
"""

import runpy
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats

from grokjax.analysis import boundary, logistic
from grokjax.atlas import table
from grokjax.figures import style

claim = runpy.run_path(str(Path(__file__).parent / "atlas" / "zone_over_rates.py"))
features, rates, budget, edge_at = (claim[name] for name in ("features", "RATES", "BUDGET", "AT"))
COLOURS = {budget // 2: style.TEST, budget: style.TRAIN}
SHOWN = (0.08, 12.0)
"""Of decay × rate / 0.01."""


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

    def lower_edge(self, rate):
        """Decay of the lower edge at `edge_at` of the table: itself, and both ends of its band."""
        decay = np.geomspace(*SHOWN, 600) * 1e-2 / rate
        found = self.certainty(decay, np.full(600, edge_at), np.full(600, rate))
        return [first(decay, found >= level) for level in (0, -1, 1)]


def first(decay, inside):
    """The least decay inside; NaN where none is, or the least that is shown already is."""
    return decay[inside.argmax()] if inside.any() and not inside[0] else np.nan


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
        edges, ax = {}, axes[0, 2]
        for by, (colour, dash) in zip((500, 1000, 1500, 2000), style.SERIES, strict=False):
            surface = Surface(runs, by)
            edges[by] = np.array([surface.lower_edge(rate) for rate in rates])
            middle, low, high = edges[by].T
            shift = 1 + 0.03 * (by / 500 - 2.5)
            ax.errorbar(
                np.array(rates) * shift, middle, [middle - low, high - middle], color=colour,
                ls=dash, marker="o", ms=3, lw=1, elinewidth=0.7, label=f"{by:,} updates",
            )  # fmt: skip
        inverse = edges[2000][0, 0] * rates[0] / np.array(rates)
        ax.plot(rates, inverse, color="0.6", lw=0.7, zorder=0, label="∝ 1 / learning rate")
        ax.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="weight decay")
        ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
        ax.minorticks_off()
        ax.set_title(f"lower edge at {100 * edge_at:.0f} % of the table")
        axes[1, 2].axis("off")
        handles = ax.get_legend_handles_labels()[0]
        first_legend = axes[1, 2].legend(handles=handles, loc="upper left", title="lower edge by")
        axes[1, 2].add_artist(first_legend)
        lines = [Line2D([], [], color=COLOURS[by], label=f"by {by:,} updates") for by in COLOURS]
        axes[1, 2].legend(handles=lines, loc="lower left", title="half of the runs grok")
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main(
        sys.argv[1] if len(sys.argv) > 1 else "results/atlas/zone_over_rates/table.csv",
        sys.argv[2] if len(sys.argv) > 2 else "results/zone_surface.pdf",
    )
