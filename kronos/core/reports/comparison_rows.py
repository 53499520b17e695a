"""A comparison as rows of the contract `COMPARISON_ROWS`, and what rows that were stored must not be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from kronos.core.frames import COMPARISON_ROWS
from kronos.core.quality import Finding
from kronos.core.reports.comparison_model import (
    OVERALL_SLICE,
    Cell,
    ConfigClass,
    ConfigComparison,
    DeflatedSharpe,
    Doubt,
    Verdict,
)
from kronos.core.scheduling.periods import Period

_CELL = ("n", "coverage", "value", "incumbent_value", "difference", "standard_error", "low", "high", "p_value")
_JUDGED = ("confidence_p", "minimum_detectable", "eligible")
_CONFIG = ["period", "engine_name", "config_id"]


def comparison_rows(found: ConfigComparison, period: Period, label: str) -> pl.DataFrame:
    """One row per config and slice, in the order of the comparison; every config has a row `overall`."""
    rows = [
        _common(found, period, label) | _judged(verdict, found) | one
        for verdict in found.verdicts
        for one in _slices(verdict, found)
    ]
    return pl.DataFrame(rows, schema=COMPARISON_ROWS)


def unsound_comparisons(rows: pl.LazyFrame) -> Finding:
    """Configs with a row twice, several classes, no overall row, or neither or both of difference and reason."""
    whole = pl.col("slice") == OVERALL_SLICE
    compared = pl.col("class") != ConfigClass.INCUMBENT
    flaws = {
        "row twice": pl.col("slice").is_duplicated().any(),
        "several classes": pl.col("class").n_unique() != 1,
        "unknown class": ~pl.col("class").is_in([one.value for one in ConfigClass]).all(),
        "no overall row": whole.sum() != 1,
        "neither difference nor reason": (
            compared & (pl.col("difference").is_null() == pl.col("undefined").is_null())
        ).any(),
        "undecided without a reason": ((pl.col("class") == ConfigClass.UNDECIDED) & pl.col("reason").is_null()).any(),
    }
    by_config = (
        rows.group_by(_CONFIG)
        .agg(
            pl.concat_list(pl.when(flaw).then(pl.lit(name)) for name, flaw in flaws.items())
            .explode()
            .drop_nulls()
            .alias("flaws")
        )
        .collect()
    )
    return Finding(by_config.height, by_config.filter(pl.col("flaws").list.len() > 0).sort(_CONFIG))


def unjudged_configs(rows: pl.LazyFrame, decided: pl.DataFrame) -> Finding:
    """Configs that had decided by a month's end and have no class in it, or have one and had not.

    decided: period, engine_name, config_id. Also months in which an engine has not exactly one incumbent, unless no
    activation is known.
    """
    judged = rows.group_by(_CONFIG).agg(pl.col("class").first(), pl.col("incumbent").first()).collect()
    missing = decided.join(judged, on=_CONFIG, how="anti").select(*_CONFIG, flaw=pl.lit("decided, and has no class"))
    ghosts = judged.filter(pl.col("config_id") != pl.col("incumbent").fill_null("")).join(
        decided, on=_CONFIG, how="anti"
    )
    heads = judged.group_by(_CONFIG[:2]).agg(
        incumbents=(pl.col("class") == ConfigClass.INCUMBENT).sum(),
        known=pl.col("incumbent").is_not_null().any(),
        config_id=pl.col("incumbent").first(),
    )
    broken = [
        missing,
        ghosts.select(*_CONFIG, flaw=pl.lit("has a class, and never decided")),
        heads.filter(pl.col("incumbents") != pl.col("known").cast(pl.UInt32)).select(
            *_CONFIG, flaw=pl.lit("not one incumbent")
        ),
    ]
    return Finding(decided.height, pl.concat(broken).sort(_CONFIG))


def _common(found: ConfigComparison, period: Period, label: str) -> dict[str, Any]:
    return {
        "month": period.start.isoformat()[:7],
        "period": period.key,
        "period_start": found.period_start,
        "period_end": found.period_end,
        "engine_name": found.engine_name,
        "mode": found.mode,
        "horizon": found.horizon,
        "incumbent": found.incumbent,
        "metric": found.metric,
        "trials": found.trials.total if found.trials else None,
        "independent_trials": found.trials.independent if found.trials else None,
        "notes": "; ".join(found.notes),
        "label": label,
        "as_of": found.as_of,
    }


def _judged(verdict: Verdict, found: ConfigComparison) -> dict[str, Any]:
    own = {one.config_id: one for one in found.deflated}.get(verdict.config_id)
    return {
        "config_id": verdict.config_id,
        "class": verdict.label.value,
        "reason": verdict.reason.value if verdict.reason else None,
        "detail": verdict.detail,
        "niches": ", ".join(verdict.niches),
    } | _deflated(own or DeflatedSharpe(verdict.config_id, 0, reason=Doubt.NO_RECORD))


def _deflated(own: DeflatedSharpe) -> dict[str, Any]:
    reason = own.reason.value if own.reason else None
    return {"sharpe": own.sharpe, "psr": own.psr, "dsr": own.dsr, "dsr_undefined": reason}


def _slices(verdict: Verdict, found: ConfigComparison) -> Iterator[dict[str, Any]]:
    """The cells of a config; the incumbent, and who was compared with nobody, has an empty overall one."""
    cells = [cell for cell in found.cells if cell.config_id == verdict.config_id]
    for cell in cells or [Cell(verdict.config_id, OVERALL_SLICE, 0, reason=verdict.reason)]:
        numbers = {name: getattr(cell, name) for name in (*_CELL, *_JUDGED)}
        yield numbers | {"slice": cell.slice, "undefined": cell.reason.value if cell.reason else None}
