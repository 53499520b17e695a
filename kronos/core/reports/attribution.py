"""Why a config lost money: a period's P&L and return cut into parts that add up, and its deepest drawdowns.

The book (its P&L, capital shares and wealth) comes from the cells, the parts from the decision facts behind them, so
that whatever the two do not agree on shows as a residual. A date's contributions are scaled by the wealth before it,
which makes compounded returns additive: sum over t of W(t-1) g(t) = W(T) - W(0), exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import polars as pl

from kronos.core.fixed_point import from_fixed, to_fixed
from kronos.core.frames import CELL_MEASURES
from kronos.core.measures import row_measures, sums
from kronos.core.policy import ObservationPolicy
from kronos.core.reports.attribution_model import Attribution, By, Cut, DrawdownWindow, Part, Residual
from kronos.core.reports.axis import Axis, Window
from kronos.core.reports.believed import BELIEVED, VALUES
from kronos.core.reports.drawdowns import Fall, WealthPath, deepest_falls, wealth_path
from kronos.core.reports.evidence import Evidence
from kronos.core.reports.groups import Grouping
from kronos.core.reports.performance import observe
from kronos.core.vocabulary import ALL, POOLED, UNKNOWN, Cube, Dimension, Undefined

DEFAULT_CUTS: Final = (By.MARKET, By.REGIME, By.REGIME_AND_MARKET, By.INSTRUMENT)
DEFAULT_WINDOWS: Final = 3
RESIDUAL_NOTE: Final = (
    "the parts do not add up to the book: facts and cells are of different builds, refresh the cells and ask again"
)

_LABELS: Final[dict[By, tuple[str, ...]]] = {
    By.MARKET: ("market_id",),
    By.REGIME: ("regime",),
    By.REGIME_AND_MARKET: ("regime", "market_id"),
    By.INSTRUMENT: ("entity_type", "entity_id"),
    By.ENTITY_TYPE: ("entity_type",),
    By.SOFT_TARGET: ("soft_target_class",),
    By.STABILITY: ("stability_bucket",),
    By.FRAGILITY: ("fragility_bucket",),
    By.PORTFOLIO: ("portfolio_id",),
    By.STRATEGY: ("strategy_id",),
    By.CONFIG: ("config_id",),
}
_PLACE: Final = ("config_id", "market_id", "as_of_date")
_MEASURES: Final = row_measures(pl.col, {"is_decision", "is_due", "is_valid", *VALUES})


@dataclass(frozen=True)
class _Span:
    """A stretch of the wealth path with what was claimed about it.

    rows: BELIEVED with `evaluated`, `currency` and `contribution` (of the capital at the span's start). book: what the
    cells hold by evaluation date. book_return: what the contributions should add up to.
    """

    rows: pl.DataFrame
    book: pl.DataFrame
    book_return: float
    earning: bool


def attribution(
    held: Evidence,
    claims: pl.DataFrame,
    policy: ObservationPolicy,
    window: Window,
    *,
    config_id: str | None,
    recorded_by: str,
    cuts: Sequence[By] = DEFAULT_CUTS,
    windows: int = DEFAULT_WINDOWS,
    notes: tuple[str, ...] = (),
) -> Attribution:
    """Cut the window's result of one config (None: all pooled) by each of `cuts`, and its deepest `windows` drawdowns.

    claims: believed.BELIEVED of the same window, engine, mode and experiment. Raises `BadValue` for dates in the wrong
    order. A config without decisions in the window gives no parts; one that earns nothing has no contributions.
    """
    mine = held if config_id is None else held.only(config_id)
    axis, series = observe(mine, Grouping(held.codes, config_id is None), window, (Dimension.OVERALL,), policy)
    path = wealth_path(series.wealth.select("date", "growth"))
    book = _book(mine, axis, window)
    whole = _whole(claims.select(list(BELIEVED)), book, axis, path, policy, held.horizon)
    total, parts = _explained(whole, cuts)
    found = Attribution(
        engine_name=held.engine_name,
        config_id=config_id or POOLED,
        period_start=window.start,
        period_end=window.end,
        horizon=held.horizon,
        mode=held.mode,
        as_of=window.as_of or held.newest,
        recorded_by=recorded_by,
        total=total,
        cuts=parts,
        windows=tuple(_windows(whole, path, cuts, windows)),
        dates=path.dates.size,
        missing_dates=len(path.missing),
        ruined_on=path.ruined_on,
        notes=notes,
    )
    return found if found.adds_up else replace(found, notes=(*notes, RESIDUAL_NOTE))


def _book(held: Evidence, axis: Axis, window: Window) -> pl.DataFrame:
    """What the cells hold by evaluation date: evaluated, pnl, decisions, and the absolute values that were added up."""
    keep = window.known(held.newest) & window.chosen()
    places = axis.rows.lazy().select("place", pl.col("due_date").alias("evaluated"))
    outcomes = held.outcomes[Cube.REGIME].lazy().filter(keep).select("place", "pnl", "weighted_return")
    decisions = held.decisions[Cube.REGIME].lazy().filter(keep).select("place", "decisions")
    rows = pl.concat([outcomes, decisions], how="diagonal").join(places, on="place", how="left")
    pnl = to_fixed(pl.col("pnl"))
    added = rows.group_by("evaluated").agg(
        from_fixed(pnl.sum()),
        from_fixed(pnl.abs().sum()).alias("pnl_abs"),
        from_fixed(to_fixed(pl.col("weighted_return")).abs().sum()).alias("return_abs"),
        pl.col("decisions").sum(),
    )
    return added.sort("evaluated").collect()


def _whole(
    claims: pl.DataFrame, book: pl.DataFrame, axis: Axis, path: WealthPath, policy: ObservationPolicy, horizon: int
) -> _Span:
    """The whole window: each claim with its evaluation date, currency and contribution."""
    text = pl.col("config_id", "market_id").cast(pl.String)
    places = axis.rows.select(text, "as_of_date", "share", pl.col("due_date").alias("evaluated"))
    scales = pl.DataFrame({"evaluated": path.dates, "scale": path.before}, schema_overrides={"evaluated": pl.Date})
    markets = {market: policy.market(market).currency for market in claims["market_id"].unique()}
    currency = pl.col("market_id").replace_strict(markets, return_dtype=pl.String)
    rows = claims.join(places, on=_PLACE, how="left").join(scales, on="evaluated", how="left")
    part = pl.col("share") * pl.col("scale") * pl.col("weight") * pl.col("return") / horizon
    return _Span(
        rows.with_columns(contribution=part, currency=currency).drop("share", "scale"),
        book,
        book_return=path.total_return,
        earning=bool(axis.spans["has_returns"].any()),
    )


def _windows(whole: _Span, path: WealthPath, cuts: Sequence[By], count: int) -> Iterator[DrawdownWindow]:
    for fall in deepest_falls(path, count):
        total, parts = _explained(_inside(whole, path, fall), cuts)
        yield DrawdownWindow(
            peak=path.day(fall.peak) if fall.peak >= 0 else None,
            trough=path.day(fall.trough),
            recovery=None if fall.recovery is None else path.day(fall.recovery),
            depth=fall.depth,
            sessions=fall.trough - fall.peak,
            total=total,
            cuts=parts,
        )


def _inside(whole: _Span, path: WealthPath, fall: Fall) -> _Span:
    """The claims evaluated after the peak and not after the trough, as fractions of the wealth at the peak."""
    after = path.day(fall.peak) if fall.peak >= 0 else date.min
    evaluated = pl.col("evaluated")
    inside = (evaluated > after) & (evaluated <= path.day(fall.trough))
    at_peak = float(path.wealth[fall.peak]) if fall.peak >= 0 else 1.0
    return _Span(
        whole.rows.filter(inside).with_columns(pl.col("contribution") / at_peak),
        whole.book.filter(inside),
        book_return=fall.depth,
        earning=whole.earning,
    )


def _explained(span: _Span, cuts: Iterable[By]) -> tuple[Part, dict[By, Cut]]:
    """The whole of a span and its parts."""
    whole = _added(span.rows.lazy().with_columns(part=pl.lit(ALL)))
    nothing = dict.fromkeys(whole.columns, 0) | {"part": ALL}
    total = whole.row(0, named=True) if whole.height else nothing
    return _part(total, total, earning=span.earning), {by: _cut(span, by, total) for by in cuts}


def _cut(span: _Span, by: By, total: dict[str, Any]) -> Cut:
    label = pl.concat_str([pl.col(name).fill_null(UNKNOWN) for name in _LABELS[by]], separator="|")
    added = _added(span.rows.lazy().with_columns(part=label))
    parts = [_part(row, total, earning=span.earning) for row in added.iter_rows(named=True)]
    return Cut(tuple(sorted(parts, key=lambda part: (part.result, part.label))), _residual(span, added))


def _added(rows: pl.LazyFrame) -> pl.DataFrame:
    """Measures per `part`, in order of it: those of the cells, contribution, its absolute sum, and the currencies."""
    contribution = to_fixed(pl.col("contribution"))
    paid = pl.col("currency").filter(pl.col("pnl").is_not_null())
    added = rows.group_by("part").agg(
        *sums(_MEASURES, signed=False),
        contribution.sum().alias("contribution"),
        contribution.abs().sum().alias("contribution_abs"),
        paid.n_unique().alias("currencies"),
        paid.min().alias("currency"),
    )
    floats = [name for name in _MEASURES if CELL_MEASURES[name] == pl.Float64]
    return added.with_columns(from_fixed(pl.col(*floats, "contribution", "contribution_abs"))).sort("part").collect()


def _residual(span: _Span, added: pl.DataFrame) -> Residual:
    return Residual(
        pnl=_sum(span.book, "pnl") - _sum(added, "pnl"),
        contribution=span.book_return - _sum(added, "contribution") if span.earning else 0.0,
        decisions=int(_sum(span.book, "decisions") - _sum(added, "decisions")),
        pnl_scale=max(_sum(span.book, "pnl_abs"), _sum(added, "pnl_abs")),
        contribution_scale=max(_sum(span.book, "return_abs"), _sum(added, "contribution_abs")),
    )


def _sum(df: pl.DataFrame, column: str) -> float:
    return float(df[column].sum())


def _part(row: dict[str, Any], total: dict[str, Any], *, earning: bool) -> Part:
    found = _numbers(row, total, earning=earning)
    number = {name: None if isinstance(value, Undefined) else float(value) for name, value in found.items()}
    return Part(
        label=row["part"],
        decisions=row["decisions"],
        due=row["due"],
        valid=row["valid"],
        pnl=number["pnl"],
        currency=None if isinstance(found["pnl"], Undefined) else row["currency"],
        contribution=number["contribution"],
        share=number["share"],
        hit_rate=number["hit_rate"],
        mean_return=number["mean_return"],
        hard_violations=row["hard_violations"],
        soft_violations=row["soft_violations"],
        violations_n=row["violations_n"],
        undefined={name: value for name, value in found.items() if isinstance(value, Undefined)},
    )


def _numbers(row: dict[str, Any], total: dict[str, Any], *, earning: bool) -> dict[str, float | Undefined]:
    """Each number of a part, or the reason why there is none."""
    contribution = row["contribution"] if earning else Undefined.NO_RETURNS
    share = (
        _ratio(contribution, total["contribution"])
        if isinstance(_pnl(total), Undefined)
        else _ratio(_pnl(row), total["pnl"])
    )
    unseen = Undefined.NO_OBSERVATIONS if earning else Undefined.NO_RETURNS
    return {
        "pnl": _pnl(row),
        "contribution": contribution,
        "share": share,
        "hit_rate": _ratio(row["hits"] if row["hit_eligible"] else Undefined.NO_OBSERVATIONS, row["hit_eligible"]),
        "mean_return": _ratio(row["weighted_return"] if row["returns"] else unseen, row["weight_returned"]),
    }


def _ratio(above: float | Undefined, below: float) -> float | Undefined:
    if isinstance(above, Undefined):
        return above
    return above / below if below else Undefined.OUT_OF_RANGE


def _pnl(row: dict[str, Any]) -> float | Undefined:
    """P&L of a part, or why it has none: none reported, or in currencies that do not add up."""
    if row["pnl_n"] == 0:
        return Undefined.NO_OBSERVATIONS
    return Undefined.MIXED_CURRENCY if row["currencies"] > 1 else float(row["pnl"])
