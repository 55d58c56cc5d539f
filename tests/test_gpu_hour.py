"""The steps for a GPU do on a processor what they do there, small."""

import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import grokjax
from grokjax import experiment_file
from grokjax.engine import plan

FOLDER = Path(__file__).parents[1] / "benchmarks"
COMMAND = [sys.executable, str(FOLDER / "gpu_hour.py")]
TINY = """
from grokjax import MLP, AdamW, Experiment, ModularArithmetic, grid
experiment = Experiment(
    task=ModularArithmetic("sub", p=7, format="a b"),
    model=MLP(width=8, mlp_width=16),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=0.5),
    steps=STEPS, settle_steps=None, log_every=50,
    sweep=grid(seed=range(2)),
)
"""


@pytest.fixture
def steps(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("gpu_steps")


def test_all_takes_what_has_no_record_and_says_what_is_left(steps, tmp_path, monkeypatch, capsys):
    hour, called = importlib.import_module("gpu_hour"), []

    def step(name, status):
        return lambda job: called.append(name) or (status, {})

    some = {"bits": step("bits", steps.DONE), "map": step("map", steps.LEFT)}
    monkeypatch.setattr(hour, "STEPS", some)
    device = {"platform": "gpu", "kind": "GPU", "version": "1"}
    monkeypatch.setattr(hour, "probed", lambda: device)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    words = ["all", "--out", str(tmp_path)]
    assert hour.main(words) == hour.main(words) == steps.LEFT
    assert called == ["bits", "map", "map"]
    assert capsys.readouterr().out.splitlines()[-1] == "left: map"
    assert hour.main([*words, "--seconds", "0"]) == steps.LEFT
    assert called == ["bits", "map", "map"]
    assert [len(records(tmp_path / name)) for name in some] == [1, 2]


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Words of a step on a small experiment, on whatever device there is."""

    # Programs take longer to optimise than to run; processes that steps start are told by this.
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "1")

    def words(step, updates):
        (tmp_path / "tiny.py").write_text(TINY.replace("STEPS", str(updates)))
        given = ["--any-device", "--experiment", str(tmp_path / "tiny.py"), "--out", str(tmp_path)]
        return [*COMMAND, step, *given]

    return words


def records(folder):
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return sorted(found, key=lambda record: record["created"])


def test_the_list_names_every_step(steps):
    done = subprocess.run([*COMMAND, "--list"], capture_output=True, text=True)
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == [*steps.STEPS, "all"]


def test_without_a_gpu_a_step_refuses_in_a_sentence(tmp_path):
    words = [*COMMAND, "bits", "--out", str(tmp_path)]
    cpu = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(words, capture_output=True, text=True, env=cpu)
    assert done.returncode == 2
    assert done.stderr == "error: JAX finds no GPU here but cpu, give --any-device to go on.\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.drawn
def test_equal_sweeps_have_equal_bits(tmp_path, steps, monkeypatch):
    (tmp_path / "tiny.py").write_text(TINY.replace("STEPS", "100"))
    job, caches = steps.Job(tmp_path, steps.Budget(60), tmp_path / "tiny.py", None, True), []

    def call(words, env):  # in this process, which compiles them once
        caches.append(env["JAX_COMPILATION_CACHE_DIR"])
        assert words[0] == "-c"
        monkeypatch.setattr(sys, "argv", words[:1] + words[2:])
        exec(words[1], {})

    monkeypatch.setattr(job, "call", call)
    status, figures = steps.STEPS["bits"](job)
    assert status == steps.DONE
    assert figures["equal_again"] and figures["equal_compiled_anew"]
    assert caches[0] == caches[1] != caches[2]


def test_a_digest_sees_the_last_bit_and_no_clock(steps):
    runs = pd.DataFrame({"run_id": ["b", "a"], "t_grok": [1.0, 2.0], "wall_s": [3.0, 4.0]})
    same = runs.iloc[::-1].assign(wall_s=0.0)
    assert steps.digest(runs) == steps.digest(same)
    assert steps.digest(runs) != steps.digest(runs.assign(t_grok=[1.0, 2.0 + 2**-51]))


def stopped(words):
    """Have a step stop as the end of its time does, after a segment of training; its status."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if "compiling" in line:
                os.kill(process.pid, signal.SIGTERM)
                break
        process.stdout.read()
    return process.returncode


@pytest.mark.drawn
def test_a_map_that_was_stopped_goes_on_and_records_both_calls(tmp_path, call):
    words = call("map", 200_000)
    assert [stopped(words), stopped(words)] == [3, 3]
    first, second = records(tmp_path / "map")
    assert not first["finished"] and first["commands"][0]["stopped"]
    assert first["versions"]["jax"] and first["device"]["kind"] and "map" in first["command"]
    assert second["figures"]["run_steps"] > first["figures"]["run_steps"] > 0
    assert len(second["figures"]["starts"]) == 2
    assert not grokjax.load(tmp_path / "map" / "tiny").finished


def test_a_step_that_has_no_time_left_says_so(tmp_path, call):
    done = subprocess.run([*call("map", 100), "--seconds", "0.1"], capture_output=True, text=True)
    assert done.returncode == 3, done.stdout + done.stderr
    (record,) = records(tmp_path / "map")
    assert record["figures"]["ended"] == 0


def test_a_map_is_done_when_all_runs_are_there(tmp_path, steps, monkeypatch):
    (tmp_path / "tiny.py").write_text(TINY.replace("STEPS", "100"))
    experiment, _ = experiment_file.read(tmp_path / "tiny.py")
    grokjax.run(experiment, tmp_path / "map" / "tiny")
    job = steps.Job(tmp_path, steps.Budget(60), tmp_path / "tiny.py", None, True)
    monkeypatch.setattr(job, "call", lambda words, **_: None)
    status, figures = steps.STEPS["map"](job)
    assert status == steps.DONE
    assert figures["statuses"] == {"done": 2} and figures["run_steps"] == 200


def test_a_precision_clears_when_neither_time_moves(steps):
    times = pd.DataFrame({"t_mem": range(100, 120), "t_grok": range(1000, 3000, 100)})
    times = times.astype("Int64").assign(status="done", last_step=6000, steps=6000)
    highest = times.assign(matmul_precision="highest")

    def clears(other):
        found = steps.verdict(pd.concat([highest, other.assign(matmul_precision="default")]))
        json.dumps(found, allow_nan=False)
        return found["clears"]

    assert clears(times)
    assert not clears(times.assign(t_grok=times["t_grok"] + 2000))
    assert not clears(times.assign(t_mem=times["t_mem"] + 50))


@pytest.fixture
def benchmarks(tmp_path, steps, monkeypatch):
    """A job whose benchmarks end at once with these statuses and leave a record where it is 0."""

    def job_of(*statuses, seconds=10_000, extras=False):
        job, called = steps.Job(tmp_path, steps.Budget(seconds), None, None, extras), []

        def call(words, env):
            called.append((words, env))
            status = statuses[len(called) - 1]
            if not status:
                folder = Path(words[words.index("--out") + 1])
                folder.mkdir(parents=True)
                (folder / "record.json").touch()
            return steps.Ended("", status, False, 1.0, [])

        monkeypatch.setattr(job, "call", call)
        return job, called

    return job_of


def test_benchmarks_that_have_a_record_are_not_made_again(steps, benchmarks):
    job, called = benchmarks(0, 0)
    assert steps.STEPS["bench"](job)[0] == steps.DONE
    assert [env["TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"] for _, env in called] == ["0", "1"]
    assert all("1L" in words and "--peers" in words for words, _ in called)
    again, called = benchmarks()
    assert steps.STEPS["bench"](again)[0] == steps.DONE and not called
    more, called = benchmarks(*[0] * 10, extras=True)
    assert steps.STEPS["bench"](more)[0] == steps.DONE and len(called) == 10


def test_a_benchmark_that_fails_with_peers_is_made_without(steps, benchmarks):
    job, called = benchmarks(1, 0, 1, 1)
    status, figures = steps.STEPS["bench"](job)
    assert status == steps.FAILED
    assert [figures["1L-highest"], figures["1L-default"]] == [steps.DONE, steps.FAILED]
    assert ["--peers" in words for words, _ in called] == [True, False, True, False]


def test_benchmarks_that_time_does_not_allow_are_left(steps, benchmarks):
    job, called = benchmarks(seconds=100)
    assert steps.STEPS["bench"](job)[0] == steps.LEFT and not called


@pytest.mark.parametrize("name", ["bits", "precision", "map"])
def test_what_the_steps_sweep_over_plans(name, steps):
    experiment, _ = experiment_file.read(steps.FILES[name])
    programs = plan.make(experiment, backend="gpu", devices=1)
    assert sum(len(program.runs) for program in programs) == len(experiment.runs())
