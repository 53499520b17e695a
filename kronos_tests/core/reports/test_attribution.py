"""Attribution: worked by hand, as laws over dirty histories, and at its edges."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronos.core.cells import build_cells
from kronos.core.facts import FactsBatch
from kronos.core.policy import ObservationPolicy
from kronos.core.reports.attribution import RESIDUAL_NOTE, attribution
from kronos.core.reports.attribution_model import Attribution, By, Part
from kronos.core.reports.axis import Window
from kronos.core.reports.believed import believed
from kronos.core.reports.drawdowns import deepest_falls, wealth_path
from kronos.core.reports.evidence import Evidence, evidence
from kronos.core.reports.performance import performance_report
from kronos.core.vocabulary import Undefined
from kronos.errors import BadValue
from kronos_tests.frames import FIRST, POLICY, History, Row, at, contexts, decision, facts, outcome, weekdays

DAYS = [FIRST + timedelta(days=n) for n in range(5)]
"""Monday to Friday."""
RETURNS = {"AAA": (0.10, -0.20, 0.0, 0.20), "BBB": (-0.02, 0.0, -0.10, 0.04)}
"""Two halves of a book: it earns 4 %, -10 %, -5 %, 12 %, so wealth is 1.04, 0.936, 0.8892, 0.995904."""
US_EQ = POLICY.market("US_EQ")
CALM_THEN_STORM = contexts(
    regimes=[
        {"region": "US", "as_of_date": day, "recorded_at": at(day, 6), "regime": label}
        for day, label in ((DAYS[0], "CALM"), (DAYS[2], "STORM"))
    ]
)


def book(**changes: Any) -> FactsBatch:
    """Four days of decisions over AAA and BBB; `<name><day>` changes that outcome (None: it is missing)."""
    made, came = [], []
    for name, returns in RETURNS.items():
        for n, value in enumerate(returns):
            made.append(decision(f"{name}{n}", DAYS[n], entity_type="INSTRUMENT", entity_id=name, weight=0.5))
            told = changes.get(f"{name}{n}", {})
            if told is not None:
                came.append(outcome(f"{name}{n}", DAYS[n + 1], **({"return": value, "pnl": 10_000 * value} | told)))
    return facts(made, came, CALM_THEN_STORM, due=[1])


def held(batch: FactsBatch, engine: str = "PORTFOLIO", horizon: int = 1, mode: str = "LIVE") -> Evidence:
    """The cells of the facts as evidence."""
    cells = build_cells(batch, POLICY).cells.filter(engine_name=engine, mode=mode)
    return evidence(cells, weekdays(), horizon=horizon)


def explain(
    batch: FactsBatch,
    config: str | None = "fast",
    *,
    cells: Evidence | None = None,
    window: Window | None = None,
    engine: str = "PORTFOLIO",
    mode: str = "LIVE",
    horizon: int = 1,
    cuts: Sequence[By] = tuple(By),
    policy: ObservationPolicy = POLICY,
) -> Attribution:
    """The attribution of facts and of the cells they add up to."""
    record = cells or held(batch, engine, horizon, mode)
    chosen = window or Window(FIRST, FIRST + timedelta(days=40))
    mine = [pl.col("engine_name") == engine, pl.col("mode") == mode]
    mine += [] if config is None else [pl.col("config_id") == config]
    wide, older = batch.facts.lazy().filter(mine), batch.superseded.lazy().filter(mine)
    claims = believed(wide, older, record, chosen).collect()
    return attribution(record, claims, policy, chosen, config_id=config, recorded_by="recorded", cuts=cuts)


def parts(found: Attribution, by: By) -> dict[str, Part]:
    """Parts by label."""
    return {part.label: part for part in found.cuts[by].parts}


def test_instruments_add_up_to_the_book() -> None:
    """AAA: 0.05 - 0.10 x 1.04 + 0.10 x 0.8892; BBB: -0.01 - 0.05 x 0.936 + 0.02 x 0.8892."""
    found = explain(book())
    losing, winning = found.cuts[By.INSTRUMENT].parts
    assert (losing.label, winning.label) == ("INSTRUMENT|BBB", "INSTRUMENT|AAA")
    assert (losing.contribution, winning.contribution) == pytest.approx((-0.039016, 0.03492))
    assert (losing.pnl, winning.pnl, found.total.pnl) == pytest.approx((-800.0, 1000.0, 200.0))
    assert (losing.share, winning.share) == pytest.approx((-4.0, 5.0))
    assert found.total.contribution == pytest.approx(-0.004096)


def test_parts_carry_counts_and_rates() -> None:
    """A return of zero is a tie and no hit."""
    losing = explain(book()).cuts[By.INSTRUMENT].parts[0]
    assert (losing.decisions, losing.due, losing.valid, losing.missing) == (4, 4, 4, 0)
    assert (losing.hit_rate, losing.mean_return) == pytest.approx((1 / 3, -0.02))
    assert losing.currency == "USD"


def test_regimes_and_their_markets() -> None:
    """CALM: 0.04 - 0.10 x 1.04; STORM: -0.05 x 0.936 + 0.12 x 0.8892."""
    found = explain(book())
    assert parts(found, By.REGIME)["CALM"].contribution == pytest.approx(-0.064)
    assert parts(found, By.REGIME)["STORM"].contribution == pytest.approx(0.059904)
    assert {label: part.pnl for label, part in parts(found, By.REGIME_AND_MARKET).items()} == pytest.approx(
        {"CALM|US_EQ": -1200.0, "STORM|US_EQ": 1400.0}
    )


def test_drawdown_window_has_dates_and_parts() -> None:
    """From 1.04 on Tuesday to 0.8892 on Thursday: AAA -0.10, BBB -0.05 x 0.936 / 1.04."""
    (window,) = explain(book()).windows
    assert (window.peak, window.trough, window.recovery, window.sessions) == (DAYS[1], DAYS[3], None, 2)
    assert window.depth == pytest.approx(-0.145)
    assert [(part.label, part.pnl) for part in window.cuts[By.INSTRUMENT].parts] == [
        ("INSTRUMENT|AAA", pytest.approx(-2000.0)),
        ("INSTRUMENT|BBB", pytest.approx(-1000.0)),
    ]
    assert [part.contribution for part in window.cuts[By.INSTRUMENT].parts] == pytest.approx([-0.10, -0.045])


def test_violations_are_counted_where_they_happened() -> None:
    """Two hard ones inside the drawdown, a soft one before it."""
    found = explain(book(BBB2={"hard_violations": 2}, AAA0={"soft_violations": 1}))
    (window,) = found.windows
    assert (found.total.hard_violations, found.total.soft_violations, found.total.violations_n) == (2, 1, 2)
    assert (window.total.hard_violations, window.total.soft_violations) == (2, 0)
    assert window.cuts[By.INSTRUMENT].parts[1].hard_violations == 2


def test_recovered_drawdowns_do_not_overlap() -> None:
    """Wealth 1.1, 0.99, 1.188, 1.0692: two falls of a tenth, the earlier first."""
    path = wealth_path(pl.DataFrame({"date": DAYS[:4], "growth": [0.1, -0.1, 0.2, -0.1]}))
    falls = deepest_falls(path, 3)
    assert [(fall.peak, fall.trough, fall.recovery) for fall in falls] == [(0, 1, 2), (2, 3, None)]
    assert [fall.depth for fall in falls] == pytest.approx([-0.1, -0.1])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-0.4, 0.5), max_size=30), st.integers(0, 5))
def test_falls_equal_their_slow_twin(growth: list[float], count: int) -> None:
    """Walking day by day: a fall opens below the highest wealth so far and ends when that is reached again."""
    path = wealth_path(
        pl.DataFrame(
            {"date": [FIRST + timedelta(days=n) for n in range(len(growth))], "growth": growth},
            schema={"date": pl.Date, "growth": pl.Float64},
        )
    )
    top, wealth, depths, deepest = 1.0, 1.0, [], 0.0
    for value in growth:
        wealth *= 1.0 + value
        deepest = min(deepest, wealth / top - 1.0) if wealth < top else 0.0
        depths = [*depths[:-1], deepest] if wealth < top and depths and depths[-1] != 0.0 else [*depths, deepest]
        top = max(top, wealth)
    expected = sorted(depth for depth in depths if depth < 0.0)[:count]
    assert [fall.depth for fall in deepest_falls(path, count)] == pytest.approx(expected)


def test_missing_outcome_is_counted_and_its_date_has_no_return() -> None:
    """Without BBB on the second day the book has no return then; AAA's P&L of that day still counts."""
    found = explain(book(BBB1=None))
    assert (found.dates, found.missing_dates) == (3, 1)
    assert parts(found, By.INSTRUMENT)["INSTRUMENT|BBB"].missing == 1
    assert found.total.contribution == pytest.approx(1.04 * 0.95 * 1.12 - 1.0)
    assert found.total.pnl == pytest.approx(200.0)
    assert found.adds_up


def test_unknown_labels_are_parts() -> None:
    """A decision without entity, and a day without regime."""
    found = explain(facts([decision(entity_type="BASKET")], [outcome(pnl=5.0)], due=[1]))
    assert parts(found, By.INSTRUMENT)["BASKET|UNKNOWN"].pnl == 5.0
    assert parts(found, By.REGIME)["UNKNOWN"].share == 1.0


def test_money_of_two_currencies_does_not_add_up() -> None:
    """Each market has its P&L, the whole and the regime have the reason; shares are of the contribution."""
    made = [decision("d1"), decision("d2", market_id="EU_EQ")]
    found = explain(facts(made, [outcome("d1", pnl=7.0), outcome("d2", pnl=9.0, **{"return": 0.03})], due=[1]))
    assert (found.total.pnl, found.total.undefined["pnl"]) == (None, Undefined.MIXED_CURRENCY)
    assert {label: (part.pnl, part.currency) for label, part in parts(found, By.MARKET).items()} == {
        "US_EQ": (7.0, "USD"),
        "EU_EQ": (9.0, "EUR"),
    }
    assert parts(found, By.MARKET)["EU_EQ"].share == pytest.approx(0.75)
    assert found.adds_up


def test_contributions_go_by_the_shares_of_capital() -> None:
    """With three times as much capital in US_EQ a loss of 4 % there is one of 3 %."""
    weighed = POLICY.model_copy(
        update={"markets": {**POLICY.markets, "US_EQ": US_EQ.model_copy(update={"capital": 3.0})}}
    )
    made = [decision("d1"), decision("d2", market_id="EU_EQ")]
    batch = facts(made, [outcome("d1", **{"return": -0.04}), outcome("d2", **{"return": 0.02})], due=[1])
    found = explain(batch, policy=weighed)
    assert {label: part.contribution for label, part in parts(found, By.MARKET).items()} == pytest.approx(
        {"US_EQ": -0.03, "EU_EQ": 0.005}
    )
    assert found.adds_up


def test_longer_horizon_compounds_a_fraction_of_its_return() -> None:
    """At three sessions each decision adds a third of its return, and all of its P&L."""
    batch = facts([decision()], [outcome("d1", FIRST + timedelta(days=3), 3, pnl=-60.0, **{"return": -0.06})], due=[3])
    found = explain(batch, horizon=3)
    assert (found.total.pnl, found.total.contribution) == (-60.0, pytest.approx(-0.02))
    assert found.windows[0].depth == pytest.approx(-0.02)


def test_ruin_ends_the_contributions() -> None:
    """Everything is lost on the first evaluation date; what comes later earns nothing on no capital."""
    made = [decision("d1"), decision("d2", DAYS[1])]
    batch = facts(made, [outcome("d1", **{"return": -1.5}), outcome("d2", DAYS[2], **{"return": 0.5})], due=[1])
    found = explain(batch)
    assert (found.ruined_on, found.total.contribution) == (DAYS[1], pytest.approx(-1.5))
    assert found.adds_up


def test_engine_that_earns_nothing_says_so() -> None:
    """Hit rates stay, money and return have a reason."""
    found = explain(facts([decision(probability=0.7)], [outcome(event=1.0, hit=1.0, **{"return": None})], due=[1]))
    assert found.total.hit_rate == 1.0
    assert found.total.undefined == {
        "pnl": Undefined.NO_OBSERVATIONS,
        "contribution": Undefined.NO_RETURNS,
        "share": Undefined.NO_RETURNS,
        "mean_return": Undefined.NO_RETURNS,
    }
    assert (found.windows, found.adds_up) == ((), True)


def test_window_without_decisions_has_no_parts() -> None:
    found = explain(book(), window=Window(date(2019, 1, 1), date(2019, 12, 31)))
    assert (found.total.decisions, found.cuts[By.MARKET].parts, found.windows) == (0, (), ())
    assert found.adds_up


def test_dates_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(BadValue, match="end_date"):
        explain(book(), window=Window(DAYS[2], DAYS[1]))


def test_facts_ahead_of_the_cells_are_reported() -> None:
    """The parts come from facts that the cells do not hold yet: the difference is named, not spread."""
    found = explain(book(AAA3={"pnl": 5000.0}), cells=held(book()))
    assert not found.adds_up
    assert found.cuts[By.MARKET].residual.pnl == pytest.approx(-3000.0)
    assert RESIDUAL_NOTE in found.notes


def test_restated_outcome_counts_as_it_stood() -> None:
    """Recorded at -1 % on Tuesday and restated to -3 % on Friday."""
    told = [(DAYS[1], -0.01), (DAYS[4], -0.03)]
    came = [outcome(recorded_at=at(day, 22), pnl=1e4 * value, **{"return": value}) for day, value in told]
    batch = facts([decision()], came, due=[1])
    before = explain(batch, window=Window(FIRST, FIRST, as_of=DAYS[3]))
    assert (before.total.pnl, before.total.contribution) == pytest.approx((-100.0, -0.01))
    assert explain(batch).total.pnl == pytest.approx(-300.0)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 3]), st.integers(0, 30))
def test_every_cut_adds_up_on_dirty_histories(seed: int, horizon: int, days: int) -> None:
    """To 1e-9 of the absolute P&L, for one config and all, now and as of any date."""
    batch = History(seed, 40).facts()
    for engine in ("PORTFOLIO", "ASSESSMENT"):
        for as_of in (None, FIRST + timedelta(days=days)):
            for config in ("fast", None):
                window = Window(FIRST, FIRST + timedelta(days=9), as_of)
                assert explain(batch, config, window=window, engine=engine, horizon=horizon).adds_up


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_book_is_the_reports_book(seed: int) -> None:
    """P&L, decisions, violations and the deepest drawdown are the performance report's."""
    batch = History(seed, 60).facts()
    record, window = held(batch), Window(FIRST, FIRST + timedelta(days=40))
    report = performance_report(record, POLICY, window, config_id="slow", recorded_by="recorded")
    found = explain(batch, "slow", window=window)
    sums = (found.total.decisions, found.total.hard_violations, found.total.missing)
    assert sums == tuple(report.metrics.get(name, 0) for name in ("decisions", "violations_hard", "missing"))
    deepest = found.windows[0].depth if found.windows else 0.0
    assert deepest == pytest.approx(report.metrics.get("max_dd", 0.0))
    if report.drawdown is not None:
        window_dates = (found.windows[0].peak, found.windows[0].trough, found.windows[0].recovery)
        assert window_dates == (report.drawdown.peak, report.drawdown.trough, report.drawdown.recovery)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10_000))
def test_as_of_equals_the_truncated_record(seed: int) -> None:
    """What was recorded later leaves no trace in any part or window."""
    history = History(seed)
    whole = history.facts()
    for day in (FIRST + timedelta(days=n) for n in (2, 7, 12)):
        known: list[Row] = [row for row in history.outcomes if row["recorded_at"].date() <= day]
        window = Window(FIRST, FIRST + timedelta(days=40), day)
        truncated = explain(history.facts(outcomes=known), window=window)
        assert approximately(explain(whole, window=window)) == approximately(truncated)


def approximately(found: Attribution) -> list[Any]:
    """Every number of an attribution, rounded where adding in another order may show."""
    total = [(by, part) for by, cut in found.cuts.items() for part in cut.parts]
    inside = [
        (window.trough, by, part) for window in found.windows for by, cut in window.cuts.items() for part in cut.parts
    ]
    return [
        (*where, part.label, part.due, part.valid, *map(_rounded, _floats(part))) for *where, part in (*total, *inside)
    ]


def _floats(part: Part) -> tuple[float | None, ...]:
    return (part.pnl, part.contribution, part.share, part.hit_rate, part.mean_return)


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(np.format_float_scientific(value, 8))


def test_json_is_the_whole_attribution() -> None:
    found = explain(book())
    assert Attribution.from_json_dict(found.to_json_dict()) == found
