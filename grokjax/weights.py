"""Weights out of a results folder: the network of a run at a step, and the rows it has seen.

Reached through the results: `results.network(run_id, "t_grok")` and `results.split(run_id)`.
docs/weights.md says what the parameters of each network are called and how they are multiplied.

Legend: N rows, T positions, I features, C classes, A answers.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from grokjax import models, tasks
from grokjax.config import ConfigError, Experiment, Model
from grokjax.config.coercion import require
from grokjax.config.identity import FORMER_IDS, former_run_id, unknown_paths
from grokjax.config.rebuild import rebuild
from grokjax.results import snapshots
from grokjax.results.load import Results
from grokjax.training.data import row_order, split
from grokjax.training.moments import changes_by
from grokjax.training.spec import hparams, spec_of

OLDEST_CHECKED = 3
"""The first schema version whose run ids are rebuilt and compared."""


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """The network of a run at a step: a function of rows, with named parameters."""

    run: Experiment
    """The run's configuration."""
    step: int
    """Updates that it has had."""
    params: dict[str, Any]
    """Nested dictionaries of arrays, as the network takes them."""
    dataset: tasks.Dataset
    """Every row of the run's table, with `inputs` and `targets`."""
    model: Model
    """The model with the numbers that it had at this step."""

    def __call__(self, inputs: Any = None, params: dict[str, Any] | None = None) -> jax.Array:
        """Logits `[N, C]` of rows, or `[N, A, C]` of a task with several answers a row.

        Without dropout. A pure function of `params`: `jax.grad`, `jax.vmap` and `jax.jit` go over
        it with `jax.jit(lambda params: network(rows, params))`.

        Args:
          inputs: tokens `[N, T]` or features `[N, I]`, as in `dataset.inputs`; None: every row of
            the table.
          params: to use instead of the run's own, an ablated copy of them say.
        """
        table = self.dataset
        rows: Any = table.inputs if inputs is None else np.asarray(inputs)
        width = table.inputs.shape[1]
        remedy = f"give rows of {width} as dataset.inputs has them, an array [N, {width}]"
        require(rows.ndim == 2 and rows.shape[1] == width, "inputs", rows.shape, remedy)
        if table.vocabulary:
            low, high = rows.min(initial=0), rows.max(initial=0)
            remedy = f"tokens are whole numbers from 0 to {table.vocabulary - 1}"
            whole = rows.dtype.kind in "iu" and low >= 0 and high < table.vocabulary
            require(whole, "inputs", f"{low} to {high}", remedy)
        rows = rows.astype(np.int32 if table.vocabulary else self.run.dtype)
        with jax.enable_x64(self.run.dtype == "float64"):
            return models.apply(
                self.model,
                table,
                models.layout(self.model, rows, table.answers, len(rows)),
                self.params if params is None else params,
                jnp.arange(len(rows)),
            )

    def activations(self, name: str) -> jax.Array:
        """Activations of every row of the table, `[N, D]`, without dropout.

        Args:
          name: readout (what the logits are read from), neurons (the last hidden units), or those
            of a module, as in `mlp_0/neurons`, `attention_0/heads`, `attention_1/added`.

        Raises:
          ConfigError: the network shows none of this name.
        """
        layout = models.plain_layout(self.model, self.dataset)
        with jax.enable_x64(self.run.dtype == "float64"):
            looks = models.look(self.model, self.dataset, layout, self.params)
        shown = {"readout": looks.readout, "neurons": looks.neurons}
        for module, inside in looks.tree.items():
            if isinstance(inside, dict):
                shown |= {f"{module}/{what}": calls[-1] for what, calls in inside.items()}
        found = shown.get(name)
        known = ", ".join(one for one, values in shown.items() if values is not None)
        if found is None:
            raise ConfigError(f"activations={name!r}: the network shows {known}, choose of these.")
        return found.reshape(len(found), -1)

    @property
    def parameters(self) -> pd.DataFrame:
        """A row a parameter: `name`, `shape`, `axes` in words, and its group."""
        flat, _ = jax.tree_util.tree_flatten_with_path(self.params)
        named = [(jax.tree_util.keystr(p, simple=True, separator="/"), p, leaf) for p, leaf in flat]
        rows = [
            {
                "name": name,
                "shape": tuple(leaf.shape),
                "axes": _axes(name, leaf.ndim),
                "group": models.group(path),
            }
            for name, path, leaf in named
        ]
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        count = sum(int(np.prod(shape)) for shape in self.parameters["shape"])
        return (
            f"<Network {self.run.run_id} at step {self.step}: {self.run.model!r}, "
            f"{len(self.parameters)} arrays of {count} numbers>"
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Which rows of its table a run is trained on, and by which labels."""

    train: np.ndarray
    """Numbers of the training rows in the table `[n_train]`, in the order in which they enter as
    train_fraction grows."""
    test: np.ndarray
    """Numbers of the test rows `[n_test]`."""
    inputs: np.ndarray
    """Every row of the table: tokens `[N, T]` or features `[N, I]`."""
    targets: np.ndarray
    """Their true answers `[N]` or `[N, A]`."""
    labels: np.ndarray
    """What training rows are trained by: the true answers but for `label_noise`."""

    def __repr__(self) -> str:
        noisy = int((self.labels[self.train] != self.targets[self.train]).sum())
        words = f"<Split: {len(self.train)} training rows, {len(self.test)} test rows"
        return words + (f", {noisy} labels replaced>" if noisy else ">")


def network(
    results: Results, run_id: str, step: int | str = "end", experiment: Experiment | None = None
) -> Network:
    """The network of a run at a step of which its parameters were kept.

    Args:
      results: with snapshots.
      run_id: which run.
      step: an update, or a moment: t_mem, t_grok or end.
      experiment: as it was trained; needed only where results do not tell all of it.

    Raises:
      ConfigError: there is no such run or snapshot, or the experiment is needed.
    """
    file = results.find_snapshot(run_id, step)
    params = snapshots.nested(snapshots.read(file), "params")
    run = run_of(results, run_id, experiment)
    model = run.stages()[changes_by(run, file.step, _curve(results, run_id))].model
    return Network(run, file.step, params, tasks.build(run.task), model)


def training_split(
    results: Results, run_id: str, step: int = 0, experiment: Experiment | None = None
) -> Split:
    """The training and test rows of a run.

    Args:
      results: that have the run.
      run_id: which run.
      step: update at which; it matters where the run's `changes` change its data.
      experiment: as it was trained; needed only where results do not tell all of it.
    """
    run = run_of(results, run_id, experiment)
    spec, numbers = spec_of(run), hparams(run)
    stage = changes_by(run, step, _curve(results, run_id))
    n_train = int(numbers.n_train[stage])
    with jax.enable_x64(spec.double):
        order = np.asarray(row_order(spec, int(numbers.split_seed[stage])))
        rows, _ = split(spec, numbers, stage)
    table = tasks.build(run.task)
    labels = np.array(table.targets)
    index = np.asarray(rows.index).reshape(-1)[:n_train]
    labels[index] = np.asarray(rows.targets).reshape(-1, *labels.shape[1:])[:n_train]
    return Split(order[:n_train], order[n_train:], table.inputs, table.targets, labels)


def _curve(results: Results, run_id: str) -> dict[str, np.ndarray]:
    """The log points of a run."""
    rows = results.curves[results.curves["run_id"] == run_id]
    return {name: rows[name].to_numpy() for name in ("step", "train_accuracy", "test_accuracy")}


def run_of(results: Results, run_id: str, experiment: Experiment | None = None) -> Experiment:
    """The configuration of a run, rebuilt from the results or found in an experiment."""
    rows = results.runs[results.runs["run_id"] == run_id]
    require(len(rows) == 1, "run_id", run_id, f"no such run has ended in {results.path}")
    found = results.manifest
    version, base = found["schema_version"], found["base"]
    if experiment is not None:
        if version <= FORMER_IDS:
            experiment = experiment.with_former_ids(unknown_paths(experiment, base))
        told = experiment.expansion.runs
        require(run_id in told, "experiment", run_id, "its sweep has no such run")
        return told[run_id]
    (row,) = rows.astype(object).where(rows.notna(), None).to_dict("records")
    run = rebuild(base, {str(name): value for name, value in row.items()}).resolved()
    unknown = unknown_paths(run, base)
    name = run.run_id if version > FORMER_IDS else former_run_id(run, unknown)
    if version >= OLDEST_CHECKED and name != run_id:
        raise ConfigError(
            f"run_id={run_id!r}: the results do not tell all of its configuration, give "
            "experiment=, as it was trained."
        )
    return run


AXES: dict[str, str] = {
    r"embed": "token, residual",
    r"position": "position, residual",
    r"attention_\d+/(query|key|value)/weight": "residual, head, head width",
    r"attention_\d+/(query|key|value)/bias": "head, head width",
    r"attention_\d+/output/weight": "head, head width, residual",
    r"mlp_\d+/in/weight": "residual, hidden",
    r"mlp_\d+/in/bias": "hidden",
    r"mlp_\d+/out/weight": "hidden, residual",
    r"(attention_\d+/output|mlp_\d+/out)/bias": "residual",
    r"(norm_\w+|final_norm)/(scale|bias)": "residual",
    r"hidden_\d+(_gate)?/weight": "input, hidden",
    r"hidden_\d+(_gate)?/bias": "hidden",
    r"unembed/weight": "input, class",
    r"unembed/bias": "class",
}
"""Pattern of a parameter's name → what its axes run over."""


def _axes(name: str, ndim: int) -> str:
    """What the axes of a parameter run over, empty for those of a user's own network."""
    found = [axes for pattern, axes in AXES.items() if re.fullmatch(pattern, name)]
    words = found[0] if found else ""
    if words == "input, hidden" and ndim == 3:
        words = "position, input, hidden"
    return words if words.count(",") + 1 == ndim else ""
