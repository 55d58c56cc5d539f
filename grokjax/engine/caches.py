"""What one sweep finds out for the next, in the user's cache folder."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import platformdirs

from grokjax.results.files import write_json


def folder() -> Path:
    """Where it lies; everything in it can be deleted at any time."""
    return Path(platformdirs.user_cache_dir("grokjax"))


def recall(key: str) -> Any:
    """What was remembered under the key, or None."""
    with contextlib.suppress(OSError, ValueError):
        return json.loads(_path(key).read_text(encoding="utf-8"))
    return None


def remember(key: str, value: Any) -> None:
    """Keep a value; a folder that cannot be written to is no error."""
    with contextlib.suppress(OSError):
        _path(key).parent.mkdir(parents=True, exist_ok=True)
        write_json(_path(key), value)


def _path(key: str) -> Path:
    return folder() / "timings" / f"{key}.json"
