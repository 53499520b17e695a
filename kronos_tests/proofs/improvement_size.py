"""False accepts of the improvement test: worlds in which no candidate is better than the incumbent, nor worse."""

from __future__ import annotations

from scipy.stats import beta

from kronos.core.conventions import IMPROVEMENT_ALPHA
from kronos_tests.worlds import ROUGH, Truth, decisions

WORLDS = 5_000
LARGEST_BOUND = 0.013
"""The one-sided exact 95 % upper bound of the false-accept rate stays below this."""

TRUTHS = {
    "normal": Truth(),
    "heavy-tails": Truth(tails=5.0),
    "clustering": Truth(clustering=(0.10, 0.85)),
    "rough": Truth(**ROUGH),
    "rough-close-to-incumbent": Truth(correlation=0.9, **ROUGH),
    "rough-100-candidates": Truth(candidates=100, **ROUGH),
}
CASES = list(TRUTHS)


def run(case: str, count: int = WORLDS) -> dict[str, object]:
    """Accept rate of the best of N over boundary nulls, with its exact upper bound."""
    accepts = sum(choice is not None for choice in decisions(TRUTHS[case], count, CASES.index(case), IMPROVEMENT_ALPHA))
    bound = float(beta.ppf(0.95, accepts + 1, count - accepts))
    return {
        "holds": bound <= LARGEST_BOUND,
        "worlds": count,
        "false_accepts": accepts,
        "rate": accepts / count,
        "upper_bound": round(bound, 5),
        "nominal": IMPROVEMENT_ALPHA,
    }
