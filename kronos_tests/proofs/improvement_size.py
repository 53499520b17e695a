"""False accepts of the improvement test: worlds in which no candidate is better than the incumbent, nor worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from scipy.stats import beta

from kronos.core.conventions import IMPROVEMENT_ALPHA
from kronos_tests.worlds import ROUGH, WORLDS_PER_PART, Truth, acceptances

PARTS = 10
"""Of 500 worlds each."""
LARGEST_BOUND = 0.013
"""The one-sided exact 95 % upper bound of the false-accept rate stays below this."""

_KINDS: dict[str, dict[str, object]] = {
    "rough": ROUGH,
    "normal": {},
    "heavy-tails": {"tails": 5.0},
    "clustering": {"clustering": (0.10, 0.85)},
    "unequal-volatility": {"unequal": True},
}
_CANDIDATES = {"rough": (20, 100)}
TRUTHS = {
    f"{kind}-{candidates}-candidates-correlation-{correlation}": Truth(
        candidates=candidates, correlation=correlation, **settings
    )
    for kind, settings in _KINDS.items()
    for candidates, correlation in product(_CANDIDATES.get(kind, (20,)), (0.5, 0.9))
}
CASES = list(TRUTHS)


def part(case: str, number: int, count: int = WORLDS_PER_PART) -> dict[str, object]:
    """Small p-values among `count` worlds with seeds of their own; the level is applied when they are judged."""
    found = acceptances(TRUTHS[case], count, (1, CASES.index(case), number))
    return {"worlds": count, "p_values": [p for _, p in found]}


def judge(_: str, parts: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """Accept rate of the best of N over boundary nulls, with its exact upper bound."""
    count = sum(found["worlds"] for found in parts)
    accepts = sum(p <= IMPROVEMENT_ALPHA for found in parts for p in found["p_values"])
    bound = float(beta.ppf(0.95, accepts + 1, count - accepts))
    return {
        "holds": bound <= LARGEST_BOUND,
        "worlds": count,
        "false_accepts": accepts,
        "rate": accepts / count,
        "upper_bound": round(bound, 5),
        "nominal": IMPROVEMENT_ALPHA,
    }


def run(case: str, count: int) -> dict[str, object]:
    """A sample: the first `count` worlds of the first part."""
    return judge(case, [part(case, 0, count)])
