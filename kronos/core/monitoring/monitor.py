"""Monitor an engine: its active configs as of a date, each against its own earlier record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from kronos.core.monitoring.judge import Metric, inconclusive, judge, shares
from kronos.core.monitoring.model import (
    Cause,
    EngineMonitoring,
    MonitorFinding,
    MonitorState,
    RollingFigure,
    Watch,
    Watched,
)
from kronos.core.monitoring.series import (
    EMPTY,
    Record,
    monitored_record,
    record,
    reference_record,
)
from kronos.core.monitoring.windows import rolling_figures
from kronos.core.policy import ObservationPolicy
from kronos.core.reports.axis import Window
from kronos.core.reports.evidence import Evidence
from kronos.core.vocabulary import POOLED

_NO_METRIC: Final = {Watch.RETURN: Cause.NO_RETURNS, Watch.CALIBRATION: Cause.NO_FORECASTS}


def monitor_engine(
    held: Evidence | None,
    policy: ObservationPolicy,
    engine_name: str,
    watched: Sequence[Watched],
    as_of: date,
    *,
    notes: tuple[str, ...] = (),
) -> EngineMonitoring:
    """Findings on return and calibration of every watched config, and rolling figures, as known on a date.

    held: LIVE cells of the engine at its primary horizon; None when it has none. watched: what was active on the date;
    nothing gives one INCONCLUSIVE finding per metric.
    """
    findings: list[MonitorFinding] = []
    windows: list[RollingFigure] = []
    for one in sorted(watched, key=lambda entry: entry.scope):
        findings += _findings(held, policy, engine_name, one, as_of)
        if held is not None:
            known = record(held, policy, one, Window(date.min, as_of, as_of))
            windows += rolling_figures(known, one, policy.monitoring, held.horizon)
    if not watched:
        findings = _all_unanswered(_blanks(engine_name, POOLED), Cause.NO_ACTIVE_CONFIG, f"none on {as_of}")
    return EngineMonitoring(engine_name, as_of, policy.monitoring.alpha, tuple(findings), tuple(windows), notes)


def _findings(
    held: Evidence | None, policy: ObservationPolicy, engine_name: str, watched: Watched, as_of: date
) -> list[MonitorFinding]:
    blanks = _blanks(engine_name, watched.scope, watched, held.horizon if held else None)
    if as_of < watched.monitored_from:
        return _all_unanswered(blanks, Cause.NOT_STARTED, f"monitored from {watched.monitored_from}")
    if held is None:
        return _all_unanswered(blanks, Cause.NO_RECORD, f"{watched.config_id} never decided")
    before = reference_record(held, policy, watched)
    since = monitored_record(held, policy, watched, as_of)
    if before.last_decision is None and since.last_decision is None:
        return _all_unanswered(blanks, Cause.NO_RECORD, f"{watched.config_id} never decided in scope {watched.scope}")
    return _judged(blanks, before, since, policy, held.horizon, as_of)


def _judged(
    blanks: dict[Watch, MonitorFinding],
    before: Record,
    since: Record,
    policy: ObservationPolicy,
    horizon: int,
    as_of: date,
) -> list[MonitorFinding]:
    metrics = _metrics(blanks, before, since, policy, horizon)
    # what the reference holds decides the split, before monitoring begins
    budget = shares(policy.monitoring, [name for name, one in metrics.items() if one.reference.valid.values.size])
    findings = []
    for name, blank in blanks.items():
        if name not in metrics:
            findings.append(inconclusive(blank, _NO_METRIC[name], "the config has none"))
        elif name not in budget:
            detail = f"nothing was known on {blank.monitored_from}"
            findings.append(inconclusive(metrics[name].blank, Cause.REFERENCE_TOO_SHORT, detail))
        else:
            findings.append(judge(metrics[name], policy.monitoring, budget[name], as_of))
    return findings


def _metrics(
    blanks: dict[Watch, MonitorFinding], before: Record, since: Record, policy: ObservationPolicy, horizon: int
) -> dict[Watch, Metric]:
    """The metrics of which the reference or the monitored record holds anything."""
    last = since.last_decision or before.last_decision
    found = {}
    if before.returns.valid.values.size or since.returns.valid.values.size:
        found[Watch.RETURN] = Metric(blanks[Watch.RETURN], before.returns, since.returns, horizon, before.factor, last)
    score = _score(before, since, policy)
    if score is not None:
        blank = replace(blanks[Watch.CALIBRATION], score=score)
        series = (before.scores.get(score, EMPTY), since.scores.get(score, EMPTY))
        found[Watch.CALIBRATION] = Metric(blank, *series, horizon, before.factor, last)
    return found


def _score(before: Record, since: Record, policy: ObservationPolicy) -> str | None:
    """The first score of the policy that the reference holds, else that the monitored record holds."""
    held = before.scores or since.scores
    return next((score for score in policy.comparison.scores if score in held), None)


def _blanks(
    engine_name: str, scope: str, watched: Watched | None = None, horizon: int | None = None
) -> dict[Watch, MonitorFinding]:
    """A finding per metric, before anything is known."""
    return {
        metric: MonitorFinding(
            engine_name=engine_name,
            scope=scope,
            config_id=watched.config_id if watched else None,
            metric=metric,
            state=MonitorState.INCONCLUSIVE,
            horizon=horizon,
            monitored_from=watched.monitored_from if watched else None,
        )
        for metric in Watch
    }


def _all_unanswered(blanks: dict[Watch, MonitorFinding], cause: Cause, detail: str) -> list[MonitorFinding]:
    return [inconclusive(blank, cause, detail) for blank in blanks.values()]
