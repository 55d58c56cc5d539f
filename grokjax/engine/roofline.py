"""What an update must cost on a device, read off the program that its compiler made.

Estimated: bytes over the bandwidth or FLOPs over the rate, whichever takes longer, and a launch for
each kernel. Caches, overlap and the rates that are reached are not in it.
"""

from __future__ import annotations

import dataclasses
import math
import time

from jax.sharding import NamedSharding

from grokjax.config import ConfigError
from grokjax.engine import compiling, hlo, lanes, plan
from grokjax.engine.plan import Program
from grokjax.engine.targets import Target
from grokjax.models import kernels

UPDATES = 50
"""Between the log points of what is compiled: a loop that no other loop is as long as."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A program in its lanes on a target."""

    program: Program
    target: Target
    kernels: tuple[tuple[float, hlo.Kernel], ...]
    """The kernels of an update of every lane, each with the seconds that it takes at least."""
    flop_rate: float
    """FLOP/s of the device in the precision that the program asks for."""
    memory: int
    """Bytes that a segment needs."""
    compile_seconds: float
    compile_processor_seconds: float

    @property
    def run_step_seconds(self) -> float:
        """Time of an update of one run, launches of kernels included."""
        return sum(seconds for seconds, _ in self.kernels) / self.program.lanes

    def total(self, field: str) -> int:
        """Bytes or FLOPs of an update of every lane."""
        return sum(getattr(kernel, field) * kernel.times for _, kernel in self.kernels)

    @property
    def fits(self) -> bool:
        """Whether the target's memory holds it, with a margin."""
        return self.memory <= plan.MEMORY_SHARE * self.target.memory


def estimate(program: Program, target: Target, sharding: NamedSharding) -> Estimate | None:
    """Compile a program for a target and read what an update of it costs.

    Returns:
      The estimate, or None where the compiler itself finds that the memory does not hold it.
    """
    spec = dataclasses.replace(program.spec, log_every=UPDATES)
    _, segment = lanes.traced_programs(spec, 1, program.lanes, sharding)
    began, processor = time.perf_counter(), time.process_time()
    try:
        compiled = compiling.compiled(spec, segment, sharding, compiling.COMPILER_OPTIONS)
    except compiling.DEVICE_ERRORS as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            return None
        raise
    seconds, processor_seconds = time.perf_counter() - began, time.process_time() - processor
    found = hlo.step_kernels(compiled.as_text() or "", UPDATES - 1, own_flops)
    rate = target.flop_rates[spec.matmul_precision]
    timed = tuple((_seconds(kernel, target, rate), kernel) for kernel in found)
    memory = compiling.memory(compiled)
    return Estimate(program, target, timed, rate, memory, seconds, processor_seconds)


def most_lanes(program: Program, target: Target, sharding: NamedSharding) -> Estimate:
    """The program in its lanes, halved until the target's memory holds them.

    Raises:
      ConfigError: it does not hold one.
    """
    while True:
        found = estimate(program, target, sharding)
        if found is not None and found.fits:
            return found
        if program.lanes == 1:
            raise ConfigError(
                f"target={target.name!r}: its memory of {target.memory / 2**30:.0f} GiB does not "
                "hold one run, give a smaller network or batch_size."
            )
        program = dataclasses.replace(program, lanes=program.lanes // 2)


def own_flops(label: str, shapes: list[list[int]]) -> int:
    """FLOPs of a kernel of `models.kernels`, from its label and the shapes of its operands."""
    products = [n for name, n in kernels.PRODUCTS.items() if f"/{name}/" in label]
    if not products:
        return 0
    rows, _, _, weights, *_ = shapes
    return 2 * products[0] * math.prod(rows) * weights[-1]


def _seconds(kernel: hlo.Kernel, target: Target, rate: float) -> float:
    """What a kernel takes at least, as often as it runs."""
    once = max(kernel.bytes / target.bandwidth, kernel.flops / rate)
    return kernel.times * (once + target.launch_seconds)
