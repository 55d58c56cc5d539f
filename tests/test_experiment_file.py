"""Experiment files are ordinary modules: whatever runs in one runs here."""

import pickle
import sys
import typing
from pathlib import Path

import pytest

from grokjax import ConfigError, experiment_file

END = "\nexperiment = Experiment(steps=20, seed=SEED)\n"

BODIES = {
    "dataclass": """
import dataclasses
@dataclasses.dataclass(frozen=True)
class Choice:
    seed: int = 3
    names: dataclasses.InitVar[int] = 0
SEED = Choice().seed
""",
    "dataclass with slots and a forward reference": """
from dataclasses import dataclass
@dataclass(slots=True, kw_only=True)
class Node:
    seed: int
    inner: "Node | None" = None
SEED = Node(seed=2, inner=Node(seed=3)).inner.seed
""",
    "NamedTuple": """
from typing import NamedTuple
class Pair(NamedTuple):
    first: int
    second: int = 3
SEED = Pair(1).second
""",
    "type hints": """
import typing
from pathlib import Path
class Later: pass
class Choice:
    seed: "Later"
def f(x: int) -> "Later": ...
assert typing.get_type_hints(Choice) == {"seed": Later}
assert typing.get_type_hints(f) == {"x": int, "return": Later}
SEED = 3
""",
    "Enum": """
import enum, pickle
class Colour(enum.Enum):
    RED = 3
assert pickle.loads(pickle.dumps(Colour.RED)) is Colour.RED
SEED = Colour.RED.value
""",
    "annotations are objects": """
def f(x: int) -> float: return 3
assert f.__annotations__ == {"x": int, "return": float}
SEED = f(0)
""",
    "annotations of the file's own future import are words": """
from __future__ import annotations
import dataclasses
@dataclasses.dataclass
class Choice:
    seed: Undefined = 3
assert Choice.__annotations__ == {"seed": "Undefined"}
SEED = Choice().seed
""",
    "its own file and name": """
import pathlib, sys
assert pathlib.Path(__file__).name == "file.py"
assert __name__ != "__main__"
assert sys.modules[__name__].__dict__ is globals()
SEED = 3
""",
    "source": """
import inspect
def f(): return 3
assert "return 3" in inspect.getsource(f)
SEED = f()
""",
}


@pytest.mark.parametrize("case", BODIES)
def test_what_a_module_may_hold(tmp_path, case):
    path, body = tmp_path / "file.py", BODIES[case]
    future = "from __future__ import annotations\n"
    head = future if future in body else ""
    path.write_text(head + "from grokjax import Experiment\n" + body.replace(future, "") + END)
    experiment, _ = experiment_file.read(path)
    assert experiment.seed == 3


def test_two_files_do_not_see_each_other_and_their_classes_live_on(tmp_path):
    text = """
from dataclasses import dataclass
from grokjax import Experiment
@dataclass
class Kind:
    number: int
    other: "Kind | None" = None
class Base(Experiment):
    pass
Base.kind = Kind({number})
assert "leak" not in globals()
leak = True
experiment = Base(steps=20)
"""
    kinds = []
    for number in (1, 2, 2):
        path = tmp_path / f"file{number}.py"
        path.write_text(text.format(number=number))
        kinds.append(experiment_file.read(path)[0].kind)
    assert [kind.number for kind in kinds] == [1, 2, 2]
    assert len({type(kind) for kind in kinds}) == 3
    for kind in kinds:
        assert pickle.loads(pickle.dumps(kind)) == kind
        assert typing.get_type_hints(type(kind))["other"] == type(kind) | None
        assert not type(kind).__module__.isidentifier()
        assert type(kind).__module__ in sys.modules


def test_the_line_of_an_error_is_the_file_s(tmp_path):
    (tmp_path / "helper.py").write_text("\n\n\nx = (")
    path = tmp_path / "file.py"
    path.write_text(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport helper\n")
    with pytest.raises(ConfigError, match=r"file\.py, line 3: SyntaxError"):
        experiment_file.read(path)
    sys.path.remove(str(tmp_path))
    path.write_bytes(b"x = 1\0")
    with pytest.raises(ConfigError, match=r"file\.py.*null bytes"):
        experiment_file.read(path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs a file without an end")
def test_a_file_without_an_end_is_refused():
    with pytest.raises(ConfigError, match="longer than 10,000,000 characters, give an experiment"):
        experiment_file.read(Path("/dev/zero"))
