"""Configs next to a proposed one: each with one of its numbers a tenth lower or higher.

A config that is good only on a peak of its parameters was found by looking for peaks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np

from kronos.core.canonical import canonical_json
from kronos.core.chances import chances, word_of

STEP: Final = 0.1
_DIGITS: Final = 12


class LeftOut(StrEnum):
    """Why a backtest has not the whole of a neighbour, as the key of the reason in what is kept of a piece."""

    REFUSED = "refused"  # the engine does not take it
    FAILED = "failed"  # running it failed, however often it was tried


@dataclass(frozen=True)
class Neighbour:
    """A body with one number changed. name: `<parameter>=<value>`, parameters inside others by their dotted path."""

    name: str
    body: dict[str, Any]


def neighbours(body: Mapping[str, Any], seed: int) -> Iterator[Neighbour]:
    """Every neighbour of a body, the two of a parameter together, parameters in an order drawn by the seed.

    Whole numbers move by at least 1. Booleans are no numbers, and a fraction that is 0 has no tenth. Whether an engine
    takes them is not known here.
    """
    numbers = sorted(_numbers(body, ()), key=lambda found: float(chances(seed, word_of(".".join(found[0])))[0]))
    for path, value in numbers:
        for changed in _moved(value):
            yield Neighbour(f"{'.'.join(path)}={canonical_json(changed)}", _with(body, path, changed))


def left_out(found: Iterable[Mapping[str, Any] | None], kind: LeftOut) -> dict[str, str]:
    """Reasons by config id of the neighbours that were left out in a way; found: what is kept of each piece."""
    return {
        config_id: str(said[kind.value])
        for piece in found
        for config_id, said in (piece or {}).items()
        if kind.value in said
    }


def _numbers(body: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int | float]]:
    for key, value in body.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, (*path, key))
        elif isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value):
            yield (*path, key), value


def _moved(value: int | float) -> tuple[int | float, ...]:
    if isinstance(value, int):
        by = max(1, round(abs(value) * STEP))
        return (value - by, value + by)
    return () if value == 0.0 else tuple(round(value * factor, _DIGITS) for factor in (1.0 - STEP, 1.0 + STEP))


def _with(body: Mapping[str, Any], path: tuple[str, ...], value: int | float) -> dict[str, Any]:
    key, *rest = path
    return {**body, key: _with(body[key], tuple(rest), value) if rest else value}
