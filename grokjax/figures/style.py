"""How every figure looks: sizes of a paper column, fonts, colours that all eyes tell apart."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import matplotlib as mpl
from matplotlib.figure import Figure

from grokjax.results.files import write_atomically

COLUMN = 3.35
"""Width of one paper column, in inches."""
PAGE = 6.9
"""Width of two, in inches."""

TRAIN, TEST = "#0072B2", "#D55E00"
"""Okabe and Ito's blue and vermillion; they also differ in grey."""
PROBABILITY_MAP, TIME_MAP = "Blues", "cividis_r"
CENSORED = "#E6E6E6"
NO_RUNS = "#C9B8A8"
PHASES = {
    "comprehension": "#56B4E9",
    "grokking": "#E69F00",
    "memorization": "#E6E6E6",
    "confusion": "#6E6E6E",
}
"""Sky blue and orange are alike in grey; there the boundary between them is no border of the map,
and the legend names the other two."""
SERIES = (
    ("#0072B2", "-"),
    ("#D55E00", "--"),
    ("#009E73", "-."),
    ("#CC79A7", (0, (1, 1))),
    ("#000000", (0, (5, 1, 1, 1, 1, 1))),
    ("#E69F00", (0, (3, 1, 1, 1))),
    ("#56B4E9", (0, (6, 2))),
    ("#777777", "-"),
)
"""Colours and dashes of lines side by side, told apart without colour too."""
FEW = 5
"""Levels of a number that are shown side by side; kinds of things may be more."""

_RC: dict[Any, Any] = {
    "font.size": 8,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "mathtext.fontset": "dejavusans",
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "hatch.linewidth": 0.4,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.hashsalt": "grokjax",
}

_NO_DATES = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None},
    ".svg": {"Date": None},
}


@contextlib.contextmanager
def paper() -> Iterator[None]:
    """Draw in the style of a paper."""
    with mpl.rc_context(_RC):
        yield
        interactive = mpl.is_interactive()
    # A notebook becomes interactive with its first figure, which leaving the context would undo.
    mpl.interactive(interactive)


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """The figure as PNG and PDF."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.{kind}" for kind in ("png", "pdf")]
    write(figure, paths[0])
    figure.set_layout_engine("none")  # laid out by now; doing it again takes most of the time
    write(figure, paths[1])
    return paths


def write(figure: Figure, path: Path) -> None:
    """The figure as its path ends; without dates, so that equal figures are equal files."""
    kind = path.suffix.lower()

    def fill(file: BinaryIO) -> None:
        figure.savefig(file, format=kind[1:], metadata=_NO_DATES.get(kind))

    with paper():
        write_atomically(path, fill)
