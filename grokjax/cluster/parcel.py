"""Experiments on their way to workers, with the files that define a user's own parts.

A pickle names the classes in it, and a worker must have those. Grokjax's are installed there;
those of an experiment file are made again of the file's text, which travels with the experiment,
so that their sources, and with them the ids of runs, are the same.
"""

from __future__ import annotations

import linecache
import pickle
import sys
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from grokjax.config import Config, ConfigError, Experiment, Sweep, source


def packed(experiment: Experiment, cells: Iterable[Any]) -> bytes:
    """An experiment with some cells for a sweep, as bytes.

    Args:
      experiment: with whatever sweep.
      cells: to be its sweep.

    Raises:
      ConfigError: a part is defined where no worker finds it.
    """
    small = experiment.replaced(sweep=Sweep(tuple(cells)), refine=None)
    files = {}
    for cls in {type(part) for part in _parts(small)}:
        for definition in source.parts_of(cls) if not source.is_ours(cls) else ():
            name = definition.__module__
            if name == "__main__":
                raise ConfigError(
                    f"{cls.__name__}: it is defined in the program itself, and workers have to "
                    "import it; put it into an experiment file or a module."
                )
            if name.startswith("<"):  # an experiment file, which no import statement can name
                module = vars(sys.modules[name])
                files[name] = (module["__file__"], module["__source__"])
    told = {"files": files, "path": str(Path.cwd()), "experiment": pickle.dumps(small)}
    return pickle.dumps(told)


def unpacked(content: bytes) -> Experiment:
    """What `packed` packed, which came from the driver and nobody else."""
    told: dict[str, Any] = pickle.loads(content)
    for name, (path, text) in told["files"].items():
        if name not in sys.modules:
            _run(name, path, text)
    if told["path"] not in sys.path and Path(told["path"]).is_dir():
        sys.path.append(told["path"])  # modules beside the experiment file
    # Only now, when all that it names is there.
    experiment: Experiment = pickle.loads(told["experiment"])
    return experiment


def _run(name: str, path: str, text: str) -> None:
    """Make the module of an experiment file of its text, under the name that it has elsewhere."""
    module = types.ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    # Where sources are looked up: a file of this path may be missing here, or another by now.
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    exec(compile(text, path, "exec", dont_inherit=True), vars(module))


def _parts(experiment: Experiment) -> Iterator[Config]:
    """All parts of an experiment and of its cells, theirs included."""
    waiting: list[Any] = [
        experiment,
        *(v for cell in experiment.sweep.cells for v in cell.values()),
    ]
    while waiting:
        one = waiting.pop()
        if isinstance(one, (list, tuple)):
            waiting += one
        elif isinstance(one, Config):
            yield one
            waiting += one.values().values()
