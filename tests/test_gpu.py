"""What only a GPU can show: its arithmetic, and its bits. By hand there, `pytest -m gpu -n 0`."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from crashes import (
    Killed,
    assert_same_tables,
    crash_before_nth_write,
    swept,
)
from test_kernels import LANES, Slots, plain_attention, read_of

import grokjax
from grokjax.engine.checkpoint import Checkpoints
from grokjax.models import attention_kernel, kernels
from grokjax.models.attention_kernel import Read, Shape
from grokjax.models.layers import ACTIVATIONS, Affine, layer_norm
from grokjax.training import loss_kernel, losses

pytestmark = pytest.mark.gpu
FACTOR = 2.0
"""How much more than the plain layer a kernel may err: their sums run in other orders."""


@pytest.fixture(autouse=True)
def optimised():
    """On a GPU, compile as sweeps do, and not as tests."""
    if jax.default_backend() != "gpu":
        pytest.skip("no GPU")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


def random(*shapes, seed=0):
    """Arrays that float32 holds, as float64."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(np.float32).astype(np.float64) for shape in shapes]


def errors(function, precision, along, arguments, truth):
    """Relative errors of the values and of all gradients of a function in float32."""

    def both(along, *arguments):
        y, back = jax.vjp(function, *arguments)
        return y, back(along)

    single = [jax.tree.map(as_single, x) for x in (along, *arguments)]
    with jax.default_matmul_precision(precision):
        found = jax.jit(jax.vmap(both))(*single)
    pairs = zip(jax.tree.leaves(found), truth, strict=True)
    return np.array(
        [
            np.linalg.norm(np.asarray(a, np.float64) - b) / np.linalg.norm(b)
            for a, b in pairs
            if b.dtype == np.float64
        ]
    )


def as_single(x):
    return x.astype(np.float32) if x.dtype == np.float64 else x


def true(function, along, arguments):
    """Values and gradients in float64, on a processor or not."""

    def both(along, *arguments):
        y, back = jax.vjp(function, *arguments)
        return y, back(along)

    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        return [np.asarray(x) for x in jax.tree.leaves(jax.jit(jax.vmap(both))(along, *arguments))]


def assert_no_worse(kernel, plain, precision, along, *arguments):
    """In every value and gradient the kernel errs as the plain layer does, or hardly more."""
    truth = true(plain, along, arguments)
    theirs = errors(plain, precision, along, arguments, truth)
    ours = errors(kernel, precision, along, arguments, truth)
    assert theirs.max() < (1e-4 if precision == "highest" else 0.1)
    assert (ours <= FACTOR * theirs + 1e-6).all(), (ours, theirs)


PRECISIONS = ["highest", "default"]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("rows", [128, 100])
def test_an_mlp_block_errs_as_the_plain_one(precision, activation, rows):
    width, units = 128, 512
    x, gain, shift, along = random((3, rows, width), (3, width), (3, width), (3, rows, width))
    into, bias, out, last = random(
        (3, width, units), (3, units), (3, units, width), (3, width), seed=1
    )
    into, out = into / np.sqrt(width), out / np.sqrt(units)
    hidden = kernels.Hidden(ACTIVATIONS[activation], layer_norm)

    def maps(into, bias, out, last):
        return Affine(into, bias, 1), Affine(out, last, 1)

    def kernel(x, gain, shift, *numbers):
        return kernels.mlp_block(hidden, x, (gain, shift), *maps(*numbers))

    def plain(x, gain, shift, *numbers):
        first, second = maps(*numbers)
        return x + second(ACTIVATIONS[activation](first(layer_norm(x, gain, shift))))

    assert_no_worse(kernel, plain, precision, along, x, gain, shift, into, bias, out, last)


CAUSAL = ((True, False, False), (True, True, False), (True, True, True))
CASES = {
    "own": Slots((), 3, None, CAUSAL),
    "shared": Slots((50, 1), 0, 1, ((True, True),)),
    "mixed": Slots((50, 50), 1, 1, CAUSAL[2:]),
}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", CASES)
def test_attention_errs_as_the_plain_one(precision, name):
    case = CASES[name]
    read = read_of(case, 64, heads=4, size=32, dtype="float32")
    read = jax.tree.map(lambda x: x.astype(np.float64) if x.dtype == np.float32 else x, read)
    shape = Shape(case.visible, 32**-0.5, case.spans)
    (along,) = random((LANES, 64, len(case.visible), 4, 32))

    def of(function):
        return lambda queries, table, own, index: function(Read(queries, table, index, own))

    assert_no_worse(
        of(lambda read: attention_kernel.attend(shape, read)),
        of(lambda read: plain_attention(case, 32**-0.5, read)),
        precision,
        along,
        *(read.queries, read.table, read.own, read.index),
    )


@pytest.mark.parametrize("shape", [(3, 500, 97), (3, 64, 1024), (3, 7, 5)], ids=str)
def test_the_gradient_of_cross_entropy_errs_as_the_plain_one(shape):
    logs, weights = random(shape, shape[:-1])
    targets = np.random.default_rng(2).integers(0, shape[-1], shape[:-1]).astype(np.int32)
    with jax.enable_x64(True):
        truth = np.asarray(losses._gradient_of_logs(jnp.asarray(5 * logs), targets, weights))
    single = (5 * logs).astype(np.float32), targets, weights.astype(np.float32)
    found = [
        np.linalg.norm(np.asarray(jax.jit(jax.vmap(function))(*single), np.float64) - truth)
        for function in (loss_kernel.gradient, losses._gradient_of_logs)
    ]
    assert found[1] < 1e-5 * np.linalg.norm(truth)
    assert found[0] <= FACTOR * found[1]


def small(**model):
    """Sweeps whose programs have all kernels."""
    return grokjax.Experiment(
        task=grokjax.ModularArithmetic("sub", p=23, format="a b ="),
        model=grokjax.Transformer(width=32, heads=2, mlp_width=64, layers=2, **model),
        optimizer=grokjax.AdamW(learning_rate=1e-2, weight_decay=0.5),
        steps=200,
        log_every=10,
    )


NETWORKS = {
    "causal": {},
    "bidirectional": {"causal": False, "readout": "mean", "norm": "pre", "biases": True},
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_sweep_has_the_same_bits_again(tmp_path, network, precision):
    experiment = dataclasses.replace(small(**NETWORKS[network]), matmul_precision=precision)
    experiment = swept(experiment, seed=range(4), weight_decay=[0.1, 1.0])
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        grokjax.run(experiment, folder, lanes=4)
    assert_same_tables(*folders)


@pytest.mark.usefixtures("small_ticks")
def test_a_killed_sweep_goes_on_to_the_same_bits(tmp_path):
    experiment = swept(small(), seed=range(4), weight_decay=[0.1, 1.0])
    whole = grokjax.run(experiment, tmp_path / "whole", lanes=4)
    assert whole.manifest["ticks"] > 2
    with pytest.MonkeyPatch.context() as patch:
        crash_before_nth_write(patch, 2, False, [(Checkpoints, "save")])
        with pytest.raises(Killed):
            grokjax.run(experiment, tmp_path / "killed", lanes=4)
    grokjax.run(experiment, tmp_path / "killed", lanes=4)
    assert_same_tables(tmp_path / "killed", tmp_path / "whole")
