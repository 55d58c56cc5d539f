"""The house rules that a machine can check."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "grokjax"
MODULES = sorted(PACKAGE.rglob("*.py"))

FLOORS = {
    "grokjax.text": 0,
    "grokjax.config": 0,
    "grokjax.command": 1,
    "grokjax.experiment_file": 1,
    "grokjax.explorer": 1,
    "grokjax.overrides": 1,
    "grokjax.tasks": 1,
    "grokjax.results": 1,
    "grokjax.display": 2,
    "grokjax.analysis": 2,
    "grokjax.models": 2,
    "grokjax.exchange": 3,
    "grokjax.export": 7,
    "grokjax.figures": 3,
    "grokjax.formats": 3,
    "grokjax.measures": 3,
    "grokjax.report": 4,
    "grokjax.summary_text": 4,
    "grokjax.training": 4,
    "grokjax.closing": 5,
    "grokjax.weights": 5,
    "grokjax.engine": 6,
    "grokjax.atlas": 8,
    "grokjax.bench": 7,
    "grokjax.cluster": 7,
    "grokjax.dry_run": 8,
    "grokjax.measure": 7,
    "grokjax.phase": 7,
    "grokjax.sweep": 9,
    "grokjax.__main__": 10,
}
"""Every room imports from its own floor's room and from lower floors only."""


def name_of(path):
    """grokjax/engine/plan.py → grokjax.engine.plan."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module):
    """grokjax.engine.plan → grokjax.engine."""
    return ".".join(module.split(".")[:2])


def imports(path, everywhere=True):
    """Modules of the package that a file imports, types apart."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    nodes = ast.walk(tree) if everywhere else tree.body
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                is_module = (PACKAGE.parent / whole.replace(".", "/")).with_suffix(".py").exists()
                is_package = (PACKAGE.parent / whole.replace(".", "/")).is_dir()
                yield whole if is_module or is_package else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_import_runs_upwards(path):
    module = name_of(path)
    if module == "grokjax":
        return  # the front door names everything, and imports the heavy rooms late
    for target in imports(path):
        if target.startswith("grokjax.") and room(target) != room(module):
            assert FLOORS[room(target)] < FLOORS[room(module)], f"{module} imports {target}"


def test_every_room_has_a_floor():
    assert {room(name_of(path)) for path in MODULES} - {"grokjax"} == set(FLOORS)


def test_no_import_is_circular():
    graph = {
        name_of(path): {t for t in imports(path, everywhere=False) if t.startswith("grokjax.")}
        for path in MODULES
    }
    seen, open_ = set(), []

    def visit(module):
        assert module not in open_, " → ".join([*open_, module])
        if module in seen or module not in graph:
            return
        open_.append(module)
        for target in graph[module] - {module}:
            visit(target)
        seen.add(open_.pop())

    for module in graph:
        if module != "grokjax":
            visit(module)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_are_rooms_and_not_halls(path):
    assert len(path.read_text().splitlines()) <= 350


@pytest.mark.parametrize(
    "statement",
    [
        "import grokjax",
        "import grokjax.phase, grokjax.figures.maps",
        "from grokjax import load, grid",
    ],
)
def test_looking_at_results_imports_no_jax(statement):
    script = f"{statement}; import sys; assert not {{'jax', 'flax', 'orbax'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_nothing_that_reads_results_can_execute_them():
    for path in [
        *PACKAGE.glob("results/*.py"),
        *PACKAGE.glob("analysis/*.py"),
        PACKAGE / "phase.py",
        PACKAGE / "closing.py",
        PACKAGE / "summary_text.py",
    ]:
        words = {n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)}
        assert not words & {"eval", "exec", "pickle", "__import__"}, path
        assert "pickle" not in set(imports(path))
