"""The registry: every metric once. A number of Kronos has the id, unit, limits and formula found here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kronos.core.conventions import MIN_ANNUALISED_OBSERVATIONS, MIN_INDEPENDENT_OBSERVATIONS, MIN_TAIL_OBSERVATIONS
from kronos.core.metrics import returns, wealth
from kronos.core.metrics.counts import BOOKKEEPING, COUNTS, RATES
from kronos.core.metrics.forecasts import CALIBRATION, FORECASTS, MEAN_LOSS, SCORES
from kronos.core.metrics.metric import (
    Analytic,
    Better,
    CalibrationMetric,
    Column,
    CountMetric,
    Direct,
    Metric,
    RatioMetric,
    SeriesMetric,
    Unit,
)
from kronos.core.vocabulary import Undefined
from kronos.errors import NotFound

PEERS = "quantstats 0.0.86, empyrical-reloaded 0.7.1"

SERIES: Final[tuple[SeriesMetric, ...]] = (
    SeriesMetric(
        id="avg_return",
        meaning="arithmetic mean return per horizon",
        unit=Unit.RETURN,
        better=Better.HIGHER,
        reference="mean; interval Hansen & Hodrick (1980), Newey & West (1994)",
        column=Column.RETURN,
        formula=returns.avg_return,
        interval=Analytic(returns.mean_influence),
    ),
    SeriesMetric(
        id="contribution",
        meaning="sum of the slice's parts of the book return; adds up over slices",
        unit=Unit.RETURN,
        better=Better.HIGHER,
        reference="sum; interval as of the mean",
        column=Column.CONTRIBUTION,
        formula=returns.contribution,
        interval=Analytic(returns.mean_influence, total=True),
    ),
    SeriesMetric(
        id="volatility",
        meaning="standard deviation (ddof 1) x sqrt(observations per year)",
        unit=Unit.RETURN_PER_YEAR,
        better=Better.LOWER,
        reference=PEERS,
        annualised=True,
        least=2,
        column=Column.RETURN,
        formula=returns.volatility,
        guards=((Undefined.ZERO_VARIANCE, returns.has_zero_variance),),
        interval=Analytic(returns.log_volatility_influence, math.log, math.exp),
    ),
    SeriesMetric(
        id="sharpe",
        meaning="mean excess return / standard deviation x sqrt(observations per year)",
        unit=Unit.RATIO,
        better=Better.HIGHER,
        reference=f"{PEERS}; interval Lo (2002), Ledoit & Wolf (2008)",
        annualised=True,
        least=MIN_ANNUALISED_OBSERVATIONS,
        independent=MIN_INDEPENDENT_OBSERVATIONS,
        column=Column.RETURN,
        formula=returns.sharpe,
        guards=((Undefined.ZERO_VARIANCE, returns.has_zero_variance),),
        interval=Analytic(returns.sharpe_influence),
    ),
    SeriesMetric(
        id="sortino",
        meaning="mean excess return / downside deviation over all n x sqrt(observations per year)",
        unit=Unit.RATIO,
        better=Better.HIGHER,
        reference=PEERS,
        annualised=True,
        least=MIN_ANNUALISED_OBSERVATIONS,
        independent=MIN_INDEPENDENT_OBSERVATIONS,
        column=Column.RETURN,
        formula=returns.sortino,
        guards=((Undefined.NO_DOWNSIDE, returns.has_no_downside),),
        interval=Analytic(returns.sortino_influence),
    ),
    SeriesMetric(
        id="var_5",
        meaning="5 % quantile of the return series, linearly interpolated",
        unit=Unit.RETURN,
        better=Better.HIGHER,
        reference="empyrical-reloaded 0.7.1; interval David & Nagaraja (2003) section 7.1",
        least=MIN_TAIL_OBSERVATIONS,
        column=Column.RETURN,
        formula=returns.value_at_risk,
        interval=Direct(returns.quantile_bounds),
    ),
    SeriesMetric(
        id="cvar_5",
        meaning="mean of the floor(0.05 (n - 1)) + 1 worst returns",
        unit=Unit.RETURN,
        better=Better.HIGHER,
        reference="empyrical-reloaded 0.7.1; interval Scaillet (2004)",
        least=MIN_TAIL_OBSERVATIONS,
        column=Column.RETURN,
        formula=returns.expected_shortfall,
        interval=Analytic(returns.shortfall_influence),
    ),
    SeriesMetric(
        id="hit_rate_day",
        meaning="days with a positive return among days with a non-zero one",
        unit=Unit.SHARE,
        better=Better.HIGHER,
        reference="interval Wilson (1927)",
        column=Column.RETURN,
        formula=returns.day_hit_rate,
        guards=((Undefined.NO_OBSERVATIONS, returns.has_only_zeros),),
        interval=Direct(returns.day_hit_bounds),
    ),
    SeriesMetric(
        id="zero_days",
        meaning="days with a return of exactly zero, left out of the day hit rate",
        unit=Unit.COUNT,
        better=Better.NEITHER,
        reference="exact count",
        column=Column.RETURN,
        formula=returns.zero_days,
        interval=Undefined.EXACT,
    ),
    SeriesMetric(
        id="cagr",
        meaning="geometric growth per year",
        unit=Unit.RETURN_PER_YEAR,
        better=Better.HIGHER,
        reference=f"{PEERS}; interval as of the mean log growth",
        annualised=True,
        least=MIN_ANNUALISED_OBSERVATIONS,
        independent=MIN_INDEPENDENT_OBSERVATIONS,
        column=Column.GROWTH,
        formula=wealth.cagr,
        guards=((Undefined.RUIN, wealth.is_ruined),),
        interval=Analytic(wealth.log_growth_influence, math.log1p, math.expm1),
    ),
    SeriesMetric(
        id="max_dd",
        meaning="deepest fall of compounded wealth below its highest value so far, <= 0",
        unit=Unit.RETURN,
        better=Better.HIGHER,
        reference=PEERS,
        column=Column.GROWTH,
        formula=wealth.max_drawdown,
        interval=Undefined.PATH_DEPENDENT,
    ),
    SeriesMetric(
        id="calmar",
        meaning="CAGR / |max drawdown|",
        unit=Unit.RATIO,
        better=Better.HIGHER,
        reference=PEERS,
        annualised=True,
        least=MIN_ANNUALISED_OBSERVATIONS,
        independent=MIN_INDEPENDENT_OBSERVATIONS,
        column=Column.GROWTH,
        formula=wealth.calmar,
        guards=((Undefined.RUIN, wealth.is_ruined), (Undefined.ZERO_DRAWDOWN, wealth.has_zero_drawdown)),
        interval=Undefined.PATH_DEPENDENT,
    ),
)

TRADE_HIT_RATE: Final = Metric(
    id="trade_hit_rate",
    meaning="won trades among trades; the source names no trades, so it is always undefined",
    unit=Unit.SHARE,
    better=Better.HIGHER,
    reference="none",
)

RATIOS: Final[tuple[RatioMetric, ...]] = (*RATES, *SCORES, MEAN_LOSS)

REGISTRY: Final[Mapping[str, Metric]] = MappingProxyType(
    {metric.id: metric for metric in (*SERIES, *BOOKKEEPING, *FORECASTS, TRADE_HIT_RATE)}
)

__all__ = [
    "CALIBRATION",
    "COUNTS",
    "RATIOS",
    "REGISTRY",
    "SERIES",
    "CalibrationMetric",
    "CountMetric",
    "Metric",
    "metric",
]


def metric(metric_id: str) -> Metric:
    """The registered metric of this id; raises `NotFound` for an unknown one."""
    try:
        return REGISTRY[metric_id]
    except KeyError:
        raise NotFound("metric", metric_id, sorted(REGISTRY)) from None
