"""Counts and rates of daily cell measures: money, hits, constraint violations, trading activity, coverage."""

from __future__ import annotations

from kronos.core.metrics.metric import Better, CountMetric, Metric, RatioMetric, Unit


def _count(metric_id: str, meaning: str, measure: str, carrier: str, better: Better = Better.NEITHER) -> CountMetric:
    return CountMetric(
        id=metric_id,
        meaning=meaning,
        unit=Unit.COUNT,
        better=better,
        reference="exact sum",
        measure=measure,
        carrier=carrier,
    )


def _rate(metric_id: str, meaning: str, numerator: str, denominator: str, unit: Unit, better: Better) -> RatioMetric:
    return RatioMetric(
        id=metric_id,
        meaning=meaning,
        unit=unit,
        better=better,
        reference="Cochran (1977), ratio estimator",
        numerator=numerator,
        denominator=denominator,
        scale=1000.0 if unit is Unit.PER_THOUSAND else 1.0,
        floor=0.0,
        ceiling=1.0 if unit is Unit.SHARE else float("inf"),
    )


PNL = CountMetric(
    id="pnl",
    meaning="sum of profit and loss; adds up over slices of one horizon, never over horizons or currencies",
    unit=Unit.MONEY,
    better=Better.HIGHER,
    reference="exact sum",
    measure="pnl",
    carrier="pnl_n",
)

COVERAGE = CountMetric(
    id="coverage",
    meaning="valid outcomes / due outcomes that have matured",
    unit=Unit.SHARE,
    better=Better.HIGHER,
    reference="exact ratio",
    measure="valid",
    carrier="due",
    share=True,
)

DECISIONS = Metric(
    id="decisions",
    meaning="decisions made in the period, whatever became of them",
    unit=Unit.COUNT,
    better=Better.NEITHER,
    reference="exact sum",
)

COUNTS: tuple[CountMetric, ...] = (
    PNL,
    COVERAGE,
    _count("missing", "due outcomes that are missing", "missing", "due", Better.LOWER),
    _count("violations_hard", "hard constraint violations", "hard_violations", "violations_n", Better.LOWER),
    _count("violations_soft", "soft constraint violations", "soft_violations", "violations_n", Better.LOWER),
    _count("hit_ties", "decisions whose outcome was a tie, left out of the hit rate", "hit_ties", "hit_outcomes"),
    _count("log_loss_clips", "event forecasts clipped at 1e-15", "clip_n", "forecast_n", Better.LOWER),
    _count("log_loss_multi_clips", "class forecasts clipped at 1e-15", "class_clip_n", "class_n", Better.LOWER),
)

RATES: tuple[RatioMetric, ...] = (
    _rate("hit_rate_decision", "hits / (hits + misses)", "hits", "hit_eligible", Unit.SHARE, Better.HIGHER),
    _rate(
        "violations_hard_per_1000",
        "hard violations",
        "hard_violations",
        "violations_n",
        Unit.PER_THOUSAND,
        Better.LOWER,
    ),
    _rate(
        "violations_soft_per_1000",
        "soft violations",
        "soft_violations",
        "violations_n",
        Unit.PER_THOUSAND,
        Better.LOWER,
    ),
    _rate(
        "turnover", "summed turnover per market and date with decisions", "turnover", "books", Unit.RATIO, Better.LOWER
    ),
    _rate("cost", "summed cost per market and date with decisions", "cost", "books", Unit.RETURN, Better.LOWER),
    _rate(
        "gross_weight",
        "summed weight per market and date with decisions",
        "weight_due",
        "books",
        Unit.RATIO,
        Better.NEITHER,
    ),
)

BOOKKEEPING: tuple[Metric, ...] = (DECISIONS, *COUNTS, *RATES)
