"""Decide one metric: reference and monitored series in, a finding out.

The error alpha is split over the metrics that the reference holds, so the split is known before monitoring begins:
the probability that a config as good as before raises an alarm on any metric, ever, is at most alpha (union bound over
e-processes, each within its part by Ville's inequality). What is assumed is said in `core.stats.sequential`; on top,
that a restated outcome of the monitored record does not depend on the alarm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np

from kronos.core.monitoring.model import Cause, EProcess, MonitorFinding, MonitorState, Stretch, Watch
from kronos.core.monitoring.series import Daily
from kronos.core.policy import MonitoringPolicy
from kronos.core.stats.matrix import Inconclusive, Reason, loss_matrix, return_matrix
from kronos.core.stats.sequential import CONSTANT_AFTER, Monitoring, monitor_loss, monitor_sharpe

_NAME: Final = "config"
_LARGEST_LOG: Final = 700.0
_CAUSES: Final = {Reason.CONSTANT: Cause.CONSTANT, Reason.NOT_FINITE: Cause.NOT_FINITE}


@dataclass(frozen=True, eq=False)
class Metric:
    """One metric's evidence. blank: the finding so far. factor: sessions a year / horizon, as the reference knew it."""

    blank: MonitorFinding
    reference: Daily
    monitored: Daily
    horizon: int
    factor: float
    last_decision: date | None


def shares(policy: MonitoringPolicy, watched: list[Watch]) -> dict[Watch, float]:
    """Each metric's part of alpha: all of it for a single one."""
    if len(watched) < 2:
        return dict.fromkeys(watched, policy.alpha)
    return {
        Watch.RETURN: policy.alpha * policy.return_share,
        Watch.CALIBRATION: policy.alpha * (1.0 - policy.return_share),
    }


def judge(metric: Metric, policy: MonitoringPolicy, alpha: float, as_of: date) -> MonitorFinding:
    """The finding of one metric as of a date; INCONCLUSIVE with its cause wherever a precondition fails."""
    longest = policy.reference_longest * metric.horizon
    metric = replace(metric, reference=Daily(metric.reference.dates[-longest:], metric.reference.values[-longest:]))
    told = replace(
        metric.blank,
        alpha=alpha,
        reference=_stretch(metric.reference, metric),
        monitored=_stretch(metric.monitored, metric),
    )
    checks: tuple[Callable[[], tuple[Cause, str] | None], ...] = (
        lambda: _reference_flaw(metric, policy),
        lambda: _monitored_flaw(metric, policy, as_of),
    )
    flaw = next((found for found in (check() for check in checks) if found is not None), None)
    if flaw is not None:
        return inconclusive(told, *flaw)
    found = _watch(metric, policy, alpha)
    if isinstance(found, Inconclusive):
        return inconclusive(told, _CAUSES.get(found.reason, Cause.NO_OBSERVATIONS), found.detail)
    evidence = _evidence(found, alpha, policy.watch_level * alpha / policy.alpha)
    return replace(told, e=evidence, state=_state(evidence))


def inconclusive(told: MonitorFinding, cause: Cause, detail: str) -> MonitorFinding:
    """The finding without an answer, and why."""
    return replace(told, state=MonitorState.INCONCLUSIVE, cause=cause, detail=detail)


def _reference_flaw(metric: Metric, policy: MonitoringPolicy) -> tuple[Cause, str] | None:
    values = metric.reference.valid.values
    observations = len(values) // metric.horizon
    if observations < policy.reference_least:
        detail = f"{observations} observations known on {metric.blank.monitored_from}: {policy.reference_least} needed"
        return Cause.REFERENCE_TOO_SHORT, detail
    if metric.reference.coverage < policy.least_coverage:
        return Cause.REFERENCE_LOW_COVERAGE, _covered(metric.reference, policy)
    return _shape_flaw(values, "the reference")


def _monitored_flaw(metric: Metric, policy: MonitoringPolicy, as_of: date) -> tuple[Cause, str] | None:
    start, last = metric.blank.monitored_from, metric.last_decision
    if last is not None and as_of - last > policy.stopped_after:
        return Cause.RECORD_STOPPED, f"last decision on {last}"
    values = metric.monitored.valid.values
    if values.size == 0:
        return Cause.NO_OBSERVATIONS, f"no outcome since {start} is known"
    if metric.monitored.coverage < policy.least_coverage:
        return Cause.LOW_COVERAGE, _covered(metric.monitored, policy)
    return _shape_flaw(values, "the monitored record")


def _shape_flaw(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], whose: str) -> tuple[Cause, str] | None:
    if not np.isfinite(values).all():
        return Cause.NOT_FINITE, f"an infinite value in {whose}"
    if len(values) >= CONSTANT_AFTER and np.ptp(values) == 0.0:
        return Cause.CONSTANT, f"{len(values)} equal values in {whose}"
    return None


def _covered(daily: Daily, policy: MonitoringPolicy) -> str:
    return f"{daily.coverage:.1%} of {daily.values.size} due dates have a value: {policy.least_coverage:.0%} needed"


def _watch(metric: Metric, policy: MonitoringPolicy, alpha: float) -> Monitoring | Inconclusive:
    reference, monitored = metric.reference.valid, metric.monitored.valid
    values = np.concatenate([reference.values, monitored.values])[:, None]
    dates = np.concatenate([reference.dates, monitored.dates])
    start, sessions = monitored.dates[0].item(), metric.factor * metric.horizon
    if metric.blank.metric is Watch.RETURN:
        returns = return_matrix(values, [_NAME], dates, horizon=metric.horizon, sessions_per_year=sessions)
        if isinstance(returns, Inconclusive):
            return returns
        return monitor_sharpe(returns, _NAME, start, alpha=alpha, margin=policy.sharpe_margin)
    losses = loss_matrix(values, [_NAME], dates, horizon=metric.horizon, sessions_per_year=sessions)
    if isinstance(losses, Inconclusive):
        return losses
    return monitor_loss(losses, _NAME, start, alpha=alpha, margin=policy.score_margin)


def _evidence(found: Monitoring, alpha: float, watch_level: float) -> EProcess:
    values = np.exp(np.minimum(found.log_e, _LARGEST_LOG))
    return EProcess(
        now=float(values[-1]),
        largest=float(values.max()),
        largest_on=found.dates[int(values.argmax())].item(),
        threshold=1.0 / alpha,
        watch_threshold=1.0 / watch_level,
        drop=found.drop,
        alarm_on=found.alarm_date,
        dates=tuple(found.dates.tolist()),
        values=tuple(values.tolist()),
    )


def _state(evidence: EProcess) -> MonitorState:
    if evidence.alarm_on is not None:
        return MonitorState.DEGRADING
    return MonitorState.WATCH if evidence.now >= evidence.watch_threshold else MonitorState.HEALTHY


def _stretch(daily: Daily, metric: Metric) -> Stretch | None:
    """What a part of the record amounts to; None while nothing of it is known."""
    valid = daily.valid
    if valid.values.size == 0 or not np.isfinite(valid.values).all():
        return None
    mean = float(valid.values.mean())
    spread = float(valid.values.std(ddof=1)) if valid.values.size > 1 else 0.0
    told = metric.blank.metric is Watch.RETURN and valid.values.size >= CONSTANT_AFTER and spread > 0.0
    return Stretch(
        start=valid.dates[0].item(),
        end=valid.dates[-1].item(),
        n=int(valid.values.size),
        coverage=daily.coverage,
        mean=mean,
        spread=spread,
        sharpe=mean / spread * math.sqrt(metric.factor) if told else None,
    )
