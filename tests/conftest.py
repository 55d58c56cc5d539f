"""Small experiments that the tests share."""

import dataclasses
import gc
import os
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import settings
from samples import place

import grokjax
from grokjax import tasks
from grokjax.engine import plan
from grokjax.engine.plan import Run
from grokjax.figures import registry, style

# Sweeps would make every core a device; programs for one compile faster. Several devices are
# tested in processes of their own.
jax.config.update("jax_num_cpu_devices", 1)
# They take longer to optimise than to run; the processes that tests start do optimise.
jax.config.update("jax_disable_most_optimizations", True)
# A shape that grows an axis in silence is a mistake until the code says that it is not.
jax.config.update("jax_numpy_rank_promotion", "raise")
# A deadline of 200 ms an example fails where other processes have the cores.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
# Tracing makes millions of objects that stay; looking for cycles among all of them as often as
# Python does by default takes a sixth of the tests' time.
gc.set_threshold(50_000, 10, 10)

QUICK_PROCESS = {
    "JAX_NUM_CPU_DEVICES": "1",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
}
"""The same for a process that a test starts whose subject is not how a program is optimised."""


MOST_MAPS = 20_000
ONE_OF = 5
"""Of the tests that are drawn."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """What Hypothesis draws is a commit's too: who tests it sees what CI will see."""
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(place("hypothesis"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of the tests marked `drawn`, which take some seconds each, a fifth runs at a commit."""
    for item in items:
        if item.get_closest_marker("drawn") and place(item.nodeid) % ONE_OF:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True, scope="session")
def user_cache(tmp_path_factory):
    """A cache folder of the tests' own, which compiles equal programs once."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["XDG_CACHE_HOME"] = str(folder)  # also for the processes that tests start
    jax.config.update("jax_compilation_cache_dir", str(folder / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


@pytest.fixture(autouse=True, scope="module")
def room_for_programs():
    """Forget compiled programs before the system runs out of memory maps for them.

    Each takes a few, a process may have 65,530, and the next program is then a segmentation fault.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder of its own in which the paths that our texts name lead where a checkout's do."""
    root = Path(__file__).parents[1]
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "recorded").symlink_to(root / "results" / "recorded")
    (tmp_path / "experiments").symlink_to(root / "experiments")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_compilation_cache():
    """Compile for real."""
    jax.config.update("jax_enable_compilation_cache", False)
    yield
    jax.config.update("jax_enable_compilation_cache", True)


@pytest.fixture
def quick_figures(monkeypatch):
    """Figures are drawn, but their files stay empty: to fill them takes most of a report's time."""

    def save(figure, folder, name):
        folder.mkdir(parents=True, exist_ok=True)
        with style.paper():
            figure.draw_without_rendering()
        paths = [folder / f"{name}.{kind}" for kind in ("png", "pdf")]
        for path in paths:
            path.touch()
        return paths

    monkeypatch.setattr(style, "save", save)


@pytest.fixture
def one_figure(monkeypatch):
    """Reports with a map and a page, and no other figure."""
    kinds = {name: kind for name, kind in registry.KINDS.items() if name == "phases"}
    monkeypatch.setattr(registry, "KINDS", kinds)


@pytest.fixture
def tiny():
    """A run that takes milliseconds a hundred steps."""
    return grokjax.Experiment(
        task=grokjax.ModularArithmetic("sub", p=7),
        model=grokjax.Transformer(width=8, heads=2, mlp_width=16),
        optimizer=grokjax.AdamW(learning_rate=1e-2, weight_decay=0.5),
        steps=200,
        log_every=10,
    )


@pytest.fixture
def small_segments(monkeypatch):
    """Several segments a run, so that lanes are refilled at different moments; commits are rare."""
    monkeypatch.setattr(plan, "SEGMENT_SECONDS", 0.006)


@pytest.fixture
def small_ticks(monkeypatch, small_segments):
    """As small segments, two a commit."""
    monkeypatch.setattr(plan, "TICK_SECONDS", 0.012)


def hparams(experiment):
    """The traced numbers of one run."""
    return Run("test", experiment.resolved()).hparams()


QUICKLY = {"xla_backend_optimization_level": "0", "xla_llvm_disable_expensive_passes": True}
"""Compiler options for programs that take longer to optimise than to run."""
CAREFULLY = {"xla_backend_optimization_level": "3", "xla_llvm_disable_expensive_passes": False}
"""Compiler options as sweeps have them, where rounding is the question."""


def model_of(experiment):
    """The experiment's model, its numbers as the program has them at the start."""
    return jax.tree.map(lambda values: values[0], hparams(experiment).words.model)


def network_inputs(experiment):
    """All tokens of the experiment's table."""
    return tasks.build(experiment.task).inputs


def in_float64(experiment):
    """The same experiment in double precision."""
    return dataclasses.replace(experiment, dtype="float64")


def to_numpy(tree):
    """A pytree of device arrays as NumPy arrays."""
    return jax.tree.map(np.asarray, tree)
