"""Whether a program that is being traced may call kernels.

Kernels have a first derivative of their own and no second one. Programs that differentiate twice
are traced `plainly`, on every platform.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_PLAINLY = ContextVar("plainly", default=False)


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """What is traced inside of it calls no kernel."""
    token = _PLAINLY.set(True)
    try:
        yield
    finally:
        _PLAINLY.reset(token)


def may_call_kernels() -> bool:
    """Whether nobody has asked for a program without kernels."""
    return not _PLAINLY.get()
