"""The figures that a closing report draws, each kind with what it needs; a user's own as well."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import pandas as pd
from matplotlib.figure import Figure

from grokjax.analysis.summary import Summary
from grokjax.config import ConfigError
from grokjax.config.coercion import require
from grokjax.config.source import NAME, is_ours
from grokjax.figures.drawn import Drawn
from grokjax.results.load import Results

Drawings = dict[str, Callable[[], Figure | Drawn]]
"""Name of a file → what draws the figure."""
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True)
class Shown:
    """What figures show: a sweep over two axes."""

    summary: Summary
    """The runs, their cells, zone and laws; `summary.results` has the tables."""
    metric: str
    """The time that is mapped, `t_grok` say."""
    curves: pd.DataFrame
    """Curves of a few telling runs, with `run_id`, `step` and the columns that figures ask for."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """Figures of one kind."""

    name: str
    choose: Callable[[Shown], Drawings]
    """Which of them a sweep has the axes for."""
    columns: tuple[str, ...]
    """Columns of the curves that they show."""
    ours: bool


KINDS: dict[str, Kind] = {}
"""Name → kind, in the order in which they are drawn."""


def curve_columns(results: Results, more: Sequence[str] = ()) -> list[str]:
    """The columns of curves that figures ask for, and `more`, of those that there are.

    A figure whose columns these curves lack fails alone, where it looks for them.
    """
    asked = ["step", *more, *(name for kind in KINDS.values() for name in kind.columns)]
    there = results.curve_columns or asked
    return [name for name in dict.fromkeys(asked) if name in there]


def is_map(summary: Summary) -> bool:
    """Whether two axes vary and most of their cells hold runs."""
    return summary.is_map


def figure_family(
    name: str, *, needs: Callable[[Summary], bool] | None = None, columns: tuple[str, ...] = ()
) -> Callable[[Function], Function]:
    """Register a function that says which figures of a kind a sweep has.

    Args:
      name: what they are, in a message that one of them is left out.
      needs: whether a sweep has what they need, two axes say; None: every sweep has.
      columns: of the curves table that they show, beside `run_id` and `step`.

    Returns:
      A decorator of functions of `Shown` that return `Drawings`.
    """

    def register(function: Function) -> Function:
        def choose(shown: Shown) -> Drawings:
            return function(shown) if needs is None or needs(shown.summary) else {}

        _add(Kind(name, choose, columns, is_ours(function)))
        return function

    return register


def figure(
    name: str | None = None,
    *,
    needs: Callable[[Summary], bool] | None = None,
    columns: tuple[str, ...] = (),
) -> Callable[[Function], Function]:
    """Register a function that draws one figure, from an experiment file of yours for example.

    `python -m grokjax.sweep FILE` draws it with its own, as `figures/NAME.png` and `.pdf`, also
    when nothing is left to train. If it raises, it is left out with a sentence. The command
    `python -m grokjax.phase` does not draw it: that one runs no code from a results folder.

        @figure(needs=is_map)
        def final_losses(shown):
            drawn = matplotlib.figure.Figure()
            ...
            return drawn

    Args:
      name: of the files; the function's when left out.
      needs: whether a sweep has what the figure needs; None: every sweep has.
      columns: of the curves table that it shows, beside `run_id` and `step`.

    Returns:
      A decorator of functions of `Shown` that return a `matplotlib.figure.Figure`, or what one
      of our functions returns.
    """

    def register(function: Function) -> Function:
        called = name or function.__name__
        remedy = "it becomes a file name, use at most 64 of A-Z a-z 0-9 . _ -"
        require(NAME.fullmatch(called) is not None, "figure", called, remedy)

        def draw(shown: Shown) -> Figure | Drawn:
            drawn: Figure | Drawn = function(shown)
            remedy = "return a matplotlib.figure.Figure, or what a function of grokjax.figures does"
            require(isinstance(drawn, Figure | Drawn), f"figure {called}", drawn, remedy)
            return drawn

        def choose(shown: Shown) -> Drawings:
            fits = needs is None or needs(shown.summary)
            return {called: partial(draw, shown)} if fits else {}

        _add(Kind(called, choose, columns, is_ours(function)))
        return function

    return register


def _add(kind: Kind) -> None:
    """A kind of the same name is replaced, which a file that is read again makes; ours is not."""
    if not kind.ours:
        importlib.import_module("grokjax.figures.gallery")  # ours come first
    if kind.name in KINDS and KINDS[kind.name].ours and not kind.ours:
        raise ConfigError(f"figure={kind.name!r}: grokjax has one of this name, choose another.")
    KINDS[kind.name] = kind
