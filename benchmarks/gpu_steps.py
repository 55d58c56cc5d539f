"""The steps of `gpu_hour.py`: what each calls, and what it makes of the outcome."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pyarrow as pa

import grokjax
from grokjax.analysis.compare import compare
from grokjax.bench import cases
from grokjax.results.schema import CLOCK_COLUMNS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DONE, FAILED, REFUSED, LEFT = 0, 1, 2, 3
"""Exit statuses."""
FILES = {
    "bits": HERE / "bits.py",
    "precision": HERE / "matmul_precision.py",
    "map": ROOT / "experiments" / "wd_vs_frac_p113.py",
}
"""What the steps that train sweep over."""
LANES = "256"
PIECE_SECONDS = 150.0
"""What one case with all peers takes at one precision, about: five rounds of a second for each of
six contenders, and compiling these."""
GRACE = 30.0
"""From the request to stop a sweep to its end: a segment and a commit of some hundred megabytes."""
ALPHA = 0.05
TRAIN = """
import sys
from pathlib import Path
import grokjax
from grokjax import experiment_file
grokjax.run(experiment_file.read(Path(sys.argv[1]))[0], sys.argv[2])
"""
"""What `python -m grokjax.sweep` does but for figures, which nobody would look at."""


class Budget:
    """The seconds that are left."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self.grace = min(GRACE, seconds / 4)

    @property
    def left(self) -> float:
        """Seconds, negative where more than all are spent."""
        return self._end - time.monotonic()

    def spend(self, *_: object) -> None:
        """Leave nothing: what a SIGTERM does, so that all stops as it does when time is over."""
        self._end = time.monotonic()


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended."""

    command: str
    status: int
    stopped: bool
    """Whether it was asked to, because the time was over."""
    seconds: float
    tail: list[str]
    """The last lines that it printed."""


@dataclasses.dataclass
class Job:
    """A step that is under way."""

    out: Path
    budget: Budget
    file: Path | None
    """What to sweep over in the place of the step's own file."""
    matmul_precision: str | None
    extras: bool
    """Whether to go on with what is nice to have."""
    ended: list[Ended] = dataclasses.field(default_factory=list)

    def call(
        self, words: list[str], env: dict[str, str] | None = None, grace: float = 5.0
    ) -> Ended:
        """Run `python WORDS`, and have it stop `grace` seconds before the time is over."""
        added = [f"{name}={value}" for name, value in (env or {}).items()]
        text = shlex.join([*added, "python", *words])
        print(f"$ {text}", flush=True)
        began, told, tail = time.monotonic(), None, deque[str](maxlen=40)
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        reader = threading.Thread(target=_show, args=(process, tail), daemon=True)
        reader.start()
        while process.poll() is None:
            if told is None and self.budget.left < grace:
                told = time.monotonic()
                process.terminate()
            elif told is not None and time.monotonic() > told + grace:
                process.kill()
            time.sleep(0.1)
        reader.join(timeout=5)  # what the command started may hold its pipe for longer
        seconds = time.monotonic() - began
        ended = Ended(text, process.returncode, told is not None, seconds, list(tail))
        self.ended.append(ended)
        return ended

    def sweep(self, name: str, out: Path, *words: str) -> grokjax.Results | None:
        """Train what a step sweeps over."""
        file = shown(self.file or FILES[name])
        sweep = ["-m", "grokjax.sweep", file, "--out", shown(out), *words]
        self.call(sweep, grace=self.budget.grace)
        return self.results(out)

    def results(self, out: Path) -> grokjax.Results | None:
        """The results there, if all runs are trained and none has failed."""
        if not (out / "sweep.json").exists():
            return None
        results = grokjax.load(out)
        whole = results.finished and not (results.runs["status"] == "failed").any()
        return results if whole else None

    def unfinished(self) -> int:
        """The status of a step whose last command did not do its work."""
        return LEFT if self.ended[-1].stopped else FAILED


Found = tuple[int, dict[str, Any]]
"""The status of a step and its figures."""


def tests(job: Job) -> Found:
    """The tests that need a GPU: pytest -m gpu."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "junit.xml"
        words = ["-m", "pytest", "-m", "gpu", "-n", "0", "-q", f"--junitxml={report}"]
        ended = job.call(words)
        found = ElementTree.parse(report).getroot().find("testsuite") if report.exists() else None
    names = ("tests", "failures", "errors", "skipped")
    figures = {} if found is None else {name: int(found.get(name, 0)) for name in names}
    return DONE if ended.status == 0 else FAILED, figures


def bench(job: Job) -> Found:
    """Training steps of 256 runs beside PyTorch's and plain JAX's: case 1L first, then others."""
    pieces = [(case, how) for case in cases.STANDARD for how in ("highest", "default")]
    statuses = {}
    for case, how in pieces if job.extras else pieces[:2]:
        folder = job.out / "bench" / f"{case}-{how}"
        if any(folder.glob("*.json")):
            statuses[case, how] = DONE
        elif job.budget.left > PIECE_SECONDS:
            statuses[case, how] = _piece(job, case, how, folder)
    of_1l = [statuses.get(piece, LEFT) for piece in pieces[:2]]
    figures = {f"{case}-{how}": statuses.get((case, how), LEFT) for case, how in pieces}
    return FAILED if FAILED in of_1l else max(of_1l), figures


def _piece(job: Job, case: str, how: str, folder: Path) -> int:
    """One case at one precision; without peers where it fails with them, for want of memory say."""
    env = {
        # JAX would take three quarters of the memory at once, and PyTorch needs some.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        # Peers are given no precision by the benchmark; both libraries take theirs from here.
        "JAX_DEFAULT_MATMUL_PRECISION": how,
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": str(int(how == "default")),
    }
    words = ["-m", "grokjax.bench", "--cases", case, "--lanes", LANES, "--precision", how]
    words += ["--out", shown(folder)]
    ended = job.call([*words, "--peers"], env)
    if ended.status and not ended.stopped:
        ended = job.call(words, env)
    return LEFT if ended.stopped else FAILED if ended.status else DONE


def bits(job: Job) -> Found:
    """Equal sweeps have equal tables: with the same compiled program, and compiled anew."""
    found: dict[str, dict[str, str]] = {}
    file = shown(job.file or FILES["bits"])
    with tempfile.TemporaryDirectory() as folder:
        # All compiled programs are kept in a cache: the third sweep has one of its own.
        for name, cache in (("first", "a"), ("again", "a"), ("anew", "b")):
            out = Path(folder) / name
            env = {
                "JAX_COMPILATION_CACHE_DIR": str(Path(folder) / cache),
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            }
            job.call(["-c", TRAIN, file, str(out)], env)
            results = job.results(out)
            if results is None:
                return job.unfinished(), found
            found[name] = {table: digest(getattr(results, table)) for table in ("runs", "curves")}
    figures = {
        "equal_again": found["again"] == found["first"],
        "equal_compiled_anew": found["anew"] == found["first"],
        "digests": found,
    }
    return DONE if figures["equal_again"] else FAILED, figures


def digest(table: pd.DataFrame) -> str:
    """A hash of all bytes of a table but those that tell the time."""
    keys = [name for name in ("run_id", "step") if name in table]
    plain = table.drop(columns=[name for name in CLOCK_COLUMNS if name in table])
    rows = pa.Table.from_pandas(plain.sort_values(keys), preserve_index=False).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def precision(job: Job) -> Found:
    """Times of memorising and grokking with products in float32 beside those in TF32."""
    folder = job.out / "precision" / (job.file or FILES["precision"]).stem
    results = job.sweep("precision", folder)
    return (job.unfinished(), {}) if results is None else (DONE, verdict(results.runs))


def verdict(runs: pd.DataFrame) -> dict[str, Any]:
    """Whether runs with `default` products come as soon as those with `highest` ones."""
    rows = {m: compare(runs, "matmul_precision", metric=m).iloc[0] for m in ("t_mem", "t_grok")}
    # A p that is no number comes from times that were never seen, which clear nothing.
    clears = all(row["p"] > ALPHA for row in rows.values())
    return {"clears": clears, "compared": {m: json.loads(row.to_json()) for m, row in rows.items()}}


def map_(job: Job) -> Found:
    """The map of weight decay and train fraction, from where the last call has left it."""
    file = job.file or FILES["map"]
    folder = job.out / "map" / file.stem
    words = ["--matmul-precision", job.matmul_precision] if job.matmul_precision else []
    results = job.sweep("map", folder, *words)
    return (job.unfinished() if results is None else DONE), standing(folder)


def standing(folder: Path) -> dict[str, Any]:
    """How much of a sweep is there."""
    if not (folder / "sweep.json").exists():
        return {"ended": 0, "run_steps": 0}
    results = grokjax.load(folder)
    runs = results.runs  # without columns before the first has ended
    return {
        "ended": len(runs),
        "statuses": {} if runs.empty else runs["status"].value_counts().to_dict(),
        "grokked": 0 if runs.empty else int(runs["t_grok"].notna().sum()),
        "run_steps": int(results.curves.groupby("run_id")["step"].max().sum()),
        "starts": [start.get("work") for start in results.manifest["starts"]],
    }


STEPS: dict[str, Callable[[Job], Found]] = {
    "tests": tests,
    "bench": bench,
    "bits": bits,
    "precision": precision,
    "map": map_,
}
"""In the order in which `all` takes them."""


def shown(path: Path) -> str:
    """A path as the commands, which run in the checkout, are given it."""
    path = path.resolve()
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def _show(process: subprocess.Popen[str], tail: deque[str]) -> None:
    """Print what a command prints, and keep the end of it."""
    for line in process.stdout or ():
        print(line, end="", flush=True)
        tail.append(line.rstrip("\n"))
