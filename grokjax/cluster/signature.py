"""The signature of bits: what the numbers of a curve depend on beside its configuration.

How a program is cut into lanes and tiles is chosen once, by a *calibration* on a worker. Beside
the cut, what counts is the kind of device, how many cores a device of a processor has, and the
versions and flags of the compiler. A worker that differs trains nothing.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jaxlib

import grokjax
from grokjax.config import ConfigError
from grokjax.engine import backend

Signature = dict[str, Any]
CONFIGURED = ("jax_disable_most_optimizations", "jax_enable_x64", "jax_numpy_dtype_promotion")
"""Settings of JAX that change programs."""


def here(cut: Mapping[str, Any]) -> Signature:
    """The signature of a program of this cut on this process's device."""
    device = jax.local_devices()[0]
    on_processor = device.platform == "cpu"
    return {
        **{name: cut[name] for name in ("lanes", "devices", "log_points", "segments")},
        **{name: cut[name] for name in ("tiles", "row_multiple")},
        "kind": _processor() if on_processor else device.device_kind,
        "cores": backend.cores() if on_processor else None,
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "compiler": device.client.platform_version,
        "xla_flags": " ".join(sorted(os.environ.get("XLA_FLAGS", "").split())),
        "settings": {name: jax.config.values.get(name) for name in CONFIGURED},
        "grokjax": grokjax.__version__,
    }


def check(chosen: Signature, found: Signature) -> None:
    """Refuse a process whose bits would differ.

    Raises:
      ConfigError: what differs.
    """
    unlike = [name for name in chosen if found.get(name) != chosen[name]]
    if unlike:
        told = ", ".join(f"{name} {found.get(name)!r} for {chosen[name]!r}" for name in unlike)
        raise ConfigError(
            f"{platform.node()}: this worker would train to other bits than the sweep's ({told}); "
            "give workers of one kind."
        )


def _processor() -> str:
    """Model of the processor and what its instructions are, in so many bytes."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    told = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {name.strip(): value.strip() for name, value in told.items()}
    flags = " ".join(sorted(facts.get("flags", facts.get("Features", "")).split()))
    model = facts.get("model name", platform.machine())
    return f"{model} {hashlib.sha256(flags.encode()).hexdigest()[:8]}"
