"""One text per month that changes whenever reading the month again would give something else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import polars as pl

from kronos.core.conventions import EARLIEST_DATE

_ENTITY = ("kind", "entity_type", "entity_id")


def month_fingerprints(
    decisions: pl.DataFrame, outcomes: pl.DataFrame, contexts: Sequence[pl.DataFrame], today: date
) -> pl.DataFrame:
    """Month (YYYY-MM, up to today's) and fingerprint, rising; from states per day, and per month for contexts."""
    dated = decisions.filter(pl.col("as_of_date").is_between(EARLIEST_DATE, pl.lit(today).dt.month_end()))
    months = dated.select(month=pl.col("as_of_date").dt.month_start()).unique()
    if months.is_empty():
        return pl.DataFrame(schema={"month": pl.String, "fingerprint": pl.String})
    parts = [_by_month(decisions, "decisions"), _by_month(outcomes, "outcomes"), _reaching(contexts, months)]
    for part in parts:
        months = months.join(part, on="month", how="left")
    texts = pl.concat_str(pl.exclude("month").fill_null("-"), separator=" ")
    return months.sort("month").select(pl.col("month").dt.strftime("%Y-%m"), fingerprint=texts)


def _by_month(states: pl.DataFrame, count: str) -> pl.DataFrame:
    dated = states.with_columns(month=pl.col("as_of_date").dt.month_start())
    return dated.group_by("month").agg(_sums(count, "past", "state").alias(count))


def _reaching(contexts: Sequence[pl.DataFrame], months: pl.DataFrame) -> pl.DataFrame:
    """An entity's rows of one month matter there, and as the last known ones up to its next month with rows."""
    states = pl.concat(df.with_columns(kind=pl.lit(i)) for i, df in enumerate(contexts))
    first, last = months["month"].min(), months["month"].max()
    following = pl.col("month").shift(-1).over(_ENTITY, order_by="month")
    until = pl.min_horizontal(following.fill_null(last), pl.lit(last))
    spans = states.with_columns(since=pl.max_horizontal("month", pl.lit(first)), until=until)
    reached = spans.filter(pl.col("since") <= pl.col("until")).with_columns(
        month=pl.date_ranges("since", "until", interval="1mo")
    )
    return reached.explode("month").group_by("month").agg(_sums("past", "state").alias("contexts"))


def _sums(*columns: str) -> pl.Expr:
    """Exact sums, whatever the order, as one text."""
    return pl.concat_str([pl.col(column).cast(pl.Int128).sum().cast(pl.String) for column in columns], separator=".")
