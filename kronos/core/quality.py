"""Integrity of facts, cells and reports: each rule looks at frames and answers with what breaks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from kronos.core.context import bucket
from kronos.core.conventions import RECOMPUTATION_TOLERANCE
from kronos.core.fixed_point import from_fixed, to_fixed
from kronos.core.frames import CELL_KEYS, CELL_MEASURES, Contexts
from kronos.core.policy import ObservationPolicy
from kronos.core.vocabulary import UNKNOWN, Cube, Dimension, Mode

DRIFT_MONTHS: Final = 12
DRIFT_MARGIN: Final = 0.05
DRIFT_ERRORS: Final = 3.0

_ADDITIVE: Final = ("pnl", "decisions")
"""Metrics whose slices add up to the book's in every dimension."""

_REPORT_ROW: Final = ["period", "window", "engine_name", "config_id", "mode", "horizon", "dimension", "slice", "metric"]


@dataclass(frozen=True)
class Finding:
    """What a rule saw: how much it looked at, and the rows that break it."""

    checked: int
    broken: pl.DataFrame

    @property
    def passed(self) -> bool:
        """Whether nothing breaks the rule."""
        return self.broken.is_empty()


def duplicates(lf: pl.LazyFrame, keys: Sequence[str]) -> Finding:
    """Keys that more than one row has."""
    counts = lf.group_by(keys).agg(rows=pl.len())
    broken = counts.filter(pl.col("rows") > 1).sort(keys)
    found, checked = pl.collect_all([broken, lf.select(pl.len())], engine="streaming")
    return Finding(checked.item(), found)


def unsupported_labels(
    facts: pl.DataFrame, contexts: Contexts, policy: ObservationPolicy, *, recorded: bool
) -> Finding:
    """Decisions with a label that no context row known when they were made supports.

    facts: FACT_KEYS columns. A row supports a label when it says it of the decision's region, entity, portfolio or
    market, is dated not after the decision's as_of_date and, when `recorded`, was not recorded after decided_at.
    """
    region = [(pl.lit("REGION"), pl.col("region"))]
    entities = [
        (pl.col("entity_type"), pl.col("entity_id")),
        (pl.lit("PORTFOLIO"), pl.col("portfolio_id")),
        (pl.lit("MARKET"), pl.col("market_id")),
    ]
    regimes = contexts.regimes.with_columns(entity_type=pl.lit("REGION"), entity_id="region", label="regime")
    stability = contexts.stability.with_columns(label=bucket(pl.col("stability_score"), policy.stability_cuts))
    fragility = contexts.fragility.with_columns(label=bucket(pl.col("fragility_score"), policy.fragility_cuts))
    targets = contexts.soft_targets.with_columns(label="soft_target_class")
    broken = [
        _unsupported(facts, "regime", region, regimes, recorded=recorded),
        _unsupported(facts, "stability_bucket", entities, stability, recorded=recorded),
        _unsupported(facts, "fragility_bucket", entities, fragility, recorded=recorded),
        _unsupported(facts, "soft_target_class", entities, targets, recorded=recorded),
    ]
    return Finding(facts.height, pl.concat(broken).sort("label_column", "decision_id"))


def _unsupported(
    facts: pl.DataFrame,
    column: str,
    subjects: Sequence[tuple[pl.Expr, pl.Expr]],
    context: pl.DataFrame,
    *,
    recorded: bool,
) -> pl.DataFrame:
    labelled = facts.lazy().filter(pl.col(column) != UNKNOWN)
    claims = labelled.select(
        "decision_id",
        "as_of_date",
        "decided_at",
        "entity_type",
        "entity_id",
        "portfolio_id",
        "market_id",
        "region",
        label=column,
    )
    rows = context.lazy().select("entity_type", "entity_id", "label", said_of="as_of_date", said_at="recorded_at")
    known = pl.col("said_of") <= pl.col("as_of_date")
    if recorded:
        # a row without a time was there before anyone noted times
        known &= (pl.col("said_at") <= pl.col("decided_at")).fill_null(value=True)
    supported = [
        claims.with_columns(entity_type=kind, entity_id=name)
        .join(rows, on=["entity_type", "entity_id", "label"])
        .filter(known)
        .select("decision_id")
        for kind, name in subjects
    ]
    broken = claims.join(pl.concat(supported).unique(), on="decision_id", how="anti")
    return broken.select(pl.lit(column).alias("label_column"), "decision_id", "as_of_date", "label").collect()


def uneven_cubes(cells: pl.LazyFrame) -> Finding:
    """Keys at which the slices of a cube do not add up to those of the regime cube, with the widest relative gap.

    Each cube cuts the same book: every measure agrees to RECOMPUTATION_TOLERANCE x max(1, |sum|).
    """
    keys = list(CELL_KEYS)
    sums = cells.group_by("cube", *keys).agg(_exact(name) for name in CELL_MEASURES).collect()
    book = sums.filter(pl.col("cube") == Cube.REGIME.value).drop("cube")
    broken = [
        _gaps(book, sums.filter(pl.col("cube") == cube.value).drop("cube"), keys).select(
            pl.lit(cube.value).alias("cube"), *keys, "gap"
        )
        for cube in Cube
        if cube is not Cube.REGIME
    ]
    return Finding(sums.height, pl.concat(broken).sort("cube", *keys))


def _gaps(book: pl.DataFrame, cut: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Keys whose measures differ by more than the tolerance; a key only one side has is compared with zeros."""
    both = book.join(cut, on=keys, how="full", coalesce=True, suffix="_cut", nulls_equal=True).fill_null(0.0)
    gap = pl.max_horizontal(_relative_gap(pl.col(name), pl.col(f"{name}_cut")) for name in CELL_MEASURES)
    return both.with_columns(gap=gap).filter(pl.col("gap") > RECOMPUTATION_TOLERANCE)


def _relative_gap(left: pl.Expr, right: pl.Expr) -> pl.Expr:
    return (left - right).abs() / pl.max_horizontal(left.abs(), right.abs(), 1.0)


def _exact(name: str) -> pl.Expr:
    if CELL_MEASURES[name] == pl.Float64:
        return _fixed(name).alias(name)
    return pl.col(name).sum().cast(pl.Float64)


def uneven_reports(rows: pl.LazyFrame) -> Finding:
    """Report slices whose P&L or decisions do not add up to the book's.

    rows: REPORT_ROWS. Only dimensions present together with their book are compared; a P&L withheld for its
    currencies is not.
    """
    keys = ["period", "window", "engine_name", "config_id", "mode", "horizon", "metric"]
    additive = rows.filter(pl.col("metric").is_in(_ADDITIVE) & pl.col("value").is_not_null())
    whole = additive.filter(pl.col("dimension") == Dimension.OVERALL.value).select(*keys, book="value")
    parts = additive.filter(pl.col("dimension") != Dimension.OVERALL.value)
    sums = parts.group_by(*keys, "dimension").agg(pl.col("value").sum(), size=pl.col("value").abs().sum())
    both = whole.join(sums, on=keys).collect()
    apart = (pl.col("book") - pl.col("value")).abs() > RECOMPUTATION_TOLERANCE * pl.max_horizontal("size", 1.0)
    broken = both.filter(apart).select(*keys, "dimension", "book", slices="value")
    return Finding(both.height, broken.sort(keys))


def unsound_rows(rows: pl.LazyFrame) -> Finding:
    """Report rows (REPORT_ROWS) that stand twice, or hold neither or both of number and reason."""
    counts = rows.group_by(_REPORT_ROW).agg(
        rows=pl.len(), unreasoned=(pl.col("value").is_null() == pl.col("undefined").is_null()).sum()
    )
    broken = counts.filter((pl.col("rows") > 1) | (pl.col("unreasoned") > 0)).sort(_REPORT_ROW)
    found, checked = pl.collect_all([broken, rows.select(pl.len())], engine="streaming")
    return Finding(checked.item(), found)


def late_markets(newest: pl.DataFrame, expected: pl.DataFrame) -> Finding:
    """Markets whose newest decision is older than the last session they owe.

    newest: market_id, newest (date). expected: market_id, session, the last session whose deadline has passed.
    """
    both = expected.join(newest, on="market_id", how="left")
    behind = pl.col("newest").is_null() | (pl.col("newest") < pl.col("session"))
    return Finding(expected.height, both.filter(behind).sort("market_id"))


def drifted_forecasts(calibration: pl.LazyFrame, policy: ObservationPolicy, newest: str) -> Finding:
    """Forecasts whose mean error in the DRIFT_MONTHS up to the newest month differs from the time before.

    calibration: CALIBRATION_CELLS. The error is mean(p) - mean(y) of LIVE forecasts at the engine's primary horizon. It
    has drifted when it changed by more than DRIFT_MARGIN and DRIFT_ERRORS standard errors. The errors of one month move
    together and count as one observation.
    """
    keys = ["engine_name", "config_id", "horizon", "target"]
    live = calibration.filter(pl.col("mode") == Mode.LIVE.value)
    sums = live.group_by(*keys, "month").agg(n=pl.col("n").sum(), error=_fixed("sum_p") - _fixed("sum_y"))
    monthly = sums.filter(pl.col("n") > 0).with_columns(error=pl.col("error") / pl.col("n")).collect()
    primary = pl.Series([policy.horizon_of(engine) for engine in monthly["engine_name"]], dtype=pl.Int32)
    recent = pl.col("month") > _months_before(newest, DRIFT_MONTHS)
    error = pl.col("error")
    sides = monthly.filter(monthly["horizon"] == primary).group_by(*keys, recent.alias("recent"))
    means = sides.agg(error.mean(), se=error.std() / pl.len().sqrt(), months=pl.len())
    now, before = means.filter(pl.col("recent")), means.filter(~pl.col("recent"))
    both = now.join(before, on=keys, suffix="_before").drop("recent", "recent_before")
    change = pl.col("error") - pl.col("error_before")
    noise = (pl.col("se") ** 2 + pl.col("se_before") ** 2).sqrt()
    drifted = (change.abs() > DRIFT_MARGIN) & (change.abs() > DRIFT_ERRORS * noise)
    return Finding(both.height, both.with_columns(change=change).filter(drifted).sort(keys))


def _months_before(month: str, count: int) -> str:
    year, number = divmod(int(month[:4]) * 12 + int(month[5:]) - 1 - count, 12)
    return f"{year:04d}-{number + 1:02d}"


def _fixed(name: str) -> pl.Expr:
    return from_fixed(to_fixed(pl.col(name)).sum())
