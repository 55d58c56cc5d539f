"""Running an experiment file, the one kind of code that a user hands to grokjax."""

from __future__ import annotations

import itertools
import re
import sys
import traceback
import types
from pathlib import Path

from grokjax.config import ConfigError, Experiment
from grokjax.config.refusals import shown
from grokjax.config.source import NAME

MOST_CHARACTERS = 10_000_000
"""Of an experiment file, whose text is kept with the results."""
_NUMBERS = itertools.count(1)


def read(path: Path) -> tuple[Experiment, str]:
    """The `experiment` that the file defines, and the file's text.

    Raises:
      ConfigError: there is no such file, it fails, or it defines no experiment.
    """
    module, source = execute(path)
    experiment = vars(module).get("experiment")
    if not isinstance(experiment, Experiment):
        given = shown(experiment)
        raise ConfigError(
            f"experiment={given}: {path} must define `experiment = grokjax.Experiment(...)`."
        )
    return experiment, source


def execute(path: Path) -> tuple[types.ModuleType, str]:
    """The module that a file is, once it has run, and the file's text.

    The file runs as a module of its own, which stays in `sys.modules`: dataclasses, type hints
    and pickles look their module up by its name. Every reading makes another one.

    Raises:
      ConfigError: there is no such file, or it fails.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:  # which may be a device without an end
            source = file.read(MOST_CHARACTERS + 1)
    except (OSError, ValueError) as error:  # not UTF-8, or a name with a null character
        reason = getattr(error, "strerror", None) or "not a text file"
        raise ConfigError(f"FILE={str(path)!r}: {reason}, give an experiment file.") from None
    if len(source) > MOST_CHARACTERS:
        most = f"longer than {MOST_CHARACTERS:,} characters"
        raise ConfigError(f"FILE={str(path)!r}: {most}, give an experiment file.")
    module = types.ModuleType(f"<experiment {next(_NUMBERS)}>")  # no import statement can say it
    module.__file__ = str(path)
    vars(module)["__source__"] = source  # as it is now: the file may change while it is trained
    sys.modules[module.__name__] = module
    streams = sys.stdout, sys.stderr
    try:
        # The future imports of this very file are not those of the experiment's.
        exec(compile(source, str(path), "exec", dont_inherit=True), vars(module))
    except ConfigError as error:
        raise ConfigError(f"{where(error, path)}: {error}") from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ConfigError(f"{where(error, path)}: {explain(error)}") from None
    finally:
        sys.stdout, sys.stderr = streams  # whatever the file has made of them
    return module, source


def where(error: BaseException, path: Path) -> str:
    """File and line of the experiment that an error came from."""
    if isinstance(error, SyntaxError) and error.filename == str(path) and error.lineno:
        return f"{path}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f"{path}, line {lines[-1]}" if lines else str(path)


def explain(error: BaseException) -> str:
    """One sentence on what a file raised that is no refusal of ours."""
    try:
        lines = str(error).strip().splitlines()
        if isinstance(error, ImportError) and error.name == "grokjax":
            lines = [_not_ours(lines[0])]
    except Exception:  # of a class of the file's own
        lines = []
    said = lines[0] if lines else "no message"
    return f"{type(error).__name__}: {said}{'' if said.endswith('?') else '.'}"


def _not_ours(said: str) -> str:
    """What is wrong about a name that was to be imported; Python's own words leave that out."""
    import grokjax

    imported = re.match(r"cannot import name '(\w+)'", said)
    try:
        return said if imported is None else str(getattr(grokjax, imported[1]))
    except AttributeError as error:
        return str(error)


def of_option(path: Path | None) -> Experiment | None:
    """The experiment of a file that an option names; None where it names none."""
    return None if path is None else read(path)[0]


def default_folder(path: Path) -> Path:
    """`results/NAME` for `NAME.py`."""
    if not NAME.fullmatch(path.stem):
        raise ConfigError(
            f"FILE={path.name!r}: the name becomes a folder, use at most 64 of A-Z a-z 0-9 . _ -, "
            "or give --out."
        )
    return Path("results") / path.stem
