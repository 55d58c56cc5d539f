"""Names and source texts of what users define themselves; both are part of a run's id."""

from __future__ import annotations

import functools
import hashlib
import inspect
import re
import sys
import textwrap
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def is_ours(thing: Any) -> bool:
    """Whether a class or function is part of grokjax, whose version is recorded with results."""
    return thing.__module__.split(".")[0] == "grokjax"


def qualified_name(thing: Callable[..., Any]) -> str:
    """`FILE.NAME` of what an experiment file or a notebook defines, `MODULE.NAME` of the rest."""
    module = thing.__module__
    if module == "__main__" or module.startswith("<"):
        file = getattr(sys.modules.get(module), "__file__", None)
        module = Path(file).stem if file else "notebook"
    return f"{module}.{thing.__qualname__}"


def why_unnamed(thing: Callable[..., Any]) -> str | None:
    """Why a class or function cannot be told from others by its name and source; None if it can."""
    name = qualified_name(thing)
    if "<lambda>" in name:
        return "a lambda has no name, write it as a function with `def`"
    if "<locals>" in name:
        return "it is made inside of a function, define it at the top level of the file"
    if not NAME.fullmatch(name):
        return "its name is stored with every run, use at most 64 of A-Z a-z 0-9 . _ -"
    try:
        text(thing)
    except (OSError, TypeError):
        return "its source cannot be read, put it in a file"
    return None


def text(thing: Callable[..., Any]) -> str:
    """The source of a class or function as it is written, not indented."""
    return textwrap.dedent(inspect.getsource(thing))


def parts_of(cls: type) -> tuple[Callable[..., Any], ...]:
    """The user's code that a class was made of: its function, or the class and its bases."""
    function = vars(cls).get("function")
    if function is not None:
        return (function.__func__,)
    return tuple(c for c in cls.__mro__ if c is not object and not is_ours(c))


@functools.cache
def whole_text(cls: type) -> str:
    """The source of all the user's code that a class was made of."""
    return "\n\n".join(map(text, parts_of(cls)))


def checksum(cls: type) -> str | None:
    """First 16 digits of the SHA-256 of a user's source; None for classes of grokjax."""
    if is_ours(cls):
        return None
    return hashlib.sha256(whole_text(cls).encode()).hexdigest()[:16]


def blame(cls: type, error: Exception) -> str:
    """A sentence on what went wrong in a user's class or function, and where in its file.

    Args:
      cls: class that the user has written, or that was made of a function.
      error: raised by it.
    """
    reason = str(error).strip().splitlines() or ["no message"]
    told = f"{type(error).__name__}: {reason[0].rstrip('.')}"
    files = {inspect.getsourcefile(part) for part in parts_of(cls)}
    places = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in files]
    return f"{told} ({places[-1].filename}, line {places[-1].lineno})" if places else told
