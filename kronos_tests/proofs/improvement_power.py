"""Power of the improvement test: one candidate with a true active information ratio among equals of the incumbent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scipy.stats import beta

from kronos.core.conventions import IMPROVEMENT_ALPHA
from kronos_tests.worlds import WORLDS_PER_PART, Truth, acceptances

PARTS = 4
"""Of 500 worlds each."""

NEEDED = {(20, 1.5): 0.89, (20, 1.0): 0.40, (100, 1.5): 0.80}
"""Ten years of daily returns; an oracle that knows all variances reaches about 0.91, 0.42 and 0.81."""

TRUTHS = {
    f"{candidates}-candidates-ratio-{ratio}-correlation-{correlation}": (
        Truth(candidates=candidates, active_ratio=ratio, correlation=correlation),
        needed,
    )
    for (candidates, ratio), needed in NEEDED.items()
    for correlation in (0.5, 0.9)
}
CASES = list(TRUTHS)


def part(case: str, number: int, count: int = WORLDS_PER_PART) -> dict[str, object]:
    """Small p-values of the planted candidate where it is the best, and of another where that is."""
    best = list(acceptances(TRUTHS[case][0], count, (2, CASES.index(case), number)))
    planted, others = ([p for name, p in best if (name == "c1") == same] for same in (True, False))
    return {"worlds": count, "planted": planted, "others": others}


def judge(case: str, parts: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """Share of worlds in which the planted candidate itself is accepted, with its exact 95 % interval."""
    count = sum(seen["worlds"] for seen in parts)
    found, others = (
        sum(p <= IMPROVEMENT_ALPHA for seen in parts for p in seen[which]) for which in ("planted", "others")
    )
    low, high = (beta.ppf(q, found + s, count - found + 1 - s) for q, s in ((0.025, 0), (0.975, 1)))
    return {
        "holds": found >= TRUTHS[case][1] * count,
        "worlds": count,
        "power": found / count,
        "interval": [round(float(low), 4), round(float(high), 4)],
        "needed": TRUTHS[case][1],
        "another_accepted": others,
        "nominal": IMPROVEMENT_ALPHA,
    }


def run(case: str, count: int) -> dict[str, object]:
    """A sample: the first `count` worlds of the first part."""
    return judge(case, [part(case, 0, count)])
