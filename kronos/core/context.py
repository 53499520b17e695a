"""Point-in-time labels: what was known about region and entity when a decision was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from kronos.core.frames import Contexts
from kronos.core.policy import ObservationPolicy
from kronos.core.vocabulary import UNKNOWN, Bucket

_Ints = npt.NDArray[np.int64]
_Key = Mapping[str, pl.Expr]

_DAY_BITS: Final = 1 << 32
_NEVER: Final = np.iinfo(np.int64).max
_ALWAYS: Final = np.iinfo(np.int64).min

_REGION: Final[_Key] = {"region": pl.col("region")}
_ENTITY: Final[_Key] = {"entity_type": pl.col("entity_type"), "entity_id": pl.col("entity_id")}
_PORTFOLIO: Final[_Key] = {"entity_type": pl.lit("PORTFOLIO"), "entity_id": pl.col("portfolio_id")}
_MARKET: Final[_Key] = {"entity_type": pl.lit("MARKET"), "entity_id": pl.col("market_id")}
_ENTITY_CHAIN: Final = (_ENTITY, _PORTFOLIO, _MARKET)
"""Of the decision's entity, else of its portfolio, else of its market."""


def label_decisions(
    decisions: pl.DataFrame, contexts: Contexts, policy: ObservationPolicy, *, recorded: bool
) -> pl.DataFrame:
    """Add region, regime, stability_bucket, fragility_bucket and soft_target_class to decisions.

    Each label comes from the context row with the greatest as_of_date not after the decision's and, when
    `recorded`, recorded not after decided_at; of several rows for one date the latest recorded that qualifies.
    A label nothing was known about is UNKNOWN, never null. Row order is kept; the empty frame stays empty.
    """
    regions = {market: policy.market(market).region for market in decisions["market_id"].unique().to_list()}
    df = decisions.with_columns(region=_mapped("market_id", regions))
    regime = _latest(df, contexts.regimes, [_REGION], "regime", recorded=recorded)
    stability = _latest(df, contexts.stability, _ENTITY_CHAIN, "stability_score", recorded=recorded)
    fragility = _latest(df, contexts.fragility, _ENTITY_CHAIN, "fragility_score", recorded=recorded)
    target = _latest(df, contexts.soft_targets, _ENTITY_CHAIN, "soft_target_class", recorded=recorded)
    return df.with_columns(
        regime.fill_null(UNKNOWN).alias("regime"),
        _buckets(stability, policy.stability_cuts).alias("stability_bucket"),
        _buckets(fragility, policy.fragility_cuts).alias("fragility_bucket"),
        target.fill_null(UNKNOWN).alias("soft_target_class"),
    )


def bucket(score: pl.Expr, cuts: tuple[float, float, float]) -> pl.Expr:
    """Bucket of a score in [0, 1], left-closed at the cuts; null is UNKNOWN."""
    low, middle, high = cuts
    return (
        pl.when(score < low)
        .then(pl.lit(Bucket.VERY_LOW.value))
        .when(score < middle)
        .then(pl.lit(Bucket.LOW.value))
        .when(score < high)
        .then(pl.lit(Bucket.MEDIUM.value))
        .when(score.is_not_null())
        .then(pl.lit(Bucket.HIGH.value))
        .otherwise(pl.lit(UNKNOWN))
    )


def _buckets(scores: pl.Series, cuts: tuple[float, float, float]) -> pl.Series:
    return pl.select(bucket(pl.lit(scores), cuts)).to_series()


def _mapped(column: str, mapping: Mapping[str, str]) -> pl.Expr:
    return pl.col(column).replace_strict(list(mapping), list(mapping.values()), return_dtype=pl.String)


def _latest(
    decisions: pl.DataFrame, context: pl.DataFrame, keys: Sequence[_Key], value: str, *, recorded: bool
) -> pl.Series:
    """The value known for the first of `keys` about which any row was known; null where there is none."""
    found = np.full(decisions.height, -1, dtype=np.int64)
    rows = _ordered(context, list(keys[0]))
    for key in keys:
        if rows.is_empty():
            break
        missing = np.flatnonzero(found < 0)
        found[missing] = _last_known(decisions[missing], rows, key, recorded=recorded)
    index = pl.Series(found)
    return rows[value].gather(index.set(index < 0, None)) if rows.height else _nulls(rows[value], decisions.height)


def _nulls(like: pl.Series, length: int) -> pl.Series:
    return pl.Series(like.name, [None] * length, dtype=like.dtype)


def _ordered(context: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Rows by key, date and recording; equal keys keep the source's order, so the last one said wins."""
    return context.drop_nulls([*key, "as_of_date"]).sort(*key, "as_of_date", "recorded_at", maintain_order=True)


def _last_known(decisions: pl.DataFrame, rows: pl.DataFrame, key: _Key, *, recorded: bool) -> _Ints:
    """Index into `rows` of the last row of the decision's key that was known to it, -1 where there is none."""
    names = list(key)
    ids = rows.select(names).unique().sort(names).with_row_index("key_id")
    wanted = decisions.select("as_of_date", "decided_at", **key).join(ids, on=names, how="left", maintain_order="left")
    row_keys = rows.select(names).join(ids, on=names, how="left", maintain_order="left")["key_id"]
    row_codes = _code(row_keys, rows["as_of_date"])
    key_ids = wanted["key_id"].cast(pl.Int64).fill_null(-1)
    last = np.searchsorted(row_codes, _code(key_ids, wanted["as_of_date"]), side="right").astype(np.int64) - 1
    if recorded:
        last = _descend(_instants(rows["recorded_at"], _ALWAYS), last, _instants(wanted["decided_at"], _NEVER))
    same_key = (last >= 0) & (row_codes[last] // _DAY_BITS == key_ids.to_numpy())
    return np.where(same_key, last, -1)


def _code(key_ids: pl.Series, dates: pl.Series) -> _Ints:
    """One sortable integer per (key, date)."""
    days = dates.to_physical().cast(pl.Int64) + (_DAY_BITS >> 1)
    return (key_ids.cast(pl.Int64) * _DAY_BITS + days).to_numpy()


def _instants(series: pl.Series, missing: int) -> _Ints:
    """Microseconds; an unknown recording time hides nothing, an unknown decision time knows everything."""
    return series.to_physical().fill_null(missing).to_numpy()


def _descend(recorded: _Ints, last: _Ints, decided: _Ints) -> _Ints:
    """For each query the greatest i <= last with recorded[i] <= decided, -1 where there is none.

    Binary descent over the minima of windows of 2^k rows: n log n to build, log n per query, whatever the
    number of rows that were recorded too late. Windows may reach into the previous key; the caller checks.
    """
    minima = [recorded]
    while (width := 1 << len(minima) - 1) < len(recorded):
        below = np.concatenate([np.full(width, _NEVER), minima[-1][:-width]])
        minima.append(np.minimum(minima[-1], below))
    position = last.copy()
    for level in reversed(range(len(minima))):
        inside = position >= 0
        skip = inside & (minima[level][np.where(inside, position, 0)] > decided)
        position = np.where(skip, np.maximum(position - (1 << level), -1), position)
    return position
