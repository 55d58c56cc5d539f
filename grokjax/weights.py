"""Weights out of a results folder: the network of a run at a step, and the rows it has seen.

Reached through the results: `results.network(run_id, "t_grok")` and `results.split(run_id)`. A
network leaves as a file, as a PyTorch module or for TransformerLens; `read` takes the file back.
docs/weights.md says what the parameters of each network are called and how they are multiplied.

Legend: N rows, T positions, I features, C classes, A answers.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from grokjax import __version__, models, tasks
from grokjax.config import ConfigError, Experiment, Model
from grokjax.config.coercion import require
from grokjax.config.identity import FORMER_IDS, former_run_id, unknown_paths
from grokjax.config.rebuild import rebuild
from grokjax.formats import files, lens, naming, plain, torch_weights
from grokjax.results import manifest, snapshots
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
    stage: int = 0
    """How many of the run's changes had happened."""

    @functools.cached_property
    def model(self) -> Model:
        """The model with the numbers that it had at this step."""
        return self.run.stages()[self.stage].model

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

    def to_torch(self) -> Any:
        """The network as a `torch.nn.Module`, one of `grokjax.formats.torch_module`.

        It takes rows as tensors and gives their logits, in the run's dtype and without dropout.
        Factors of µP, mean-field scaling, `embed_scale` and `output_scale` are multiplied into its
        weights.

        Raises:
          ConfigError: the module cannot express the model, or PyTorch is not installed.
        """
        return torch_weights.module(self.model, self.dataset, self.params)

    def to_transformer_lens(self) -> lens.Lens:
        """The network as TransformerLens takes it: `config`, `state_dict` and `model()`.

        Its models give logits at every position `[N, T, C]`; `read` takes those that count.

        Raises:
          ConfigError: TransformerLens cannot express the model, or PyTorch is not installed.
        """
        return lens.lens(self.model, self.dataset, self.params)

    def save(self, path: str | Path, names: naming.Names = "grokjax") -> None:
        """Write the parameters to a file, with words about the run in its metadata.

        Args:
          path: a .safetensors or an .npz file.
          names: and shapes of the arrays. grokjax: as in `parameters`, which `weights.read` and
            `measure.weights` take back; torch: the state dict of `to_torch()`; transformer_lens:
            that of `to_transformer_lens()`. These two are written without PyTorch.

        Raises:
          ConfigError: the file cannot be written, or the names cannot express the model.
        """
        arrays, settings = naming.arrays_by(names, self.model, self.dataset, self.params)
        about = {
            "written_by": f"grokjax {__version__}",
            "names": names,
            "run_id": self.run.run_id,
            "step": str(self.step),
            "stage": str(self.stage),
            "task": repr(self.run.task),
            "model": repr(self.model),
            "experiment": json.dumps(manifest.base_of(self.run)),
            "settings": json.dumps(settings),
        }
        files.write(Path(path), arrays, about)

    @property
    def parameters(self) -> pd.DataFrame:
        """A row a parameter: `name`, `shape`, `axes` in words, and its group."""
        rows = [
            {
                "name": name,
                "shape": tuple(leaf.shape),
                "axes": _axes(name, leaf.ndim),
                "group": models.group(path),
            }
            for name, (path, leaf) in plain.named(self.params).items()
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
    stage = changes_by(run, file.step, _curve(results, run_id, run))
    return Network(run, file.step, params, tasks.build(run.task), stage)


def read(path: str | Path, experiment: Experiment | None = None) -> Network:
    """The network in a file that `Network.save` has written by grokjax's names.

    Args:
      path: of the file.
      experiment: as it was trained; needed only where the file does not tell all of it.

    Raises:
      ConfigError: the file is another program's, or the experiment is needed.
    """
    arrays, about = files.read(Path(path))
    if about.get("names") != "grokjax" or "experiment" not in about:
        raise ConfigError(
            f"path={str(path)!r}: it does not say by grokjax's names what it is a network of, give "
            "one that network.save has written; measure.weights takes others with an experiment of "
            "their task and model (--experiment FILE) and with names."
        )
    told = files.told_of_network(Path(path), about)
    if experiment is None:
        run = rebuild(told.base, {}).resolved()
        remedy = f"{path} does not tell all of its configuration, give experiment="
        require(run.run_id == told.run_id, "run_id", told.run_id, remedy)
    else:
        run = _run_in(experiment, told.run_id)
    require(told.stage < len(run.stages()), "stage", told.stage, f"{path} is damaged, restore it")
    params = snapshots.nested({f"params/{name}": array for name, array in arrays.items()}, "params")
    return Network(run, told.step, params, tasks.build(run.task), told.stage)


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
    stage = changes_by(run, step, _curve(results, run_id, run))
    n_train = int(numbers.n_train[stage])
    with jax.enable_x64(spec.double):
        order = np.asarray(row_order(spec, int(numbers.split_seed[stage])))
        rows, _ = split(spec, numbers, stage)
    table = tasks.build(run.task)
    labels = np.array(table.targets)
    index = np.asarray(rows.index).reshape(-1)[:n_train]
    labels[index] = np.asarray(rows.targets).reshape(-1, *labels.shape[1:])[:n_train]
    first, n_test = max(spec.test_rows[0], n_train), int(spec.n_test(n_train))
    tested = order[first : first + n_test]
    return Split(order[:n_train], tested, table.inputs, table.targets, labels)


def _curve(results: Results, run_id: str, run: Experiment) -> Mapping[str, Any]:
    """The log points of a run whose changes wait for what they show; nothing of others."""
    if not any(change.at for change in run.changes):
        return {}
    rows = results.curves_of(run_id, ["step", "train_accuracy", "test_accuracy"])
    return {str(name): rows[name].to_numpy() for name in rows}


def run_of(results: Results, run_id: str, experiment: Experiment | None = None) -> Experiment:
    """The configuration of a run, rebuilt from the results or found in an experiment."""
    found, rows = results.manifest, results.runs[results.runs["run_id"] == run_id]
    require(len(rows) == 1, "run_id", run_id, f"no such run has ended in {results.path}")
    remedy = "another program trained it, so that no experiment is known and no rows or weights are"
    require("curves_of" not in found, "run_id", run_id, remedy)
    version, base = found["schema_version"], found["base"]
    if experiment is not None:
        if version <= FORMER_IDS:
            experiment = experiment.with_former_ids(unknown_paths(experiment, base))
        return _run_in(experiment, run_id)
    (row,) = rows.astype(object).where(rows.notna(), None).to_dict("records")
    try:
        run = rebuild(base, {str(name): value for name, value in row.items()}).resolved()
    except ConfigError as error:
        raise ConfigError(f"{results.path}, run {run_id}: {error}") from None
    new = version > FORMER_IDS
    name = run.run_id if new else former_run_id(run, unknown_paths(run, base))
    if version >= OLDEST_CHECKED and name != run_id:
        raise ConfigError(
            f"run_id={run_id!r}: the results do not tell all of its configuration, give "
            "experiment=, as it was trained."
        )
    return run


def _run_in(experiment: Experiment, run_id: str) -> Experiment:
    runs = experiment.expansion.runs
    require(run_id in runs, "experiment", run_id, "its sweep has no such run")
    return runs[run_id]


AXES: dict[str, str] = {
    r"embed": "token, residual",
    r"position": "position, residual",
    r"attention_\d+/(query|key|value)/weight": "residual, head, head width",
    r"attention_\d+/(query|key|value)/bias": "head, head width",
    r"attention_\d+/output/weight": "head, head width, residual",
    r"mlp_\d+/in(_gate)?/weight": "residual, hidden",
    r"mlp_\d+/in(_gate)?/bias": "hidden",
    r"mlp_\d+/out/weight": "hidden, residual",
    r"(attention_\d+/output|mlp_\d+/out)/bias": "residual",
    r"norm_(query|key|value)_\d+/(scale|bias)": "head width",
    r"(norm_\w+|final_norm)/(scale|bias)": "residual",
    r"(hidden_\d+|embed)(_gate)?/weight": "input, hidden",
    r"(hidden_\d+|embed)(_gate)?/bias": "hidden",
    r"unembed/weight": "input, class",
    r"unembed/bias": "class",
}
"""Pattern of a parameter's name → what its axes run over."""


def _axes(name: str, ndim: int) -> str:
    """What the axes of a parameter run over, empty for those of a user's own network."""
    found = [axes for pattern, axes in AXES.items() if re.fullmatch(pattern, name)]
    words = found[0] if found else ""
    if words.startswith("input, ") and ndim == 3:
        words = f"position, {words}"
    return words if words.count(",") + 1 == ndim else ""
