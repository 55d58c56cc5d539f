"""Every word of the vocabulary as GPUs and TPUs are given it, which takes neither of them.

What JAX hands to a compiler says what a program may do there: whether sums have an order, whether
devices speak to each other or to the host, and whether the kernels for GPUs are in it.
"""

import dataclasses
import functools
import re
from functools import partial

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from samples import sampled
from vocabulary import ALWAYS, BASE, WORDS

import grokjax
from grokjax import ConfigError, Mask, SnapshotSchedule, StartFrom
from grokjax.engine import lanes as lanes_module
from grokjax.engine import plan
from grokjax.engine.compiling import modes
from grokjax.training.spec import spec_of

TRITON = "__gpu$xla.gpu.triton"
ACCELERATORS = {"cuda", "tpu"}
SPEAKING = re.compile(
    r"\bstablehlo\.(all_reduce|all_gather|all_to_all|collective_permute|collective_broadcast|"
    r"reduce_scatter|infeed|outfeed|send|recv|rng)\b"
)
"""Operations with other devices or the host, and random numbers that are the device's own."""
SCATTER = re.compile(
    r'"stablehlo\.scatter"\(.*?\n\s*\}\) : \(tensor<(\S+)x\w+>, tensor<(\S+)x\w+>,', re.DOTALL
)


@dataclasses.dataclass(frozen=True)
class Found:
    """What a lowered program has that could cost it its bits or its speed."""

    custom_calls: frozenset[str]
    speaking: frozenset[str]
    unordered: frozenset[str]
    """Shapes of what scatters add to, and of indices that might be the same."""
    kernels: frozenset[str]
    """Names of the kernels for GPUs."""


def read(text):
    """What is found in StableHLO."""
    adding = [
        found
        for found in SCATTER.finditer(text)
        if "stablehlo.add " in found[0] and "unique_indices = false" in found[0]
    ]
    assert len(re.findall(r'"stablehlo\.scatter"', text)) == len(SCATTER.findall(text))
    return Found(
        frozenset(re.findall(r"custom_call @([\w.$]+)", text)),
        frozenset(SPEAKING.findall(text)),
        frozenset(f"{found[1]} at {found[2]}" for found in adding),
        frozenset(re.findall(r'custom_call @__gpu[^\n]*\bname = "(\w+)"', text)),
    )


@functools.cache
def lowered(spec, *platforms, lanes=2):
    """Platform → what is in refill and segment, traced once for all platforms."""
    mesh = jax.make_mesh((1,), ("lanes",), devices=jax.devices()[:1])
    sharding = NamedSharding(mesh, PartitionSpec("lanes"))
    programs = lanes_module.traced_programs(spec, 2, lanes, sharding)
    with modes(spec):
        return {
            platform: [
                read(program.lower(lowering_platforms=(platform,)).as_text())
                for program in programs
            ]
            for platform in platforms
        }


def in_dtypes(experiment, dtype, loss_dtype=None, **changes):
    """The spec of an experiment in other dtypes."""
    changed = dataclasses.replace(experiment, dtype=dtype, loss_dtype=loss_dtype, **changes)
    return spec_of(changed.resolved())


def check(found):
    """Assert that refill and segment keep to themselves and add up in one order."""
    for platform in ACCELERATORS & set(found):
        for program in found[platform]:
            assert program.custom_calls <= ({TRITON} if platform == "cuda" else set())
            assert not program.speaking
            assert not program.unordered


NETWORKS = [word for word in WORDS if word.split(":")[0] in ("model", "loss")]
TELLING = ("model: mlp", "model: transformer", "model: transformer uniform", "loss: cross_entropy")
"""Where kernels for float32 would be."""


# Without the loop between log points, which repeats the update that stands alone.
@pytest.mark.parametrize("log_every", [1, pytest.param(10, marks=pytest.mark.slow)])
@pytest.mark.parametrize("word", sampled(WORDS, 10, ALWAYS))
def test_a_word_is_lowered_for_accelerators(word, log_every):
    check(lowered(in_dtypes(WORDS[word], "float32", log_every=log_every), "cuda", "tpu"))


@pytest.mark.parametrize(
    "word",
    [pytest.param(w, marks=[] if w in TELLING else [pytest.mark.slow]) for w in NETWORKS],
)
def test_a_word_in_float64_is_lowered_for_gpus(word):
    found = lowered(in_dtypes(WORDS[word], "float64", log_every=1), "cuda")
    check(found)
    assert not any(program.custom_calls for program in found["cuda"])  # kernels are for float32


NETWORK = dataclasses.replace(
    BASE,
    task=grokjax.ModularArithmetic("sub", p=7, format="a b ="),
    model=grokjax.Transformer(width=32, heads=2, mlp_width=64, positions="none"),
)
"""For which there are kernels, if its rows are whole blocks of them."""
MLP_KERNELS = {"mlp_forward", "mlp_backward_rows", "mlp_backward_units"}
ATTENTION_KERNELS = {"attention_forward", "attention_backward"}
LOSS_KERNEL = {"cross_entropy_gradient"}


@pytest.mark.drawn
def test_kernels_are_given_to_gpus_and_nobody_else():
    model = dataclasses.replace(NETWORK.model, layers=2)
    single = in_dtypes(NETWORK, "float32", model=model)
    found = lowered(dataclasses.replace(single, row_multiple=16), "cpu", "cuda", "tpu")
    check(found)
    assert {name: segment.custom_calls for name, (_, segment) in found.items()} == {
        "cpu": frozenset(),
        "cuda": {TRITON},
        "tpu": frozenset(),
    }
    assert found["cuda"][1].kernels == MLP_KERNELS | ATTENTION_KERNELS | LOSS_KERNEL
    assert not found["tpu"][1].kernels and not found["cpu"][1].kernels


def test_a_loss_in_float64_leaves_its_kernel_alone():
    spec = in_dtypes(NETWORK, "float32", "float64")
    found = lowered(dataclasses.replace(spec, row_multiple=16), "cuda")
    check(found)
    assert found["cuda"][1].kernels == MLP_KERNELS


@pytest.mark.parametrize(
    "form", [{"activation": "gelu"}, {"gated": True, "activation": "silu", "norm": "peri"}], ids=str
)
def test_a_form_that_kernels_have_not_is_lowered_without_them(form):
    spec = in_dtypes(NETWORK, "float32", model=dataclasses.replace(NETWORK.model, **form))
    found = lowered(dataclasses.replace(spec, row_multiple=16), "cuda")
    check(found)
    assert found["cuda"][1].kernels == LOSS_KERNEL


VARIED = {
    "one lane": (1, {}, {}),
    "several lanes": (3, {}, {}),
    "snapshots": (
        2,
        {
            "snapshots": SnapshotSchedule(
                at=(0, 20), moments=("t_mem", "t_grok", "end"), with_optimizer=True
            )
        },
        {},
    ),
    "donors": (
        2,
        {
            "start": StartFrom("a", step=20, optimizer_state=True),
            "mask": Mask("a", step=20, keep=0.5),
        },
        {},
    ),
    "whole blocks in tiles": (2, {}, {"tiles": 2, "row_multiple": 128}),
}


@pytest.mark.drawn
@pytest.mark.parametrize("name", VARIED)
def test_what_else_makes_a_program_is_lowered_too(name):
    lanes, changes, fields = VARIED[name]
    spec = dataclasses.replace(in_dtypes(NETWORK, "float32", **changes), **fields)
    check(lowered(spec, "cuda", "tpu", lanes=lanes))


def test_what_these_tests_look_for_is_found():
    def text(function, *arguments, platform="cuda"):
        traced = jax.jit(function).trace(*arguments)
        return traced.lower(lowering_platforms=(platform,)).as_text()

    x, at = np.ones(5, np.float32), np.array([1, 1, 3])
    adding = text(lambda x, at: x.at[at].add(1.0), x, at)
    assert read(adding).unordered == {"5 at 3x1"}
    assert not read(text(lambda x, at: x.at[at].add(1.0, unique_indices=True), x, at)).unordered
    assert not read(text(lambda x, at: x.at[at].set(1.0), x, at)).unordered
    assert read(text(jax.grad(lambda x, at: x[at].sum()), x, at)).unordered
    mesh = jax.make_mesh((1,), ("lanes",), devices=jax.devices()[:1])
    one = jax.ShapeDtypeStruct(
        (1,), np.float32, sharding=NamedSharding(mesh, PartitionSpec("lanes"))
    )
    for speaking in (
        partial(jax.lax.psum, axis_name="lanes"),
        partial(jax.lax.all_gather, axis_name="lanes"),
    ):
        spec = PartitionSpec("lanes")
        over = jax.shard_map(speaking, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
        assert len(read(text(over, one)).speaking) == 1
    # For a platform that is not there JAX lowers no callback at all.
    printing = read(text(lambda x: jax.debug.print("{}", x), x, platform="cpu"))
    assert any("callback" in name for name in printing.custom_calls)


def test_a_tpu_is_refused_float64_before_anything_compiles(monkeypatch):
    monkeypatch.setattr(jax.stages.Lowered, "compile", None)
    for dtypes in (("float64", None), ("float32", "float64")):
        experiment = dataclasses.replace(BASE, dtype=dtypes[0], loss_dtype=dtypes[1])
        with pytest.raises(
            ConfigError, match=r"^dtype, loss_dtype='float64': a TPU .*\.$"
        ) as refused:
            plan.make(experiment, backend="tpu")
        assert "\n" not in str(refused.value)
        assert plan.make(experiment, backend="gpu")
    single = dataclasses.replace(BASE, dtype="float32", loss_dtype=None)
    assert plan.make(single, backend="tpu")
