"""The command under signals: what it commits before it ends, and what kill -9 leaves."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from conftest import QUICK_PROCESS
from test_cli import GOOD, HEADER, experiment


@pytest.mark.parametrize(
    ("number", "status"),
    [pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow), (signal.SIGTERM, 143)],
)
def test_a_signal_stops_after_a_commit(tmp_path, number, status):
    long = GOOD.replace("steps=20", "steps=2_000_000")
    (tmp_path / "long.py").write_text(HEADER + long)
    command = [sys.executable, "-m", "grokjax.sweep", "long.py", "--json", "--lanes", "2"]
    both = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "env": os.environ | QUICK_PROCESS,
    }
    with subprocess.Popen(command, cwd=tmp_path, text=True, **both) as process:
        for line in process.stdout:
            if line.startswith("{") and json.loads(line)["run_steps"] > 0:
                os.kill(process.pid, number)
                break
        rest = process.stdout.read()
    assert process.returncode == status
    assert re.search("the same command goes on", rest)
    assert (tmp_path / "results" / "long" / ".work" / "checkpoints").exists()


DRIVER = """
import sys
from grokjax import closing, sweep
from grokjax.engine import plan
closing.as_json = lambda *_: {}
plan.SEGMENT_SECONDS = plan.TICK_SECONDS = 0.1
sys.exit(sweep.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("p", "kills"), [(7, 1), pytest.param(17, 6, marks=pytest.mark.slow)], ids=["once", "often"]
)
def test_kill_9_at_random_moments(tmp_path, p, kills):
    """Tables equal an uninterrupted sweep's bit for bit, clock columns aside.

    Each death comes at a random moment after a commit that has brought the sweep further.
    """
    text = HEADER + experiment(
        "steps=1000, sweep=grid(weight_decay=[0.1, 1.0], train_fraction=[0.4, 0.6], seed=range(3))"
    ).replace("task=task", f"task=ModularArithmetic('sub', p={p})")
    (tmp_path / "kill.py").write_text(text)

    def start(out):
        command = [sys.executable, "-c", DRIVER, "kill.py", "--json", "--lanes", "3", "--out", out]
        return subprocess.Popen(
            command, cwd=tmp_path, env=os.environ | QUICK_PROCESS, stdout=subprocess.PIPE, text=True
        )

    def done(out):
        with start(out) as process:
            steps = [json.loads(line).get("run_steps", 0) for line in process.stdout]
        assert process.returncode == 0
        return steps

    def same_tables():
        for name in ("runs", "curves"):
            found, expected = (
                pd.read_parquet(tmp_path / out / name) for out in ("killed", "whole")
            )
            assert len(expected) == {"runs": 12, "curves": 12 * 101}[name]
            found, expected = (t.drop(columns="wall_s", errors="ignore") for t in (found, expected))
            pd.testing.assert_frame_equal(found, expected, check_exact=True)

    assert len(set(done("whole"))) > kills + 1  # a commit for each death, and an end
    moments, reached = random.Random(0), [0]
    for _ in range(kills):
        with start("killed") as process:
            for line in process.stdout:
                steps = json.loads(line).get("run_steps", 0)
                if steps > reached[-1]:
                    reached.append(steps)
                    break
            time.sleep(moments.uniform(0, 0.2))
            process.kill()
        assert process.returncode == -signal.SIGKILL
    assert len(reached) == kills + 1
    assert done("killed")[0] >= reached[-1]  # none of what was committed is trained again
    same_tables()
