"""Ids a person may cut short."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from kronos.errors import BadValue, NotFound

SHORTEST_PREFIX = 4

_Found = TypeVar("_Found")


def by_prefix(kind: str, prefix: str, matching: Callable[[str], Sequence[_Found]]) -> _Found:
    """The only thing whose id begins so; `NotFound`, or `BadValue` when several do or too little is given."""
    if len(prefix) < SHORTEST_PREFIX:
        raise BadValue(f"{kind} id", prefix, f"at least its first {SHORTEST_PREFIX} characters")
    found = matching(prefix.lower())
    if not found:
        raise NotFound(kind, prefix)
    if len(found) > 1:
        raise BadValue(f"{kind} id", prefix, "more of its characters: several begin so")
    return found[0]
