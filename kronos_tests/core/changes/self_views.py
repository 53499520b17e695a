"""What Kronos might know of an engine, by hand: a comparison of an incumbent with others, alarms, earlier attempts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import polars as pl

from kronos.core.canonical import canonical_hash
from kronos.core.changes.self_evidence import Alarm, stored_comparisons
from kronos.core.changes.self_proposals import EngineView, KnownConfig
from kronos.core.frames import COMPARISON_ROWS
from kronos.core.policy import ComparisonPolicy, ObservationPolicy

DAY = date(2020, 7, 10)
AS_OF = date(2020, 6, 30)
NICHES = ("regime:CRISIS", "regime:STRESS")
POLICY = ObservationPolicy(comparison=ComparisonPolicy(niche_slices=NICHES))


def row(config: str, t: float | None = 0.0, name: str = "overall", **changes: Any) -> dict[str, Any]:
    """One row of a stored comparison: the config is better by `t` standard errors of 0.1; None: no statistics."""
    numbers = {} if t is None else {
        "difference": t / 10.0, "standard_error": 0.1, "low": t / 10.0 - 0.3, "high": t / 10.0 + 0.3, "p_value": 0.5,
        "value": 0.4 + t / 10.0, "incumbent_value": 0.4,
    }  # fmt: skip
    common = {
        "month": "2020-06", "period": "2020-06", "period_start": date(2001, 1, 1), "period_end": AS_OF,
        "engine_name": "PORTFOLIO", "mode": "LIVE", "horizon": 1, "incumbent": "old", "config_id": config,
        "class": "UNDECIDED", "niches": "", "metric": "sharpe", "slice": name, "n": 2000, "trials": 4,
        "label": "READY", "as_of": AS_OF, "undefined": "TOO_SHORT" if t is None else None,
    }  # fmt: skip
    return common | numbers | changes


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    """Rows of a month, the incumbent's among them."""
    held = [row("old", None, **{"class": "INCUMBENT", "undefined": None}), *rows]
    return pl.DataFrame([{name: one.get(name) for name in COMPARISON_ROWS} for one in held], schema=COMPARISON_ROWS)


def view(*rows: dict[str, Any], **changes: Any) -> EngineView:
    """PORTFOLIO with these rows; `old` is active, and every config of the rows is registered."""
    names = ["old", *dict.fromkeys(one["config_id"] for one in rows)]
    known = {name: config(name, active=name == "old") for name in names}
    held = EngineView("PORTFOLIO", "old", known, stored_comparisons(frame(*rows))["PORTFOLIO"])
    return replace(held, **changes)


def config(name: str, *, active: bool = False, body: dict[str, Any] | None = None, **changes: Any) -> KnownConfig:
    """A registered config."""
    held = {"name": name} if body is None else body
    return replace(KnownConfig(name, held, canonical_hash(held), active), **changes)


def alarm(**changes: Any) -> Alarm:
    """The active config's return is in alarm since May, as of yesterday."""
    held = Alarm(
        config_id="old", metric="return", seen_on=DAY - timedelta(days=1), alarm_on=date(2020, 5, 4),
        monitored_from=date(2019, 1, 2), largest_e=30.0, threshold=25.0, monitored_n=370, monitored_mean=-0.001,
        reference_n=2000, reference_mean=0.0004,
    )  # fmt: skip
    return replace(held, **changes)
