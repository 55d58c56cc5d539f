"""The command: a hundred bad inputs, and what a person sees of good ones."""

import dataclasses
import json
import pathlib
import subprocess
import sys

import pandas as pd
import pytest

from grokjax import closing, experiment_file, sweep
from grokjax.engine import lanes, trainer, tune

HEADER = '''"""A test."""
from grokjax import *
task = ModularArithmetic("sub", p=7)
model = Transformer(width=8, heads=2, mlp_width=16)
'''
GOOD = "experiment = Experiment(task=task, model=model, steps=20, sweep=grid(seed=range(2)))"


def experiment(fields):
    """An experiment file with these keyword arguments, and what it lacks."""
    small = "".join(f"{name}={name}, " for name in ("task", "model") if f"{name}=" not in fields)
    return f"experiment = Experiment({small}{fields})"


BAD_FILES = {
    "train_fraction=0.0": ("train_fraction=0.0", experiment("train_fraction=0.0")),
    "train_fraction negative": ("train_fraction=-0.5", experiment("train_fraction=-0.5")),
    "no training row": ("train_fraction=0.001", experiment("train_fraction=0.001")),
    "no test row": ("train_fraction=0.999", experiment("train_fraction=0.999")),
    "train_fraction text": ("train_fraction='half'", experiment("train_fraction='half'")),
    "train_fraction nan": ("train_fraction=nan", experiment("train_fraction=float('nan')")),
    "p of 1": ("p=1", 'experiment = Experiment(task=ModularArithmetic("add", p=1))'),
    "p negative": ("p=-3", 'experiment = Experiment(task=ModularArithmetic("add", p=-3))'),
    "p fractional": ("p=7.5", 'experiment = Experiment(task=ModularArithmetic("add", p=7.5))'),
    "p huge": ("p=10000", 'experiment = Experiment(task=ModularArithmetic("add", p=10_000))'),
    "composite division": ("p=12", 'experiment = Experiment(task=ModularArithmetic("div", p=12))'),
    "composite conditional": ("p=9", 'experiment = Experiment(task=ModularArithmetic("div_odd_sub_even", 9))'),
    "unknown op": ("op='pow'", 'experiment = Experiment(task=ModularArithmetic("pow"))'),
    "unknown format": ("format='a+b'", 'experiment = Experiment(task=ModularArithmetic("add", 7, "a+b"))'),
    "width by heads": ("width=10", "experiment = Experiment(model=Transformer(width=10, heads=4))"),
    "no layers": ("layers=0", "experiment = Experiment(model=Transformer(layers=0))"),
    "no heads": ("heads=0", "experiment = Experiment(model=Transformer(heads=0))"),
    "head width": ("head_width=0", "experiment = Experiment(model=Transformer(head_width=0))"),
    "mlp width": ("mlp_width=-1", "experiment = Experiment(model=Transformer(mlp_width=-1))"),
    "activation": ("activation='swish'", "experiment = Experiment(model=Transformer(activation='swish'))"),
    "norm": ("norm='batch'", "experiment = Experiment(model=Transformer(norm='batch'))"),
    "kind of no norm": ("norm_kind='rms'", "experiment = Experiment(model=Transformer(norm_kind='rms'))"),
    "rms in two words": ("norm_kind='rms'", "experiment = Experiment(model=Transformer(norm='pre', norm_kind='rms'))"),
    "bias of rms": ("norm_biases=True", "experiment = Experiment(model=Transformer(norm='rms', norm_biases=True))"),
    "base of no rotation": ("rotary_base=100.0", "experiment = Experiment(model=Transformer(rotary_base=100))"),
    "places of no dropout": ("dropout_places=('mlp',)", "experiment = Experiment(model=Transformer(dropout_places=['mlp']))"),
    "no frequencies": ("frequencies=()", "experiment = Experiment(model=Transformer(embed_init='frequencies'))"),
    "queries of none": ("qk_norm=True", "experiment = Experiment(model=Transformer(attention='uniform', qk_norm=True))"),
    "tied widths": ("mlp_width=512", "experiment = Experiment(model=MLP(tied=True))"),
    "skips of one layer": ("skip_connections=True", "experiment = Experiment(model=MLP(skip_connections=True))"),
    "narrow for identity": ("width=8", "experiment = Experiment(model=Transformer(width=8, embed_init='identity'))"),
    "narrow for waves": ("width=4", "experiment = Experiment(model=Transformer(width=4, embed_init='frequencies', frequencies=[1, 2, 3]))"),
    "frequency too high": ("frequencies=(90,)", "experiment = Experiment(model=Transformer(embed_init='frequencies', frequencies=[90]))"),
    "init by both fans": ("init='gpt2'", "experiment = Experiment(model=Transformer(init='gpt2', scaling='mup'))"),
    "flag as number": ("causal=1", "experiment = Experiment(model=Transformer(causal=1))"),
    "number as flag": ("layers=True", "experiment = Experiment(model=Transformer(layers=True))"),
    "init": ("init='zeros'", "experiment = Experiment(model=Transformer(init='zeros'))"),
    "init scale": ("init_scale=0", "experiment = Experiment(model=Transformer(init_scale=0))"),
    "learning rate": ("learning_rate=0.0", experiment("optimizer=AdamW(learning_rate=0.0)")),
    "weight decay": ("weight_decay=-1.0", experiment("optimizer=AdamW(weight_decay=-1)")),
    "beta": ("b2=1.0", experiment("optimizer=AdamW(b2=1.0)")),
    "eps": ("eps=0.0", experiment("optimizer=AdamW(eps=0)")),
    "warmup": ("warmup_steps=-1", experiment("optimizer=AdamW(warmup_steps=-1)")),
    "steps": ("steps=0", experiment("steps=0")),
    "log_every": ("log_every=0", experiment("log_every=0")),
    "budget between rows": ("steps=25", experiment("steps=25")),
    "seed": ("seed=-1", experiment("seed=-1")),
    "split seed": ("split_seed=4294967296", experiment("split_seed=2**32")),
    "dtype": ("dtype='bfloat16'", experiment("dtype='bfloat16'")),
    "threshold": ("grokked=1.5", experiment("thresholds=Thresholds(grokked=1.5)")),
    "settle": ("settle=0", experiment("thresholds=Thresholds(settle=0)")),
    "part of the wrong kind": ("model=", "experiment = Experiment(model=AdamW())"),
    "unknown field": ("witdh", "experiment = Experiment(model=Transformer(witdh=8))"),
    "unknown axis": ("weight_decoy", experiment("sweep=grid(weight_decoy=[1])")),
    "field twice": ("weight_decay", experiment("sweep=grid({'optimizer.weight_decay': [1.0]}, weight_decay=[2.0])")),
    "field of no part": ("model='big'", experiment("sweep=grid(model=['big'], width=[8])")),
    "cell without names": ("sweep=", experiment("sweep=[{3: 4}]")),
    "huge number": ("learning_rate", experiment("optimizer=AdamW(learning_rate=10**400)")),
    "too large for float32": ("learning_rate=1e+300", experiment("optimizer=AdamW(learning_rate=1e300)")),
    "beta that rounds to 1": ("b2=0.99999999", experiment("optimizer=AdamW(b2=0.99999999)")),
    "eps that rounds to 0": ("eps=1e-46", experiment("sweep=grid(eps=[1e-46])")),
    "list for a choice": ("norm=", experiment("sweep=grid(norm=[['pre']])")),
    "dividing by a composite p": ("p=91", experiment("task=ModularArithmetic('div', p=91)")),
    "halving what does not commute": ("halve=True", experiment("task=ModularArithmetic('sub', p=7, halve=True)")),
    "a group too large": ("group='S7'", experiment("task=FiniteGroup('S7')")),
    "no group": ("group='X3'", experiment("task=FiniteGroup('X3')")),
    "minibatch larger than the training set": ("batch_size=26", experiment("task=ModularArithmetic('add', p=7), batch_size=26")),
    "features for a transformer": ("model='transformer'", experiment("task=SparseParity()")),
    "several answers for an MLP": ("model='mlp'", experiment("task=Sequence('copy'), model=MLP()")),
    "answers seen beforehand": ("causal=False", experiment("task=Sequence('copy'), model=Transformer(causal=False)")),
    "numbers for cross-entropy": ("loss='cross_entropy'", experiment("task=PolynomialRegression(), model=MLP()")),
    "label noise beyond all": ("label_noise=1.5", experiment("label_noise=1.5")),
    "noise on teacher-forced rows": ("label_noise=0.1", experiment("task=Sequence('copy'), label_noise=0.1")),
    "rows of no pairs": ("split='rows'", experiment("task=Sequence('copy'), split='rows'")),
    "balanced numbers": ("split='balanced'", experiment("task=TeacherStudent(), model=MLP(), loss=MeanSquaredError(), split='balanced'")),
    "rotary odd heads": ("head_width=3", experiment("model=Transformer(head_width=3, positions='rotary')")),
    "a rate without a softmax": ("attention_rate=0.5", experiment("model=Transformer(attention='uniform', attention_rate=0.5)")),
    "mean field of a transformer": ("scaling='mean_field'", experiment("model=Transformer(scaling='mean_field')")),
    "muP of Muon": ("scaling='mup'", experiment("model=Transformer(scaling='mup'), optimizer=Muon()")),
    "muP of embeddings in an MLP": ("scaling='mup'", experiment("model=MLP(scaling='mup')")),
    "linear in embeddings": ("layers=0", experiment("model=MLP(layers=0)")),
    "dropout of everything": ("dropout=1.0", experiment("model=MLP(dropout=1.0)")),
    "two places for a gradient": ("modifiers='sam and weight_noise'", experiment("modifiers=(SAM(), WeightNoise())")),
    "negative group rate": ("body_decay=-1.0", experiment("groups=ParameterGroups(body_decay=-1)")),
    "mask of nothing": ("keep=0.0", experiment("mask=Mask('x', step=10, keep=0.0)")),
    "change of nothing": ("changes=5", experiment("changes=(Change(5),)")),
    "change of what is static": ("width", experiment("changes=(Change(5, width=8),)")),
    "change of the start": ("init_scale", experiment("changes=(Change(5, init_scale=2.0),)")),
    "change of what is absent": ("output_scale", experiment("changes=(Change(5, output_scale=2.0),)")),
    "change twice": ("weight_decay", experiment("changes=(Change(5, weight_decay=1.0, **{'optimizer.weight_decay': 2.0}),)")),
    "changes out of order": ("changes=[9, 5]", experiment("changes=(Change(9, weight_decay=1.0), Change(5, weight_decay=2.0))")),
    "change beyond the budget": ("changes=[30000]", experiment("changes=(Change(30_000, weight_decay=1.0),)")),
    "change to a bad value": ("train_fraction=1.5", experiment("changes=(Change(5, train_fraction=1.5),)")),
    "snapshot between log points": ("snapshots.at=15", experiment("snapshots=SnapshotSchedule(at=(15,))")),
    "no snapshot at all": ("snapshots=()", experiment("snapshots=SnapshotSchedule()")),
    "scale of weights that are given": ("init_scale=2.0", experiment("model=Transformer(init_scale=2.0), start=StartFrom('x', step=0)")),
    "donor that is nowhere": ("start='nowhere'", experiment("start=StartFrom('nowhere', step=0)")),
    "tied to too few tokens": ("tied=True", experiment("task=Table([[0], [1], [2]], [0, 5, 8]), model=Transformer(tied=True)")),
    "table of uneven rows": ("inputs[1]", experiment("task=Table([[0, 1], [1]], [0, 1])")),
    "MNIST without files": ("folder='nowhere'", experiment("task=MNIST('nowhere'), model=MLP()")),
    "exit": ("SystemExit", "exit(0)"),
    "empty axis": ("weight_decay=[]", experiment("sweep=grid(weight_decay=[])")),
    "axis without a list": ("weight_decay=1.0", experiment("sweep=grid(weight_decay=1.0)")),
    "axis of text": ("op='add'", experiment("sweep=grid(op='add')")),
    "bad value in an axis": ("train_fraction=1.5", experiment("sweep=grid(train_fraction=[0.5, 1.5])")),
    "ill-typed value in an axis": ("weight_decay='1'", experiment("sweep=grid(weight_decay=['1'])")),
    "axis of a threshold": ("thresholds.settle", experiment("sweep=grid({'thresholds.settle': [1]})")),
    "uneven zip": ("zipped", experiment("sweep=zipped(width=[8, 16], heads=[2])")),
    "sweep of nothing": ("sweep=", experiment("sweep=[]")),
    "sweep of numbers": ("sweep=", experiment("sweep=3")),
    "no experiment": ("experiment=None", "x = 1"),
    "wrong experiment": ("experiment=3", "experiment = 3"),
    "syntax": ("line 5", "experiment = ("),
    "misspelt import": ("did you mean 'AdamW'?", "from grokjax import Adamw"),
    "misspelt name": ("did you mean 'AdamW'?", "import grokjax; grokjax.Adamw"),
    "exception": ("ZeroDivisionError", "experiment = 1 / 0"),
}  # fmt: skip

BAD_FLAGS = {
    "unknown flag": ("--nope", ["--nope"]),
    "unknown field": ("--optimizer.momentum", ["--optimizer.momentum", "0.9"]),
    "ill-typed": ("--optimizer.b2", ["--optimizer.b2", "high"]),
    "out of range": ("b2=1.5", ["--optimizer.b2", "1.5"]),
    "missing value": ("--out", ["--out"]),
    "choice": ("--model.activation", ["--model.activation", "softplus"]),
    "swept field": ("seed=7", ["--seed", "7"]),
    "lanes": ("lanes=0", ["--lanes", "0"]),
    "quiet and json": ("quiet", ["--quiet", "--json"]),
    "folder name": ("out=", ["--out", "a b?"]),
    "folder below a file": ("out=", ["--out", "good.py/x"]),
    "folder is a file": ("out=", ["--out", "good.py"]),
    "odd budget": ("steps=33", ["--steps", "33"]),
}


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty folder to work in, where nothing may compile."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trainer, "Lanes", None)
    return tmp_path


def refused(capsys, workplace, arguments, named):
    """The command exits with 2 and one sentence, and leaves no trace."""
    before = {p: p.stat().st_mtime_ns for p in workplace.rglob("*")}
    assert sweep.main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert named in printed.err
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1, printed.err
    assert "Traceback" not in printed.err
    assert {p: p.stat().st_mtime_ns for p in workplace.rglob("*")} == before


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files(capsys, workplace, case):
    named, text = BAD_FILES[case]
    (workplace / "bad.py").write_text(HEADER + text)
    refused(capsys, workplace, ["bad.py"], named)


@pytest.mark.parametrize("case", BAD_FLAGS)
def test_bad_flags(capsys, workplace, case):
    named, arguments = BAD_FLAGS[case]
    (workplace / "good.py").write_text(HEADER + GOOD)
    refused(capsys, workplace, ["good.py", *arguments], named)


@pytest.mark.parametrize("arguments", [[], ["nowhere.py"], ["."], ["--dry-run"]])
def test_no_file(capsys, workplace, arguments):
    refused(capsys, workplace, arguments, "FILE")


def test_a_file_whose_name_is_no_folder_name(capsys, workplace):
    (workplace / "my sweep.py").write_text(HEADER + GOOD)
    refused(capsys, workplace, ["my sweep.py"], "my sweep.py")


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(capsys, workplace):
    (workplace / "good.py").write_text(HEADER + GOOD)
    assert sweep.main(["--dry-run", "good.py"]) == 0
    printed = capsys.readouterr().out
    for word in ("2 runs", "2 to do", "seed: 0, 1", "1 compiled program", "lanes", "MiB", "about"):
        assert word in printed
    assert [p.name for p in workplace.iterdir()] == ["good.py"]


def test_a_dry_run_compiles_nothing_unless_it_is_to_be_timed(capsys, workplace, monkeypatch):
    (workplace / "good.py").write_text(HEADER + GOOD)
    measured = []

    def measure(program):
        measured.append(program.lanes)
        return tune.Timing(program.lanes, 1, 0.25, 0)

    def compile_(*arguments):
        raise AssertionError("a dry run has compiled a program")

    monkeypatch.setattr(lanes, "compiled", compile_)
    assert sweep.main(["--dry-run", "good.py", "--lanes", "1"]) == 0
    printed = capsys.readouterr().out
    assert "(nominal)" in printed and "--time measures it" in printed
    monkeypatch.setattr(tune, "measure", measure)
    assert sweep.main(["--dry-run", "good.py", "--lanes", "1", "--time"]) == 0
    printed = capsys.readouterr().out
    assert "2.5e+02 ms a run-step (timed)" in printed and "nominal" not in printed
    assert measured == [1]
    assert sweep.main(["--dry-run", "good.py", "--time"]) == 0  # a second is not worth it
    assert "nominal, too short to be timed" in capsys.readouterr().out
    for flags in (["--time"], ["--dry-run", "--time", "--target", "h100"]):
        assert sweep.main(["good.py", *flags]) == 2


@pytest.mark.drawn
def test_a_dry_run_of_a_begun_sweep_keeps_its_cut(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(closing, "show", lambda _: True)
    (tmp_path / "good.py").write_text(HEADER + GOOD)
    assert sweep.main(["good.py", "--quiet"]) == 0
    monkeypatch.setattr(tune, "measure", None)
    for flags in ([], ["--time"], ["--time", "--lanes", "1"]):
        assert sweep.main(["good.py", "--dry-run", *flags]) == 0
        printed = capsys.readouterr().out
        assert "(as when the sweep was begun)" in printed and "0 to do, 2 done" in printed


@pytest.mark.drawn
def test_overrides_reach_the_runs(tmp_path, monkeypatch, capsys, quick_figures):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.py").write_text(HEADER + GOOD)
    arguments = ["good.py", "--optimizer.weight-decay", "0.25", "--task.p", "5", "--json"]
    assert sweep.main(arguments) == 0
    runs = pd.read_parquet("results/good/runs")
    assert set(runs["weight_decay"]) == {0.25}
    assert set(runs["p"]) == {5}
    assert (tmp_path / "results" / "good" / "experiment.py").read_text() == HEADER + GOOD
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-2]["finished"] == lines[-2]["runs"] == 2
    ending = lines[-1]
    assert ending["summary"]["runs"] == 2
    assert {pathlib.Path(path).name for path in ending["paths"]} >= {
        "report.html",
        "summary.md",
        "runs",
    }
    assert all(pathlib.Path(path).exists() for path in ending["paths"])
    assert lines[-2]["run_steps"] == lines[-2]["total_run_steps"] == 40
    assert sweep.main(["good.py", "--optimizer.weight-decay", "0.25", "--task.p", "5"]) == 0
    assert "nothing to train" in capsys.readouterr().out


@pytest.mark.parametrize(
    "fields",
    [
        "sweep=grid(optimizer=[SGD(momentum=0.1), SGD(momentum=0.2), Lion()])",
        "sweep=grid(modifiers=[(), (GrokfastEMA(1.0),), (L1(), GrokfastEMA(2.0))])",
        "sweep=grid(changes=[(), (Change(10, weight_decay=0.5),)], groups=[None, ParameterGroups()])",
        "sweep=grid(task=[FiniteGroup('C5'), FiniteGroup('C7')], snapshots=[None, SnapshotSchedule(at=(10,))])",
        "task=Table([[0, 1], [1, 1], [1, 0]], [0, 1, 1]), batch_size=1",
        "task=Digits(limit=50), model=MLP(), sweep=grid(batch_size=[None, 10])",
    ],
)
def test_parts_lists_and_tables_need_no_flags(workplace, fields):
    (workplace / "good.py").write_text(HEADER + experiment(fields))
    written, _ = experiment_file.read(workplace / "good.py")
    _, parsed = sweep.parse(written, ["--train-fraction", "0.4"])
    assert parsed == dataclasses.replace(written, train_fraction=0.4)


@pytest.mark.drawn
def test_an_experiment_file_is_run_once_and_results_never(tmp_path, monkeypatch):
    import grokjax

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(closing, "show", lambda _: True)
    counted = (
        HEADER
        + "import pathlib; pathlib.Path('count').open('a').close(); pathlib.Path('count').write_text(pathlib.Path('count').read_text() + 'x')\n"
        + GOOD
    )
    (tmp_path / "good.py").write_text(counted)
    assert sweep.main(["good.py", "--quiet"]) == 0
    _ = grokjax.load("results/good").runs
    assert (tmp_path / "count").read_text() == "x"


@pytest.mark.parametrize(
    "arguments",
    [["grokjax.sweep", "--help"], ["grokjax.phase", "--help"], ["grokjax.export", "--help"]],
)
def test_help_imports_no_jax(arguments):
    script = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert not {'jax', 'matplotlib', 'pandas'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()
