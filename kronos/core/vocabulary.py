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


class JobStatus(StrEnum):
    """Status of an upstream job (job_executions.status)."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


class TrialFamily(StrEnum):
    """Whose search a trial belongs to. Controls are sealed off: they never add to the trials of the real search."""

    REAL = "REAL"
    CONTROL = "CONTROL"


class TrialSource(StrEnum):
    """How the ledger first heard of a trial."""

    REGISTERED = "REGISTERED"
    OBSERVED = "OBSERVED"  # decisions of a config that nobody registered here
    EXPERIMENT = "EXPERIMENT"
    PROPOSAL = "PROPOSAL"
    MINED_SLICE = "MINED_SLICE"
    NEIGHBOUR = "NEIGHBOUR"  # seen beside one of its kind that was then proposed


class ExperimentStatus(StrEnum):
    """Where an experiment stands; the database holds the edges (sql/migrations/0011)."""

    PENDING = "PENDING"
    QUEUED_FOR_BACKTEST = "QUEUED_FOR_BACKTEST"
    RUNNING_BACKTESTS = "RUNNING_BACKTESTS"
    AWAITING_REVIEW = "AWAITING_REVIEW"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


class ProposalStatus(StrEnum):
    """What became of a proposed config."""

    PENDING_REVIEW = "PENDING_REVIEW"
    CONVERTED_TO_EXPERIMENT = "CONVERTED_TO_EXPERIMENT"
    DISCARDED = "DISCARDED"


class ResourceClass(StrEnum):
    """What an experiment's backtests mostly use."""

    CPU_HEAVY = "CPU_HEAVY"
    GPU_HEAVY = "GPU_HEAVY"
    MIXED = "MIXED"


class ExpectedOutcome(StrEnum):
    """What an experiment is for; the right answer of a control is known beforehand."""

    BASELINE = "BASELINE"
    CANDIDATE = "CANDIDATE"
    NEGATIVE_CONTROL = "NEGATIVE_CONTROL"
    POSITIVE_CONTROL = "POSITIVE_CONTROL"


class EvidenceLabel(StrEnum):
    """How evidence came about: Kronos tested by itself, a person asked for it, or it is a control."""

    AUTO_PRESCREEN = "AUTO_PRESCREEN"
    HUMAN_TRIGGERED = "HUMAN_TRIGGERED"
    CONTROL = "CONTROL"


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
