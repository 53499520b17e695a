"""Power of the improvement test: one candidate with a true active information ratio among equals of the incumbent."""

from __future__ import annotations

from scipy.stats import beta

from kronos.core.conventions import IMPROVEMENT_ALPHA
from kronos_tests.worlds import Truth, decisions

WORLDS = 2_000

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


def run(case: str, count: int = WORLDS) -> dict[str, object]:
    """Share of worlds in which the planted candidate itself is accepted."""
    truth, needed = TRUTHS[case]
    choices = list(decisions(truth, count, 100 + CASES.index(case), IMPROVEMENT_ALPHA))
    found = choices.count("c1")
    return {
        "holds": found >= needed * count,
        "worlds": count,
        "power": found / count,
        "interval": [
            round(float(beta.ppf(q, found + s, count - found + 1 - s)), 4) for q, s in ((0.025, 0), (0.975, 1))
        ],
        "needed": needed,
        "another_accepted": sum(choice not in (None, "c1") for choice in choices),
        "nominal": IMPROVEMENT_ALPHA,
    }
