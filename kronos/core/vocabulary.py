"""Closed words of Kronos. Engine, config, market and regime names are data and never appear here."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """How a decision was made. Modes never pool."""

    LIVE = "LIVE"
    SHADOW = "SHADOW"
    BACKTEST = "BACKTEST"


class Bucket(StrEnum):
    """Quarter of a score in [0, 1], left-closed at the policy's cut points; UNKNOWN when no score was known."""

    VERY_LOW = "VERY_LOW"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    UNKNOWN = "UNKNOWN"


class Cube(StrEnum):
    """The marginal cubes held in the cells; each adds up to the same book."""

    REGIME = "regime"
    STABILITY = "stability"
    FRAGILITY = "fragility"


class Phase(StrEnum):
    """Phase of a regional engine run (engine_runs.phase)."""

    WAITING_FOR_DATA = "WAITING_FOR_DATA"
    DATA_READY = "DATA_READY"
    SIGNALS_DONE = "SIGNALS_DONE"
    UNIVERSES_DONE = "UNIVERSES_DONE"
    BOOKS_DONE = "BOOKS_DONE"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class Undefined(StrEnum):
    """Why a metric has no number."""

    NO_OBSERVATIONS = "NO_OBSERVATIONS"
    TOO_FEW_OBSERVATIONS = "TOO_FEW_OBSERVATIONS"
    ZERO_VARIANCE = "ZERO_VARIANCE"
    NO_DOWNSIDE = "NO_DOWNSIDE"
    ZERO_DRAWDOWN = "ZERO_DRAWDOWN"
    RUIN = "RUIN"
    NO_RETURNS = "NO_RETURNS"
    NO_FORECASTS = "NO_FORECASTS"
    NO_TRADES = "NO_TRADES"
    MIXED_CURRENCY = "MIXED_CURRENCY"
    OVERLAPPING_HORIZON = "OVERLAPPING_HORIZON"
    PATH_DEPENDENT = "PATH_DEPENDENT"
    CLASSES_NOT_ORDERED = "CLASSES_NOT_ORDERED"
    OUT_OF_RANGE = "OUT_OF_RANGE"  # the formula leaves the finite numbers
    EXACT = "EXACT"  # of an interval: the number is counted, not estimated
    NO_ANALYTIC_INTERVAL = "NO_ANALYTIC_INTERVAL"
    NOT_HELD_BY_SLICE = "NOT_HELD_BY_SLICE"  # the cells of this input are not cut by this dimension


class Dimension(StrEnum):
    """What a report is cut by; OVERALL has the one slice `ALL`."""

    OVERALL = "overall"
    REGIME = "regime"
    STABILITY = "stability"
    FRAGILITY = "fragility"
    MARKET = "market"
    REGIME_AND_MARKET = "regime_and_market"


ALL = "ALL"
"""The one slice of the overall dimension."""

POOLED = "*"
"""Config id of all configs pooled, and market id of all markets together."""

UNKNOWN = "UNKNOWN"
"""Slice of every label that was missing or not yet known when the decision was made."""
