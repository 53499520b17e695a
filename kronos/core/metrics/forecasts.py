"""Scores of probability forecasts: means over forecasts, unweighted, with intervals clustered by date."""

from __future__ import annotations

from kronos.core.metrics.metric import Better, CalibrationMetric, Metric, RatioMetric, Unit
from kronos.core.vocabulary import Undefined


def _score(
    metric_id: str, meaning: str, numerator: str, denominator: str, reference: str, ceiling: float = float("inf")
) -> RatioMetric:
    return RatioMetric(
        id=metric_id,
        meaning=meaning,
        unit=Unit.SCORE,
        better=Better.LOWER,
        reference=reference,
        numerator=numerator,
        denominator=denominator,
        absent=Undefined.NO_FORECASTS,
        floor=0.0,
        ceiling=ceiling,
    )


_BRIER = "Brier (1950), Monthly Weather Review 78"
_CORP = "Dimitriadis, Gneiting & Jordan (2021), PNAS 118"

SCORES: tuple[RatioMetric, ...] = (
    _score("brier", "mean (p - y)^2 of event forecasts, in [0, 1]", "brier_sum", "forecast_n", _BRIER, 1.0),
    _score(
        "log_loss", "mean -[y log p + (1-y) log(1-p)], p clipped at 1e-15", "log_loss_sum", "forecast_n", "Good (1952)"
    ),
    _score(
        "brier_multi",
        "mean over forecasts of sum over classes (p - y)^2, in [0, 2]",
        "class_brier_sum",
        "class_n",
        _BRIER,
        2.0,
    ),
    _score(
        "log_loss_multi",
        "mean -log p(realised class), clipped at 1e-15",
        "class_log_loss_sum",
        "class_n",
        "Good (1952)",
    ),
    _score(
        "rps",
        "mean ranked probability score / (K-1) of ordered classes, in [0, 1]",
        "rps_sum",
        "rps_n",
        "Epstein (1969)",
        1.0,
    ),
)

MEAN_LOSS = RatioMetric(
    id="mean_loss",
    meaning="mean loss reported by engines that forecast and earn nothing",
    unit=Unit.SCORE,
    better=Better.LOWER,
    reference="arithmetic mean",
    numerator="loss_sum",
    denominator="loss_n",
)


def _part(metric_id: str, meaning: str, targets: str, part: str, better: Better, reference: str) -> CalibrationMetric:
    return CalibrationMetric(
        id=metric_id,
        meaning=meaning,
        unit=Unit.SCORE,
        better=better,
        reference=reference,
        targets=targets,
        part=part,
    )


def _decomposition(prefix: str, targets: str) -> tuple[CalibrationMetric, ...]:
    return (
        _part(
            f"{prefix}_miscalibration", "what recalibration would gain", targets, "miscalibration", Better.LOWER, _CORP
        ),
        _part(
            f"{prefix}_discrimination",
            "what telling cases apart gains",
            targets,
            "discrimination",
            Better.HIGHER,
            _CORP,
        ),
        _part(
            f"{prefix}_uncertainty",
            "score of always forecasting the base rate",
            targets,
            "uncertainty",
            Better.NEITHER,
            _CORP,
        ),
    )


CALIBRATION: tuple[CalibrationMetric, ...] = (
    *_decomposition("brier", "event"),
    *_decomposition("brier_multi", "class:"),
    _part(
        "ece", "mean gap of forecast and frequency over ten bins", "event", "ece", Better.LOWER, "Naeini et al. (2015)"
    ),
)

FORECASTS: tuple[Metric, ...] = (*SCORES, MEAN_LOSS, *CALIBRATION)
