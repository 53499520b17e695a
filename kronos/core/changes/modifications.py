"""What a proposed config changes in the one it is derived from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kronos.core.canonical import canonical_json


class Absent:
    """Stands for a key that one of the bodies does not have: not the same as null."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT: Final = Absent()


@dataclass(frozen=True)
class Modification:
    """One parameter that differs; path is dotted, `ABSENT` where the body lacks it."""

    path: str
    base: Any
    proposed: Any


def modifications(base: Mapping[str, Any], proposed: Mapping[str, Any]) -> list[Modification]:
    """The differing parameters, by path; objects are compared member by member, lists as a whole."""
    return sorted(_differing("", base, proposed), key=lambda one: one.path)


def _differing(path: str, base: Any, proposed: Any) -> Iterator[Modification]:
    if isinstance(base, Mapping) and isinstance(proposed, Mapping):
        for key in base.keys() | proposed.keys():
            inner = f"{path}.{key}" if path else key
            yield from _differing(inner, base.get(key, ABSENT), proposed.get(key, ABSENT))
    elif not _equal(base, proposed):
        yield Modification(path, base, proposed)


def _equal(base: Any, proposed: Any) -> bool:
    if ABSENT in (base, proposed):
        return base is proposed
    return canonical_json(base) == canonical_json(proposed)
