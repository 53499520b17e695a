"""Upstream's history as frames: what was written when."""

from collections.abc import Iterable
from datetime import UTC, date, datetime

import polars as pl
import pytest

from kronos.errors import BadValue
from kronos.sandbox.configs import CONFIGS
from kronos.sandbox.context import REGIMES, Slice, condition_scores, context_slices, regime_positions
from kronos.sandbox.engines import evaluate
from kronos.sandbox.history import history, session_now, session_on_or_before
from kronos.sandbox.imperfections import LATE, MISSING, NOT_A_NUMBER, ORPHAN, RESTATED, imperfect_outcomes
from kronos.sandbox.markets import load_markets
from kronos_tests.sandbox.worlds import BY_ID, decided, with_another_future

START, UNTIL = date(2016, 6, 1), date(2017, 3, 31)


def tables(slices: Iterable[Slice]) -> dict[str, pl.DataFrame]:
    """All rows per table in a canonical order."""
    gathered: dict[str, list[pl.DataFrame]] = {}
    for piece in slices:
        gathered.setdefault(piece.table, []).append(piece.rows)
    return {table: pl.concat(frames).sort(pl.all()) for table, frames in sorted(gathered.items())}


def test_two_parts_of_the_history_are_the_whole() -> None:
    middle = date(2017, 1, 17)
    whole = tables(history(UNTIL, start=START))
    parts = tables([*history(middle, start=START), *history(UNTIL, since=middle, start=START)])
    assert whole.keys() == parts.keys()
    for table, rows in whole.items():
        assert rows.equals(parts[table]), table


def test_two_runs_write_the_same_rows_in_the_same_order() -> None:
    first, second = (list(history(date(2016, 9, 30), start=START)) for _ in range(2))
    assert [piece.table for piece in first] == [piece.table for piece in second]
    assert all(a.rows.equals(b.rows) for a, b in zip(first, second, strict=True))


def test_nothing_is_written_after_now_and_every_table_is_written() -> None:
    written = tables(history(UNTIL, start=START))
    assert all(rows["known_at"].max() <= session_now(UNTIL) for rows in written.values())
    assert len(written) == 10


def test_now_is_after_the_close_of_the_session_also_on_a_half_day() -> None:
    assert session_now(date(2017, 11, 24)) == datetime(2017, 11, 24, 22, 30, tzinfo=UTC)
    assert session_now(date(2017, 12, 29)) == datetime(2017, 12, 30, 1, 30, tzinfo=UTC)


def test_a_day_without_a_session_has_no_now() -> None:
    with pytest.raises(BadValue, match="2017-12-25"):
        session_now(date(2017, 12, 25))
    assert session_on_or_before(date(2017, 12, 25)) == date(2017, 12, 22)
    with pytest.raises(BadValue, match="1989"):
        session_on_or_before(date(1989, 6, 1))


def test_context_is_known_when_the_decision_of_the_day_is_made() -> None:
    written = tables(history(UNTIL, start=START))
    decided_at = written["engine_decisions"].group_by("as_of_date").agg(pl.col("timestamp").min())
    regimes = written["regimes"].join(decided_at, on="as_of_date")
    in_time = regimes.select((pl.col("recorded_at") < pl.col("timestamp")).mean()).item()
    assert 0.98 < in_time <= 1.0


def test_context_depends_on_no_later_price() -> None:
    markets = load_markets()
    today = date(2011, 8, 8)
    others = {name: with_another_future(market, today, seed=1) for name, market in markets.items()}
    known, perturbed = (tables(context_slices(world, date(2011, 7, 1), today)) for world in (markets, others))
    assert all(rows.equals(perturbed[table]) for table, rows in known.items())


def test_the_crash_of_2008_is_a_crisis_unstable_and_fragile() -> None:
    market = load_markets()["US_EQ"]
    row = market.rows_between(date(2008, 10, 15), date(2008, 10, 15))[0]
    _, stability, fragility = condition_scores(market.benchmark)
    assert REGIMES[regime_positions(market.benchmark)[row]] == "CRISIS"
    assert stability[row] < 0.25 and fragility[row] > 0.75


def test_imperfections_come_at_the_documented_rates() -> None:
    market = load_markets()["US_EQ"]
    decisions = decided(BY_ID["portfolio-inverse-volatility"], market, date(1995, 1, 3), date(2010, 12, 31))
    clean = evaluate(decisions, market)
    df = imperfect_outcomes(clean)
    n = len(clean)
    marks = df.join(
        clean.select("decision_id", "horizon", on_time="recorded_at"), on=["decision_id", "horizon"], how="left"
    )
    revisions = df.group_by("decision_id", "horizon").agg(pl.len())
    observed = {
        LATE: marks.filter(pl.col("recorded_at") > pl.col("on_time")).height / n - RESTATED,
        RESTATED: revisions.filter(pl.col("len") > 1).height / n,
        MISSING: 1 - (revisions.height - marks["on_time"].null_count()) / n,
        NOT_A_NUMBER: df["return"].is_nan().sum() / n,
        ORPHAN: marks["on_time"].null_count() / n,
    }
    for rate, share in observed.items():
        assert share == pytest.approx(rate, abs=4 * (rate / n) ** 0.5 + 1e-9)


def test_of_a_restated_outcome_the_last_row_is_the_true_one() -> None:
    market = load_markets()["US_EQ"]
    decisions = decided(BY_ID["portfolio-inverse-volatility"], market, date(2001, 1, 2), date(2004, 12, 31))
    clean = evaluate(decisions, market)
    df = imperfect_outcomes(clean).sort("recorded_at")
    twice = df.filter(pl.len().over("decision_id", "horizon") > 1)
    last = twice.group_by("decision_id", "horizon", maintain_order=True).agg(pl.all().last())
    truth = last.join(clean, on=["decision_id", "horizon"], suffix="_true")
    assert len(truth) > 10
    assert truth.select((pl.col("return") == pl.col("return_true")).all()).item()
    first = twice.group_by("decision_id", "horizon", maintain_order=True).agg(pl.all().first())
    joined = first.join(clean, on=["decision_id", "horizon"], suffix="_true").filter(~pl.col("return").is_nan())
    gap = joined.select((pl.col("return_true") - pl.col("return")).alias("gap"))["gap"].to_list()
    assert gap == pytest.approx([0.001] * len(gap))


def test_enough_outcomes_of_every_book_are_there() -> None:
    market = load_markets()["US_EQ"]
    for config in (config for config in CONFIGS if config.engine_name in ("PORTFOLIO", "UNIVERSE")):
        clean = evaluate(decided(config, market, date(2005, 1, 3), date(2009, 12, 31)), market)
        valid = imperfect_outcomes(clean).filter(pl.col("return").is_not_nan()).unique(["decision_id", "horizon"])
        assert len(valid) > 0.99 * len(clean)


def test_markets_that_have_not_begun_yet_write_nothing() -> None:
    written = tables(history(date(1995, 3, 31), start=date(1995, 1, 3)))
    assert set(written["job_executions"]["market_id"].to_list()) == {"US_EQ", "US_FUT"}
