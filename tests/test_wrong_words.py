"""Wrong words: wherever one is written, the same sentence says which field is meant."""

import abc
import copy
import dataclasses
import inspect
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

import grokjax
from grokjax import (
    MLP,
    SAM,
    SGD,
    AdamW,
    Change,
    ConfigError,
    Experiment,
    ModularArithmetic,
    Muon,
    Optimizer,
    SnapshotSchedule,
    StartFrom,
    Table,
    Thresholds,
    Transformer,
    experiment_file,
    grid,
    sweep,
    zipped,
)
from grokjax.analysis.cells import check_columns
from grokjax.config.fields import field_types
from grokjax.figures.axes import level_text

RATE = "lr: did you mean learning_rate, a field of the optimiser?"
BETAS = "betas: give b1 and b2, fields of the optimiser."
EPOCHS = (
    "did you mean steps, a field of the experiment (without batch_size every update is an epoch)?"
)
DEVICE = "device: grokjax trains on the devices that JAX sees, choose them in the environment"
MOMENTUM = "momentum is a field of SGD and Muon"
TASK = ModularArithmetic(p=7)


def sentence(work):
    """What a refusal says: one line, that ends like a sentence and only once."""
    with pytest.raises(ConfigError) as refused:
        work()
    said = str(refused.value)
    assert "\n" not in said and said[-1] in ".?…" and said[-2] not in ".?!", said
    assert len(said) < 400, said
    return said


CONSTRUCTORS = {
    "lr": (lambda: AdamW(lr=1), RATE),
    "betas": (lambda: AdamW(betas=(0.9, 0.98)), BETAS),
    "beta1": (lambda: AdamW(beta1=0.9), "did you mean b1, a field of the optimiser?"),
    "wd": (lambda: SGD(wd=1), "did you mean weight_decay, a field of the optimiser?"),
    "capitals": (lambda: AdamW(learningRate=1), "did you mean learning_rate,"),
    "decay of one that has none": (lambda: AdamW(decay=1), "did you mean weight_decay,"),
    "of another optimiser": (lambda: AdamW(momentum=0.9), f"{MOMENTUM}, and not of AdamW"),
    "d_model": (lambda: Transformer(d_model=64), "did you mean width, a field of the model?"),
    "n_layers": (lambda: Transformer(n_layers=2), "did you mean layers, a field of the model?"),
    "num_heads": (lambda: Transformer(num_heads=2), "did you mean heads, a field of the model?"),
    "two may be meant": (
        lambda: MLP(hidden=64),
        "hidden: did you mean width or mlp_width, fields of the model?",
    ),
    "hidden_sizes": (
        lambda: MLP(hidden_sizes=[64, 64]),
        "hidden_sizes: give layers and mlp_width, fields of the model.",
    ),
    "misspelt": (lambda: Transformer(witdh=8), "witdh: did you mean width, a field of the model?"),
    "a letter less than a field, and a field of another part": (
        lambda: Experiment(step=9),
        "step: did you mean steps, a field of the experiment, or start=StartFrom(step=9)?",
    ),
    "a letter more": (
        lambda: StartFrom(steps=9),
        "steps: did you mean step, a field of StartFrom, or Experiment(steps=9)?",
    ),
    "a field of a part": (
        lambda: Experiment(weight_decay=1.0),
        "weight_decay is a field of the optimiser: write optimizer=AdamW(weight_decay=1.0).",
    ),
    "a field of the part that is given": (
        lambda: Experiment(optimizer=SGD(), wd=1),
        "did you mean weight_decay, a field of the optimiser, as in optimizer=SGD(weight_decay=1)?",
    ),
    "a field of a part that is not given": (
        lambda: Experiment(momentum=0.9),
        f"{MOMENTUM}: write optimizer=SGD(momentum=0.9).",
    ),
    "a field of a modifier": (lambda: Experiment(radius=0.1), "write modifiers=[SAM(radius=0.1)]."),
    "a field of the experiment": (lambda: Transformer(steps=9), "write Experiment(steps=9)."),
    "epochs": (lambda: Experiment(epochs=100), f"epochs: {EPOCHS}"),
    "device": (lambda: Experiment(device="cuda"), DEVICE),
    "batch": (lambda: Experiment(batch=3), "did you mean batch_size, a field of the experiment?"),
    "frac_train": (lambda: Experiment(frac_train=0.3), "did you mean train_fraction,"),
    "nothing near": (lambda: Experiment(xyzzy=1), "python -m grokjax.sweep FILE --help"),
    "by its place": (lambda: AdamW(1e-3), "given by name, as in AdamW(learning_rate=…)."),
    "too many": (lambda: ModularArithmetic("add", 7, "a b", 0, False, 1), "6 values are given"),
    "twice": (lambda: ModularArithmetic("add", op="sub"), "op: it is given twice"),
    "missing": (lambda: StartFrom(), "path and step must be given"),
    "a change without a step": (lambda: Change(lr=1), "step must be given"),
    "replaced": (lambda: dataclasses.replace(AdamW(), lr=1), RATE),
    "string for an optimiser": (
        lambda: Experiment(optimizer="adamw"),
        "optimizer='adamw': write optimizer=AdamW().",
    ),
    "misspelt string": (lambda: Experiment(optimizer="adanw"), "write optimizer=AdamW()"),
    "string for a model": (lambda: Experiment(model="mlp"), "model='mlp': write model=MLP()."),
    "string for an operation": (
        lambda: Experiment(task="add"),
        "task='add': write task=ModularArithmetic(op='add').",
    ),
    "string for a loss": (
        lambda: Experiment(loss="mse"),
        "loss='mse': write loss=MeanSquaredError().",
    ),
    "string for a modifier": (lambda: Experiment(modifiers=["sam"]), "write modifiers=[SAM()]."),
    "string for a moment": (
        lambda: Experiment(snapshots="end"),
        "write snapshots=SnapshotSchedule(moments=['end']).",
    ),
    "a class": (lambda: Experiment(thresholds=Thresholds), "write thresholds=Thresholds()."),
    "a class of another kind": (lambda: Experiment(optimizer=MLP), "not the class MLP."),
    "a number for a part": (
        lambda: Experiment(optimizer=3),
        "expected an Optimizer such as AdamW()",
    ),
    "one for a list": (lambda: Experiment(modifiers=SAM()), "give a list, put it into []."),
    "gcd": (lambda: ModularArithmetic("gcd"), "write task=Operation('gcd(x, y)', p=…)."),
    "a formula for a task": (
        lambda: Experiment(task="gcd"),
        "it is a formula, write task=Operation('gcd(x, y)').",
    ),
    "a choice": (lambda: Transformer(norm="prre"), "norm='prre': did you mean 'pre'?"),
    "half a step": (lambda: Experiment(steps=10.5), "steps=10.5: give a whole number."),
    "more than a float can count": (lambda: Experiment(seed=1e300), "give a whole number."),
    "per cent": (lambda: Experiment(train_fraction=30), "for 30 % give 0.3."),
    "per cent of labels": (lambda: Experiment(label_noise=5), "for 5 % give 0.05."),
    "per cent of accuracy": (lambda: Thresholds(grokked=95), "for 95 % give 0.95."),
    "a batch of none": (lambda: Experiment(batch_size=0), "leave it out (None) for all of them"),
    "a batch of more": (
        lambda: Experiment(batch_size=16384),
        "there are only 4704 training rows, leave it out (None) for all of them",
    ),
    "the word of others for clipping": (
        lambda: Experiment(grad_clip=1.0),
        "did you mean max_norm, a field of ClipNorm, as in modifiers=[ClipNorm(max_norm=1.0)]?",
    ),
    "a modifier by a part of its name": (
        lambda: Experiment(modifiers=["clip"]),
        "nothing is called that, write modifiers=[ClipNorm()] if it is meant.",
    ),
    "one-hot rows": (
        lambda: Table(np.eye(7, dtype=int)[np.arange(49) % 7], range(49)),
        "every 7 columns have a single 1, which is one-hot, but whole numbers are tokens",
    ),
    "pairs of one-hot rows": (
        lambda: Table(np.hstack([np.eye(5, dtype=int)] * 2), [0, 1, 2, 3, 4]),
        "or the tokens themselves, 0 … 4 in 2 columns.",
    ),
}


@pytest.mark.parametrize("case", CONSTRUCTORS)
def test_constructors(case):
    work, said = CONSTRUCTORS[case]
    assert said in sentence(work)


AXES = {
    "lr": RATE,
    "betas": BETAS,
    "epochs": f"epochs: {EPOCHS}",
    "device": DEVICE,
    "momentum": f"{MOMENTUM}, and the optimiser is AdamW.",
    "optimizer.lr": "did you mean learning_rate, a field of the optimiser?",
    "optimizer.momentum": f"optimizer.{MOMENTUM}, and the optimiser is AdamW.",
    "weight_decoy": "did you mean weight_decay, a field of the optimiser?",
    "modifiers.0.factor": "there are 0 modifiers, counted from 0",
    "seeds": "seeds: did you mean seed, a field of the experiment?",
    "xyzzy": "python -m grokjax.sweep FILE --help",
}


@pytest.mark.parametrize("name", AXES)
@pytest.mark.parametrize("axes", [grid, zipped])
def test_axes_when_the_experiment_is_built(name, axes):
    """Not only when it is run."""
    assert AXES[name] in sentence(lambda: Experiment(sweep=axes({name: [1.0]})))
    changed = [Change(10, **{name: 1.0})]
    assert AXES[name] in sentence(lambda: Experiment(changes=changed))


def test_the_first_cell_is_checked_and_the_others_when_they_run():
    assert "weight_decay='1'" in sentence(lambda: Experiment(sweep=grid(weight_decay=["1"])))
    later = Experiment(task=TASK, sweep=grid(weight_decay=[1.0, -1.0]))
    assert "weight_decay=-1.0" in sentence(later.runs)
    many = Experiment(task=TASK, sweep=grid(weight_decay=np.arange(300.0), seed=range(300)))
    assert "expansion" not in vars(many)


def test_an_axis_may_be_a_field_of_parts_that_are_an_axis():
    swept = grid(optimizer=[SGD(), Muon()], momentum=[0.5, 0.9])
    runs = Experiment(sweep=swept).runs()
    assert [(run.optimizer.kind, run.optimizer.momentum) for run in runs] == [
        ("sgd", 0.5), ("sgd", 0.9), ("muon", 0.5), ("muon", 0.9),
    ]  # fmt: skip
    mixed = Experiment(sweep=grid(optimizer=[SGD(), AdamW()], momentum=[0.5]))
    assert "and not of AdamW" in sentence(mixed.runs)


FILE = "from grokjax import *\n"
FILES = {
    "Experiment(optimizer=AdamW(lr=1))": f"line 2: {RATE}",
    "Experiment(sweep=grid(lr=[1]))": f"line 2: {RATE}",
    "Experiment(optimizer='adamw')": "optimizer='adamw': write optimizer=AdamW().",
    "Experiment(epochs=9)": f"epochs: {EPOCHS}",
}


@pytest.mark.parametrize("text", FILES)
def test_files(tmp_path, text):
    path = tmp_path / "file.py"
    path.write_text(f"{FILE}experiment = {text}\n")
    assert FILES[text] in sentence(lambda: experiment_file.read(path))


FLAGS = {
    "--weight-decay 3": "did you mean --optimizer.weight-decay, a field of the optimiser?",
    "--weight_decay=3": "did you mean --optimizer.weight-decay, a field of the optimiser?",
    "--lr 1e-3": "--lr: did you mean --optimizer.learning-rate, a field of the optimiser?",
    "--wd 1": "did you mean --optimizer.weight-decay,",
    "--betas 0.9": "give --optimizer.b1 and --optimizer.b2, fields of the optimiser.",
    "--epochs 10": EPOCHS.replace("steps", "--steps"),
    "--momentum 0.9": f"--{MOMENTUM}, and the optimiser is AdamW.",
    "--step 3000": "--step: did you mean --steps, a field of the experiment?",
    "--device cuda": DEVICE,
    "--optimizer sgd": "it is chosen in FILE, flags are for its fields",
    "--dryrun": "did you mean --dry-run, an option of the command?",
    "--nope": "python -m grokjax.sweep FILE --help",
}


@pytest.mark.parametrize("words", FLAGS)
def test_flags(words):
    assert FLAGS[words] in sentence(lambda: sweep.parse(Experiment(task=TASK), words.split()))


COLUMNS = {
    ("lr", "seed", "t_grok"): "lr: did you mean learning_rate, a column of the runs?",
    ("learning_rate", "wd", "t_grok"): "did you mean weight_decay, a column of the runs?",
    ("learning_rate", "seed", "tgrok"): "tgrok: did you mean t_grok, a column of the runs?",
    ("learning_rate", "seed", "grok_time"): "did you mean t_grok, a column of the runs?",
    ("learning_rate", "seed", "loss"): "metric='loss': no time to map, choose from t_grok,",
    ("xyzzy", "seed", "t_grok"): "results.runs has them all",
}


@pytest.mark.parametrize("asked", COLUMNS)
def test_columns(asked):
    times = ["t_grok", "t_mem", "grok_gap", "t_grok_sustained"]
    numbered = [f"measure_{at}" for at in range(100)]
    known = ["learning_rate", "weight_decay", "seed", "loss", *times, *numbered]
    runs = pd.DataFrame(columns=known)
    x, y, metric = asked
    assert COLUMNS[asked] in sentence(lambda: check_columns(runs, [x, y], metric))


CLASSES = [
    value
    for value in map(grokjax.__getattr__, grokjax.__all__)
    if isinstance(value, type) and dataclasses.is_dataclass(value) and value not in (Change,)
    if issubclass(value, grokjax.Config) and (value.__module__ != "grokjax.config.parts")
]
OWNERS = (
    *("the experiment", "the task", "the model", "the optimiser", "the loss", "the mask"),
    *("the thresholds", "the snapshots", "the parameter groups"),
)


@pytest.mark.drawn
@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_field_given_to_a_wrong_class_names_whose_it_is(cls):
    owners = (*OWNERS, *(other.__name__ for other in CLASSES))
    for name in {name for other in CLASSES for name in field_types(other)} - {*field_types(cls)}:
        said = sentence(lambda name=name: cls(**{name: 1}))
        assert said.startswith(name) and any(owner in said for owner in owners), said


def test_whole_numbers_may_be_floats_and_lists_whatever_has_an_order():
    assert Experiment(steps=1e4) == Experiment(steps=10_000)
    assert Experiment(steps=1e4).run_id == Experiment(steps=10_000).run_id
    assert Experiment(steps=np.float64(1e4)).steps == 10_000
    _, parsed = sweep.parse(Experiment(), ["--steps", "1e5", "--optimizer.learning-rate", "1e-2"])
    assert (parsed.steps, parsed.optimizer.learning_rate) == (100_000, 1e-2)
    assert sweep.parse(Experiment(), ["--steps=4e3"])[1].steps == 4000
    given = [
        range(0, 50, 10),
        np.arange(0, 50, 10),
        (10 * k for k in range(5)),
        [0, 10, 20, 30, 40],
    ]
    schedules = [SnapshotSchedule(at=at) for at in given]
    assert {schedule.at for schedule in schedules} == {(0, 10, 20, 30, 40)}
    assert {type(step) for schedule in schedules for step in schedule.at} == {int}
    assert "give a list" in sentence(lambda: SnapshotSchedule(at={10, 20}))
    assert "give a list" in sentence(lambda: SnapshotSchedule(at=10))


def test_a_wide_table_is_not_listed_column_by_column(tmp_path):
    columns = [f"pixel{at}" for at in range(300)] + ["digit"]
    path = tmp_path / "rows.csv"
    pd.DataFrame([range(301)] * 2, columns=columns).to_csv(path, index=False)
    assert "did you mean 'digit'?" in sentence(lambda: Table.read(path, target="digits"))
    assert "choose from" in sentence(lambda: Table.read(path, target="y"))


def test_bits_are_tokens_with_a_warning_and_few_of_them_without():
    bits = (np.arange(2**9)[:, None] >> np.arange(9)) % 2
    with pytest.warns(UserWarning, match=r"9 zeros and ones in a row are read as 9 tokens"):
        assert Table(bits, bits[:, 0]).encoding == "tokens"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Table(bits.astype(float), bits[:, 0]).encoding == "features"
        assert Table(bits[:8, :3], bits[:8, 0]).encoding == "tokens"
        assert Table([[0, 1], [1, 0]], [0, 1]).encoding == "tokens"


def test_no_modifiers_have_a_name():
    assert level_text("") == "none"
    assert level_text("sam") == "sam" and level_text(0.5) == "0.5"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Abstract(Optimizer, abc.ABC):
    """A user's own base class, which may be abstract."""

    slowness: float = 1.0

    @abc.abstractmethod
    def direction(self): ...


class Broken(AdamW):
    """A class whose own check raises a TypeError, which is nobody's wrong word."""

    def check(self):
        len(3)


def test_constructors_are_otherwise_as_they_were():
    assert "learning_rate" in inspect.signature(AdamW).parameters
    assert list(inspect.signature(Change).parameters) == ["step", "at", "delay", "new"]
    for one in (AdamW(b1=0.5), Experiment(task=TASK), Change(5, weight_decay=1.0)):
        assert copy.deepcopy(one) == one
    assert pickle.loads(pickle.dumps(AdamW(b1=0.5))) == AdamW(b1=0.5)
    with pytest.raises(TypeError, match="abstract"):
        Abstract()
    with pytest.raises(TypeError, match="has no len"):
        Broken()
