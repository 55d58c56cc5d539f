"""What to ask of a GPU that is at hand for an hour: `python benchmarks/gpu_hour.py STEP`.

A step takes `--seconds` at most and prints what it does. It leaves a JSON record of its own in
OUT/STEP, which nothing overwrites, and calls the package's own commands for all that these do.

Exit status: 0 done, 1 something failed, 2 bad usage or no GPU, 3 not finished: call it again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gpu_steps
from gpu_steps import DONE, FAILED, LEFT, REFUSED, ROOT, STEPS, Budget, Job

from grokjax import command
from grokjax.bench import record
from grokjax.engine import backend

LEAST_SECONDS = {"tests": 60.0, "bench": gpu_steps.PIECE_SECONDS, "bits": 120.0, "precision": 120.0}
"""What `all` must have left to begin a step; not measured on a GPU yet."""
PROBE = """
import json, jax
device = jax.devices()[0]
version = device.client.platform_version
print(json.dumps({"platform": device.platform, "kind": device.device_kind, "version": version}))
"""


def main(arguments: list[str]) -> int:
    """Run the command; the exit status."""
    options = _parser().parse_args(arguments)
    if options.list or options.step is None:
        print("\n".join(f"{name:10} {step.__doc__}" for name, step in STEPS.items()))
        print("all        Those that have no record of this commit and device yet, in this order.")
        return DONE if options.list else REFUSED
    budget = Budget(options.seconds)
    signal.signal(signal.SIGTERM, budget.spend)
    device = probed()
    if device["platform"] not in ("gpu", "cuda", "rocm") and not options.any_device:
        command.say(
            f"error: JAX finds no GPU here but {device['kind']}, give --any-device to go on."
        )
        return REFUSED
    print(f"{device['kind']}, {options.seconds:g} s", flush=True)
    words = shlex.join(["python", "benchmarks/gpu_hour.py", *arguments])
    if options.step != "all":
        return _step(options.step, options, budget, device, words)
    statuses, left = [], []
    for name in STEPS:
        if _recorded(name, options.out.resolve(), device):
            continue
        if budget.left < LEAST_SECONDS.get(name, 2 * budget.grace):
            left.append(name)
            continue
        statuses.append(_step(name, options, budget, device, words))
        left += [name] * (statuses[-1] == LEFT)
    print(f"left: {', '.join(left) or 'nothing'}")
    return FAILED if FAILED in statuses else LEFT if left else DONE


def _step(
    name: str, options: argparse.Namespace, budget: Budget, device: dict[str, str], words: str
) -> int:
    """Run a step and record it."""
    extras, out = options.step != "all", options.out.resolve()
    job = Job(out, budget, options.experiment, options.matmul_precision, extras)
    began = time.monotonic()
    status, figures = STEPS[name](job)
    about = record.described(
        device["kind"], backend.cores(), options.matmul_precision or "as the step says", words
    )
    found = {
        **about,
        "platform_version": device["version"],
        "step": name,
        "status": status,
        "finished": status == DONE,
        "seconds": time.monotonic() - began,
        "figures": figures,
        "commands": [dataclasses.asdict(ended) for ended in job.ended],
    }
    print(f"wrote {gpu_steps.shown(record.write(out / name, found))}")
    print(f"{name}: status {status}, {json.dumps(figures)}", flush=True)
    return status


def _recorded(name: str, out: Path, device: dict[str, str]) -> bool:
    """Whether the step is done already, here and with this code."""

    def origin(about: dict[str, Any]) -> tuple[Any, Any]:
        # Not whether the checkout is clean: the records themselves lie in it.
        return (about["git"] or {}).get("sha"), about["device"]

    here = origin(record.described(device["kind"], 0, "", ""))
    records = [json.loads(path.read_text("utf-8")) for path in (out / name).glob("*.json")]
    return any(found["finished"] and origin(found) == here for found in records)


def probed() -> dict[str, str]:
    """The first device of JAX, asked in another process: this one must not hold its memory."""
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gpu_hour.py", description=__doc__.splitlines()[0])
    parser.add_argument("step", nargs="?", choices=[*STEPS, "all"], metavar="STEP")
    parser.add_argument("--list", action="store_true", help="say what the steps are")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "bench" / "gpu")
    parser.add_argument("--seconds", type=float, default=540.0, help="that it may take")
    parser.add_argument(
        "--matmul-precision", choices=["highest", "high", "default"], help="of the map"
    )
    parser.add_argument("--any-device", action="store_true", help="go on without a GPU")
    parser.add_argument("--experiment", type=Path, help="file in the place of the step's own")
    return parser


if __name__ == "__main__":
    command.run(main)
