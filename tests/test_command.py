"""How the command lines end when their reader, their device or their user has had enough."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import QUICK_PROCESS
from sweep_folder import synthetic_results

FILE = """
from grokjax import *
experiment = Experiment(
    task=ModularArithmetic("sub", p=7), model=Transformer(width=8, heads=2, mlp_width=16),
    steps=40, sweep=grid(seed=range(2)),
)
"""
HANGING = """
import sys
def hang(*_, **__):
    sys.stdout.write("here\\n")
    import time
    time.sleep(60)
"""
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")


def words(*arguments):
    return [sys.executable, "-m", *arguments]


def first_line_of(folder, *arguments):
    """What `| head -1` sees, the exit status behind it, and what standard error has."""
    with subprocess.Popen(
        words(*arguments), cwd=folder, env=os.environ | QUICK_PROCESS,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        line = process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    return line, process.returncode, said


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "two.py").write_text(FILE)
    return tmp_path


@pytest.fixture
def results(tmp_path):
    synthetic_results(tmp_path / "sweep", [1.0], [0.5], seeds=2)
    return tmp_path


@pytest.mark.drawn
@pytest.mark.parametrize(
    "arguments",
    [
        ["grokjax.sweep", "--help"],
        ["grokjax.sweep", "two.py", "--help"],
        ["grokjax.sweep", "two.py", "--dry-run"],
        ["grokjax.phase", "--help"],
    ],
)
def test_a_reader_that_goes_is_no_error(folder, arguments):
    line, status, said = first_line_of(folder, *arguments)
    assert line
    assert (status, said) == (0, "")


@pytest.mark.parametrize("flags", [["--json"], pytest.param([], marks=pytest.mark.slow)])
def test_training_goes_on_when_its_reader_has_gone(folder, flags):
    line, status, said = first_line_of(folder, "grokjax.sweep", "two.py", *flags)
    assert line
    assert (status, said) == (0, "")
    written = {path.name for path in (folder / "results" / "two").iterdir()}
    assert written >= {"runs", "curves", "sweep.json", "experiment.py", "figures", "report.html"}
    assert not (folder / "results" / "two" / ".work").exists()


@pytest.mark.drawn
def test_figures_are_written_when_the_reader_has_gone(results):
    assert first_line_of(results, "grokjax.phase", "sweep")[1:] == (0, "")
    assert (results / "sweep" / "report.html").exists()


@pytest.mark.drawn
@full
@pytest.mark.parametrize("arguments", [["grokjax.sweep", "two.py"], ["grokjax.phase", "--help"]])
def test_a_full_device_is_one_sentence_and_stops_nothing(folder, arguments):
    with Path("/dev/full").open("w") as device:
        done = subprocess.run(
            words(*arguments), cwd=folder, env=os.environ | QUICK_PROCESS,
            stdout=device, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert "standard output: No space left on device" in done.stderr
    assert "two.py" not in arguments or (folder / "results" / "two" / "report.html").exists()


@pytest.mark.drawn
@full
def test_without_any_output_there_is_still_a_status(folder):
    for redirection in (">&- 2>&-", ">/dev/full 2>/dev/full"):
        line = f"{sys.executable} -m grokjax.sweep two.py --dry-run {redirection}"
        assert subprocess.run(["sh", "-c", line], cwd=folder).returncode == 0
        line = line.replace("two.py", "three.py")
        assert subprocess.run(["sh", "-c", line], cwd=folder).returncode == 2


def interrupted(folder, script, *arguments):
    """Status and standard error of a command that is interrupted where `script` lets it hang."""
    run = (
        f"{HANGING}{script}\nimport runpy\nsys.argv = sys.argv[1:]\n"
        "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-u", "-c", run, *arguments],
        cwd=folder, env=os.environ | QUICK_PROCESS, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        while (line := process.stdout.readline()) and line != "here\n":
            pass
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)
        process.stdout.close()
        said = process.stderr.read()
    return process.returncode, said


IN_A_FIGURE = "from grokjax.figures import style\nstyle.save = hang"
IN_AN_IMPORT = """
class Finder:
    def find_spec(self, name, *_):
        if name == "pandas": hang()
sys.meta_path.insert(0, Finder())
"""
LOST = """
import gc
class Finder:
    def find_spec(self, name, *_):
        if name == "pandas":
            class Late:
                def __del__(self): hang()
            Late(), gc.collect()
sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("script", [IN_A_FIGURE, IN_AN_IMPORT, LOST])
def test_ctrl_c_is_status_130_and_one_sentence(results, script):
    assert interrupted(results, script, "grokjax.phase", "sweep") == (130, "stopped by Ctrl-C\n")


@pytest.mark.drawn
@pytest.mark.parametrize("script", [IN_A_FIGURE, IN_AN_IMPORT])
def test_ctrl_c_in_a_sweep_outside_of_training(folder, script):
    status, said = interrupted(folder, script, "grokjax.sweep", "two.py")
    assert (status, said.count("\n")) == (130, 1)
    assert "Traceback" not in said


def test_an_interrupt_that_an_import_turns_into_its_own_error(folder):
    """As C extensions do."""
    (folder / "odd.py").write_text(
        "import sys\nsys.stdout.write('here\\n')\n"
        "try:\n    import time; time.sleep(60)\n"
        "except KeyboardInterrupt:\n    raise ImportError('core failed to import') from None\n"
    )
    script = IN_AN_IMPORT.replace('"pandas"', '"tyro"')
    script = "sys.path.insert(0, '.')" + script.replace("hang()", "import odd")
    assert interrupted(folder, script, "grokjax.sweep", "two.py") == (130, "stopped by Ctrl-C\n")


def test_little_is_imported_before_the_command_is_in_its_own_hands():
    for module in ("grokjax.sweep", "grokjax.phase"):
        script = (
            f"import {module}, sys; print(*(m for m in sys.modules if m.startswith('grokjax')))"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert set(done.stdout.split()) == {"grokjax", "grokjax.command", "grokjax.text", module}


ENDINGS = """
import contextlib, io, json, os, sys, tempfile
from grokjax import __main__, command, export, measure, phase, sweep
from grokjax.bench import __main__ as bench
mains = {
    "grokjax": __main__.main, "sweep": sweep.main, "phase": phase.main, "measure": measure.main,
    "export": export.main, "bench": bench.main,
}

def broken():
    reading, writing = os.pipe()
    os.close(reading)
    return writing

def ended(name, words, out, err):
    said = tempfile.TemporaryFile()
    if (child := os.fork()) == 0:
        for number, kind in ((1, out), (2, err)):
            there = {"pipe": broken, "full": lambda: os.open("/dev/full", os.O_WRONLY)}
            os.dup2(there.get(kind, said.fileno)(), number)
        sys.stdout, sys.stderr = (os.fdopen(n, "w", closefd=False) for n in (1, 2))
        sys.argv = [name, *words]
        try:
            command.run(mains[name])
        except SystemExit as stop:
            os._exit(stop.code)
        finally:
            os._exit(99)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said.seek(0)
    return [status, said.read().decode()]

cases = json.loads(sys.argv[1])
for name, words in {name: words for name, words, *_ in cases}.items():  # import once
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        mains[name](words)
print(json.dumps([ended(*one) for one in cases]))
"""
"""Commands by forks of one process, which has imported once what all of them need."""


@full
def test_every_command_ends_well_without_a_reader_and_on_a_full_device(tmp_path):
    commands = ["grokjax", "sweep", "phase", "measure", "export", "bench"]
    wrong = {"grokjax": ["nope"], "sweep": ["nope.py"], "bench": ["--nope"]}
    streams = [
        ("pipe", "kept"),
        ("kept", "pipe"),
        ("pipe", "pipe"),
        ("full", "kept"),
        ("kept", "full"),
        ("full", "full"),
    ]
    cases = [
        (name, words, *both)
        for name in commands
        for words in (["--help"], wrong.get(name, ["--nope"]))
        for both in streams
    ]
    done = subprocess.run(
        [sys.executable, "-c", ENDINGS, json.dumps(cases)], cwd=tmp_path, env=os.environ | QUICK_PROCESS,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for (name, words, out, err), (status, said) in zip(cases, json.loads(done.stdout), strict=True):
        told = (name, words, out, err, status, said)
        assert status == (0 if words == ["--help"] else 2), told
        assert "Traceback" not in said, told
        if out != "kept" and err == "kept":
            sentences = said.splitlines()
            assert len(sentences) == (words != ["--help"]) + (
                words == ["--help"] and out == "full"
            ), told
            assert all(len(sentence) <= 300 for sentence in sentences), told
    assert not list(tmp_path.iterdir())
