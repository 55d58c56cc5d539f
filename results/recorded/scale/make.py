"""How long does `python -m grokjax.phase` take on a large sweep, and in how much memory?

Question:     30,000 runs with 2,000 log points each, 60 million rows of curves, made up.
Command:      python results/recorded/scale/make.py FOLDER   (4 minutes, 330 MB on disk)
Result:       printed, and recorded in results/README.md.
"""

import dataclasses
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from grokjax import Experiment, Thresholds
from grokjax.analysis import onset
from grokjax.analysis.curves import Curves
from grokjax.results import schema
from grokjax.results.files import parquet_options
from scipy.special import expit

DECAYS = np.round(np.geomspace(0.03, 10, 60), 4)
FRACTIONS = np.round(np.linspace(0.2, 0.8, 50), 3)
SEEDS, POINTS, EVERY, LANES, SEGMENT = 10, 2000, 10, 256, 50


def curves_of(rng: np.random.Generator, decay: np.ndarray, fraction: np.ndarray) -> dict:
    """Metric → `[R, POINTS]` of runs that grok around a bent power law."""
    step, n = np.arange(POINTS) * EVERY, len(decay)
    centre = 3000 * decay**-0.8 * np.exp(-9 * (fraction - 0.5) + 0.6 * np.log10(decay) ** 2)
    centre = (centre * np.exp(0.5 * rng.normal(size=n)))[:, None]
    rise = expit((step - centre) / (0.05 * centre + 50))
    test = np.clip(0.02 + 0.98 * rise + 0.005 * rng.normal(size=rise.shape), 0, 1)
    loss = 8 * (1 - rise) + 1e-3
    found = {
        "train_loss": np.tile(4 * np.exp(-step / 100) + 1e-6, (n, 1)),
        "train_accuracy": np.tile(np.minimum(1, step / 200), (n, 1)),
        "test_loss": loss, "test_accuracy": test, "weight_norm": 40 - 15 * rise,
        "grad_norm": 0.1 * loss, "update_norm": 0.01 * loss,
    }
    return {name: values.astype(np.float32) for name, values in found.items()}


def make(folder: Path) -> None:
    """The folder of a made-up sweep, its curves interleaved as lanes leave them."""
    rng, experiment, step = np.random.default_rng(0), Experiment(), np.arange(POINTS) * EVERY
    cells = [(d, f, s) for f in FRACTIONS for d in DECAYS for s in range(SEEDS)]
    base = experiment.resolved().row() | {
        "status": "done", "stop_reason": "budget", "last_step": int(step[-1]), "chance": 0.02,
        "steps": int(step[-1]), "log_every": EVERY, "lanes": LANES, "wall_s": 1.0,
    }
    for name in ("runs", "curves"):
        (folder / name).mkdir(parents=True)
    path, rows = folder / "curves" / "00000000-00000000.parquet", []
    with pq.ParquetWriter(path, schema.CURVES, **parquet_options(schema.CURVES)) as writer:
        for begin in range(0, len(cells), LANES):
            decay, fraction, seed = map(np.array, zip(*cells[begin : begin + LANES], strict=True))
            ids = [f"{begin + i:016x}" for i in range(len(seed))]
            values = curves_of(rng, decay, fraction)
            shape = (len(ids), POINTS)
            batch = Curves(ids, np.broadcast_to(step, shape), np.ones(shape, bool), values)
            measured = onset.onsets(batch, np.full(len(ids), 0.02), Thresholds())
            lists = {name: column.tolist() for name, column in measured.items()}
            for i, run_id in enumerate(ids):
                own = {"weight_decay": decay[i], "train_fraction": fraction[i], "seed": int(seed[i])}
                onsets = {name: column[i] for name, column in lists.items()}
                rows.append(base | own | {"run_id": run_id, "split_seed": int(seed[i])} | onsets)
            segments = []
            for at in range(0, POINTS, SEGMENT):
                part = slice(at, at + SEGMENT)
                pieces = [
                    (run_id, step[part], {name: v[i, part] for name, v in values.items()})
                    for i, run_id in enumerate(ids)
                ]
                segments.append(schema.curves_table(pieces))
            writer.write_table(pa.concat_tables(segments))
    runs = schema.runs_table(rows, schema.runs_schema(experiment))
    pq.write_table(runs, folder / "runs" / "00000000-00000000.parquet")
    manifest = {
        "schema_version": schema.SCHEMA_VERSION, "name": folder.name, "base": {},
        "axes": {"optimizer.weight_decay": DECAYS.tolist(), "train_fraction": FRACTIONS.tolist()},
        "thresholds": dataclasses.asdict(Thresholds()), "command": "made up",
    }
    (folder / "sweep.json").write_text(json.dumps(manifest))


if __name__ == "__main__":
    place = Path(sys.argv[1])
    make(place)
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "grokjax.phase", str(place)], check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"{time.perf_counter() - began:.0f} s, {peak:.2f} GiB")
