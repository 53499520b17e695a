"""The five reference engines behind one door: any config body, any market, any dates, no database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import polars as pl
from pydantic import ValidationError

from kronos.core.frames import OUTCOMES, Schema
from kronos.core.vocabulary import Mode
from kronos.errors import BadValue, NotFound
from kronos.sandbox.engines import assessment, portfolio, regime, stability, universe
from kronos.sandbox.engines.contract import SANDBOX_DECISIONS, Engine, EngineConfig
from kronos.sandbox.ids import identifiers
from kronos.sandbox.markets import Indexes, Market, instants
from kronos.sandbox.paths import PricePath

ENGINES: Final[dict[str, Engine]] = {
    module.ENGINE.name: module.ENGINE for module in (regime, stability, assessment, universe, portfolio)
}

HORIZONS: Final = (1, 5, 21)
DECIDED_AFTER_CLOSE = timedelta(minutes=30)
RECORDED_AFTER_CLOSE = timedelta(minutes=20)


def engine(name: str) -> Engine:
    """The reference engine of that name."""
    if name not in ENGINES:
        raise NotFound("sandbox engine", name, sorted(ENGINES))
    return ENGINES[name]


def parse_config(engine_name: str, config_body: Mapping[str, Any]) -> EngineConfig:
    """The body as parameters of that engine; a wrong key or value is a `BadValue` naming it."""
    schema = engine(engine_name).schema
    try:
        return schema.model_validate(dict(config_body))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join([engine_name, *(str(part) for part in first["loc"])])
        raise BadValue(name, first["input"], first["msg"]) from error


def decide(
    engine_name: str,
    config_body: Mapping[str, Any],
    market: Market,
    start: date,
    end: date,
    *,
    config_id: str = "",
    mode: Mode = Mode.LIVE,
    experiment_id: str = "",
    seed: int = 0,
) -> pl.DataFrame:
    """Decisions of one config in one market for the sessions in [start, end], each from prices up to its own close.

    Returns SANDBOX_DECISIONS rows in session order; none where the signal is not warm yet or the market has fewer
    instruments than the engine needs. The same arguments give the same bytes, whatever later prices say.
    """
    chosen = engine(engine_name)
    config = parse_config(engine_name, config_body)
    rows = market.rows_between(start, end)
    if len(market.instruments) < chosen.min_instruments or not len(rows):
        return pl.DataFrame(schema=SANDBOX_DECISIONS)
    columns = chosen.decide(config, market, rows, seed)
    keys = {"engine_name": engine_name, "config_id": config_id, "mode": str(mode), "experiment_id": experiment_id}
    return _framed(chosen, market, columns, keys, seed)


def evaluate(decisions: pl.DataFrame, market: Market, horizons: Iterable[int] = HORIZONS) -> pl.DataFrame:
    """Outcomes of one market's decisions at each horizon the market's prices already reach.

    Takes SANDBOX_DECISIONS rows, returns OUTCOMES rows by engine, horizon and decision. Entry is the close of the
    decision's session, evaluation the close `horizon` sessions later; each is recorded 20 minutes after that close.
    """
    parts = [
        _evaluated(of_engine, market, horizon)
        for of_engine in decisions.partition_by("engine_name", maintain_order=True)
        for horizon in horizons
    ]
    return pl.concat([pl.DataFrame(schema=OUTCOMES), *parts])


def _evaluated(decisions: pl.DataFrame, market: Market, horizon: int) -> pl.DataFrame:
    rows = np.searchsorted(market.sessions, decisions["as_of_date"].to_numpy())
    reached = rows + horizon < len(market.sessions)
    decisions, rows = decisions.filter(pl.Series(reached)), rows[reached]
    if not len(rows):
        return pl.DataFrame(schema=OUTCOMES)
    values = engine(decisions["engine_name"][0]).evaluate(decisions, PricePath(market, rows, horizon))
    return _outcome_frame(decisions["decision_id"], market, rows + horizon, horizon, values)


def _outcome_frame(
    ids: pl.Series, market: Market, evaluated: Indexes, horizon: int, values: dict[str, Any]
) -> pl.DataFrame:
    recorded = market.closes_at[evaluated] + np.timedelta64(RECORDED_AFTER_CLOSE)
    df = pl.DataFrame({"decision_id": ids, "eval_date": market.sessions[evaluated], "recorded_at": instants(recorded)})
    df = df.with_columns(pl.lit(horizon).alias("horizon"), pl.lit(True).alias("valid"))
    df = df.with_columns(pl.Series(name, column) for name, column in values.items())
    return _completed(df, OUTCOMES)


def _completed(df: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    absent = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in schema.items() if name not in df.columns]
    return df.with_columns(absent).select(pl.col(name).cast(dtype) for name, dtype in schema.items())


def _framed(chosen: Engine, market: Market, columns: dict[str, Any], keys: dict[str, str], seed: int) -> pl.DataFrame:
    session = columns.pop("session")
    entity = _entities(chosen, market, columns, len(session))
    decided_at = market.closes_at[session] + np.timedelta64(DECIDED_AFTER_CLOSE)
    df = pl.DataFrame(
        {
            "as_of_date": market.sessions[session],
            "decided_at": instants(decided_at),
            "entity_id": entity,
            **{name: _column(name, values) for name, values in columns.items()},
        }
    )
    constants = {**keys, "market_id": market.market_id, "entity_type": chosen.entity_type}
    df = df.with_columns(pl.lit(value).alias(name) for name, value in constants.items())
    if chosen.name == "PORTFOLIO":
        df = df.with_columns(pl.concat_str("market_id", pl.lit(":"), "config_id").alias("portfolio_id"))
    df = df.with_columns(_ids(df, seed))
    return _completed(df, SANDBOX_DECISIONS)


def _column(name: str, values: Any) -> pl.Series:
    dtype = SANDBOX_DECISIONS[name]
    if isinstance(values, np.ndarray) and values.ndim == 2:
        return pl.Series(name, values).arr.to_list()
    return pl.Series(name, values).cast(dtype) if len(values) else pl.Series(name, [], dtype=dtype)


def _entities(chosen: Engine, market: Market, columns: dict[str, Any], count: int) -> pl.Series:
    instrument = columns.pop("instrument", None)
    if instrument is not None:
        return pl.Series(market.instruments, dtype=pl.String).gather(pl.Series(instrument, dtype=pl.UInt32))
    name = market.market_id if chosen.entity_type == "MARKET" else f"{market.market_id}:basket"
    return pl.Series([name], dtype=pl.String).gather(pl.zeros(count, dtype=pl.UInt32, eager=True))


def _ids(df: pl.DataFrame, seed: int) -> pl.Series:
    parts = ["engine_name", "config_id", "market_id", "entity_id", "mode", "experiment_id"]
    keys = df.select(pl.concat_str([*parts, pl.col("as_of_date").dt.to_string(), pl.lit(str(seed))], separator="|"))
    return identifiers(keys.to_series(), df["as_of_date"]).alias("decision_id")
