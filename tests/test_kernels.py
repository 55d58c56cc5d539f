"""The kernels for GPUs against the plain layers, run as plain JAX in float64.

What a GPU makes of them in float32 is in `test_gpu`; that programs for GPUs have them, and no others,
in `test_lowering`.
"""

import dataclasses
import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import QUICKLY, to_numpy
from hypothesis import example, given, settings
from hypothesis import strategies as st
from samples import sampled
from test_layout import loss_and_gradient
from test_models import built

import grokjax
from grokjax import tasks
from grokjax.models import attention_kernel, kernels
from grokjax.models.attention_kernel import Read, Shape
from grokjax.models.layers import ACTIVATIONS, Affine, layer_norm, rms_norm
from grokjax.models.stream import last_axis
from grokjax.training import loop as training
from grokjax.training import loss_kernel

LANES = 2
CLOSE = 1e-12


def numbers(*shapes, seed=0, lanes=(LANES,)):
    """Arrays of random numbers, other ones in every lane."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(*lanes, *shape)) for shape in shapes]


def assert_same(function, expected, *arguments, seed=1):
    """The same values and gradients of all arguments in all lanes, which differ."""
    with jax.enable_x64(True):

        def both(f):
            def pulled(along, *arguments):
                y, back = jax.vjp(f, *arguments)
                return y, back(along)

            shape = jax.eval_shape(jax.vmap(f), *arguments).shape
            (along,) = numbers(shape, seed=seed, lanes=())
            made = jax.jit(jax.vmap(pulled), compiler_options=QUICKLY)(along, *arguments)
            return [x for x in jax.tree.leaves(to_numpy(made)) if x.dtype.kind == "f"]

        pairs = list(zip(both(function), both(expected), strict=True))
    for found, wanted in pairs:
        assert found.shape == wanted.shape and found.dtype == np.float64
        # What softmax of one position passes back is no number but rounding.
        assert np.linalg.norm(found - wanted) <= CLOSE * max(np.linalg.norm(wanted), 1e-2)
    values = pairs[0][0]
    assert not np.allclose(values[0], values[1])


def normalised(kind, x, gain, shift):
    """Rows of mean 0 and variance 1, or of mean square 1."""
    if kind is None:
        return x
    if kind == "layer":
        x = x - jnp.mean(x, axis=-1, keepdims=True)
    y = last_axis(gain, x) * x / jnp.sqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-5)
    return y if shift is None else y + last_axis(shift, y)


NORMS = {None: None, "layer": layer_norm, "rms": rms_norm}


@pytest.mark.drawn
@pytest.mark.parametrize(("activation", "norm"), sampled(itertools.product(ACTIVATIONS, NORMS), 3))
def test_an_mlp_block_is_the_plain_one(activation, norm):
    """With rows in whole blocks or not, biases or none, factors or none, all in turn."""
    at = list(ACTIVATIONS).index(activation) + list(NORMS).index(norm)
    leading = [(kernels.ROWS,), (kernels.ROWS + 6,), (5, 3), (2 * kernels.ROWS,)][at % 4]
    width, units = 16, (1 + at % 2) * kernels.HIDDEN
    biased, scale = at % 3 > 0, [(1, 1), (0.5, 1.5)][at // 2 % 2]
    x, gain, shift, into, bias, out, last = numbers(
        (*leading, width), (width,), (width,), (width, units), (units,), (units, width), (width,)
    )
    biases = (shift if norm == "layer" else None, bias, last) if biased else (None,) * 3
    gain = None if norm is None else gain
    hidden = kernels.Hidden(ACTIVATIONS[activation], NORMS[norm], interpret=True)

    def found(x, gain, into, out, biases):
        shift, bias, last = biases
        maps = Affine(into, bias, scale[0]), Affine(out, last, scale[1])
        return kernels.mlp_block(hidden, x, None if gain is None else (gain, shift), *maps)

    def expected(x, gain, into, out, biases):
        shift, bias, last = biases
        before = scale[0] * normalised(norm, x, gain, shift) @ into
        before = before if bias is None else before + last_axis(bias, before)
        y = x + scale[1] * ACTIVATIONS[activation](before) @ out
        return y if last is None else y + last_axis(last, y)

    assert_same(found, expected, x, gain, into, out, biases)


def test_mlp_blocks_are_for_float32_in_blocks():
    def takes(width=128, units=512, dtype="float32", **fields):
        model = grokjax.Transformer(**fields)
        x = jax.ShapeDtypeStruct((7, width), np.dtype(dtype))
        return kernels.takes(x, Affine(np.zeros((width, units)), None, 1), model)

    assert takes() and takes(width=16, units=64) and takes(width=256)
    for refused in ({"dtype": "float64"}, {"width": 8}, {"width": 48}, {"width": 512}):
        assert not takes(**refused)
    assert not takes(units=96) and not takes(units=32)
    assert takes(norm="stream", norm_gains=False) and takes(norm="post", norm_kind="rms")
    for form in ({"gated": True}, {"norm": "peri"}, {"dropout": 0.1}):
        assert not takes(**form)
    assert not takes(activation="gelu") and not takes(activation="tanh")


@dataclasses.dataclass(frozen=True)
class Slots:
    """What is read, and by whom."""

    counts: tuple[int, ...]
    """Nodes of each position that rows share."""
    own: int
    asking: int | None
    """Positions that ask by queries of their own; None where all positions ask."""
    visible: tuple[tuple[bool, ...], ...]

    @property
    def spans(self):
        starts = np.cumsum((0, *self.counts)).tolist()
        return tuple(zip(starts, self.counts, strict=False))


@st.composite
def slots(draw):
    """Shared, own and both kinds of positions under causal, full and other masks."""
    counts = tuple(draw(st.lists(st.integers(1, 5), max_size=3)))
    own = draw(st.integers(0 if counts else 1, 3))
    seen = len(counts) + own
    asking = draw(st.none() | st.integers(1, seen))
    rows = range(seen if asking is None else asking)
    mask = draw(st.sampled_from(["causal", "full", "any"]))
    if mask == "any":
        row = st.tuples(*[st.booleans()] * seen).filter(any)
        visible = tuple(draw(row) for _ in rows)
    else:
        visible = tuple(tuple(mask == "full" or t <= q for t in range(seen)) for q in rows)
    return Slots(counts, own, asking, visible)


def read_of(case, rows, heads=2, size=4, dtype="float64"):
    """Random numbers for what a case reads, in all lanes."""
    parts = 3 if case.asking is None else 2
    nodes, shared = sum(case.counts), len(case.counts)
    queries, table, own = numbers(
        (rows, case.asking or 0, 1, heads, size),
        (nodes, parts, heads, size),
        (rows, case.own, parts, heads, size),
    )
    rng = np.random.default_rng(3)
    columns = [rng.integers(s, s + n, (LANES, rows)) for s, n in case.spans]
    index = np.stack(columns, axis=-1).astype(np.int32) if shared else None
    queries, table, own = (x.astype(dtype) for x in (queries, table, own))
    return Read(
        queries if case.asking else None,
        table if shared else None,
        index,
        own if case.own else None,
    )


def plain_attention(case, scale, read):
    """Softmax over what is visible, by dense products."""
    found = [] if read.table is None else [read.table[read.index]]
    found = jnp.concatenate(found + ([] if read.own is None else [read.own]), axis=1)
    queries = found[:, :, 0] if read.queries is None else read.queries[:, :, 0]
    keys, values = found[:, :, -2], found[:, :, -1]
    scores = scale * jnp.einsum("rqhe,rthe->rqth", queries, keys)
    scores = jnp.where(np.array(case.visible)[..., None], scores, -jnp.inf)
    return jnp.einsum("rqth,rthe->rqhe", jax.nn.softmax(scores, axis=2), values)


CAUSAL = ((True, False, False), (True, True, False), (True, True, True))


@pytest.mark.drawn
@settings(deadline=None, max_examples=3, derandomize=True)
@example(Slots((5, 1), 1, None, CAUSAL), 2)
@example(Slots((7, 7), 1, 1, CAUSAL[2:]), 1)
@example(Slots((), 3, None, (CAUSAL[2],) * 3), 2)
@example(Slots((4, 3, 2), 0, 2, CAUSAL[1:]), 1)
@given(slots(), st.sampled_from([1, 2]))
def test_attention_is_the_plain_one(case, blocks):
    assert_attention_is_plain(case, blocks)


@pytest.mark.slow  # more examples
@settings(deadline=None, max_examples=30)
@given(slots(), st.sampled_from([1, 2]))
def test_attention_of_any_positions_is_the_plain_one(case, blocks):
    assert_attention_is_plain(case, blocks)


def assert_attention_is_plain(case, blocks):
    read = read_of(case, blocks * attention_kernel.ROWS)
    shape = Shape(case.visible, 0.7, case.spans, interpret=True)

    def of_numbers(function):
        return lambda queries, table, own, index: function(Read(queries, table, index, own))

    assert_same(
        of_numbers(partial(attention_kernel.attend, shape)),
        of_numbers(partial(plain_attention, case, 0.7)),
        *(read.queries, read.table, read.own, read.index),
    )


def test_attention_is_for_few_positions_of_float32_in_blocks():
    def takes(
        rows=32, positions=3, heads=4, size=32, dtype="float32", masks=1, shared=False, form=None
    ):
        x = jax.ShapeDtypeStruct((rows, positions, 3, heads, size), np.dtype(dtype))
        read = Read(None, None, None, x)
        if shared:
            index = jax.ShapeDtypeStruct((rows, positions), np.int32)
            read = Read(None, jax.ShapeDtypeStruct((50, *x.shape[2:]), x.dtype), index, None)
        visible = np.ones((masks, positions, positions), bool)
        return attention_kernel.takes(visible, read, grokjax.Transformer(**(form or {})))

    for shared in (False, True):
        assert takes(shared=shared) and takes(positions=8, shared=shared)
        assert not takes(dtype="float64", shared=shared)
        assert not takes(rows=33, shared=shared)
        assert not takes(positions=9, shared=shared)
        assert not takes(heads=3, shared=shared) and not takes(size=24, shared=shared)
        assert not takes(masks=32, shared=shared)  # a mask for every row
    assert takes(form={"qk_norm": True, "dropout": 0.1})
    weights = {"dropout": 0.1, "dropout_places": ["weights"]}
    for other in ({"positions": "rotary"}, {"attention_rate": 0.5}, weights):
        assert not takes(form=other)


@pytest.mark.parametrize("shape", [(1, 5), (32, 32), (45, 97), (7, 3, 13), (64, 2)], ids=str)
def test_the_gradient_of_cross_entropy_is_the_plain_one(shape):
    logs, weights = numbers(shape, shape[:-1])
    targets = np.random.default_rng(2).integers(0, shape[-1], (LANES, *shape[:-1]))

    def plain(logs, targets, weights):
        shares = jnp.exp(logs) / jnp.exp(logs).sum(axis=-1, keepdims=True)
        return weights[..., None] * (shares - jax.nn.one_hot(targets, shape[-1], dtype=logs.dtype))

    with jax.enable_x64(True):
        for size in (1, 300):  # whose powers no number holds
            values = size * logs
            values -= values.max(axis=-1, keepdims=True)
            arguments = values + size, targets.astype(np.int32), weights
            found = jax.vmap(partial(loss_kernel.gradient, interpret=True))(*arguments)
            expected = jax.vmap(plain)(values, *arguments[1:])
            np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSE)


def test_the_gradient_of_cross_entropy_is_for_float32_of_few_classes():
    def takes(classes, dtype="float32"):
        return loss_kernel.takes(jax.ShapeDtypeStruct((3, classes), np.dtype(dtype)))

    assert takes(2) and takes(1024)
    assert not takes(1025) and not takes(97, "float64")


@pytest.fixture
def by_kernels(monkeypatch):
    """Networks take the way of GPUs, with kernels as plain JAX in any dtype."""

    def single(x):
        return jax.ShapeDtypeStruct(x.shape, np.float32) if x.dtype == np.float64 else x

    def taking(takes, at):
        def takes_any(*arguments):
            arguments = list(arguments)
            arguments[at] = jax.tree.map(single, arguments[at])
            return takes(*arguments)

        return takes_any

    def on_gpus(*arguments, default, **platforms):
        return platforms.get("cuda", default)(*arguments)

    monkeypatch.setattr(jax.lax, "platform_dependent", on_gpus)
    for module, at in ((kernels, 0), (attention_kernel, 1), (loss_kernel, 0)):
        monkeypatch.setattr(module, "takes", taking(module.takes, at))
    for module, name in (
        (kernels, "Hidden"),
        (attention_kernel, "Shape"),
        (loss_kernel, "gradient"),
    ):
        monkeypatch.setattr(module, name, partial(getattr(module, name), interpret=True))


MLP_KERNELS = {"mlp_forward", "mlp_backward_rows", "mlp_backward_units"}
ATTENTION_KERNELS = {"attention_forward", "attention_backward"}
BIDIRECTIONAL = {"causal": False, "readout": "mean", "norm": "pre", "biases": True}


@pytest.mark.drawn
@pytest.mark.parametrize(
    ("text", "options", "attends"),
    [
        ("a b =", {}, False),  # one query asks: scores are those of nodes
        ("a b =", {"layers": 2}, True),
        pytest.param("a b", BIDIRECTIONAL, True, marks=pytest.mark.slow),  # a layer of the next
        ("a b", {"layers": 2, **BIDIRECTIONAL}, True),
        ("a b", {"norm": "rms", "activation": "silu", "scaling": "mup", "base_width": 8}, True),
    ],
    ids=str,
)
def test_a_network_of_kernels_is_the_plain_one(tiny, by_kernels, text, options, attends):
    experiment = dataclasses.replace(
        tiny,
        task=dataclasses.replace(tiny.task, format=text),
        model=grokjax.Transformer(width=16, heads=2, mlp_width=64, **options),
        train_fraction=0.9,
    )
    spec, params, table = built(experiment)
    layout = training.layout(spec)
    rows = np.random.default_rng(1).permutation(len(table.targets))[:32].astype(np.int32)
    with jax.enable_x64(True):
        forced = loss_and_gradient(spec, layout, rows)
        made = str(jax.make_jaxpr(forced)(params))
        value, gradient = to_numpy(jax.jit(forced, compiler_options=QUICKLY)(params))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jax.lax, "platform_dependent", lambda *x, default, **_: default(*x))
            plain = loss_and_gradient(spec, layout, rows)
            assert "pallas_call" not in str(jax.make_jaxpr(plain)(params))
            expected, slope = to_numpy(jax.jit(plain, compiler_options=QUICKLY)(params))
    wanted = {"cross_entropy_gradient", *MLP_KERNELS, *(ATTENTION_KERNELS if attends else ())}
    for name in {"cross_entropy_gradient"} | MLP_KERNELS | ATTENTION_KERNELS:
        assert (name in made) == (name in wanted), name
    assert value == pytest.approx(expected, rel=CLOSE)
    assert np.linalg.norm(gradient - slope) <= CLOSE * np.linalg.norm(slope)
    assert len(tasks.build(spec.task).targets) > len(rows)
