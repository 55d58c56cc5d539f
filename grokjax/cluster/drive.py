"""The driver: cuts what is left into shards, has workers train them, joins what they leave.

Nothing that matters is in its memory. What is to be trained follows from the experiment and the
folder, shards and their commits lie in the depot, and a driver that begins where another was
killed finds all of it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import secrets
import shutil
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import jax

from grokjax.cluster import calibration
from grokjax.cluster.crew import Crew
from grokjax.cluster.depot import Depot, open_depot
from grokjax.cluster.engines import Engine, check_installed, open_engine
from grokjax.cluster.loop import Loop
from grokjax.cluster.shards import STOP
from grokjax.cluster.words import DRIVER, check_alone
from grokjax.config import ConfigError, Experiment
from grokjax.config.cluster import Cluster
from grokjax.config.identity import FORMER_IDS
from grokjax.engine import plan, results_folder, sweep
from grokjax.engine.plan import Program
from grokjax.engine.rounds import Round
from grokjax.engine.sweep import RunOptions, Start, Train
from grokjax.results.files import write_json
from grokjax.results.reading import WORK

HOME = Path(WORK) / "cluster"
"""What the driver and its engine keep in the results folder; only its user may read it."""


class Driver:
    """Trains grids on workers, those of one sweep and its rounds, while it is entered.

    Args:
      options: where, and what each worker gets.
      engine: to be used instead of the one that the options name.
    """

    def __init__(self, options: Cluster | str, engine: Engine | None = None) -> None:
        self._options = Cluster(options) if isinstance(options, str) else options
        self._engine, self._given = engine, engine is not None
        self._token = time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + f"-{secrets.token_hex(3)}"
        # Of all rounds: what an earlier one has left in the depot must not be taken for an answer.
        self._names = (f"{self._token}-{number:05d}" for number in itertools.count(1))
        self._depots: dict[Path, tuple[str, Depot]] = {}
        """Of grids that are not finished."""
        if engine is None:
            assert self._options.cluster is not None
            check_installed(self._options.cluster)
        with contextlib.suppress(RuntimeError):  # the accelerators are for the workers
            jax.config.update("jax_platforms", "cpu")

    def __enter__(self) -> Train:
        return self.train

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._engine is not None and not self._given:
            self._engine.close()
        for _, depot in self._depots.values():
            depot.remove(DRIVER)

    def train(
        self, experiment: Experiment, trained: Sequence[Round], folder: Path, options: RunOptions
    ) -> bool:
        """Train what is missing of a grid in a folder that is locked; whether all of it is there.

        The arguments are those of `engine.sweep.start`.
        """
        opened = sweep.start(experiment, trained, folder, options, self._programs)
        if opened.old and opened.old["schema_version"] <= FORMER_IDS:
            raise ConfigError(
                f"{folder}: an older grokjax began this sweep; go on without --cluster, or choose "
                "another --out."
            )
        self._options = dataclasses.replace(self._options, cores=self._cores(opened))
        url, depot = self._open(folder, opened)
        crew = self._crew(folder, url)
        ended = set(opened.standing.ended()["run_id"])
        cuts: dict[str, Any] = dict(opened.old["programs"]) if opened.old else {}
        left = [p for p in opened.programs if any(run.run_id not in ended for run in p.runs)]
        if left:
            opened.write(opened.programs, cuts, options)
            new = [p for p in left if "signature" not in cuts.get(p.name, {})]
            chosen = calibration.choose(opened, new, cuts, crew, depot, options) if new else {}
            if chosen is None:
                return False
            cuts |= chosen
            kinds = {cuts[program.name]["signature"]["kind"] for program in left}
            device = {**opened.provenance["device"], "kind": ", ".join(sorted(kinds))}
            opened.provenance["device"] = device
            results_folder.record_programs(folder, cuts, device)
        else:
            opened.write_rounds()
        loop = Loop(opened, self._options, crew, depot, cuts, options, self._token)
        finished = loop.run()
        if finished:
            loop.finish()
            results_folder.drop_checkpoints(folder)
            # All of it: a worker that was cut off would else leave what nobody joins.
            depot.remove("")
            del self._depots[folder]
        return finished

    def _programs(
        self,
        experiment: Experiment,
        lanes: int | None,
        recorded: dict[str, Any],
        ended: Collection[str],
        find_donors: Any,
    ) -> list[Program]:
        """The programs of workers with one device each."""
        backend = "gpu" if self._options.gpus else "cpu"
        return plan.make(
            experiment,
            backend=backend,
            lanes=lanes,
            recorded=recorded,
            ended=ended,
            find_donors=find_donors,
        )

    def _open(self, folder: Path, opened: Start) -> tuple[str, Depot]:
        """The depot of a results folder, and the word that a driver is at work there."""
        if folder in self._depots:
            return self._depots[folder]
        home = folder / HOME
        if opened.old is None and (home / "depot.json").exists():  # of one that was overwritten
            open_depot(url_of(folder)).remove("")
            shutil.rmtree(home)
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (home / "depot.json").exists():
            write_json(home / "depot.json", {"url": self._url(folder)})
        url = url_of(folder)
        asked = self._options.depot
        if asked is not None and not url.startswith(asked.rstrip("/") + "/"):
            raise ConfigError(
                f"depot={asked!r}: this sweep was started with {url}, go on with that one, or "
                "start over with --overwrite."
            )
        depot = open_depot(url)
        try:
            depot.make()
            if not self._options.takeover:
                check_alone(depot, folder)
            depot.put_json("depot.json", {"folder": str(folder.resolve())})
        except OSError as error:
            reason = str(error).rstrip(".")
            raise ConfigError(f"depot={url!r}: {reason}; give one that can be written.") from None
        depot.remove(STOP)
        self._depots[folder] = url, depot
        return url, depot

    def _url(self, folder: Path) -> str:
        """Where this sweep's depot is: below the one that was asked for, or in its folder."""
        name = f"{folder.name}-{secrets.token_hex(4)}"
        if self._options.depot is None:
            return str((folder / WORK / "depot" / name).resolve())
        if "://" in self._options.depot:
            return f"{self._options.depot.rstrip('/')}/{name}"
        return str((Path(self._options.depot) / name).resolve())

    def _crew(self, folder: Path, url: str) -> Crew:
        home = folder / HOME
        if self._engine is None:
            self._engine = open_engine(self._options, home)
        crew = Crew(self._engine, self._options, url, self._names, home / "jobs.json")
        crew.adopt()
        return crew

    def _cores(self, opened: Start) -> int:
        """Cores of a worker: those that the sweep was started with."""
        cuts: Iterable[Any] = opened.old["programs"].values() if opened.old else ()
        known = {cut["signature"]["cores"] for cut in cuts if "signature" in cut} - {None}
        asked = self._options.cores
        if asked is not None and known - {asked}:
            raise ConfigError(
                f"cores={asked}: this sweep was started with {min(known)}, which its bits depend "
                "on; go on with as many, or start over with --overwrite."
            )
        return asked or min(known, default=1)


def url_of(folder: Path) -> str:
    """Where the depot of an unfinished sweep on workers is.

    Raises:
      ConfigError: the folder holds none.
    """
    try:
        text = (folder / HOME / "depot.json").read_text(encoding="utf-8")
        return str(json.loads(text)["url"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(
            f"{folder}: no unfinished sweep on workers is there, give the --out of one."
        ) from None
