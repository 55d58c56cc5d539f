"""The examples in docstrings give what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

import grokjax

PACKAGE = Path(grokjax.__file__).parent
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module(name, checkout):
    failures = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=FLAGS)
    for example in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name)):
        runner.run(example, out=failures.append)
    assert runner.summarize(verbose=False).attempted > 0
    assert not failures, "".join(failures)
