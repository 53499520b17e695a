"""How many trials the compared configs were chosen from, and the Sharpe ratio of each deflated by that number.

The ledger gives N. The trials that left a return stream in the window amount to an effective number of independent
ones (`stats.trials.effective_trials`); those without a stream count as independent of everything, Sidak's worst case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kronos.core.conventions import MIN_COVERAGE
from kronos.core.reports.comparison_gaps import Daily, bad_value
from kronos.core.reports.comparison_model import OVERALL_SLICE, DeflatedSharpe, Doubt, TrialsCounted
from kronos.core.reports.comparison_pairs import Slices, same_stream
from kronos.core.reports.comparison_series import SHARPE, ComparedSeries
from kronos.core.stats.matrix import FloatArray, Inconclusive, ReturnMatrix, is_constant, return_matrix
from kronos.core.stats.sharpe import sharpe_evidence, sharpe_ratios
from kronos.core.stats.trials import Dispersion, effective_trials, sharpe_dispersion


@dataclass(frozen=True)
class Ledger:
    """Trials of an engine's real search: how many, and which trial each known config id is.

    identities: trial by config id; ids of one config body share theirs. An id not named is a trial of its own.
    """

    total: int
    identities: Mapping[str, str]

    def trials_of(self, config_ids: Sequence[str]) -> int:
        """Distinct trials that these config ids are."""
        return len({self.identities.get(config, config) for config in config_ids})


@dataclass(frozen=True)
class TrialEvidence:
    """N, and each config's Sharpe ratio beside it; without a ledger or returns, the reason why there is none."""

    trials: TrialsCounted | None
    deflated: tuple[DeflatedSharpe, ...]


@dataclass(frozen=True, eq=False)
class _Stream:
    """A config's whole book; gaps count as a bad day of its own, so that they do not pay."""

    config_id: str
    daily: Daily
    coverage: float


def trial_evidence(
    compared: ComparedSeries, series: Mapping[str, Slices], config_ids: Sequence[str], ledger: Ledger | None
) -> TrialEvidence:
    """Trials and deflated Sharpe ratios.

    series: of every config of the engine, compared or not: each left a stream. config_ids: whose Sharpe ratios are
    deflated. A config that is constant, has gaps in over 5 % of its dates, or shares fewer dates with the other streams
    than a dispersion needs has a reason instead of a number.
    """
    if ledger is None:
        return TrialEvidence(None, tuple(_undefined(name, Doubt.NO_LEDGER, "") for name in config_ids))
    if compared.metric != SHARPE:
        total = max(ledger.total, ledger.trials_of(list(series)))
        counted = TrialsCounted(total, 0, None, float(total), Doubt.NO_RETURNS, "a score has no Sharpe ratio")
        return TrialEvidence(counted, tuple(_undefined(name, Doubt.NO_RETURNS, "") for name in config_ids))
    streams = {name: found for name, slices in sorted(series.items()) if (found := _stream(name, slices)) is not None}
    matrix = _matrix(_distinct(list(streams.values())), compared)
    counted = _counted(list(streams), matrix, ledger)
    return TrialEvidence(counted, tuple(_deflated(name, streams, matrix, counted, compared) for name in config_ids))


def _stream(config_id: str, slices: Slices) -> _Stream | None:
    """None for a config without any return in the window, or always the same one."""
    daily = slices.get(OVERALL_SLICE)
    if daily is None or np.isnan(daily.values).all():
        return None
    gap = np.isnan(daily.values)
    values = np.where(gap, bad_value(daily.values[~gap]), daily.values)
    return None if is_constant(values[:, None])[0] else _Stream(config_id, Daily(daily.days, values), 1.0 - gap.mean())


def _distinct(streams: Sequence[_Stream]) -> list[_Stream]:
    """The first of each group of identical streams: together they are one trial's evidence."""
    kept: list[_Stream] = []
    for stream in streams:
        if not any(same_stream(stream.daily, other.daily) for other in kept):
            kept.append(stream)
    return kept


def _matrix(streams: Sequence[_Stream], compared: ComparedSeries) -> ReturnMatrix | Inconclusive:
    """The streams over the dates that all of them have."""
    if not streams:
        return return_matrix(np.empty((0, 0)), (), np.empty(0, "datetime64[D]"))
    days = streams[0].daily.days
    for stream in streams[1:]:
        days = np.intersect1d(days, stream.daily.days, assume_unique=True)
    values = [stream.daily.values[np.isin(stream.daily.days, days, assume_unique=True)] for stream in streams]
    names = [stream.config_id for stream in streams]
    return return_matrix(
        np.column_stack(values),
        names,
        days,
        horizon=compared.horizon,
        sessions_per_year=compared.factors[OVERALL_SLICE] * compared.horizon,
    )


def _counted(names: Sequence[str], matrix: ReturnMatrix | Inconclusive, ledger: Ledger) -> TrialsCounted:
    """Every trial counts in full where the streams cannot be clustered."""
    streamed = ledger.trials_of(names)
    total = max(ledger.total, streamed)
    if isinstance(matrix, Inconclusive):
        return TrialsCounted(total, streamed, None, float(total), Doubt.STREAMS_NOT_MATCHED, matrix.detail)
    effective = min(effective_trials(matrix).effective, float(streamed))
    return TrialsCounted(total, streamed, effective, effective + total - streamed)


def _deflated(
    name: str,
    streams: Mapping[str, _Stream],
    matrix: ReturnMatrix | Inconclusive,
    counted: TrialsCounted,
    compared: ComparedSeries,
) -> DeflatedSharpe:
    stream = streams.get(name)
    if stream is None:
        return _undefined(name, Doubt.NO_RECORD, "no returns, or always the same")
    if stream.coverage < MIN_COVERAGE:
        return _undefined(name, Doubt.LOW_COVERAGE, f"{stream.coverage:.1%} of its dates: {MIN_COVERAGE:.0%} needed")
    alone = _matrix([stream], compared)
    if isinstance(alone, Inconclusive):
        return _undefined(name, Doubt.TOO_SHORT, alone.detail)
    dispersion = _dispersion(name, alone, matrix)
    found = sharpe_evidence(alone, name, n_trials=max(counted.independent, 1.0), dispersion=dispersion.value)
    if isinstance(found, Inconclusive):
        return _undefined(name, Doubt.TOO_FEW_BLOCKS, found.detail)
    annual = float(np.sqrt(found.annual_factor))
    return DeflatedSharpe(
        config_id=name,
        n=found.n_sessions,
        sharpe=found.annual_sharpe,
        hurdle=found.expected_maximum * annual,
        dispersion=found.dispersion * annual,
        psr=found.psr,
        dsr=found.dsr,
    )


def _dispersion(name: str, alone: ReturnMatrix, matrix: ReturnMatrix | Inconclusive) -> Dispersion:
    """Across the other streams on the dates all share; not below the sampling error of the config's own dates."""
    others = np.empty(0) if isinstance(matrix, Inconclusive) else _others(name, matrix)
    ratios: FloatArray = np.append(others, sharpe_ratios(alone.values))
    return sharpe_dispersion(ratios, len(others), alone.n_sessions, alone.horizon)


def _others(name: str, matrix: ReturnMatrix) -> FloatArray:
    ratios = sharpe_ratios(matrix.values)
    return ratios[[index for index, other in enumerate(matrix.names) if other != name]]


def _undefined(name: str, reason: Doubt, detail: str) -> DeflatedSharpe:
    return DeflatedSharpe(config_id=name, n=0, reason=reason, detail=detail)
