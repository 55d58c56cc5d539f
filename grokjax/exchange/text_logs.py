"""Logs for people → tables: lines such as `Epoch 100 | train loss 0.1 | val acc 98.5%`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from grokjax.config import ConfigError
from grokjax.exchange import names

_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PIECE = re.compile(
    r"(?P<number>(?<![A-Za-z_\d.])[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?%?(?![A-Za-z_\d])"
    r"|(?<![A-Za-z])(?:nan|inf)(?![A-Za-z]))|(?P<word>[A-Za-z][A-Za-z_\d@./]*)|(?P<mark>[^\sA-Za-z\d])",
    re.IGNORECASE,
)
MOST_WORDS = 4
"""Words before a number that may name it."""


def read(path: Path, text: str) -> pd.DataFrame | None:
    """A row a line that names a step or a metric; other lines are passed over.

    None where names do not stand beside numbers in the lines, but once above them, say.

    Raises:
      ConfigError: no line names a step or an epoch.
    """
    lines = [line for line in re.split(r"[\r\n]+", _COLOUR.sub("", text)) if line.strip()]
    rows: list[dict[str, Any]] = [found for line in lines if (found := _read_line(line))]
    if not rows or (len(rows) == 1 and len(lines) > 2):
        return None
    frame = pd.DataFrame(rows, dtype=object)
    axes = ("step", "epoch", "counter")
    steps = [str(name) for name in frame if names.role(str(name)) in axes]
    if not steps:
        raise ConfigError(
            f"{path}: no line of it names a step or an epoch, as `epoch 10 train_acc 0.9` does."
        )
    frame[steps] = frame[steps].ffill()  # a line `Epoch 3` may stand above those of its metrics
    return frame[frame[steps].notna().any(axis=1)]


def _read_line(line: str) -> dict[str, str]:
    """Name → number of all that a line names; nothing where it names no step and no metric."""
    found: dict[str, str] = {}
    words: list[str] = []
    split = ""
    last = ""
    for piece in _PIECE.finditer(line):
        if (word := piece["word"]) is not None:
            if last == "/" and word.lower() in ("s", "it", "step"):
                continue  # seconds a step
            words.append(word.rstrip("./"))
        elif (number := piece["number"]) is not None:
            if last != "/" and words:  # of `3/100` the first counts
                name, split = _named(words, split)
                if name and name not in found:
                    found[name] = number
            words = []
        elif piece["mark"] in "|,;[]":
            words = words if piece["mark"] == "[" else []
        last = piece[0]
    return found if any(names.role(n) or names.metric(n) for n in found) else {}


def _named(words: list[str], split: str) -> tuple[str, str]:
    """The name that the last words are, and the split that the line speaks of by now."""
    for n in range(min(MOST_WORDS, len(words)), 0, -1):
        name = " ".join(words[-n:])
        metric = names.metric(name)
        if metric is not None and metric.name:
            return name, metric.split or split
        if metric is not None and metric.quantity:
            before = [names.metric(word) for word in words[:-n]]
            spoken = [m.split for m in before if m is not None and m.split]
            split = spoken[-1] if spoken else split
            return (f"{split} {name}" if split else name), split
        if metric is not None or names.role(name):
            return name, split
    return words[-1], split
