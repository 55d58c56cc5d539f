"""Functions of one run over many at a time: the only place that vmaps and compiles."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec

from grokjax.training.spec import Spec

DEVICE_ERRORS = (jax.errors.JaxRuntimeError, MemoryError)
"""What fails the runs of a program. Anything else, a full disk say, is no result of theirs."""


def out_of_memory(error: Exception) -> bool:
    """Whether a device error is one of memory, so that fewer lanes may do."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


CompilerOptions = dict[str, Mapping[str, str | bool | float]]
"""Platform → options of its compiler."""
COMPILER_OPTIONS: CompilerOptions = {
    "cpu": {"xla_cpu_experimental_ynn_fusion_type": ""},
    "gpu": {"xla_gpu_dot_merger_threshold_mb": "0"},
    "tpu": {"exec_time_optimization_effort": -0.5},
}
"""XLA's default kernels for products and sums on processors took steps of these networks 5 to
25 % more time than those that it uses without them (2026-11-21, jaxlib 0.10.2). For GPUs it joins
products with the same weights, copying the rows of both for it: 46 of the 398 MB that a run-step
of two causal layers moved (compiled for an H100, 2026-11-25). The usual effort of the compiler for
TPUs takes 73 s of a processor's time for one layer in 64 lanes, half of it 26 s, for a program that
moves no more bytes (321 and 244 MB a run-step by `engine.hlo`, v5e, 2026-11-25)."""
RARELY_RUN: CompilerOptions = {
    "cpu": {"xla_backend_optimization_level": "0"},
    "tpu": {"exec_time_optimization_effort": -1.0},
}
"""Initial weights are drawn once a run; to optimise that takes the compiler seconds."""


def compiled(
    spec: Spec, traced: jax.stages.Traced, sharding: NamedSharding, options: CompilerOptions
) -> jax.stages.Compiled:
    """A traced program of a spec, compiled for the devices of the sharding."""
    platform = sharding.mesh.devices.flat[0].platform
    with modes(spec):
        return traced.lower().compile(options.get(platform))


def memory(program: jax.stages.Compiled) -> int:
    """Bytes that a device needs for a compiled program."""
    found: Any = program.memory_analysis()
    sizes = ("temp", "argument", "output")
    # What is donated is counted with the arguments and with the output.
    return sum(getattr(found, f"{size}_size_in_bytes") for size in sizes) - (
        found.alias_size_in_bytes
    )


def traced_over(
    function: Callable,
    arguments: tuple,
    lanes: int,
    sharding: NamedSharding,
    spec: Spec,
    *,
    donates_last: bool = False,
) -> jax.stages.Traced:
    """A function of one run over the lanes, ready to be lowered for any platform.

    Args:
      function: of one run.
      arguments: shapes of what it takes.
      lanes: on all devices together.
      sharding: the devices, which need not be there, and how lanes lie on them.
      spec: of the runs.
      donates_last: whether what the function returns may lie where its last argument does.
    """
    sharded = jax.shard_map(
        jax.vmap(function),
        mesh=sharding.mesh,
        in_specs=sharding.spec,
        out_specs=sharding.spec,
        check_vma=False,  # what it checks is how devices share, and they share nothing
    )
    donated = len(arguments) - 1 if donates_last else ()
    with modes(spec):
        return jax.jit(sharded, donate_argnums=donated).trace(
            *(stacked(one, lanes, sharding) for one in arguments)
        )


def stacked(one: Any, lanes: int, sharding: NamedSharding) -> Any:
    """The shapes of a run's arrays with a leading axis of lanes."""
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((lanes, *x.shape), x.dtype, sharding=sharding), one
    )


@contextlib.contextmanager
def modes(spec: Spec) -> Iterator[None]:
    """JAX as a spec wants it: float64 allowed, products as precise as it says."""
    with jax.enable_x64(spec.double), jax.default_matmul_precision(spec.matmul_precision):
        yield


def sharding(devices: int) -> NamedSharding:
    """Lanes in equal shares over the first devices of this process."""
    mesh = jax.make_mesh((devices,), ("lanes",), devices=jax.local_devices()[:devices])
    return NamedSharding(mesh, PartitionSpec("lanes"))
