"""Running an experiment file, the one kind of code that a user hands to grokjax."""

from __future__ import annotations

import itertools
import re
import sys
import traceback
import types
from pathlib import Path

from grokjax.config import Config, ConfigError, Experiment
from grokjax.config.coercion import suggestion
from grokjax.config.fields import field_types
from grokjax.config.source import NAME

_NUMBERS = itertools.count(1)


def read(path: Path) -> tuple[Experiment, str]:
    """The `experiment` that the file defines, and the file's text.

    The file runs as a module of its own, which stays in `sys.modules`: dataclasses, type hints
    and pickles look their module up by its name. Every reading makes another one.

    Raises:
      ConfigError: there is no such file, it fails, or it defines no experiment.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise ConfigError(f"FILE={str(path)!r}: {reason}, give an experiment file.") from None
    module = types.ModuleType(f"<experiment {next(_NUMBERS)}>")  # no import statement can say it
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    try:
        # The future imports of this very file are not those of the experiment's.
        exec(compile(source, str(path), "exec", dont_inherit=True), vars(module))
    except ConfigError as error:
        raise ConfigError(f"{where(error, path)}: {error}") from None
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{where(error, path)}: {explain(error)}") from None
    experiment = vars(module).get("experiment")
    if not isinstance(experiment, Experiment):
        raise ConfigError(
            f"experiment={experiment!r}: {path} must define `experiment = grokjax.Experiment(...)`."
        )
    return experiment, source


def where(error: BaseException, path: Path) -> str:
    """File and line of the experiment that an error came from."""
    if isinstance(error, SyntaxError) and error.filename == str(path) and error.lineno:
        return f"{path}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f"{path}, line {lines[-1]}" if lines else str(path)


def explain(error: BaseException) -> str:
    """One sentence; an unknown field is the error worth a suggestion."""
    unknown = re.search(
        r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'", str(error)
    )
    classes = {cls.__name__: cls for cls in _config_classes()}
    if isinstance(error, TypeError) and unknown and unknown[1] in classes:
        known = field_types(classes[unknown[1]])
        return f"{unknown[2]}: {unknown[1]} has no such field, {suggestion(unknown[2], known)}."
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}."


def _config_classes() -> list[type]:
    """Everything that an experiment file may have called by a wrong field."""
    below = list(Config.__subclasses__())
    for cls in below:
        below += cls.__subclasses__()
    return below


def default_folder(path: Path) -> Path:
    """`results/NAME` for `NAME.py`."""
    if not NAME.fullmatch(path.stem):
        raise ConfigError(
            f"FILE={path.name!r}: the name becomes a folder, use at most 64 of A-Z a-z 0-9 . _ -, "
            "or give --out."
        )
    return Path("results") / path.stem
