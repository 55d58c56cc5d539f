"""What instruments have measured: over a run's steps, over runs, and at single networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from grokjax.analysis.trajectory import Trajectory
from grokjax.figures import style
from grokjax.figures.axes import log_where_positive, round_numbers, steps, symbol
from grokjax.figures.curves import SMALLEST_LOSS
from grokjax.figures.drawn import Drawn
from grokjax.figures.place import one_panel, several_panels

SHADES = {"memorisation": "#F2F2F2", "circuit formation": "#E3EEF6", "cleanup": "#FBE8DC"}
LOSSES = {
    "train_loss": ("train", style.TRAIN, "--"),
    "test_loss": ("test", style.TEST, "-"),
    "restricted": ("restricted", "#009E73", "-."),
    "excluded": ("excluded", "#CC79A7", (0, (1, 1))),
}
COLOURS = {**style.PHASES, "memorization": "#8A8A8A"}
"""Of phases, as lines: the grey of a map's cells is too faint for them."""
MOST_PANELS = 9
ROW = 0.16
"""Height of a bar, in inches."""


def progress_plot(
    curve: pd.DataFrame,
    measures: pd.DataFrame,
    phases: pd.DataFrame | None = None,
    *,
    instrument: str = "fourier",
    ax: Axes | None = None,
    legend: bool = True,
) -> Drawn:
    """Restricted and excluded loss beside train and test loss, the phases of the run shaded.

    Args:
      curve: of one run: `step`, `train_loss`, `test_loss`.
      measures: wide measures of the run. With keys of the run's end (`…_by_end`) these are drawn,
        else those of each step's own keys.
      phases: as `analysis.progress.phases` makes them; None: no shades.
      instrument: fourier, or representations.
      ax: to draw into; None: a figure of its own.
      legend: whether to draw one.

    Returns:
      What was drawn; `data_` has `losses`, in long form.
    """
    found = [curve[["step", "train_loss", "test_loss"]].melt("step", var_name="loss")]
    for name in ("restricted", "excluded"):
        by_end = f"{instrument}.{name}_by_end"
        column = by_end if by_end in measures else f"{instrument}.{name}"
        known = measures[["step", column]].dropna().rename(columns={column: "value"})
        found.append(known.assign(loss=name))
    losses = pd.concat(found, ignore_index=True)
    first = losses["step"][losses["step"] > 0].min()
    with one_panel(ax, legend, 2.6) as place:
        axis, handles = place.axes, list[Any]()
        shown = phases if phases is not None else pd.DataFrame(columns=["phase", "start", "end"])
        for name, start, end in zip(shown["phase"], shown["start"], shown["end"], strict=True):
            axis.axvspan(max(start, first), end, color=SHADES[name], lw=0)
        for name, (text, colour, dashes) in LOSSES.items():
            of_loss = losses[(losses["loss"] == name) & (losses["step"] > 0)].sort_values("step")
            values = of_loss["value"].clip(lower=SMALLEST_LOSS)
            handles += axis.plot(of_loss["step"], values, color=colour, ls=dashes, label=text)
        axis.set(xscale="log", yscale="log", xlabel="step", ylabel="loss")
        axis.set_xlim(left=first)
        handles += [Patch(facecolor=SHADES[name], label=name) for name in shown["phase"]]
        return place.drawn("progress measures of a run", {"losses": losses}, handles, columns=4)


def spectrum_plot(spectrum: pd.DataFrame, *, ax: Axes | None = None, legend: bool = True) -> Drawn:
    """The norm of each frequency of the embedding over training, as a map.

    Args:
      spectrum: as `analysis.progress.embedding_spectrum` makes it.
      ax: to draw into, with a colour bar beside it; None: a figure of its own.
      legend: has no meaning here, there is none.

    Returns:
      What was drawn; `data_` has `spectrum`.
    """
    wide = spectrum[spectrum["step"] > 0].pivot(index="frequency", columns="step", values="norm")
    at = np.log10(wide.columns.to_numpy(float))
    edges = 10 ** np.concatenate([[at[0] - 0.02], (at[1:] + at[:-1]) / 2, [at[-1] + 0.02]])
    rows = np.concatenate([wide.index - 0.5, [wide.index[-1] + 0.5]])
    with one_panel(ax, legend, 2.4) as place:
        mesh = place.axes.pcolormesh(edges, rows, wide, cmap="magma_r", rasterized=True, vmin=0)
        place.axes.set(xscale="log", xlabel="step", ylabel="frequency of the embedding")
        bar = place.figure.colorbar(mesh, ax=place.axes, label="norm", pad=0.02)
        bar.outline.set_linewidth(0.6)
        return place.drawn("spectrum of the embedding", {"spectrum": spectrum}, [])


def measures_plot(
    measures: pd.DataFrame,
    runs: pd.DataFrame,
    columns: Sequence[str],
    *,
    subfigure: SubFigure | Figure | None = None,
    legend: bool = True,
) -> Drawn:
    """Any measures over steps, a panel each: every run thin, medians by phase strong.

    Args:
      measures: wide measures of the runs.
      runs: of the runs table, with `run_id` and `phase`.
      columns: at most nine measures.
      subfigure: an empty one to draw into; None: a figure of its own.
      legend: whether to draw one.

    Returns:
      What was drawn, with an array of Axes; `data_` has `medians`, a row a phase and step.
    """
    chosen = [name for name in columns if name in measures][:MOST_PANELS]
    joined = measures.merge(runs[["run_id", "phase"]], on="run_id")
    joined = joined[joined["step"] > 0]
    medians = joined.groupby(["phase", "step"])[chosen].median().reset_index()
    across = min(3, len(chosen))
    down = -(-len(chosen) // across)
    size = (style.PAGE if across > 1 else style.COLUMN, 1.5 * down + 0.4)
    panels: dict[str, Any] = {"sharex": True, "squeeze": False, "nrows": down, "ncols": across}
    shown = [phase for phase in style.PHASES if phase in set(joined["phase"])]
    with several_panels(subfigure, legend, size, **panels) as place:
        for axis, name in zip(place.axes.flat, chosen, strict=False):
            for _, of_run in joined.groupby("run_id"):
                known = of_run[["step", name, "phase"]].dropna()
                if len(known):
                    colour = COLOURS[known["phase"].iloc[0]]
                    axis.plot(known["step"], known[name], color=colour, lw=0.3, alpha=0.5)
            for phase in shown:
                line = medians[medians["phase"] == phase].dropna(subset=[name])
                axis.plot(line["step"], line[name], color="white", lw=2.4)
                axis.plot(line["step"], line[name], color=COLOURS[phase], lw=1.4)
            axis.set_title(name.replace("_", " "), loc="left")
            log_where_positive(axis, "x")
        for axis in place.axes[-1]:
            axis.set_xlabel("step")
        for axis in place.axes.flat[len(chosen) :]:
            axis.set_visible(False)
        handles = [Line2D([], [], color=COLOURS[name], label=name) for name in shown]
        return place.drawn(
            f"{len(chosen)} measures of {joined['run_id'].nunique()} runs",
            {"medians": medians},
            handles,
            columns=4,
        )


def density_plot(
    densities: dict[str, pd.DataFrame],
    *,
    ax: Axes | None = None,
    legend: bool = True,
) -> Drawn:
    """The spectral density of the Hessian, of one or several networks, as share of eigenvalues.

    Args:
      densities: label → as `hessian_density` makes it.
      ax: to draw into; None: a figure of its own.
      legend: whether to draw one.

    Returns:
      What was drawn; `data_` has `densities`.
    """
    data = pd.concat(densities, names=["network"]).reset_index("network")
    size = data["eigenvalue"].abs()
    low, high = np.log10(max(size[size > 0].min(), size.max() * 1e-7)), np.log10(size.max())
    edges = np.logspace(low, high + 0.05, 36)
    with one_panel(ax, legend, 2.4) as place:
        handles: list[Any] = []
        for (name, table), (colour, dashes) in zip(densities.items(), style.SERIES, strict=False):
            for sign, alpha in ((1, 1.0), (-1, 0.4)):
                side = table[sign * table["eigenvalue"] > 0]
                shares, _ = np.histogram(side["eigenvalue"].abs(), edges, weights=side["share"])
                line = place.axes.step(
                    edges[:-1], np.where(shares > 0, shares, np.nan), where="post", color=colour,
                    ls=dashes, alpha=alpha, label=name,
                )  # fmt: skip
                handles += line if sign > 0 else []
        place.axes.set(xscale="log", yscale="log", ylabel="share of eigenvalues")
        place.axes.set_xlabel("|eigenvalue| of the Hessian (negative ones faint)")
        return place.drawn("spectral density", {"densities": data}, handles, columns=3)


def hessian_density(measures: pd.DataFrame, run_id: str, step: int) -> pd.DataFrame:
    """Nodes and weights that `Hessian(density=…)` has measured of a network.

    Args:
      measures: in long form.
      run_id: which run.
      step: which network of it.

    Returns:
      `eigenvalue` and `share` of all eigenvalues.
    """
    rows = measures[
        (measures["run_id"] == run_id)
        & (measures["step"] == step)
        & (measures["instrument"] == "hessian")
    ].set_index("part")["value"]
    nodes = rows[rows.index.str.startswith("node.")]
    weights = rows.reindex(nodes.index.str.replace("node", "weight"))
    probes = nodes.index.str.split(".").str[1].nunique()
    return pd.DataFrame({"eigenvalue": nodes.to_numpy(), "share": weights.to_numpy() / probes})


def ablation_plot(
    measures: pd.DataFrame,
    moments: dict[str, int],
    *,
    split: str = "test_accuracy",
    ax: Axes | None = None,
    legend: bool = True,
) -> Drawn:
    """Bars of what the network loses without each part, at several moments of a run.

    Args:
      measures: of one run, in long form.
      moments: label → step.
      split: which change: test_accuracy, train_accuracy, test_loss or train_loss.
      ax: to draw into; None: a figure of its own.
      legend: whether to draw one.

    Returns:
      What was drawn; `data_` has `changes`, a row a part and moment.
    """
    rows = measures[measures["instrument"] == "ablations"]
    rows = rows[
        rows["part"].str.endswith(split) & ~rows["part"].str.contains(".zero.", regex=False)
    ]
    parts = rows["part"].str.replace(f".{split}", "", regex=False)
    rows = rows.assign(part=parts.str.replace(".mean", "", regex=False))
    names = list(dict.fromkeys(rows["part"]))
    changes = rows.pivot_table(index="part", columns="step", values="value").reindex(names)
    height = ROW * len(names) * max(1, len(moments)) / 1.6 + 0.8
    with one_panel(ax, legend, height) as place:
        axis, handles = place.axes, list[Any]()
        thick = 0.8 / len(moments)
        for at, ((name, step), (colour, _)) in enumerate(
            zip(moments.items(), style.SERIES, strict=False)
        ):
            places = np.arange(len(names)) + (at - (len(moments) - 1) / 2) * thick
            handles.append(axis.barh(places, changes[step], thick, color=colour, label=name))
        axis.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        axis.invert_yaxis()
        axis.axvline(0, color="0.4", lw=0.6)
        axis.set_xlabel(f"change of {split.replace('_', ' ')}")
        data = changes[list(moments.values())].reset_index().melt("part", var_name="step")
        return place.drawn("ablations", {"changes": data}, handles, columns=3)


def path_plot(
    trajectory: Trajectory,
    t_mem: float | None = None,
    t_grok: float | None = None,
    *,
    subfigure: SubFigure | Figure | None = None,
    legend: bool = True,
) -> Drawn:
    """A run's path along its two first components, and their shares beside a random walk's.

    Args:
      trajectory: as `analysis.trajectory.trajectory` makes it.
      t_mem: step to mark with a circle; None: none.
      t_grok: step to mark with a square; None: none.
      subfigure: an empty one to draw into; None: a figure of its own.
      legend: whether to draw one.

    Returns:
      What was drawn, with two Axes; `data_` has `path` and `shares`.
    """
    first, second = trajectory.coordinates[:, :2].T
    path = pd.DataFrame({"step": trajectory.steps, "first": first, "second": second})
    size = (style.PAGE, 2.3)
    with several_panels(subfigure, legend, size, ncols=2, width_ratios=(1.3, 1)) as place:
        left, right = place.axes
        left.plot(first, second, color="0.7", lw=0.8, zorder=1)
        order = np.log10(np.maximum(trajectory.steps, 1))
        dots = left.scatter(first, second, c=order, s=8, cmap="cividis", zorder=2)
        bar = place.figure.colorbar(dots, ax=left, label="step", pad=0.02)
        low, high = 10 ** order.min(), 10 ** order.max()
        ticks = [tick for tick in round_numbers(low, high) if str(tick)[0] == "1"]
        bar.set_ticks(np.log10(ticks).tolist(), labels=[steps(tick) for tick in ticks])
        bar.outline.set_linewidth(0.6)
        handles: list[Any] = []
        for name, time, marker in (("t_mem", t_mem, "o"), ("t_grok", t_grok, "s")):
            if time is not None and not pd.isna(time):
                at = np.abs(trajectory.steps - time).argmin()
                handles += left.plot(
                    first[at], second[at], marker, mfc="none", mec=style.TEST, ms=7, ls="",
                    label=symbol(name),
                )  # fmt: skip
        left.set(xlabel="first component", ylabel="second component")
        table = trajectory.table()
        for name, colour, text in (
            ("share", style.TRAIN, "this run"),
            ("null_share", "0.6", "random walk of the same step lengths"),
        ):
            handles += right.plot(table["component"], table[name], "o-", color=colour, label=text)
        right.set(xlabel="component", ylabel="share of variance", ylim=(0, 1))
        right.set_xticks(table["component"])
        return place.drawn(
            "path through weight space", {"path": path, "shares": table}, handles, columns=4
        )
