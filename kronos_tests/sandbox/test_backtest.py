"""The sandbox as a backtest runner: pieces that add up to the whole, and nothing known too early."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from io import BytesIO
from typing import Any

import polars as pl
import pytest

from kronos.core.backtests.runner import Produced
from kronos.core.backtests.spec import Subject, Task, walk_forward
from kronos.core.frames import DECISIONS
from kronos.core.scenarios.battery import SYNTHETIC, WINDOWS, Played
from kronos.errors import BadValue, NotFound
from kronos.sandbox import backtest
from kronos.sandbox.backtest import produce
from kronos.sandbox.configs import CONFIGS
from kronos.sandbox.engines import HORIZONS, decide, evaluate
from kronos.sandbox.markets import Market, load_markets
from kronos.sandbox.scenarios import scenario_market
from kronos_tests.sandbox.worlds import BY_ID, with_another_future

MARKETS = load_markets()
START, END = date(2014, 9, 2), date(2015, 6, 30)
ENGINES = sorted({config.engine_name for config in CONFIGS})
BY_NAME = {scenario.name: scenario for scenario in SYNTHETIC}
STREAM = "6f1c2c52-6a9e-4c1c-9a53-0d6f3c0f6a11"

each_engine = pytest.mark.parametrize("engine_name", ENGINES)
each_seed = pytest.mark.parametrize("seed", range(3))


def subject(config_id: str, **changes: Any) -> Subject:
    return Subject(config_id=config_id, config_body={**BY_ID[config_id].body, **changes})


def task(engine_name: str = "PORTFOLIO", **changes: Any) -> Task:
    """Every seeded config of an engine in all markets over ten months, with half a year more of data."""
    usual: dict[str, Any] = {
        "piece": "fold-001",
        "experiment_id": STREAM,
        "engine_name": engine_name,
        "markets": tuple(MARKETS),
        "subjects": tuple(subject(one.config_id) for one in CONFIGS if one.engine_name == engine_name),
        "start": START,
        "end": END,
        "train_until": START - timedelta(days=32),
        "data_until": date(2015, 12, 31),
        "seed": 5,
    }
    return Task(**{**usual, **changes})


def produced(asked: Task, markets: Mapping[str, Market]) -> Produced:
    """What the task gives over other markets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backtest, "load_markets", lambda: markets)
        return produce(asked)


def other_future(last_known: date, seed: int) -> dict[str, Market]:
    """Every market with nonsense for prices after a date."""
    return {name: with_another_future(market, last_known, seed) for name, market in MARKETS.items()}


def rows(df: pl.DataFrame) -> pl.DataFrame:
    return df.sort("decision_id", *(["horizon"] if "horizon" in df.columns else []))


def equal(one: Produced, other: Produced) -> bool:
    """Equal up to the order of rows."""
    pairs = (one.decisions, other.decisions), (one.outcomes, other.outcomes)
    return all(rows(left).equals(rows(right)) for left, right in pairs)


def until(found: Produced, last: date) -> Produced:
    """What was decided, and what came of it, by a date."""
    return Produced(
        found.decisions.filter(pl.col("as_of_date") <= last), found.outcomes.filter(pl.col("eval_date") <= last)
    )


def as_bytes(found: Produced) -> list[bytes]:
    buffers = []
    for df in (found.decisions, found.outcomes, found.rejected):
        buffer = BytesIO()
        df.write_ipc(buffer)
        buffers.append(buffer.getvalue())
    return buffers


def weights(found: Produced) -> list[tuple[Any, ...]]:
    return found.decisions.select("as_of_date", "market_id", "entity_id", "weight").rows()


@each_engine
@pytest.mark.parametrize("months", [1, 4])
def test_fold_by_fold_gives_what_the_whole_gives_in_one(engine_name: str, months: int) -> None:
    """The last fold's outcomes, too, which are evaluated after its end."""
    parts = [
        produce(task(engine_name, start=fold.start, end=fold.end, train_until=fold.train_until))
        for fold in walk_forward(START, END, months, 31)
    ]
    added = Produced(pl.concat(one.decisions for one in parts), pl.concat(one.outcomes for one in parts))
    assert len(parts) > 2 and len(added.outcomes) and equal(added, produce(task(engine_name)))


@each_engine
@each_seed
def test_prices_after_the_data_are_not_looked_at(engine_name: str, seed: int) -> None:
    asked = task(engine_name, data_until=END)
    assert as_bytes(produced(asked, other_future(END, seed))) == as_bytes(produce(asked))


@each_engine
@each_seed
def test_prices_after_a_folds_last_evaluation_change_nothing(engine_name: str, seed: int) -> None:
    asked = task(engine_name)
    found = produce(asked)
    last = found.outcomes["eval_date"].max()
    assert isinstance(last, date) and END < last < asked.data_until
    assert as_bytes(produced(asked, other_future(last, seed))) == as_bytes(found)


@each_engine
@pytest.mark.parametrize("day", [date(2014, 10, 31), date(2015, 2, 17)])
def test_prices_after_a_day_change_no_decision_and_no_outcome_by_that_day(engine_name: str, day: date) -> None:
    changed = produced(task(engine_name), other_future(day, 1))
    found = produce(task(engine_name))
    assert equal(until(changed, day), until(found, day)) and len(until(found, day).outcomes)
    assert not changed.outcomes.equals(found.outcomes)


@each_engine
def test_the_same_task_gives_the_same_bytes(engine_name: str) -> None:
    assert as_bytes(produce(task(engine_name))) == as_bytes(produce(task(engine_name)))


def test_another_seed_gives_other_ids_and_moves_only_what_is_drawn() -> None:
    quiet, noisy = subject("portfolio-momentum-slow"), subject("portfolio-momentum-slow", noise=0.5)
    first, second = (produce(task(subjects=(quiet,), seed=seed)) for seed in (1, 2))
    assert weights(first) == weights(second)
    assert not set(first.decisions["decision_id"]) & set(second.decisions["decision_id"])
    first, second = (produce(task(subjects=(noisy,), seed=seed)) for seed in (1, 2))
    assert weights(first) != weights(second)


@each_engine
def test_outcomes_are_those_evaluated_by_the_end_of_the_data(engine_name: str) -> None:
    whole = produce(task(engine_name))
    cut = produce(task(engine_name, data_until=date(2015, 7, 10)))
    assert cut.decisions.equals(whole.decisions)
    expected = whole.outcomes.filter(pl.col("eval_date") <= date(2015, 7, 10))
    assert rows(cut.outcomes).equals(rows(expected)) and len(expected) < len(whole.outcomes)


def test_decisions_after_the_last_evaluation_stay_without_outcomes() -> None:
    found = produce(task(data_until=END))
    last = found.decisions.filter(pl.col("as_of_date") == END)
    assert len(last) and not set(last["decision_id"]) & set(found.outcomes["decision_id"])


@each_engine
def test_decisions_are_what_the_task_asked_for(engine_name: str) -> None:
    df = produce(task(engine_name)).decisions
    assert df.columns == list(DECISIONS) and df["decision_id"].is_unique().all()
    assert df["as_of_date"].is_between(START, END).all()
    assert set(df["config_id"]) == {one.config_id for one in task(engine_name).subjects}
    assert set(df["mode"]) == {"BACKTEST"} and set(df["experiment_id"]) == {STREAM}
    assert set(df["market_id"]) <= set(MARKETS) and set(df["engine_name"]) == {engine_name}


def test_every_decision_is_evaluated_at_every_horizon_the_data_reaches() -> None:
    found = produce(task())
    counted = found.outcomes.group_by("horizon").len().sort("horizon").rows()
    assert counted == [(horizon, len(found.decisions)) for horizon in HORIZONS]
    assert set(found.outcomes["decision_id"]) == set(found.decisions["decision_id"])


def test_configs_and_markets_do_not_see_each_other() -> None:
    whole = produce(task())
    for one in task().subjects:
        for market in ("US_EQ", "US_ETF"):
            alone = produce(task(subjects=(one,), markets=(market,)))
            mine = whole.decisions.filter(pl.col("config_id") == one.config_id, pl.col("market_id") == market)
            assert rows(alone.decisions).equals(rows(mine)) and len(mine)


@pytest.mark.parametrize("markets", [("MARS",), ("US_EQ", "MARS")])
def test_an_unknown_market_is_refused_with_the_known_ones(markets: tuple[str, ...]) -> None:
    expected = "market of a sandbox backtest has value 'MARS': expected one of US_EQ, US_ETF, US_FUT, US_IDX"
    with pytest.raises(BadValue, match=expected):
        produce(task(markets=markets))


def test_an_unknown_engine_and_a_body_that_does_not_fit_are_refused() -> None:
    with pytest.raises(NotFound, match="FRAGILITY_ALPHA"):
        produce(task("FRAGILITY_ALPHA", subjects=task().subjects))
    with pytest.raises(BadValue, match=r"PORTFOLIO\.lookbak"):
        produce(task(subjects=(subject("portfolio-momentum-slow", lookbak=5),)))


@pytest.mark.parametrize(
    "changes",
    [
        {"engine_name": "UNIVERSE", "markets": ("US_FUT",)},
        {"markets": ("US_ETF",), "start": date(1992, 1, 2), "end": date(1992, 6, 30), "data_until": date(1992, 6, 30)},
        {"engine_name": "REGIME", "markets": ("US_IDX",), "start": date(2020, 1, 2), "end": date(2020, 6, 30),
         "data_until": date(2020, 12, 31)},
    ],
    ids=["too few instruments", "not begun", "ended"],
)  # fmt: skip
def test_a_market_that_gives_nothing_to_decide_gives_no_rows(changes: dict[str, Any]) -> None:
    found = produce(task(**changes))
    assert found.decisions.is_empty() and found.outcomes.is_empty()


def played(name: str, **changes: Any) -> Task:
    """The task of a scenario over four years."""
    usual = {
        "start": date(2012, 1, 3),
        "data_until": END,
        "experiment_id": f"{STREAM}/{name}",
        "scenario": BY_NAME[name],
        "scenario_seed": 11,
        "subjects": (subject("portfolio-momentum-slow"),),
    }
    return task(**{**usual, **changes})


@pytest.mark.parametrize("scenario", SYNTHETIC, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("market_id", ["US_EQ", "US_ETF"])
def test_a_scenario_is_decided_and_evaluated_on_its_own_prices(scenario: Played, market_id: str) -> None:
    asked, config = played(scenario.name, markets=(market_id,)), BY_ID["portfolio-momentum-slow"]
    market, first = scenario_market(MARKETS[market_id], scenario, asked.start, asked.data_until, 11)
    keys: dict[str, Any] = {"mode": "BACKTEST", "experiment_id": asked.experiment_id, "seed": asked.seed}
    decided = decide("PORTFOLIO", config.body, market, first, END, config_id=config.config_id, **keys)
    expected = Produced(decided.select(*DECISIONS), evaluate(decided, market))
    assert equal(produce(asked), expected)
    assert len(expected.outcomes)


def test_a_scenario_begins_with_its_first_date_and_looks_at_nothing_after_the_data() -> None:
    asked = played("crisis-regimes", scenario=BY_NAME["crisis-regimes"].model_copy(update={"years": 1.0}))
    found = produce(asked)
    assert found.decisions["as_of_date"].min() == date(2014, 6, 30)
    last = found.outcomes["eval_date"].max()
    assert isinstance(last, date) and last <= END
    assert as_bytes(produced(asked, other_future(END, 1))) == as_bytes(found)


def test_where_trading_costs_more_the_same_is_decided_and_earns_less() -> None:
    replay, dear = produce(played("liquidity-gone", scenario=None)), produce(played("liquidity-gone"))
    assert weights(dear) == weights(replay)
    costs = [found.outcomes["cost"].sum() for found in (replay, dear)]
    assert costs[1] == pytest.approx(5 * costs[0]) and costs[0] > 0


def test_a_scenario_shares_no_decision_with_the_replay_or_another() -> None:
    found = [produce(played(name)) for name in ("liquidity-gone", "overnight-gaps")]
    found.append(produce(played("trendless", scenario=None, experiment_id=STREAM)))
    ids = [name for one in found for name in one.decisions["decision_id"]]
    assert len(set(ids)) == len(ids)


def test_another_seed_of_the_battery_plays_another_scenario() -> None:
    first, second = (produce(played("trendless", scenario_seed=seed)) for seed in (1, 2))
    assert not first.outcomes["return"].equals(second.outcomes["return"])


def test_a_window_of_the_replay_is_not_played() -> None:
    with pytest.raises(BadValue, match="expected one that is played"):
        produce(played("trendless", scenario=WINDOWS[0]))
