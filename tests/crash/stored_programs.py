"""Compiled programs that a process takes from a folder instead of tracing them anew.

Tracing is most of what a start of a tiny sweep costs; a thousand of them should not cost an hour.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import pickle
import re
from pathlib import Path
from typing import Any

import jax
import pytest
from jax.experimental import serialize_executable

from grokjax.engine import compiling, lanes, measuring

_traced_over, _compiled = compiling.traced_over, compiling.compiled


class _Later:
    """A program that is traced when nobody has stored it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.arguments, self.options = arguments, options
        given = inspect.signature(_traced_over).bind(*arguments, **options).arguments
        self.inputs = (given["arguments"], {})
        what = [given[name] for name in ("function", "arguments", "lanes", "spec")]
        words = re.sub(" at 0x[0-9a-f]+", "", repr(what))
        self.key = hashlib.blake2b(words.encode(), digest_size=16).hexdigest()


def use(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let processes that are forked from now on share their programs in a folder."""
    folder.mkdir(parents=True, exist_ok=True)

    def compiled(spec: Any, later: _Later, sharding: Any, options: Any) -> jax.stages.Compiled:
        path = folder / later.key
        inputs = jax.tree.structure(later.inputs)
        if path.exists():
            program, outputs = pickle.loads(path.read_bytes())
            outputs = jax.tree.structure(outputs)
            return serialize_executable.deserialize_and_load(program, inputs, outputs)
        traced = _traced_over(*later.arguments, **later.options)
        # What comes from JAX's own cache cannot be stored again: it loads without its functions.
        jax.config.update("jax_enable_compilation_cache", False)
        made = _compiled(spec, traced, sharding, options)
        jax.config.update("jax_enable_compilation_cache", True)
        program, _, outputs = serialize_executable.serialize(made)
        like = jax.tree.unflatten(outputs, range(outputs.num_leaves))
        own = path.with_name(f"{path.name}.{os.getpid()}")
        own.write_bytes(pickle.dumps((program, like)))
        own.replace(path)
        return made

    for module in (compiling, lanes, measuring):
        for name, value in (("traced_over", _Later), ("compiled", compiled)):
            if hasattr(module, name):
                patch.setattr(module, name, value)
