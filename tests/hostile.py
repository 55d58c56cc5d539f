"""Inputs that no one should give a command, as Hypothesis draws them, and what each must end in.

    PYTHONPATH=tests:. python -m hostile --examples 1000 --out results/trust/hostile.json

draws so many, and writes how many ended how. Every input is a folder of files and the words of a
command line. It is run in this process, with `--dry-run` where it would train, and has to end with
status 0 or 2, in ten seconds of a processor, without a traceback; a refusal is one line of at most
300 characters on standard error, and has changed no file.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import datetime
import importlib
import io
import itertools
import json
import os
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import hypothesis
from hypothesis import strategies as st
from samples import place
from sweep_folder import synthetic_results

import grokjax
from grokjax.config import Experiment, Thresholds, wrong_words
from grokjax.config.fields import field_types, leaf_types, parts

SECONDS = 10
MOST_CHARACTERS = 300
COMMANDS = {
    "sweep": "grokjax.sweep",
    "phase": "grokjax.phase",
    "measure": "grokjax.measure",
    "export": "grokjax.export",
    "bench": "grokjax.bench.__main__",
    "grokjax": "grokjax.__main__",
}


@dataclasses.dataclass(frozen=True)
class Input:
    """Files by name (None: a folder, `-> x`: a link to x), and the words of a command line."""

    kind: str
    command: str
    words: tuple[str, ...]
    files: dict[str, bytes | str | None]


# What there is to be given.

HEADER = """from grokjax import *
import dataclasses, decimal, fractions, itertools, math, pathlib, sys
import numpy as np
from grokjax import own, traced
task = ModularArithmetic("sub", p=5)
model = Transformer(width=8, heads=2, mlp_width=8)
class Bad:
    def __repr__(self): raise RuntimeError("no")
"""
GOOD = (
    HEADER + "experiment = Experiment(task=task, model=model, steps=20, sweep=grid(seed=[0, 1]))\n"
)
RUN = "THE RUN"
"""In words: the id of a run of the results folder."""
VALUES = [
    "float('nan')", "float('inf')", "-float('inf')", "-0.0", "0.0", "1e-320", "1e308", "-1", "0", "1",
    "2", "3", "0.5", "1.5", "99.9", "10**30", "-10**30", "10**5000", "2**31", "2**32", "2**63", "2**64",
    "10**9", "True", "False", "None", "''", "' '", "'x'", "'auto'", "'none'", "'\\ud800'", "'\\0'",
    "'a' * 5000", "'a\\nb'", "'\\x1b[31mred'", "'\\u202e'", "'é'", "'🙂' * 100", "[]", "()", "{}",
    "set()", "b'x'", "[1]", "[1, 1]", "[0, -1]", "[None]", "[[]]", "['a', 'b']", "('t_mem', 'end')",
    "[float('nan')]", "{1: 2}", "{'a': 1}", "range(5)", "range(10**30)", "itertools.count()",
    "object()", "Bad()", "lambda x: x", "int", "Experiment", "Experiment()", "math", "...", "1j",
    "np.float32(0.1)", "np.int8(3)", "np.array([1, 2])", "np.array(3)", "np.zeros((3, 3))",
    "np.float64('nan')", "decimal.Decimal('0.1')", "fractions.Fraction(1, 3)", "pathlib.Path('x')",
    "(i for i in [])", "[10**30]", "[2**63]", "iter(())", "AdamW()", "SGD", "Transformer()", "MLP()",
    "CrossEntropy()", "[L1(), L1()]", "[SAM(), WeightNoise()]", "Refine()", "Mask('x', step=1)",
    "StartFrom('x' * 5000, step=0)", "StartFrom('a\\0b', step=0)", "[Change(5, weight_decay=-1)]",
    "GivenSplit(train=[0])", "GivenSplit(train=[0, 0])", "GroupSplit('x' * 1000)", "GroupSplit('1/0')",
    "SnapshotSchedule(at=(10**30,))", "[Change(5, **{'': 1})]", "ParameterGroups()", "Thresholds()",
    "Table([[0, 1], [1, 1]], [0, 1])", "Table([[0.5], [float('nan')]], [0, 1])", "Digits(limit=30)",
    "Operation('x ** y ** x', p=5)", "Operation('1 / 0')", "Operation('(' * 200 + 'x' + ')' * 200)",
    "ModularArithmetic('add', p=7, loss_on='all')",
]  # fmt: skip
STATEMENTS = [
    "raise Exception", "raise ValueError('a\\nb\\x1b[31m')", "raise ValueError('x' * 10**6)", "sys.exit()",
    "sys.exit(0)", "sys.exit(3)", "sys.exit('x')", "raise SystemExit", "1 / 0", "import nowhere", "import grokjax.nowhere",
    "from grokjax import nowhere", "nowhere", "def f(): return f()\nf()", "assert False", "raise MemoryError",
    "raise BaseException('odd')", "class E(BaseException): pass\nraise E", "raise GeneratorExit", "raise StopIteration",
    "raise Bad() from None", "class S(Exception):\n    def __str__(self): raise RuntimeError\nraise S", "del experiment",
    "experiment = None", "experiment = Bad()", "experiment = 3", "experiment = Experiment", "experiment = lambda: 0",
    "experiment = [Experiment()]", "experiment = grid(seed=[1])", "x = 10**10000; print(x)", "x = [[[[[[[[[[[[]]]]]]]]]]]",
    "experiment = (", "  x = 1", "\tx = 1", "def", "x = '", "x = '''", "return 1", "await x", "yield 1", "f'{", "0777", "1_",
    "x = 'a' 'b' '", "é = 1", "from __future__ import nope", "from __future__ import annotations", "#\\", "\\", "$", "?",
    "x = " + "(" * 150 + ")" * 150, "x = " + "-" * 3000 + "1", "x = " + "9" * 5000, "if True:" , "nonlocal x", "*x = 1",
    "@own.loss\ndef l(logits): return 1\nexperiment = Experiment(task=task, model=model, loss=l())",
    "@own.loss\ndef l(logits, targets): return 1 / 0\nexperiment = Experiment(task=task, model=model, steps=20, loss=l())",
    "@own.loss\ndef l(logits, targets): return 'x'\nexperiment = Experiment(task=task, model=model, steps=20, loss=l())",
    "@own.loss\ndef l(logits, targets): return logits\nexperiment = Experiment(task=task, model=model, steps=20, loss=l())",
    "@own.loss\ndef l(logits, targets, *, a: float = traced(float('nan'))): return logits\nexperiment = Experiment(loss=l())",
    "@own.loss\nclass L: pass", "own.loss(3)", "own.loss(lambda a, b: 0)", "own.task(print)", "own.model(dict)",
    "@own.optimizer\ndef o(): return 3\nexperiment = Experiment(task=task, model=model, steps=20, optimizer=o())",
    "@own.task\ndef t(): return 1 / 0\nexperiment = Experiment(task=t(), model=model, steps=20)",
    "@own.task\ndef t(): return [1, 2], [3]\nexperiment = Experiment(task=t(), model=model, steps=20)",
    "@own.instrument\ndef i(observed): raise Exception('x\\ny')\nexperiment = Experiment(task=task, model=model, steps=20, instruments=[i()])",
    "class M(Model): pass\nexperiment = Experiment(task=task, model=M(), steps=20)",
    "class M(Model):\n    a: int = 1\nexperiment = Experiment(task=task, model=M(), steps=20)",
    "@dataclasses.dataclass(frozen=True)\nclass L(Loss):\n    a: list = None\nexperiment = Experiment(task=task, model=model, loss=L([1]))",
    "@dataclasses.dataclass(frozen=True, kw_only=True)\nclass L(Loss):\n    a: 'nowhere' = 1\nexperiment = Experiment(task=task, model=model, loss=L())",
    "class E(Experiment): pass\nexperiment = E(task=task, model=model, steps=20)",
    "experiment = Experiment(task=task, model=model, steps=20, sweep=[{}] * 3)",
    "experiment = Experiment(task=task, model=model, steps=20, sweep=[{'seed': 1, 'x': 2}])",
    "experiment = Experiment(task=task, model=model, steps=20, sweep=[{'': 2}])",
    "experiment = Experiment(task=task, model=model, steps=20, sweep=[{'a' * 5000: 2}])",
    "experiment = Experiment(task=task, model=model, steps=20, sweep=[{'.': 2}])",
    "experiment = Experiment(task=task, model=model, steps=20, sweep=[{'model..width': 2}])",
    "experiment = Experiment(task=task, model=model, steps=20, sweep=[{'modifiers.0': 2}])",
    "experiment = Experiment(task=task, model=model, steps=20, sweep=[{'changes.99999999999999999999.x': 2}])",
    "experiment = Experiment(task=task, model=model, steps=20, sweep=grid(seed=range(10**4)) * grid(weight_decay=range(10**4)))",
    "experiment = Experiment(task=task, model=model, steps=20, sweep=grid(seed=range(500)) + grid(seed=range(500)))",
    "experiment = Experiment(task=task, model=model, steps=20, refine=Refine(), sweep=grid(weight_decay=[0.1, 1.0]))",
    "experiment = Experiment(task=task, model=model, steps=20, refine=Refine(halvings=6), sweep=grid(weight_decay=[0.1, 1.0], train_fraction=[0.4, 0.6]))",
    "experiment = Experiment(task=task, model=model, steps=20, start=StartFrom('x', step=0), refine=Refine(), sweep=grid(weight_decay=[0.1, 1.0], train_fraction=[0.4, 0.6]))",
    "experiment = Experiment(task=task, model=model, steps=20); object.__setattr__(experiment, 'steps', -3)",
    "experiment = Experiment(task=task, model=model, steps=20, mask=Mask('.', step='end'))",
    "experiment = Experiment(task=task, model=model, steps=20, start=StartFrom('good.py', step='end'))",
    "experiment = Experiment(task=task, model=model, steps=20, start=StartFrom('made', step='end', match=['nope']))",
    "experiment = Experiment(task=task, model=model, steps=20, start=StartFrom('made', step='end', where={'\\x1b': 1}))",
    "experiment = Experiment(task=task, model=model, steps=20, start=StartFrom('made', step=10**30, match=[]))",
]  # fmt: skip
ODD_NAMES = [
    "", " ", ".", "..", "-", "--", "~", "a b", "a\nb", "\x1b[31m", "x" * 300, "x/" * 1500, "é", "🙂", "\udcff",
    "\udcff.py", "con", "*", "?", "$HOME", "`id`", "nowhere", "nowhere.py", "nowhere/deep/er", "/nowhere", "/dev/null",
    "/dev/full", "/dev/zero", "/proc/self/mem", "good.py/x", "good.py", "file", "folder", "folder/", "link", "loop", "closed", "../x",
    "../../../../x", "./././x", "results", "wandb:", "wandb:a/b/c/d", "made", "x.csv", "x.npz", "x.safetensors", "a\0b", "—out",
]  # fmt: skip
ODD_WORDS = [
    "nan", "NaN", "inf", "-inf", "-0.0", "0", "-1", "1e400", "1e-400", "1e99", "1e5", "10", "9" * 40, "9" * 5000, "0x10", "1_0",
    "١٢", "True", "none", "None", "", " ", "''", "é", "\udcff", "\n", "\x1b[2J", "x" * 5000, "{}", "[]", "a,b", "1 2", "--", "-", "-x",
    "--x", "0.5", "1/2", "²", "½", "random", "relu", "adamw", "end", "t_grok", "%s", "{x}", "$(id)", "null", "\u202e",
]  # fmt: skip
BYTES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([
        b"", b"\n", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xef\xbb\xbf" + GOOD.encode(), GOOD.encode("utf-16"),
        GOOD.replace("\n", "\r\n").encode(), GOOD.replace("\n", "\r").encode(), GOOD.encode() + b"\0", GOOD.encode() + b"\xff",
        b"# -*- coding: latin-1 -*-\n" + GOOD.encode() + b"x = '\xe9'\n", b"# -*- coding: nope -*-\n" + GOOD.encode(),
        b"#" * 10**6, b"x = 1;" * 20000, b"\x1a", b"\x0c" + GOOD.encode(), GOOD.encode()[:-3], b"PAR1", b"PK\x03\x04", b"{" * 5000,
        b"[" * 100000, b"\x1f\x8b\x08\x00", b"<?xml version='1.0'?>", b"a,b\n1,2\n", b"\x93NUMPY\x01\x00",
    ]),
)  # fmt: skip
CELLS = st.sampled_from([
    "", "0", "1", "2", "-1", "0.5", "nan", "NaN", "inf", "1e400", "9" * 30, "9" * 5000, "a", "é", "\0", '"', "'", ",", "\t", "x" * 3000,
    "train", "test", "third", "val", "TRUE", "None", "[1]", '{"a": 1}', "\x1b[31m", "2020-01-01", "1,2", "0x1", " 1 ", "\u202e", "½",
])  # fmt: skip
NAMES = st.sampled_from([
    "x", "y", "target", "split", "group", "step", "epoch", "train_acc", "val_acc", "test_accuracy", "train_accuracy", "loss", "", " ",
    "a b", "é", "\x1b[31m", "x" * 400, "run", "seed", "run_id", "weight_decay", "0", "Unnamed: 0", "index", "target", "sha256",
])  # fmt: skip


@st.composite
def tables(draw):
    """Text of a table: a few columns, rows that need not fit them."""
    kind = draw(st.sampled_from(["csv", "jsonl", "json", "txt", "bytes", "numbers"]))
    names = draw(st.lists(NAMES, min_size=1, max_size=5))
    rows = draw(
        st.lists(
            st.lists(CELLS, min_size=len(names), max_size=len(names) + draw(st.integers(0, 1))),
            max_size=6,
        )
    )
    if kind == "bytes":
        return draw(BYTES)
    if kind == "numbers":
        rows = [
            [str(draw(st.integers(0, 4))) for _ in names] for _ in range(draw(st.integers(1, 8)))
        ]
    if kind in ("csv", "numbers"):
        text = "\n".join([",".join(names), *(",".join(row) for row in rows)])
    elif kind == "jsonl":
        text = "\n".join(json.dumps(dict(zip(names, row, strict=False))) for row in rows)
    elif kind == "json":
        odd = draw(
            st.sampled_from(
                [None, 3, [], {}, [[]], "x", {"a": None}, [1, "a"], {"a": {"b": {"c": []}}}]
            )
        )
        text = json.dumps(
            draw(
                st.sampled_from(
                    [
                        odd,
                        dict.fromkeys(names, odd),
                        [dict(zip(names, row, strict=False)) for row in rows],
                    ]
                )
            )
        )
    else:
        text = "\n".join(" ".join(row) for row in rows)
    return text.encode("utf-8", "surrogateescape")


def classes():
    """Every public part that an experiment is made of, by name."""
    return sorted(
        (cls for cls in wrong_words._classes() if hasattr(grokjax, cls.__name__)),
        key=lambda cls: cls.__name__,
    )


SURROUNDINGS: dict[str, bytes | str | None] = {
    "good.py": GOOD.encode(),
    "file": b"x",
    "folder": None,
}
LINKS = {"link": "-> folder", "loop": "-> loop"}


@st.composite
def constructions(draw):
    """An experiment file with a part of odd fields, or an odd field or axis of an experiment."""
    cls = draw(st.sampled_from(classes()))
    value = st.sampled_from(VALUES)

    def given(of, count):
        fields = [f.name for f in dataclasses.fields(of) if f.init] if of is not None else []
        chosen = draw(
            st.lists(st.sampled_from([*fields, "nope"]), min_size=1, max_size=count, unique=True)
        )
        return ", ".join(f"{name}={draw(value)}" for name in chosen)

    small = "task=task, model=model, steps=20"
    form = draw(
        st.sampled_from(["part", "experiment", "axis", "axes", "zip", "change", "positional"])
    )
    if cls is Experiment or form == "experiment":
        body = f"dataclasses.replace(Experiment({small}), {given(Experiment, draw(st.integers(1, 2)))})"
    elif form == "part":
        section = wrong_words._section(cls)
        made = f"{cls.__name__}({given(cls, draw(st.integers(1, 2)))})"
        made = f"[{made}]" if section and wrong_words._is_list(section) else made
        body = f"dataclasses.replace(Experiment({small}), {section or 'task'}={made})"
    elif form == "positional":
        body = f"dataclasses.replace(Experiment({small}), task={cls.__name__}({draw(value)}, {draw(value)}))"
    elif form == "change":
        body = f"Experiment({small}, changes=[Change({draw(value)}, weight_decay={draw(value)})])"
    else:
        paths = sorted(leaf_types(Experiment()))
        one, two = draw(st.sampled_from(paths)), draw(st.sampled_from([*paths, "nope", "seed"]))
        kind = "zipped" if form == "zip" else "grid"
        more = "" if form == "axis" else f", {two!r}: [{draw(value)}, {draw(value)}]"
        body = (
            f"Experiment({small}, sweep={kind}({{{one!r}: [{draw(value)}, {draw(value)}]{more}}}))"
        )
    return (HEADER + f"experiment = {body}\n").encode()


@st.composite
def sizes(draw):
    """A whole number in a field that makes something large of it."""
    whole = [(c, n) for c in classes() for n, kind in field_types(c).items() if "int" in str(kind)]
    cls, name = draw(st.sampled_from(whole))
    value = draw(
        st.sampled_from(
            [
                "10**3",
                "10**4",
                "10**5",
                "10**6",
                "10**7",
                "10**9",
                "2**31 - 1",
                "2**31",
                "2**53",
                "2**62",
                "10**18",
                "[10**9]",
                "[2**62]",
            ]
        )
    )
    section = wrong_words._section(cls)
    more = {
        "model": "",
        "modifiers": "",
        "instruments": ", snapshots=SnapshotSchedule(moments=('end',))",
    }.get(section, "")
    made = f"{cls.__name__}({name}={value})"
    made = f"[{made}]" if section and wrong_words._is_list(section) else made
    fields = f"{section}={made}" if section else f"{name}={value}"
    text = (
        HEADER
        + f"base = dict(task=task, model=model, steps=20)\nexperiment = Experiment(**{{**base, **dict({fields}{more})}})\n"
    )
    return Input(
        "sizes", "sweep", ("--dry-run", "odd.py"), {**SURROUNDINGS, "odd.py": text.encode()}
    )


@st.composite
def experiment_files(draw):
    text = draw(st.one_of(
        constructions(), constructions(), constructions(),
        st.sampled_from(STATEMENTS).map(lambda s: (GOOD + s + "\n").encode("utf-8", "surrogatepass")), BYTES,
    ))  # fmt: skip
    name = draw(
        st.sampled_from(
            [
                "odd.py",
                "odd.py",
                "odd.py",
                "a b.py",
                "é.py",
                "x" * 80 + ".py",
                "odd",
                ".py",
                "a\n.py",
            ]
        )
    )
    return Input("experiment file", "sweep", ("--dry-run", name), {**SURROUNDINGS, name: text})


@st.composite
def flags(draw):
    import grokjax.overrides as overrides

    paths = sorted(p for p in leaf_types(Experiment()) if p not in parts(Experiment()))
    options = [
        f.name for f in dataclasses.fields(overrides.Options) if f.name not in ("time", "target")
    ]
    words = ["--dry-run", "good.py"]
    for _ in range(draw(st.integers(1, 2))):
        name = wrong_words.as_flag(
            draw(st.sampled_from([*paths, *paths, *options, "nope", "x" * 2000, "", "é", "\udcff"]))
        )
        value = draw(st.sampled_from(ODD_WORDS))
        words += draw(st.sampled_from([[f"{name}={value}"], [name, value], [name], [value]]))
    return Input("flags", "sweep", tuple(words), SURROUNDINGS)


@st.composite
def folders(draw):
    name = draw(st.sampled_from(ODD_NAMES))
    words = draw(st.sampled_from([
        ("sweep", "--dry-run", "good.py", "--out", name), ("sweep", "--dry-run", "good.py", f"--out={name}"),
        ("sweep", "--dry-run", name), ("sweep", "--dry-run", "good.py", "--overwrite", "--out", name),
        ("phase", name), ("phase", "made", "--json", "--x", "nope", "--out", name), ("phase", "made", name), ("phase", "x.csv", "--runs", name),
        ("measure", name), ("measure", "made", "--experiment", name), ("measure", "x.npz", "--names", name, "--experiment", "good.py"),
        ("measure", "x.npz", "--experiment", "good.py", "--out", name),
        ("export", name, "--run", "a", "--out", "x.npz"), ("export", "made", "--run", name, "--out", "x.npz"),
        ("export", "made", "--run", RUN, "--out", name), ("export", "made", "--run", RUN, "--out", "x.npz", "--experiment", name),
        ("bench", "--cases", name, "--lanes", "0"), ("bench", "--cases", "nowhere.py", "--out", name), ("grokjax", name), ("grokjax", "sweep", name, "--dry-run"),
    ]))  # fmt: skip
    files = {
        **SURROUNDINGS,
        **LINKS,
        "closed": None,
        "made": "made",
        "x.csv": draw(tables()),
        "x.npz": draw(BYTES),
        "x.safetensors": draw(BYTES),
    }
    return Input("folder", words[0], words[1:], files)


@st.composite
def read_tables(draw):
    suffix = draw(
        st.sampled_from([*[".csv", ".jsonl", ".txt"] * 3, ".parquet", ".CSV", "", ".json"])
    )
    odd = st.sampled_from(
        [
            "'target'",
            "'x'",
            "'y'",
            "''",
            "None",
            "['x']",
            "['x', 'y']",
            "[]",
            "3",
            "['x', 'x']",
            "'é'",
            "'split'",
            "'group'",
        ]
    )
    fields = {
        "target": draw(odd), "inputs": draw(odd), "split": draw(odd), "group": draw(odd), "characters": draw(st.sampled_from(["True", "False", "3"])),
        "pattern": draw(st.sampled_from(["None", "'{x} {target}'", "'{x} {y} {target}'", "''", "'{'", "'{}'", "'{x}{x}'", "'{1}'", "'{target}'", "'{x} = {target}\\n'"])),
    }  # fmt: skip
    some = ["target", "inputs", "split", "group", *["pattern", "characters"] * (suffix == ".txt")]
    chosen = draw(st.lists(st.sampled_from(some), max_size=2, unique=True))
    if suffix == ".txt":
        chosen = [*dict.fromkeys([*chosen, "pattern"])]
    told = "".join(f", {name}={fields[name]}" for name in chosen)
    here = f"'t{suffix}'"
    sources = draw(
        st.sampled_from(
            [
                here,
                here,
                here,
                here,
                here,
                f"train='t{suffix}', test='u{suffix}'",
                "'nowhere.csv'",
                "'folder'",
                "3",
                "None",
                f"pathlib.Path('t{suffix}')",
            ]
        )
    )
    split = draw(
        st.sampled_from(
            [
                "",
                "",
                ", split=GivenSplit()",
                ", split=GivenSplit(train=[0])",
                ", split=GroupSplit('group')",
                ", split=GivenSplit(train=[10**6])",
            ]
        )
    )
    text = (
        HEADER
        + f"experiment = Experiment(task=Table.read({sources}{told}), model=model, steps=20{split})\n"
    )
    files = {
        **SURROUNDINGS,
        "odd.py": text.encode(),
        f"t{suffix}": draw(tables()),
        f"u{suffix}": draw(tables()),
    }
    return Input("table", "sweep", ("--dry-run", "odd.py"), files)


@st.composite
def analyses(draw):
    word = st.sampled_from(ODD_WORDS)
    metric = draw(st.sampled_from(["t_grok", "nope"]))
    odd = draw(word)
    thresholds = [
        f"--thresholds.{f.name.replace('_', '-')}" for f in dataclasses.fields(Thresholds)
    ]
    run = draw(st.sampled_from([RUN, "nope", odd]))
    words = draw(st.sampled_from([
        ("phase", "made", "--x", odd), ("phase", "made", "--y", odd), ("phase", "made", "--metric", odd), ("phase", "made", "--metric", metric, "--x", odd),
        ("phase", "made", "--watch", odd), ("phase", "made", draw(st.sampled_from(thresholds)), odd, "--x", "nope"), ("phase", "made", "--columns", odd),
        ("phase", "x.csv", "--columns", odd), ("phase", "x.csv", "--columns", f"test_accuracy={odd}"), ("phase", "x.csv", "--updates-per-epoch", odd),
        ("phase", "x.csv", "--log-every", odd), ("phase", "x.csv", "--chance", odd), ("phase", "x.csv", "--accuracies", odd), ("phase", "x.csv", "--pattern", odd),
        ("phase", "x.csv", "--runs", "x.json"), ("phase", "x.json"), ("phase", "x.jsonl"), ("phase", "x.log"), ("phase", "x.csv", "x.json", "--out", "o"),
        ("measure", "made", "--instruments", odd), ("measure", "made", "--steps", odd), ("measure", "made", "--instruments", f"hessian:order={odd}"),
        ("measure", "x.npz", "--experiment", "good.py", "--instruments", odd), ("measure", "x.npz", "--experiment", "good.py", "--names", "x.json"),
        ("measure", "x.safetensors", "--experiment", "good.py"), ("measure", "x.safetensors"), ("measure", "x.npz", "--out", "o.csv"),
        ("export", "made", "--run", run, "--out", "o.npz", "--step", odd), ("export", "made", "--run", run, "--out", "o.npz", "--names", odd),
        ("export", "made", "--out", "o.npz"), ("export",), ("phase",), ("measure",), ("bench", "--rounds", odd, "--cases", "nowhere.py"),
        ("bench", "--lanes", odd, "--cases", "nowhere.py"), ("bench", "--target", odd, "--cases", "nowhere.py"), ("bench", odd, "--cases", "nope"), ("bench", "--precision", odd),
        ("grokjax", odd), ("grokjax", "--version", odd), ("grokjax", "report", "made"), ("grokjax",), ("phase", "made", odd), ("measure", "made", odd),
    ]))  # fmt: skip
    odd_files = {
        "x.npz": BYTES,
        "x.safetensors": BYTES,
        **dict.fromkeys(["x.csv", "x.json", "x.jsonl", "x.log"], tables()),
    }
    files = {**SURROUNDINGS, "made": "made"} | {
        name: draw(odd) for name, odd in odd_files.items() if name in words
    }
    return Input("analysis", words[0], words[1:], files)


inputs = st.one_of(
    experiment_files(), experiment_files(), sizes(), flags(), folders(), read_tables(), analyses()
)


# What each must end in.


@dataclasses.dataclass(frozen=True)
class Ending:
    """How an input ended."""

    status: object
    seconds: float
    said: str
    complaints: list[str]


def lay_out(folder: Path, files: dict[str, bytes | str | None], made: Path) -> None:
    """Put the files of an input into a folder."""
    for name, content in files.items():
        path = folder / name
        if content is None:
            path.mkdir()
        elif content == "made":
            path.symlink_to(made)
        elif isinstance(content, str):
            path.symlink_to(content.removeprefix("-> "))
        else:
            path.write_bytes(content)
    if (folder / "closed").exists():
        (folder / "closed").chmod(0)


def contents(*folders: Path) -> dict[str, tuple]:
    """Path → size and time of everything in some folders."""
    found = {}
    for folder in folders:
        for root, below, files in os.walk(folder):
            for name in (*below, *files):
                told = (Path(root) / name).lstat()
                found[f"{root}/{name}"] = (told.st_size, told.st_mtime_ns, told.st_mode)
    return found


def end(one: Input, made: Path) -> Ending:
    """Run an input in this process, and say what is wrong about how it ended."""
    before, here = dict(sys.modules), Path.cwd()
    out, err = io.StringIO(), io.StringIO()
    complaints: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        above = Path(temporary)
        folder = above / "a" / "b"
        folder.mkdir(parents=True)
        lay_out(folder, one.files, made)
        was = contents(above, made)
        os.chdir(folder)
        runs = sorted(grokjax.load(made).runs["run_id"])
        words = [runs[0] if word == RUN else word for word in one.words]
        main = importlib.import_module(COMMANDS[one.command]).main
        started, status = time.process_time(), None
        try:
            with (
                contextlib.redirect_stdout(out), contextlib.redirect_stderr(err),
                warnings.catch_warnings(record=True),
            ):  # fmt: skip
                warnings.simplefilter("always")
                status = main(words)
        except SystemExit as stop:
            status = stop.code or 0
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            status = f"{type(error).__name__}: {str(error)[:200]}"
            places = traceback.extract_tb(error.__traceback__)
            ours = [p for p in places if "/grokjax/" in p.filename] or places
            complaints.append(f"raised {status} ({Path(ours[-1].filename).name}:{ours[-1].lineno})")
        finally:
            os.chdir(here)
            for name in sys.modules.keys() - before.keys():
                if name.startswith("<experiment"):
                    del sys.modules[name]
        seconds, said = time.process_time() - started, err.getvalue()
        if seconds > SECONDS:
            complaints.append(f"took {seconds:.0f} s")
        if not complaints and status not in ((0, 1, 2) if one.command == "phase" else (0, 2)):
            complaints.append(f"status {status!r}")
        if "Traceback" in said:
            complaints.append("a traceback")
        if any(not line.isprintable() for line in said.split("\n")):
            complaints.append(f"what a terminal obeys: {said[:300]!r}")
        if status == 2:
            lines = said.splitlines()
            if one.command != "grokjax" or one.words:
                if len(lines) != 1:
                    complaints.append(f"{len(lines)} lines: {said[:300]!r}")
                if any(len(line) > MOST_CHARACTERS for line in lines):
                    complaints.append(f"{max(map(len, lines))} characters: {said[:400]!r}")
            if contents(above, made) != was:
                new = sorted(set(contents(above, made).items()) ^ set(was.items()))
                complaints.append(f"changed files: {[path for path, _ in new][:3]}")
        if (folder / "closed").exists():
            (folder / "closed").chmod(0o700)
    return Ending(status, seconds, said, complaints)


def survey(examples: int, seed: int, made: Path, until: float | None = None) -> dict:
    """So many inputs, all of them whatever comes of the first.

    Args:
      examples: how many.
      seed: which.
      made: results folder of a sweep.
      until: seconds of processor time after which no further one is drawn.
    """
    counts: dict[str, collections.Counter] = {}
    wrong: list[dict] = []
    slowest, started = 0.0, time.process_time()

    def met(one: Input) -> None:
        nonlocal slowest
        ending = end(one, made)
        slowest = max(slowest, ending.seconds)
        counted = counts.setdefault(one.kind, collections.Counter())
        counted[str(ending.status) if ending.status in (0, 1, 2) else "other"] += 1
        if ending.complaints:
            counted["wrong"] += 1
            told = {
                n: c
                for n, c in one.files.items()
                if n in one.words or n in ("odd.py", "t.csv", "t.txt", "t.jsonl")
            }
            brief = repr(dataclasses.replace(one, files=told))[:3000]
            wrong.append({"input": brief, "complaints": ending.complaints})

    seen: set[str] = set()
    for turn in itertools.count():
        # Hypothesis repeats itself, which finds nothing here.
        @hypothesis.seed(seed + turn)
        @hypothesis.settings(
            max_examples=100, database=None, deadline=None, phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )  # fmt: skip
        @hypothesis.given(inputs)
        def a_hundred(one: Input) -> None:
            late = until is not None and time.process_time() - started > until
            if repr(one) not in seen and len(seen) < examples and not late:
                seen.add(repr(one))
                met(one)

        a_hundred()
        if len(seen) == examples or (until is not None and time.process_time() - started > until):
            break
    total = sum(sum(n for k, n in c.items() if k != "wrong") for c in counts.values())
    return {
        "inputs": total, "seed": seed, "ended": {k: dict(sorted(c.items())) for k, c in sorted(counts.items())},
        "wrong": wrong, "slowest_seconds": round(slowest, 2),
    }  # fmt: skip


def made_sweep(folder: Path, trained: bool = True) -> Path:
    """A small results folder that inputs may name.

    Args:
      folder: to make it in.
      trained: whether it is of networks, with snapshots; otherwise its curves are made up.
    """
    if not trained:
        return synthetic_results(folder / "made", [0.3, 1.0], [0.5, 0.7], seeds=1)
    (folder / "good.py").write_text(GOOD)
    from grokjax import SnapshotSchedule, experiment_file

    experiment, source = experiment_file.read(folder / "good.py")
    experiment = experiment.replaced(snapshots=SnapshotSchedule(moments=("end",)))
    return grokjax.run(experiment, folder / "made", source=source, progress=False).path


def main(arguments: list[str]) -> int:
    """Draw inputs and write how they ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    seed = place("hostile") if given.seed is None else given.seed
    with tempfile.TemporaryDirectory() as folder:
        found = survey(given.examples, seed, made_sweep(Path(folder)))
    for one in found["wrong"]:
        print(one["complaints"], one["input"], sep="\n  ", end="\n\n")
    print({k: v for k, v in found.items() if k != "wrong"}, len(found["wrong"]), "wrong")
    if given.out is not None:
        told = {"date": datetime.date.today().isoformat(), **found, "wrong": len(found["wrong"])}
        records = json.loads(given.out.read_text()) if given.out.exists() else []
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps([*records, told], indent=2) + "\n")
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
