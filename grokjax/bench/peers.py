"""Where the peers are: PyTorch's and plain JAX's step, beside the package in a checkout.

They are the other side of a comparison and no part of what is installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from grokjax.config import ConfigError

ROOT = Path(__file__).parents[2]
"""The checkout, where grokjax runs from one."""


def load() -> ModuleType:
    """The package `benchmarks.peers`.

    Raises:
      ConfigError: grokjax does not run from a checkout, or PyTorch is not installed.
    """
    if not (ROOT / "benchmarks" / "peers").is_dir():
        raise ConfigError(
            "peers=True: the peers are no part of the installed package, run this in a checkout "
            "after pip install -e '.[peers]'."
        )
    if importlib.util.find_spec("torch") is None:
        raise ConfigError("peers=True: PyTorch is not installed, pip install -e '.[peers]'.")
    if str(ROOT) not in sys.path:  # the console script leaves it out
        sys.path.append(str(ROOT))
    return importlib.import_module("benchmarks.peers")
