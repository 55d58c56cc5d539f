"""`grokjax COMMAND …`: every command line under one name, the same as `python -m grokjax.COMMAND`.

Only the module of the command that is asked for is imported, so that `--help` and `--version`
answer at once.
"""

from __future__ import annotations

import importlib
from typing import NoReturn

from grokjax import command

COMMANDS = {
    "sweep": ("grokjax.sweep", "train the runs of an experiment file"),
    "phase": ("grokjax.phase", "the zone, its boundary, laws, figures and a page of a sweep"),
    "measure": ("grokjax.measure", "instruments on snapshots of a sweep, or on a file of weights"),
    "export": ("grokjax.export", "a network of a sweep as a file for other programs"),
    "cluster": (
        "grokjax.cluster.__main__",
        "look at a sweep on workers, join what is done, stop it",
    ),
    "atlas": ("grokjax.atlas.__main__", "published claims on grokking, and what was decided here"),
    "bench": ("grokjax.bench.__main__", "time the training step, or estimate it for a device"),
}
"""Name → the module whose `main` takes the words after it, and what the command does."""


def main(arguments: list[str]) -> int:
    """Run the command that the first word names; the exit status."""
    if arguments == ["--version"]:
        from grokjax import __version__

        print(f"grokjax {__version__}")
        return 0
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    return command.guarded(lambda: _dispatch(arguments[0], arguments[1:]))


def usage() -> str:
    """What `grokjax --help` prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {about}" for name, (_, about) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: grokjax [--version] COMMAND …",
            "",
            *lines,
            "",
            "grokjax COMMAND --help says more.",
        ]
    )


def _dispatch(name: str, rest: list[str]) -> int:
    from grokjax.config import ConfigError
    from grokjax.config.synonyms import suggestion

    if name not in COMMANDS:
        raise ConfigError(f"command={name!r}: {suggestion(name, COMMANDS)}")
    status: int = importlib.import_module(COMMANDS[name][0]).main(rest)
    return status


def run() -> NoReturn:
    """The console script."""
    command.run(main)


if __name__ == "__main__":
    run()
