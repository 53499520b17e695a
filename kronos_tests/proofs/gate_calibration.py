"""All gates together over simulated worlds: false accepts of nulls, leverage and re-tests; power of planted edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kronos.cli.calibrate import LARGEST_BOUND, PROMISED
from kronos.core.gates.calibration import Case, Tally, cases, combined
from kronos.core.gates.policy import GatePolicy
from kronos.services.calibration import WORLDS_PER_PART, Calibrated, calibrate_part

BY_NAME: dict[str, Case] = {one.name.replace(" ", "-").replace(",", ""): one for one in cases(tuple(PROMISED))}
CASES = list(BY_NAME)
PARTS = 20
"""Of 250 worlds each: 5,000."""
SEED = 5


def part(case: str, number: int, count: int = WORLDS_PER_PART) -> dict[str, Any]:
    """Worlds with seeds of their own."""
    return calibrate_part(BY_NAME[case], number, count, GatePolicy(), SEED).to_json_dict()


def judge(case: str, parts: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """Rates with exact bounds; nulls are held to an upper bound, edges to a least rate of the planted config."""
    tally, edge = combined(Tally(**one) for one in parts), BY_NAME[case].truth.active_ratio
    most, least = (None, PROMISED[edge]) if edge else (LARGEST_BOUND, None)
    low, high = tally.bounds()
    return {
        "holds": Calibrated(BY_NAME[case], tally, most, least).holds,
        **tally.to_json_dict(),
        "rate": tally.rate(),
        "low": round(low, 5),
        "high": round(high, 5),
        "most": most,
        "least": least,
    }


def run(case: str, count: int) -> dict[str, object]:
    """A sample: the first `count` worlds of the first part."""
    return judge(case, [part(case, 0, count)])
