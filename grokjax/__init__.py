"""grokjax: maps of grokking, hundreds of training runs at a time.

An `Experiment` says which runs, `run` trains them, `load` reads what they left.
Importing grokjax imports next to nothing; only `run` imports JAX.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grokjax.config import *
    from grokjax.config import own as own
    from grokjax.engine.sweep import run as run
    from grokjax.exchange.read import read_curves as read_curves
    from grokjax.results.load import Results as Results
    from grokjax.results.load import load as load

__version__ = "0.2.0"

_LATE = {
    "own": "grokjax.config",
    "run": "grokjax.engine.sweep",
    "load": "grokjax.results.load",
    "read_curves": "grokjax.exchange.read",
    "Results": "grokjax.results.load",
}
"""Public name that is no part of an experiment → its module. The others are in `grokjax.config`."""

_ROOMS = (
    *("analysis", "atlas", "cluster", "exchange", "figures"),
    *("measure", "measures", "phase", "weights"),
)
"""Modules that are imported when they are first asked for."""


def __getattr__(name: str) -> Any:
    """Import what is asked for, now that it is: a command is in its own hands by then."""
    import importlib.util

    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"grokjax.{name}")
    # Asked for another module of its own, the package is about to import that and nothing else.
    its_module = importlib.util.find_spec(f"grokjax.{name}") is not None
    if its_module or (name.startswith("__") and name != "__all__"):
        raise AttributeError(f"module 'grokjax' has no attribute {name!r}")
    config = importlib.import_module("grokjax.config")
    if name == "__all__":
        return [*config.__all__, *_LATE]
    try:
        return getattr(config, name)
    except AttributeError:
        from difflib import get_close_matches

        spelt = {known.lower(): known for known in __dir__()}
        near = get_close_matches(name.lower(), spelt, 1)
        meant = f", did you mean {spelt[near[0]]!r}?" if near else ""
        raise AttributeError(f"module 'grokjax' has no attribute {name!r}{meant}") from None


def __dir__() -> list[str]:
    """What the module has, whether it is imported yet or not."""
    return sorted({*globals(), *__getattr__("__all__"), *_ROOMS})
