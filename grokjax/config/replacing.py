"""A configuration with other values at some dotted paths, thousands of times for a sweep."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from grokjax.config.coercion import require
from grokjax.config.fields import Config, is_config, is_parts


def replace_paths(config: Any, values: Mapping[str, Any]) -> Any:
    """`config` with the fields at these dotted paths replaced, and checked once."""
    return config.varied(by_field(config, values))


def by_field(config: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Field → what it holds when the values at these dotted paths are put in."""
    changes: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        head, _, rest = path.partition(".")
        if rest:
            nested.setdefault(head, {})[rest] = value
        else:
            changes[head] = value
    for head, inner in nested.items():
        part = changes.get(head, getattr(config, head))
        changes[head] = _replaced_inside(part, inner, head)
    return changes


def _replaced_inside(part: Any, inner: Mapping[str, Any], head: str) -> Any:
    if not is_parts(part):
        require(is_config(part), head, part, f"{next(iter(inner))} is a field of a part")
        try:
            # With the types: True and 1.0 are equal, and one of them may be refused.
            return _replaced_part(part, tuple(inner.items()), tuple(map(type, inner.values())))
        except TypeError:  # a value that has no hash
            return replace_paths(part, inner)
    return _replaced_members(part, inner, head)


@functools.lru_cache(maxsize=4096)  # the runs of a sweep have most parts in common
def _replaced_part(
    part: Config, values: tuple[tuple[str, Any], ...], _: tuple[type, ...]
) -> Config:
    return replace_paths(part, dict(values))


def _replaced_members(part: Any, inner: Mapping[str, Any], head: str) -> Any:
    members, by_member = list(part), dict[int, dict[str, Any]]()
    for path, value in inner.items():
        at, _, rest = path.partition(".")
        known = at.isdecimal() and int(at) < len(members)
        require(known, f"{head}.{at}", value, f"there are {len(members)} {head}, counted from 0")
        if rest:
            by_member.setdefault(int(at), {})[rest] = value
        else:
            members[int(at)] = value
    for at_member, fields in by_member.items():
        members[at_member] = replace_paths(members[at_member], fields)
    return tuple(members)
