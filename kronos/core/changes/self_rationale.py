"""What a self-proposal says of itself: one paragraph for a person, and the same numbers for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from kronos.core.changes.self_evidence import Alarm
from kronos.core.changes.self_proposals import Ground, SelfProposal
from kronos.core.policy import ObservationPolicy
from kronos.core.reports.comparison_model import OVERALL_SLICE, Cell, ConfigClass


def rationale(one: SelfProposal, policy: ObservationPolicy) -> str:
    """One paragraph: what speaks for the config, with its uncertainty, and what the evidence cannot say."""
    parts = [_GROUNDS[one.ground](one), _difference(one, one.cell)]
    if one.slice != OVERALL_SLICE:
        parts.append(_difference(one, one.rival.overall))
    parts += [_significance(one, policy), *(_alarm(alarm) for alarm in one.alarms), _search(one, policy)]
    return " ".join(part for part in parts if part)


def about(one: SelfProposal, policy: ObservationPolicy, lake: dict[str, str]) -> dict[str, Any]:
    """The proposal's metadata. lake: the marks of the tables that were read; dates are ISO text."""
    compared = one.compared
    return {
        "ground": one.ground.value,
        "config_id": one.config.config_id,
        "slice": one.slice,
        "as_of": one.as_of.isoformat(),
        "mined_from": one.mined_from.isoformat(),
        "mined_until": one.mined_until.isoformat(),
        "lake": lake,
        "evidence": {
            "month": compared.month,
            "as_of": compared.as_of.isoformat(),
            "label": compared.label,
            "mode": compared.mode,
            "horizon": compared.horizon,
            "metric": compared.metric,
            "class": one.rival.label.value,
            "difference": _numbers(one.cell),
            "overall": _numbers(one.rival.overall),
            "p_better": one.rival.p_better,
            "tests": compared.tests,
            "trials": compared.trials,
            "level": policy.comparison.level,
            "resamples": policy.comparison.resamples,
            "seed": policy.comparison.seed,
            "alarms": [_as_json(alarm) for alarm in one.alarms],
        },
    }


def _dominated(one: SelfProposal) -> str:
    return (
        f"{one.config.config_id} is significantly better than the active {one.base_config_id} of {one.engine_name} "
        "over the whole book."
    )


def _degraded(one: SelfProposal) -> str:
    best = "of those classed ROBUST" if one.rival.label is ConfigClass.ROBUST else "of those that are not dominated"
    return (
        f"The active {one.base_config_id} of {one.engine_name} is degrading beside its own record, and "
        f"{one.config.config_id} is the best alternative {best}."
    )


def _niche(one: SelfProposal) -> str:
    return (
        f"{one.config.config_id} is significantly better than the active {one.base_config_id} of {one.engine_name} in "
        f"{one.slice}, a slice declared beforehand (StepM over configs and declared slices), and among the best there."
    )


_GROUNDS = {
    Ground.DOMINATED_INCUMBENT: _dominated,
    Ground.DEGRADED_INCUMBENT: _degraded,
    Ground.NICHE_WINNER: _niche,
}


def _difference(one: SelfProposal, cell: Cell) -> str:
    """The numbers of one slice."""
    where = "Overall" if cell.slice == OVERALL_SLICE else f"In {cell.slice}"
    if cell.difference is None or cell.low is None or cell.high is None:
        return f"{where} there is no difference to tell: {cell.reason}, n {cell.n}."
    covers = "excludes" if cell.low > 0.0 or cell.high < 0.0 else "includes"
    values = "" if cell.value is None else f" ({cell.value:.3g} against {cell.incumbent_value:.3g})"
    return (
        f"{where} the difference in {one.compared.metric} is {cell.difference:+.3g}{values}, positive is better, "
        f"standard error {cell.standard_error:.3g}, on n {cell.n} matched dates; its interval that holds for all "
        f"configs and slices at once, [{cell.low:+.3g}, {cell.high:+.3g}], {covers} zero."
    )


def _significance(one: SelfProposal, policy: ObservationPolicy) -> str:
    compared, p = one.compared, one.rival.p_better
    trials = "an unknown number of" if compared.trials is None else str(compared.trials)
    if p is None:
        return f"How likely that is by chance is not known ({trials} trials)."
    tests = f"one-sided p {p:.3g} by Holm over {compared.tests} tests, {trials} trials in the ledger"
    if p <= policy.comparison.level:
        return f"That it is better overall is significant at {policy.comparison.level:g}: {tests}."
    if (one.rival.overall.difference or 0.0) < 0.0:
        alone = "the slice" if one.ground is Ground.NICHE_WINNER else "the alarm"
        return f"Overall it is estimated to be worse, and only {alone} speaks for testing it ({tests})."
    return f"That it is better overall is without significance: {tests}."


def _alarm(alarm: Alarm) -> str:
    means = ""
    if alarm.monitored_mean is not None and alarm.reference_mean is not None:
        means = (
            f": mean {alarm.monitored_mean:.3g} on n {alarm.monitored_n} since {alarm.monitored_from} after "
            f"{alarm.reference_mean:.3g} on n {alarm.reference_n} before"
        )
    return (
        f"Its {alarm.metric} is in alarm since {alarm.alarm_on} (e-value up to {alarm.largest_e:.3g}, alarm at "
        f"{alarm.threshold:.3g}, as of {alarm.seen_on}){means}."
    )


def _search(one: SelfProposal, policy: ObservationPolicy) -> str:
    compared = one.compared
    label = "" if compared.label == "READY" else f", {compared.label}"
    return (
        f"Mined from {compared.mode} decisions {compared.period_start}..{compared.period_end} at horizon "
        f"{compared.horizon} as of {compared.as_of}{label} ({policy.comparison.resamples} resamples, seed "
        f"{policy.comparison.seed}): it was found by looking, so only what comes after {one.mined_until} "
        "can confirm it."
    )


def _numbers(cell: Cell) -> dict[str, Any]:
    return {
        "slice": cell.slice,
        "n": cell.n,
        "difference": cell.difference,
        "standard_error": cell.standard_error,
        "low": cell.low,
        "high": cell.high,
        "p_value": cell.p_value,
        "reason": cell.reason.value if cell.reason else None,
    }


def _as_json(alarm: Alarm) -> dict[str, Any]:
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in asdict(alarm).items()}
