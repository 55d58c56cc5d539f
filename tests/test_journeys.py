"""What has to be touched to add something: one of each, added to a copy of the package and used.

Files of tests and README are counted where CONTRIBUTING.md says so; here are those of the package.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "grokjax"

OPTIMIZER = {
    "config/optimizers.py": """

__all__ += ["SignDescent"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SignDescent(Optimizer):
    '''sign(g) (Bernstein et al. 2018).'''

    kind: ClassVar[str] = "sign_descent"
""",
    "training/optimizers.py": """

from grokjax.config import SignDescent


@direction.register
def _sign_descent(optimizer: SignDescent) -> optax.GradientTransformation:
    return optax.stateless(lambda grads, _: jax.tree.map(jnp.sign, grads))
""",
}
TASK = {
    "config/modular.py": """

__all__ += ["Maximum"]


@dataclasses.dataclass(frozen=True)
class Maximum(Task):
    '''max(a, b) for a, b < p.'''

    kind: ClassVar[str] = "maximum"

    p: int = 97

    @property
    def n_rows(self) -> int:
        return self.p**2
""",
    "tasks/modular.py": """

from grokjax.config import Maximum


@make_dataset.register
def maximum(task: Maximum) -> Dataset:
    a, b = np.divmod(np.arange(task.p**2), task.p)
    return binary_table(a, b, np.maximum(a, b), task.p, "a b", full=True)
""",
}
METRIC = {
    "training/loop.py": [
        ("    measures: measures.Measures\n", "    loss_gap: jax.Array\n    measures: measures.Measures\n"),
        ("            measures=", "            loss_gap=on_test.loss - on_train.loss,\n            measures="),
    ],
    "results/schema.py": [('    "train_accuracy_true",\n', '    "train_accuracy_true",\n    "loss_gap",\n')],
}  # fmt: skip
FIGURE = {
    "figures/gallery.py": """

@figure_family("gaps", columns=("loss_gap",))
def _gaps(shown: Shown) -> Drawings:
    def draw() -> Figure:
        drawn = Figure()
        drawn.subplots().plot(shown.curves["step"], shown.curves["loss_gap"])
        return drawn

    return {"gaps": draw}
"""
}
USED = """
import grokjax, pathlib
from grokjax import *
from grokjax import closing

assert "{copy}" in grokjax.__file__
experiment = Experiment(
    task=Maximum(p=7), model=MLP(width=4, mlp_width=8), optimizer=SignDescent(weight_decay=0.1),
    steps=20, log_every=10, sweep=grid(learning_rate=[1e-3, 1e-2]),
)
results = grokjax.run(experiment, "out")
assert set(results.runs["optimizer"]) == {{"sign_descent"}} and set(results.runs["task"]) == {{"maximum"}}
curves = results.curves
assert (curves["loss_gap"] == curves["test_loss"] - curves["train_loss"]).all()
closing.show(results)
assert pathlib.Path("out/figures/gaps.png").exists()
"""


def changed(folder, additions):
    """Make additions to files of the package: text at their ends, or what replaces a passage."""
    for name, addition in additions.items():
        path = folder / "grokjax" / name
        text = path.read_text()
        if isinstance(addition, str):
            text += addition
        else:
            for passage, instead in addition:
                assert text.count(passage) == 1, (name, passage)
                text = text.replace(passage, instead)
        path.write_text(text)
    return len(additions)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("journeys")
    shutil.copytree(PACKAGE, folder / "grokjax", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.mark.drawn
def test_what_is_added_takes_few_files_and_works_together(copy):
    # With an example, a test of the formula and the vocabulary's table that makes five.
    assert changed(copy, OPTIMIZER) <= 5 - 3
    assert changed(copy, TASK) <= 5 - 3
    assert changed(copy, METRIC) <= 4 - 2  # a test, and README
    assert changed(copy, FIGURE) <= 2 - 1  # a test
    done = subprocess.run(
        [sys.executable, "-c", USED.format(copy=copy)],
        cwd=copy,
        env={"PYTHONPATH": str(copy), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
