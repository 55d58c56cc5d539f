"""`python -m grokjax.cluster COMMAND OUT`: look at a sweep on workers, join what is done, stop it.

Exit status: 0; 2 for bad usage, or where there is no such sweep.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path

from grokjax import command

USAGE = "python -m grokjax.cluster status | join | stop OUT"


def main(arguments: list[str]) -> int:
    """Run the command; the exit status."""
    return command.guarded(lambda: _main(arguments))


def _main(arguments: list[str]) -> int:
    from grokjax.config import ConfigError
    from grokjax.config.synonyms import suggestion

    if not arguments or {"-h", "--help"} & set(arguments):
        print(_help())
        raise SystemExit(0 if arguments else 2)
    if arguments[0] not in COMMANDS:
        raise ConfigError(f"command={arguments[0]!r}: {suggestion(arguments[0], COMMANDS)}")
    if len(arguments) != 2:
        raise ConfigError(f"OUT: give the results folder of a sweep, usage: {USAGE}.")
    return COMMANDS[arguments[0]](Path(arguments[1]))


def _help() -> str:
    told = [f"  {name:8s}{function.__doc__}" for name, function in COMMANDS.items()]
    return "\n".join([f"usage: {USAGE}", "", *told])


def status(folder: Path) -> int:
    """How a sweep goes, from what its workers have left."""
    from grokjax.cluster import drive, shards, words
    from grokjax.cluster.depot import open_depot
    from grokjax.display import si
    from grokjax.results.load import load

    url = drive.url_of(folder)
    depot = open_depot(url)
    told = depot.look(words.DRIVER)
    now = time.time()
    driver = f"on {told['host']}, {now - told['time']:.0f} s ago" if told else "none"
    cut = shards.listed(depot)
    print(f"{folder}: {load(folder).how_much_is_in}")
    print(f"driver: {driver}; depot: {url}; {len(cut)} shards cut and not joined")
    heard = words.furthest(words.heard(depot, depot.names("shards"), cut))
    for shard, said in sorted(heard.items()):
        steps = f"{si(said['run_steps'])} of {si(said['total_run_steps'])} run-steps"
        age = f"{now - said['time']:.0f} s ago on {said['host']}"
        print(f"  {shard}: {said['finished']} of {said['runs']} runs, {steps}, {age}")
    return 0


def join(folder: Path) -> int:
    """Join what workers have finished, without a driver and without the experiment."""
    from grokjax.cluster import drive, shards
    from grokjax.cluster.depot import open_depot
    from grokjax.cluster.join import Committer, read_schema
    from grokjax.cluster.shards import Shard
    from grokjax.engine import results_folder
    from grokjax.engine.standing import read_standing
    from grokjax.results.reading import manifest_of

    depot = open_depot(drive.url_of(folder))
    with results_folder.locked(folder):
        found = manifest_of(folder)
        columns = read_schema(folder)
        committer = Committer(folder, read_standing(folder, found), columns, found["starts"][-1])
        joined = 0
        for name in shards.listed(depot):
            if done := shards.results(depot, depot.names(f"shards/{name}")):
                shard = Shard.get(depot, name)
                joined += len(committer.take(depot, [(shard.runs, done[1]["files"])]))
    print(f"{folder}: joined {joined} runs")
    return 0


def stop(folder: Path) -> int:
    """Have workers put what they have and leave; the same command goes on."""
    from grokjax.cluster import drive
    from grokjax.cluster.depot import open_depot
    from grokjax.cluster.shards import STOP

    depot = open_depot(drive.url_of(folder))
    depot.put_json(STOP, {"host": platform.node(), "time": time.time()})
    print(f"{folder}: workers leave when they have put their last commits, within a minute or so")
    return 0


COMMANDS: dict[str, Callable[[Path], int]] = {"status": status, "join": join, "stop": stop}

if __name__ == "__main__":
    command.run(main)
