"""Every state that a sweep's folder can be found in: resumed, and compared with the whole sweep.

    PYTHONPATH=tests:. python -m crash.states [KIND …]

tries all of them and writes results/trust/crashes.json.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
import random
import re
import shutil
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import safetensors.numpy
from crashes import Killed

from crash.disk import Disk, Tree, fingerprint
from crash.interposer import Interposer, Operation, read_tree, write_tree
from crash.kinds import DONOR, KINDS, Kind, Start, small_ticks
from grokjax.results.schema import CLOCK_COLUMNS

SWEEP = "sweep"
"""Folder of the sweep below the one that is watched."""
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where files are in memory, if this system has such a place."""
RECORD = Path(__file__).parents[2] / "results" / "trust" / "crashes.json"
OWN_TIME = ("created", "work", "starts", "git", "device", "command", "ticks", "parts", "blake2b")
"""What the manifests of two equal sweeps may differ in: when and how they were started."""
_PART = re.compile(r"\d{8}-\d{8}\.parquet")


@dataclasses.dataclass(frozen=True)
class State:
    """A folder that a machine may find."""

    at: int
    """Operations before the failure."""
    start: int
    """The start that had failed."""
    words: str
    """What was lost."""
    tree: Tree


class Recorded:
    """A sweep that was watched while it went through.

    Args:
      kind: of sweep.
      place: an empty folder for it.
      choose: says where the sweep was killed while it was recorded.
    """

    def __init__(self, kind: Kind, place: Path, choose: random.Random) -> None:
        self.kind, self.place, self.donor = kind, place, place / "donor"
        if kind.has_donor:
            DONOR(self.donor, self.donor)
        for start in kind.starts:
            start(place / "whole" / SWEEP, self.donor)
        self.outcome = outcome(place / "whole" / SWEEP)
        self.log = self._watch(choose)

    def _watch(self, choose: random.Random) -> list[Operation]:
        """What the sweep does to its files, killed and started again where its kind says so."""
        place = self.place / "watched"
        place.mkdir()
        interposer = Interposer(place)
        for number, start in enumerate(self.kind.starts):
            ends = [choose.randrange(20, 90) for _ in range(self.kind.deaths)]
            for end in (*ends, None):
                interposer.start(number)
                self._start(interposer, start, end)
                if read_tree(place) != interposer.disk.tree():
                    raise AssertionError("files were written that the interposer did not see")
        return interposer.log

    def _start(self, interposer: Interposer, start: Start, end: int | None) -> None:
        """A start that is killed before its `end`-th operation."""
        first = len(interposer.log)

        def deadly(n: int, operation: Operation) -> None:
            if end is not None and n - first >= end:
                raise Killed  # and so does whatever is tried after it

        interposer.hook = deadly
        with interposer.watching(), contextlib.suppress(Killed):
            start(self.place / "watched" / SWEEP, self.donor)

    def states(self, choose: random.Random) -> Iterator[State]:
        """Every state, the same one of a start once."""
        disk, seen, started = Disk(), set[tuple[int, bytes]](), 0
        for at, operation in enumerate(self.log):
            disk.apply(operation)
            if operation.kind == "start":
                started = operation.at
            found = [("killed", disk.tree())]
            found += [(f"power lost: {words}", t) for words, t in disk.after_power_loss(choose)]
            for words, tree in found:
                key = (started, fingerprint(tree))
                if key not in seen:
                    seen.add(key)
                    yield State(at, started, f"after {operation}, {words}", tree)

    def count(self, choose: random.Random) -> int:
        """How many states there are before equal ones are taken together."""
        disk, count = Disk(), 0
        for operation in self.log:
            disk.apply(operation)
            count += 1 + sum(1 for _ in disk.after_power_loss(choose))
        return count

    def check(self, state: State) -> str | None:
        """Go on from a state; what is wrong with what comes of it."""
        place = Path(tempfile.mkdtemp(dir=self.place))
        try:
            write_tree(place, state.tree)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(os, "fsync", lambda file: None)  # nothing fails any more
                for start in self.kind.starts[state.start :]:
                    start(place / SWEEP, self.donor)
            return difference(self.outcome, outcome(place / SWEEP))
        except Exception:
            return traceback.format_exc()
        finally:
            shutil.rmtree(place)


def outcome(folder: Path) -> dict[str, object]:
    """What a sweep has come to, without clocks."""
    found: dict[str, object] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = _PART.sub("PART", path.relative_to(folder).as_posix())
        if name.endswith("PART"):
            table = pd.read_parquet(path)
            found[name] = table.drop(columns=[c for c in CLOCK_COLUMNS if c in table])
        elif path.name == "sweep.json":
            manifest = json.loads(path.read_text())
            found[name] = {key: v for key, v in manifest.items() if key not in OWN_TIME}
        elif path.parent.name == "final":  # their heads tell the time
            arrays = safetensors.numpy.load_file(path)
            found[name] = {key: (v.dtype, v.shape, v.tobytes()) for key, v in arrays.items()}
        else:
            found[name] = path.read_bytes()
    return found


def difference(expected: dict[str, object], found: dict[str, object]) -> str | None:
    """What differs between two outcomes, in words."""
    if strays := sorted(found.keys() ^ expected.keys()):
        tables = [one["runs/PART"] for one in (expected, found) if "runs/PART" in one]
        errors = sorted({error for table in tables for error in table["error"].dropna()})
        return f"files of one only: {strays}; errors of runs: {errors}"
    for name, value in expected.items():
        same = value.equals(found[name]) if name.endswith("PART") else value == found[name]
        if not same and isinstance(value, dict):
            both = value.keys() | found[name].keys()
            unlike = [key for key in sorted(both) if value.get(key) != found[name].get(key)]
            told = {key: (value.get(key), found[name].get(key)) for key in unlike}
            return f"{name} differs: {told}"[:2000]
        if not same:
            return f"{name} differs"
    return None


def versions() -> dict[str, str]:
    """What the counts are of."""
    names = ("grokjax", "jax", "jaxlib", "numpy", "pyarrow", "safetensors", "filelock")
    found = {name: importlib.metadata.version(name) for name in names}
    return {"python": platform.python_version(), **found}


def write_record(path: Path, kinds: dict[str, dict[str, object]], about: dict[str, object]) -> None:
    """Put what was counted of some kinds into a file, beside what it says of others."""
    old = json.loads(path.read_text()) if path.exists() else {"kinds": {}}
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    record = {"date": date, "versions": versions(), **about, "kinds": {**old["kinds"], **kinds}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n")


def main() -> None:
    """Try all states of some kinds."""
    import jax

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=list(KINDS), metavar="KIND")
    parser.add_argument("--most", type=int, default=2000, help="of more states a seeded sample")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", 1)
    jax.config.update("jax_disable_most_optimizations", True)
    for name in given.kinds:
        began, choose = time.process_time(), random.Random(given.seed)
        with small_ticks(), tempfile.TemporaryDirectory(dir=MEMORY) as place:
            recorded = Recorded(KINDS[name], Path(place), choose)
            states = list(recorded.states(choose))
            tried = states
            if len(states) > given.most:
                tried = sorted(choose.sample(states, given.most), key=lambda state: state.at)
            bad = 0
            for n, state in enumerate(tried):
                if wrong := recorded.check(state):
                    bad += 1
                    print(f"{name}, {state.at}, {state.words}: {wrong}", flush=True)
                if n % 100 == 0:
                    print(f"{name}: {n} of {len(tried)}, {bad} wrong", flush=True)
            found = {
                "operations": len(recorded.log),
                "states": recorded.count(random.Random(given.seed)),
                "distinct": len(states),
                "resumed": len(tried),
                "wrong": bad,
                "cpu_seconds": round(time.process_time() - began),
            }
        print(f"{name}: {found}", flush=True)
        command = "PYTHONPATH=tests:. python -m crash.states"
        write_record(RECORD, {name: found}, {"command": command, "seed": given.seed})


if __name__ == "__main__":
    main()
