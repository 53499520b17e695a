"""Market prices that ship inside installed packages: located, read, never imported.

Prices are daily closes adjusted for splits and dividends. WTI has 290 days without a quotation: those on exchange
holidays are dropped, those on sessions repeat the last quotation (a return of exactly zero).
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from typing import TypeAlias

import exchange_calendars
import numpy as np
import numpy.typing as npt
import polars as pl

from kronos.core.policy import ObservationPolicy
from kronos.errors import KronosError
from kronos.settings import SANDBOX_END

Floats: TypeAlias = npt.NDArray[np.float64]
Indexes: TypeAlias = npt.NDArray[np.int64]
Instants: TypeAlias = npt.NDArray[np.datetime64]

PRICES_START = date(1986, 1, 1)
"""WTI reaches further back than the sandbox itself: four years of its past warm the signals up."""

SURVIVORSHIP_NOTE = (
    "Sandbox data: the 20 stocks are companies that survived until 2022, so every absolute return on them is too "
    "good to be true. Compare configs with each other, never with the outside world."
)


class SandboxDataMissing(KronosError):
    """The packages whose bundled prices the sandbox reads are not installed."""


@dataclass(frozen=True)
class Limits:
    """Risk limits of a book in one market, as shares of its capital."""

    soft_weight: float
    hard_weight: float
    soft_gross: float = 1.05
    hard_gross: float = 1.5


@dataclass(frozen=True)
class Market:
    """One market's closes: sessions rise, prices are (session, instrument), none is missing."""

    market_id: str
    instruments: tuple[str, ...]
    sessions: Instants
    closes_at: Instants
    prices: Floats
    benchmark: Floats
    cost_rate: float
    """Cost of trading one unit of the book one way."""
    limits: Limits

    @cached_property
    def running_squares(self) -> Floats:
        """`running_squares` of the prices: all configs that are run over a market share it."""
        return running_squares(self.prices)

    def until(self, last: date) -> Market:
        """The market as it was known after the close of `last`."""
        n = int(np.searchsorted(self.sessions, np.datetime64(last), side="right"))
        return replace(
            self,
            sessions=self.sessions[:n],
            closes_at=self.closes_at[:n],
            prices=self.prices[:n],
            benchmark=self.benchmark[:n],
        )

    def rows_between(self, start: date, end: date) -> Indexes:
        """Positions of the sessions within [start, end]."""
        low = np.searchsorted(self.sessions, np.datetime64(start), side="left")
        high = np.searchsorted(self.sessions, np.datetime64(end), side="right")
        return np.arange(low, high, dtype=np.int64)


@cache
def load_markets() -> dict[str, Market]:
    """Every sandbox market with its whole price history, by market id."""
    stocks, index = _skfolio("sp500_dataset"), _skfolio("sp500_index").rename({"SP500": "benchmark"})
    nasdaq = _arch("nasdaq").select("Date", pl.col("Adj Close").alias("NASDAQ"))
    crude = _arch("wti").rename({"DCOILWTICO": "WTI"})
    return {
        "US_EQ": _market("US_EQ", stocks, index, 0.0005, Limits(0.20, 0.30)),
        "US_ETF": _market("US_ETF", _skfolio("factors_dataset"), index, 0.0003, Limits(0.45, 0.60)),
        "US_IDX": _market("US_IDX", nasdaq, None, 0.0002, Limits(1.05, 1.5)),
        "US_FUT": _market("US_FUT", crude, None, 0.0004, Limits(1.05, 1.5)),
    }


@cache
def sandbox_sessions() -> tuple[date, ...]:
    """The sandbox's own days: every session of its longest market, in order."""
    return tuple(load_markets()["US_EQ"].sessions.astype("datetime64[D]").tolist())


def running_squares(prices: Floats) -> Floats:
    """Sum of all squared returns up to each row."""
    total: Floats = np.empty_like(prices)
    total[:1], moved = 0.0, total[1:]
    np.divide(prices[1:], prices[:-1], out=moved)
    moved -= 1.0
    moved *= moved
    # a running sum waits for each addition: two columns taken as one complex number wait together, for the same bytes
    paired = total.view(np.complex128) if total.ndim == 2 and total.shape[-1] % 2 == 0 else total
    np.cumsum(paired, axis=0, out=paired)
    return total


def instants(values: Instants) -> pl.Series:
    """Naive UTC instants as a column of the contract's instant type."""
    return pl.Series(values).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _market(market_id: str, prices: pl.DataFrame, index: pl.DataFrame | None, cost: float, limits: Limits) -> Market:
    instruments = tuple(column for column in prices.columns if column != "Date")
    calendar = _calendar(market_id).filter(pl.col("Date").is_between(prices["Date"].min(), prices["Date"].max()))
    quoted = calendar.join(prices, on="Date", how="left").with_columns(pl.col(instruments).forward_fill())
    matrix = quoted.select(instruments).to_numpy().astype(np.float64)
    follows = quoted.join(index, on="Date", how="left")["benchmark"].to_numpy() if index is not None else matrix[:, 0]
    return Market(
        market_id=market_id,
        instruments=instruments,
        sessions=quoted["Date"].to_numpy().astype("datetime64[D]"),
        closes_at=quoted["closes_at"].to_numpy().astype("datetime64[us]"),
        prices=np.ascontiguousarray(matrix),
        benchmark=np.ascontiguousarray(follows, dtype=np.float64),
        cost_rate=cost,
        limits=limits,
    )


@cache
def _calendar(market_id: str) -> pl.DataFrame:
    name = ObservationPolicy().market(market_id).calendar
    calendar = exchange_calendars.get_calendar(name, start=PRICES_START, end=SANDBOX_END)
    closes = calendar.closes.dt.tz_convert(None).to_numpy().astype("datetime64[us]")
    return pl.DataFrame({"Date": calendar.sessions.to_numpy().astype("datetime64[D]"), "closes_at": closes})


def _skfolio(name: str) -> pl.DataFrame:
    return pl.read_csv(bundled_package("skfolio") / "datasets" / "data" / f"{name}.csv.gz", try_parse_dates=True)


def _arch(name: str) -> pl.DataFrame:
    df = pl.read_csv(
        bundled_package("arch") / "data" / name / f"{name}.csv.gz", null_values=".", infer_schema_length=None
    )
    return df.with_columns(pl.col("Date").str.to_date("%m/%d/%Y"))


def bundled_package(name: str) -> Path:
    """Folder of an installed package, found without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise SandboxDataMissing(
            f"the sandbox reads prices bundled with {name!r}, which is not installed: install the `sandbox` extra"
        )
    return Path(spec.origin).parent
