"""Accelerators that programs can be compiled for without having one.

The compilers of JAX's plugins take a description of a device instead of the device. What they
make is the real program, so its kernels, its memory and the bytes that it moves can be read;
only how long it takes cannot.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from grokjax.config import ConfigError
from grokjax.config.synonyms import suggestion


@dataclasses.dataclass(frozen=True)
class Target:
    """A kind of device; its figures are those of the manufacturer's data sheet."""

    name: str
    platform: str
    """What JAX calls its plugin: cuda or tpu."""
    topology: str
    """What the plugin calls it, of which the first device is taken."""
    memory: float
    """Bytes."""
    bandwidth: float
    """Bytes a second between memory and processors."""
    flop_rates: Mapping[str, float]
    """Precision of matrix products → dense FLOP/s."""
    launch_seconds: float
    """Between the beginning of a kernel and that of an empty one after it."""
    description: str = ""
    """For CUDA, the target configuration in XLA's text format."""

    @property
    def backend(self) -> str:
        """JAX's name of the platform once a device is there."""
        return "gpu" if self.platform == "cuda" else self.platform

    def sharding(self) -> NamedSharding:
        """All lanes on one such device.

        Raises:
          ConfigError: the plugin with the compiler is not installed.
        """
        options = {}
        if self.description:  # of a GPU; the compiler for TPUs knows topologies by their names
            options = {"topology": self.topology, "target_config": self.description}
        try:
            found = topologies.get_topology_desc(self.topology, platform=self.platform, **options)
        except (NotImplementedError, RuntimeError, ValueError) as error:
            raise ConfigError(
                f"target={self.name!r}: the compiler for {self.platform} is not installed "
                f"({str(error).splitlines()[0]}), pip install 'grokjax[targets]'."
            ) from None
        mesh = Mesh(np.array(found.devices[:1]), ("lanes",))
        return NamedSharding(mesh, PartitionSpec("lanes"))


@dataclasses.dataclass(frozen=True)
class _Chip:
    """What XLA's compiler for GPUs wants to know of one."""

    capability: tuple[int, int]
    """Major and minor number of its instruction set."""
    multiprocessors: int
    units: int
    """Arithmetic units for float32 of a multiprocessor."""
    clock: float
    """GHz."""
    shared: int
    """Bytes of a multiprocessor's memory that a program may have."""
    l2: int
    """Bytes of cache."""

    def description(self, name: str, memory: int, bandwidth: int) -> str:
        """The target configuration in XLA's text format."""
        major, minor = self.capability
        return f"""
gpu_device_info {{
  threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048
  shared_memory_per_block: 49152 shared_memory_per_core: {self.shared + 1024}
  shared_memory_per_block_optin: {self.shared}
  core_count: {self.multiprocessors} fpus_per_core: {self.units} clock_rate_ghz: {self.clock}
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: {bandwidth} l2_cache_size: {self.l2} device_memory_size: {memory}
  cuda_compute_capability {{ major: {major} minor: {minor} }}
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9 minor: 8 }}
runtime_version {{ major: 12 minor: 8 }}
device_description_str: "{name}"
"""


def _gpu(
    name: str, full_name: str, memory: int, bandwidth: int, rates: tuple[float, float], chip: _Chip
) -> Target:
    """A GPU; its rates are those of float32 and of TF32."""
    whole, tf32 = rates
    return Target(
        name=name,
        platform="cuda",
        topology="1x1x1",
        memory=memory,
        bandwidth=bandwidth,
        flop_rates={"highest": whole, "high": tf32 / 3, "default": tf32},
        launch_seconds=2.5e-6,
        description=chip.description(full_name, memory, bandwidth),
    )


def _tpu(name: str, topology: str, memory: float, bandwidth: float, bfloat16: float) -> Target:
    """A TPU, which makes a product of float32 numbers of 6, 3 or 1 of bfloat16 ones."""
    rates = {"highest": bfloat16 / 6, "high": bfloat16 / 3, "default": bfloat16}
    return Target(name, "tpu", topology, memory, bandwidth, rates, launch_seconds=0.0)


_HOPPER = _Chip((9, 0), 132, 128, 1.98, 232448, 52428800)
_AMPERE = _Chip((8, 0), 108, 64, 1.41, 166912, 41943040)
TARGETS = {
    target.name: target
    for target in (
        _gpu("h100", "NVIDIA H100 80GB HBM3", 84942979072, 3352320000000, (67e12, 495e12), _HOPPER),
        _gpu("h200", "NVIDIA H200", 150754820096, 4917000000000, (67e12, 495e12), _HOPPER),
        _gpu(
            "a100", "NVIDIA A100-SXM4-80GB", 84987740160, 2039000000000, (19.5e12, 156e12), _AMPERE
        ),
        _tpu("v5e", "v5e:2x2", 16 * 2**30, 819e9, 197e12),
        _tpu("v5p", "v5p:2x2x1", 95 * 2**30, 2765e9, 459e12),
        _tpu("v6e", "v6e:2x2", 32 * 2**30, 1640e9, 918e12),
    )
}
"""Name → device."""


def target(name: str) -> Target:
    """The device of a name.

    Raises:
      ConfigError: there is none.
    """
    if name not in TARGETS:
        raise ConfigError(f"target={name!r}: {suggestion(name, TARGETS)}")
    return TARGETS[name]
