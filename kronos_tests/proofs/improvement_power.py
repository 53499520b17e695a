"""Power of the improvement test: one candidate with a true active information ratio among equals of the incumbent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scipy.stats import beta

from kronos.core.conventions import IMPROVEMENT_ALPHA
from kronos_tests.worlds import WORLDS_PER_PART, Truth, decisions

PARTS = 2
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


def part(case: str, number: int, count: int = WORLDS_PER_PART) -> dict[str, int]:
    """Worlds in which the planted candidate is accepted, and in which another is."""
    choices = list(decisions(TRUTHS[case][0], count, (2, CASES.index(case), number), IMPROVEMENT_ALPHA))
    others = sum(choice not in (None, "c1") for choice in choices)
    return {"worlds": count, "found": choices.count("c1"), "another_accepted": others}


def judge(case: str, parts: Sequence[Mapping[str, int]]) -> dict[str, object]:
    """Share of worlds in which the planted candidate itself is accepted, with its exact 95 % interval."""
    count, found, others = (sum(seen[name] for seen in parts) for name in ("worlds", "found", "another_accepted"))
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
