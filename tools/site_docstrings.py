"""What docstrings become on the site: a griffe extension, which `mkdocs.yml` names."""

from __future__ import annotations

import inspect
import re
from typing import Any

import griffe

EXAMPLE = re.compile(
    r"^(?P<indent> *)>>> .*(?:\n(?! *$).*)*(?:\n\n(?P=indent)>>> .*(?:\n(?! *$).*)*)*", re.M
)


class Fenced(griffe.Extension):
    """A fence around every example, from its first `>>>` to the blank line after its output.

    Constants of a module are not shown: they belong to those who read its source.
    """

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change the docstring of an object that griffe has read; without one it is not shown."""
        if obj.is_attribute and obj.name.isupper() and obj.parent and obj.parent.is_module:
            obj.docstring = None  # a constant of the module's own
        if obj.docstring and ">>> " in obj.docstring.value:
            obj.docstring.value = EXAMPLE.sub(_fenced, inspect.cleandoc(obj.docstring.value))


def _fenced(example: re.Match[str]) -> str:
    lines = [line.removeprefix(example["indent"]) for line in example[0].splitlines()]
    return "\n".join(["```pycon", *lines, "```"])
