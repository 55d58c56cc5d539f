"""`python -m grokjax.sweep FILE`: train the runs of an experiment file.

Exit status: 0 all runs finished, 1 some failed, 2 bad usage or configuration, 74 the storage
failed, 130 and 143 stopped by SIGINT and SIGTERM after a commit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokjax import command

if TYPE_CHECKING:
    from grokjax.config import Experiment
    from grokjax.overrides import Options
    from grokjax.results.load import Results

MANY_CELLS = 3000
"""Planning so many takes longer than a second, and nobody likes to wait in silence."""


def main(arguments: list[str]) -> int:
    """Run the command; the exit status."""
    return command.guarded(lambda: _main(arguments))


def _main(arguments: list[str]) -> int:
    from grokjax import experiment_file
    from grokjax.config import ConfigError, Experiment, Refine

    path, rest = _split(arguments)
    if path is None:
        parse(Experiment(), ["--help"])
        return 0
    experiment, source = experiment_file.read(path)
    options, experiment = parse(experiment, rest)
    if options.quiet and options.json:
        raise ConfigError("quiet=True: it contradicts --json, give one of the two.")
    for name, given in (("target", options.target is not None), ("time", options.time)):
        if given and not options.dry_run:
            value = getattr(options, name)
            raise ConfigError(f"{name}={value!r}: it goes with --dry-run, give both.")
    if options.time and options.target is not None:
        raise ConfigError("time=True: what is not there cannot be timed, leave --target out.")
    if options.out is not None and not experiment_file.NAME.fullmatch(options.out.name):
        raise ConfigError(
            f"out={str(options.out)!r}: name the folder with at most 64 of A-Z a-z 0-9 . _ -."
        )
    folder = options.out or experiment_file.default_folder(path)
    if options.refine and experiment.refine is None:
        experiment = dataclasses.replace(experiment, refine=Refine())
    silent = options.quiet or options.json
    if not silent and len(experiment.sweep.cells) >= MANY_CELLS:
        command.say(f"planning {len(experiment.sweep.cells)} cells")
    experiment.runs()  # a bad cell is refused before JAX is imported
    if options.dry_run:
        from grokjax.dry_run import describe

        print(
            describe(
                experiment,
                folder,
                lanes=options.lanes,
                overwrite=options.overwrite,
                timed=options.time,
                target=options.target,
                cluster=options.placed,
            )
        )
        return 0
    words = shlex.join(["python", "-m", "grokjax.sweep", *arguments])
    return _train(experiment, folder, options, source, words)


def _split(arguments: list[str]) -> tuple[Path | None, list[str]]:
    """FILE, wherever it stands, and the rest; no FILE where help is asked for without one."""
    from grokjax.config import ConfigError
    from grokjax.overrides import USAGE

    files = [word for word in arguments if word.endswith(".py")] or [
        word for word in arguments[:1] if not word.startswith("-")
    ]
    if files:
        at = arguments.index(files[0])
        return Path(files[0]), arguments[:at] + arguments[at + 1 :]
    if {"-h", "--help"} & set(arguments):
        return None, []
    raise ConfigError(f"FILE: no experiment file is given, usage: {USAGE}.")


def parse(experiment: Experiment, arguments: list[str]) -> tuple[Options, Experiment]:
    """`overrides.parse` of the words beside FILE."""
    from grokjax import overrides

    return overrides.parse(experiment, arguments)


def _train(experiment: Experiment, folder: Path, options: Options, source: str, words: str) -> int:
    import grokjax
    from grokjax import display

    with (
        command.stop_after_a_commit() as (stop, caught),
        display.choose(options.quiet, options.json) as show,
    ):
        results = grokjax.run(
            experiment,
            folder,
            lanes=options.lanes,
            overwrite=options.overwrite,
            retry_failed=options.retry_failed,
            fail_fast=options.fail_fast,
            report=show,
            stop=stop,
            source=source,
            command=words,
            cluster=options.placed,
        )
    if options.detach and not results.finished and not caught:
        command.say(f"submitted to the queue; the same command goes on: {words}")
        return 0
    if caught and not results.finished:
        command.say(f"stopped after a commit; the same command goes on: {words}")
        return 128 + caught[0]
    if options.json:
        print(json.dumps(_ending(results)), flush=True)
        return 1 if (results.runs["status"] == "failed").any() else 0
    with contextlib.redirect_stdout(io.StringIO() if options.quiet else sys.stdout):
        _finish(results)
    return 1 if (results.runs["status"] == "failed").any() else 0


def _finish(results: Results) -> None:
    """The table of cells, the figures and where everything is."""
    from grokjax import closing

    command.attempted("the closing report", lambda: closing.show(results), False)
    for name in ("runs", "curves"):
        print(f"wrote {results.path / name}")


def _ending(results: Results) -> dict[str, Any]:
    """The last line of `--json`: what the closing report says, and where everything is."""
    from grokjax import closing

    nothing: dict[str, Any] = {}
    told = command.attempted("the closing report", lambda: closing.as_json(results), nothing)
    tables = [str(results.path / name) for name in ("runs", "curves")]
    paths = [*told.pop("paths", []), *tables]
    return {"activity": "ended", "paths": paths, "summary": told}


if __name__ == "__main__":
    command.run(main)
