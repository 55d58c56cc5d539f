"""Clocks: contenders taken in turns, and what the machine can do at most."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from grokjax.bench.contender import Contender

ROUND_SECONDS = 1.0


def interleaved(contenders: Sequence[Contender], rounds: int) -> dict[str, float]:
    """Median seconds of one step of one run, by contender; a turn each in every round.

    Every contender has been warmed up by then.
    """
    counts = {}
    for contender in contenders:
        began = time.perf_counter()
        contender.steps(contender.least)
        once = time.perf_counter() - began
        counts[contender.name] = contender.least * max(1, round(ROUND_SECONDS / once))
    seconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            count = counts[contender.name]
            began = time.perf_counter()
            contender.steps(count)
            took = time.perf_counter() - began
            seconds[contender.name].append(took / count / contender.lanes)
    return {name: statistics.median(times) for name, times in seconds.items()}


def matmul_peak(precision: str, repeats: int = 5) -> float:
    """FLOP/s of the best of some large matrix products in float32."""
    size = 1536 if jax.default_backend() == "cpu" else 8192
    a = jnp.ones((size, size), jnp.float32)
    product = jax.jit(lambda a: jnp.matmul(a, a, precision=precision))
    product(a).block_until_ready()
    best = min(_seconds(lambda: product(a).block_until_ready()) for _ in range(repeats))
    return 2 * size**3 / best


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
