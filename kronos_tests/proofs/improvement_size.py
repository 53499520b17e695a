"""False accepts of the improvement test: worlds in which no candidate is better than the incumbent, nor worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

from scipy.stats import beta

from kronos.core.conventions import IMPROVEMENT_ALPHA
from kronos_tests.worlds import ROUGH, WORLDS_PER_PART, Truth, decisions

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


def part(case: str, number: int, count: int = WORLDS_PER_PART) -> dict[str, int]:
    """Accepts among `count` worlds with seeds of their own."""
    found = decisions(TRUTHS[case], count, (1, CASES.index(case), number), IMPROVEMENT_ALPHA)
    return {"worlds": count, "false_accepts": sum(choice is not None for choice in found)}


def judge(_: str, parts: Sequence[Mapping[str, int]]) -> dict[str, object]:
    """Accept rate of the best of N over boundary nulls, with its exact upper bound."""
    count, accepts = (sum(found[name] for found in parts) for name in ("worlds", "false_accepts"))
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
