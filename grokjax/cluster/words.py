"""What drivers and workers say of themselves in the depot: that they are alive, and how it goes."""

from __future__ import annotations

import platform
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from grokjax.cluster.depot import Depot
from grokjax.config import ConfigError

DRIVER = "driver.json"
EVERY_SECONDS = 15.0
"""Between two words of a driver."""
DEAD_SECONDS = 300.0
"""Since its last word, after which a driver on another machine is taken for dead."""


class Word:
    """That a driver is alive, said again and again.

    Args:
      depot: to say it in.
      folder: of the results, for what is refused.
      token: of this driver.
    """

    def __init__(self, depot: Depot, folder: Path, token: str) -> None:
        self._depot, self._folder, self._token = depot, folder, token
        self._since, self._last = time.time(), -EVERY_SECONDS

    def due(self) -> bool:
        """Whether it is time for another."""
        return time.monotonic() - self._last >= EVERY_SECONDS

    def give(self) -> None:
        """Say it.

        Raises:
          ConfigError: another driver says so too, and later.
        """
        self._last = time.monotonic()
        told = self._depot.look(DRIVER)
        if told is not None and told["token"] != self._token and told["time"] > self._since:
            raise ConfigError(
                f"{self._folder}: a driver on {told['host']} has taken this one's place."
            )
        mine = {"token": self._token, "host": platform.node(), "time": time.time()}
        self._depot.put_json(DRIVER, mine)


def check_alone(depot: Depot, folder: Path) -> None:
    """Refuse to be a second driver; of one on this machine the folder's lock has told already.

    Raises:
      ConfigError: a driver on another machine is alive.
    """
    told = depot.look(DRIVER)
    if told is None or told["host"] == platform.node():
        return
    age = time.time() - told["time"]
    if age < DEAD_SECONDS:
        raise ConfigError(
            f"{folder}: a driver on {told['host']} gave word {age:.0f} s ago; wait for it, or take "
            "its place with --takeover."
        )


def heard(
    depot: Depot, names: Iterable[str], at_work: Collection[str]
) -> dict[tuple[str, str], dict[str, Any]]:
    """What workers say: shard and attempt → its counters.

    Args:
      depot: to hear it in.
      names: of what is there of shards.
      at_work: names of shards that somebody is at.
    """
    said: dict[tuple[str, str], dict[str, Any]] = {}
    for path in names:
        _, shard, *inside = path.split("/")
        if inside[1:] == ["status.json"] and shard in at_work and (told := depot.look(path)):
            said[shard, inside[0]] = told
    return said


def furthest(said: Mapping[tuple[str, str], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Shard → counters of the attempt that is furthest."""
    found: dict[str, dict[str, Any]] = {}
    for (shard, _), told in said.items():
        if told["run_steps"] >= found.get(shard, told)["run_steps"]:
            found[shard] = told
    return found
