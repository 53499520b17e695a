"""Findings as rows of the lake."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import polars as pl

from kronos.core.frames import MONITOR_ROWS
from kronos.core.monitoring.model import EngineMonitoring, MonitorFinding, Stretch


def monitor_rows(answers: Iterable[EngineMonitoring]) -> pl.DataFrame:
    """One row per day, engine, scope and metric (frames.MONITOR_ROWS)."""
    rows = [_row(answer.as_of, found) for answer in answers for found in answer.findings]
    return pl.DataFrame(rows, schema=MONITOR_ROWS, orient="row")


def _row(day: date, found: MonitorFinding) -> dict[str, Any]:
    e = found.e
    return {
        "month": day.isoformat()[:7],
        "period": day.isoformat(),
        "engine_name": found.engine_name,
        "scope": found.scope,
        "config_id": found.config_id,
        "metric": found.metric.value,
        "score": found.score,
        "horizon": found.horizon,
        "state": found.state.value,
        "cause": found.cause.value if found.cause else None,
        "detail": found.detail or None,
        "alpha": found.alpha,
        "monitored_from": found.monitored_from,
        **_stretch("reference", found.reference),
        **_stretch("monitored", found.monitored),
        "e_value": e.now if e else None,
        "largest_e": e.largest if e else None,
        "largest_on": e.largest_on if e else None,
        "threshold": e.threshold if e else None,
        "alarm_on": e.alarm_on if e else None,
        "drop": e.drop if e else None,
    }


def _stretch(name: str, part: Stretch | None) -> dict[str, Any]:
    return {
        f"{name}_start": part.start if part else None,
        f"{name}_end": part.end if part else None,
        f"{name}_n": part.n if part else 0,
        f"{name}_mean": part.mean if part else None,
        f"{name}_sharpe": part.sharpe if part else None,
    }
