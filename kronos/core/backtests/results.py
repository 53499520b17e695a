"""What is kept of a backtest in the database: numbers with their intervals, counts and reasons, as JSON."""

from __future__ import annotations

from typing import Any

from kronos.core.reports.model import EnginePerformanceReport, MetricSet


def figures(found: MetricSet) -> dict[str, Any]:
    """One slice: `metrics` by id, and beside them what no number goes without."""
    return {
        "metrics": dict(found.values),
        "undefined": {name: reason.value for name, reason in found.undefined.items()},
        "intervals": {name: list(bounds) for name, bounds in found.intervals.items()},
        "interval_undefined": {name: reason.value for name, reason in found.interval_undefined.items()},
        "observations": dict(found.observations),
        "dates": dict(found.dates),
        "coverage": {"valid": found.coverage.valid, "due": found.coverage.due},
    }


def beside_numbers(report: EnginePerformanceReport) -> dict[str, Any]:
    """What goes with the numbers of a period's result."""
    whole = figures(report.overall)
    del whole["metrics"]
    return whole | {
        "horizon": report.horizon,
        "as_of": report.as_of.isoformat(),
        "annualisation": report.annualisation,
        "currency": report.currency,
        "recorded_by": report.recorded_by,
        "notes": list(report.notes),
        "by_fragility_bucket": report.by_fragility_bucket,
        "by_regime_and_market": report.by_regime_and_market,
    }
