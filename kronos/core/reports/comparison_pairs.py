"""Each config beside the incumbent on their matched dates: the difference, and each date's influence on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from kronos.core.conventions import MIN_COVERAGE, MIN_INDEPENDENT_OBSERVATIONS
from kronos.core.policy import ComparisonPolicy
from kronos.core.reports.comparison_gaps import Daily, Matched, chance_of_gaps, imputed, matched
from kronos.core.reports.comparison_model import Doubt
from kronos.core.reports.comparison_series import SHARPE, ComparedSeries
from kronos.core.stats.matrix import RELATIVE_TOLERANCE, DateArray, FloatArray, is_constant
from kronos.core.stats.sharpe import SMALLEST_INFLUENCE, sharpe_influences, sharpe_ratios
from kronos.errors import BadValue


@dataclass(frozen=True, slots=True)
class Unpaired:
    """Why a config cannot be held against the incumbent in a slice."""

    reason: Doubt
    detail: str
    n: int = 0
    coverage: float | None = None


@dataclass(frozen=True, eq=False)
class Paired:
    """A config against the incumbent on n matched dates, oriented so that positive is better.

    values: annual Sharpe ratios or mean scores of (config, incumbent). `scale` turns a difference per observation into
    that unit. influence [n]: of each date on the difference per observation, mean zero; volatility [n]: the part of it
    that comes from estimating volatilities (None for scores).
    """

    days: DateArray
    coverage: float
    values: tuple[float, float]
    scale: float
    influence: FloatArray
    volatility: FloatArray | None

    @property
    def difference(self) -> float:
        """Config minus incumbent."""
        return self.values[0] - self.values[1]


Pair = Paired | Unpaired
Slices = Mapping[str, Daily]


def not_finite(rows: pl.DataFrame) -> frozenset[str]:
    """Configs with a NaN or infinity in any slice."""
    return frozenset(rows.filter(~pl.col("value").is_finite())["config_id"])


def daily_slices(rows: pl.DataFrame) -> dict[str, Slices]:
    """Series by config and slice, from rows of the contract `COMPARED`; a date named twice is a `BadValue`."""
    ordered = rows.sort("config_id", "slice", "as_of_date")
    found: dict[str, dict[str, Daily]] = {}
    for (config, name), part in ordered.partition_by("config_id", "slice", as_dict=True, maintain_order=True).items():
        days = part["as_of_date"].to_numpy().astype("datetime64[D]")
        if (days[1:] == days[:-1]).any():
            raise BadValue("comparison series", (config, name), "each date once")
        found.setdefault(str(config), {})[str(name)] = Daily(days, part["value"].to_numpy().astype(np.float64))
    return dict(found)


def paired(
    config: Daily | None,
    incumbent: Daily,
    compared: ComparedSeries,
    slice_id: str,
    policy: ComparisonPolicy,
    *,
    least_coverage: float = MIN_COVERAGE,
) -> Pair:
    """The pair in one slice, or why there is none.

    Dates on which the incumbent is missing do not count for either; a date that only the config misses is imputed
    against it. Below the least share of either's dates, or when what the config misses is related to the incumbent's
    returns, there is no verdict.
    """
    if config is None or np.isnan(config.values).all():
        return Unpaired(Doubt.NO_RECORD, f"no {compared.metric} in {slice_id}")
    losses = compared.metric != SHARPE
    both = matched(config, incumbent, losses=losses)
    flaw = _thin(both, compared.horizon, policy, least_coverage) or _selective(both, policy)
    if flaw is not None:
        return Unpaired(*flaw, int((~both.gap).sum()), both.coverage)
    pair = imputed(both, losses=losses)
    flaw = _flaw(pair)
    if flaw is not None:
        return Unpaired(*flaw, int((~both.gap).sum()), both.coverage)
    contrast = _score_contrast if losses else _sharpe_contrast
    found = contrast(both, pair, compared.factors[slice_id])
    return found if isinstance(found, Unpaired) else _spread_out(found)


def same_stream(first: Daily, second: Daily) -> bool:
    """Whether two series have the same dates, gaps and, up to rounding, values."""
    if first.days.size != second.days.size or (first.days != second.days).any():
        return False
    gap = np.isnan(first.values)
    if (gap != np.isnan(second.values)).any():
        return False
    a, b = first.values[~gap], second.values[~gap]
    return bool(a.size == 0 or np.abs(a - b).max() <= RELATIVE_TOLERANCE * np.abs(b).max())


def _thin(both: Matched, horizon: int, policy: ComparisonPolicy, share: float) -> tuple[Doubt, str] | None:
    """Too many gaps, or too few dates."""
    for coverage, whose in ((both.incumbent_coverage, "the incumbent"), (both.coverage, "the config")):
        if coverage < share:
            return Doubt.LOW_COVERAGE, f"{whose} has {coverage:.1%} of its matched dates: {share:.0%} needed"
    least = max(policy.least_dates, MIN_INDEPENDENT_OBSERVATIONS * horizon)
    return None if both.days.size >= least else (Doubt.TOO_SHORT, f"{both.days.size} matched dates: {least} needed")


def _selective(both: Matched, policy: ComparisonPolicy) -> tuple[Doubt, str] | None:
    """Gaps that lie where the incumbent's values are unusual."""
    chance = chance_of_gaps(both.gap, both.incumbent)
    if chance >= policy.gap_level:
        return None
    detail = f"{both.gap.sum()} missing dates follow the incumbent's values: p {chance:.2g} below {policy.gap_level:g}"
    return Doubt.SELECTIVE_GAPS, detail


def _flaw(pair: FloatArray) -> tuple[Doubt, str] | None:
    constant = is_constant(pair)
    if constant.any():
        return Doubt.CONSTANT, "the config" if constant[0] else "the incumbent"
    if np.abs(pair[:, 0] - pair[:, 1]).max() <= RELATIVE_TOLERANCE * np.abs(pair).max():
        return Doubt.IDENTICAL, "the same stream as the incumbent under another id"
    return None


def _spread_out(pair: Paired) -> Pair:
    """The pair, unless few dates carry its variance: (sum x^2)^2 / sum x^4 of them, a third of all for normal x."""
    squares = pair.influence**2
    carrying = float(squares.sum() ** 2 / (squares**2).sum())
    if carrying >= MIN_INDEPENDENT_OBSERVATIONS:
        return pair
    detail = f"the difference rests on {carrying:.1f} of {pair.days.size} dates: {MIN_INDEPENDENT_OBSERVATIONS} needed"
    return Unpaired(Doubt.CONCENTRATED, detail, pair.days.size, pair.coverage)


def _sharpe_contrast(both: Matched, pair: FloatArray, factor: float) -> Pair:
    ratios, influences = sharpe_ratios(pair), sharpe_influences(pair)
    location = (pair - pair.mean(axis=0)) / pair.std(axis=0)
    influence, volatility = (part[:, 0] - part[:, 1] for part in (influences, influences - location))
    if np.abs(influence).max() <= SMALLEST_INFLUENCE:
        return Unpaired(Doubt.SCALED_COPY, "the incumbent times a constant", both.days.size, both.coverage)
    scale = float(np.sqrt(factor))
    values = float(ratios[0]) * scale, float(ratios[1]) * scale
    return Paired(both.days, both.coverage, values, scale, influence, volatility)


def _score_contrast(both: Matched, pair: FloatArray, factor: float) -> Pair:
    del factor  # a score is a mean per date, whatever the number of dates a year
    edge = pair[:, 0] - pair[:, 1]
    influence = edge - edge.mean()
    if np.abs(influence).max() <= RELATIVE_TOLERANCE * np.abs(pair).max():
        detail = f"differs from the incumbent by {edge.mean():g} on every date: nothing to estimate an error from"
        return Unpaired(Doubt.ZERO_VARIANCE_DIFFERENCE, detail, both.days.size, both.coverage)
    values = float(pair[:, 0].mean()), float(pair[:, 1].mean())
    return Paired(both.days, both.coverage, values, 1.0, influence, None)
