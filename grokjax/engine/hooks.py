"""What those who train a part of a sweep elsewhere want of the trainer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any


def _nothing(tick: int, note: dict[str, Any]) -> None:
    """Nobody waits for commits."""


@dataclasses.dataclass(frozen=True)
class Hooks:
    """Of one start of a sweep."""

    committed: Callable[[int, dict[str, Any]], None] = _nothing
    """Called after a commit with its tick and what its checkpoint says."""
    keeps_shape: bool = False
    """Raise where the memory is not enough, instead of going on in fewer lanes, to other bits."""
    failed: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Run id → why the run is not trained and counts as failed, if it has not ended."""
