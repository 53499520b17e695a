"""The upstream dialect, in a database none of our code made, through a login that may only read."""

from __future__ import annotations

from datetime import date

import psycopg
import pytest

from kronos.core.policy import ObservationPolicy
from kronos.settings import Dialect, RecordedBy
from kronos.sources.reader import SourceReader
from kronos_tests.builders import at
from kronos_tests.sources.foreign import (
    Foreign,
    foreign_decision,
    foreign_outcome,
    foreign_regime,
    foreign_score,
)
from kronos_tests.sources.reading import DAY, TODAY, read_year, reasons

YEAR = (date(2020, 1, 1), TODAY)


def test_the_login_can_neither_write_nor_create(foreign: Foreign, foreign_reader: SourceReader) -> None:
    foreign_reader.check()
    for statement in ("CREATE TABLE mine (a int)", "DELETE FROM engine_decisions"):
        with psycopg.connect(foreign.url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_a_decision_is_read_with_its_columns_before_its_json(foreign: Foreign, foreign_reader: SourceReader) -> None:
    refs = {"market_id": "JP_EQ", "strategy_id": "other", "portfolio_id": "P1", "weight": 0.5, "mode": "BACKTEST"}
    foreign.insert(engine_decisions=[foreign_decision(output_refs=refs)])
    row = read_year(foreign_reader).decisions.row(0, named=True)
    assert (row["market_id"], row["strategy_id"]) == ("US_EQ", "core")
    assert (row["portfolio_id"], row["weight"], row["mode"]) == ("P1", 0.5, "BACKTEST")
    assert (row["as_of_date"], row["decided_at"]) == (DAY, at(date(2020, 4, 1)))


def test_the_json_fills_what_the_columns_leave_out(foreign: Foreign, foreign_reader: SourceReader) -> None:
    bare = foreign_decision(market_id=None, strategy_id=None, run_id=None)
    foreign.insert(engine_decisions=[bare | {"output_refs": {"market_id": "JP_EQ", "strategy_id": "s"}}])
    assert read_year(foreign_reader).decisions.select("market_id", "strategy_id").row(0) == ("JP_EQ", "s")


def test_a_decision_of_no_market_is_unknown_and_of_no_config_refused(
    foreign: Foreign, foreign_reader: SourceReader
) -> None:
    foreign.insert(engine_decisions=[foreign_decision(market_id=None), foreign_decision("d2", config_id=None)])
    batch = read_year(foreign_reader)
    assert batch.decisions["market_id"].to_list() == ["UNKNOWN"]
    assert reasons(batch) == [("MISSING_FIELD", "config_id=null")]


def test_outcomes_have_no_day_of_their_own_and_the_newest_comes_last(
    foreign: Foreign, foreign_reader: SourceReader
) -> None:
    made = foreign_decision()
    rows = [foreign_outcome(made, created_at=at(day), realized_return=value) for day, value in _REVISIONS]
    foreign.insert(engine_decisions=[made], decision_outcomes=rows)
    outcomes = read_year(foreign_reader).outcomes
    assert outcomes["eval_date"].null_count() == 3
    assert outcomes["return"].to_list() == [0.01, 0.02, 0.03]


_REVISIONS = [(date(2020, 6, 1), 0.02), (date(2020, 6, 1), 0.03), (date(2020, 3, 5), 0.01)]
"""The first two were inserted in this order at the same instant."""


def test_metrics_come_from_metadata_and_the_volatility_from_its_column(
    foreign: Foreign, foreign_reader: SourceReader
) -> None:
    made = foreign_decision()
    told = foreign_outcome(made, event=True, turnover=0.5, realised_vol=0.1, realized_vol=0.2)
    foreign.insert(engine_decisions=[made], decision_outcomes=[told, foreign_outcome(made, 5, realised_vol=0.1)])
    outcomes = read_year(foreign_reader).outcomes
    assert outcomes.select("event", "turnover", "realised_vol").rows() == [(1.0, 0.5, 0.2), (None, None, 0.1)]


def test_dirty_numbers_make_the_newest_revision_invalid(foreign: Foreign, foreign_reader: SourceReader) -> None:
    made = foreign_decision()
    worse = foreign_outcome(made, realized_vol=float("inf"))
    foreign.insert(engine_decisions=[made], decision_outcomes=[foreign_outcome(made), worse])
    batch = read_year(foreign_reader)
    assert batch.outcomes["valid"].to_list() == [True, False]
    assert reasons(batch) == [("NOT_FINITE", "realised_vol=inf")]
    assert batch.quarantine["source_key"].item() == "d1/1/2020-04-01T21:00:00.000000+00:00/#2"


@pytest.mark.parametrize(("fragile", "stable"), [(0, 1.0), (25, 0.75), (70, 0.3), (100, 0.0)])
def test_stability_is_turned_the_right_way_round(
    foreign: Foreign, foreign_reader: SourceReader, fragile: float, stable: float
) -> None:
    foreign.insert(stability_vectors=[foreign_score("stability_id", DAY, overall_score=fragile)])
    assert foreign_reader.contexts(*YEAR).stability["stability_score"].to_list() == [stable]


def test_the_other_contexts_are_read_as_they_are(foreign: Foreign, foreign_reader: SourceReader) -> None:
    foreign.insert(
        fragility_measures=[foreign_score("fragility_id", DAY, fragility_score=0.7)],
        soft_target_classes=[foreign_score("soft_target_id", DAY, soft_target_class="BREAKER")],
        regimes=[foreign_regime(DAY, "CRISIS", "EU")],
    )
    contexts = foreign_reader.contexts(*YEAR)
    assert contexts.fragility["fragility_score"].to_list() == [0.7]
    assert contexts.soft_targets["soft_target_class"].to_list() == ["BREAKER"]
    assert contexts.regimes.select("region", "regime", "recorded_at").rows() == [("EU", "CRISIS", None)]


def test_the_last_context_before_the_range_is_read_without_creation_times(
    foreign: Foreign, foreign_reader: SourceReader
) -> None:
    foreign.insert(regimes=[foreign_regime(date(2019, 5, 1), "A"), foreign_regime(date(2019, 6, 1), "B")])
    assert foreign_reader.contexts(*YEAR).regimes["regime"].to_list() == ["B"]


def test_recorded_mode_refuses_context_whose_recording_is_unknown(foreign: Foreign) -> None:
    foreign.insert(engine_decisions=[foreign_decision()], regimes=[foreign_regime(DAY)])
    with SourceReader(foreign.url, Dialect.PROMETHEUS_V2, RecordedBy.RECORDED, ObservationPolicy()) as reader:
        assert reader.contexts(*YEAR).regimes.is_empty()
        assert reasons(read_year(reader)) == [("MISSING_FIELD", "recorded_at=null")]


def test_engine_runs_of_a_day(foreign: Foreign, foreign_reader: SourceReader) -> None:
    times = {"created_at": at(DAY), "updated_at": at(DAY, 22)}
    runs = [
        {"run_id": region, "as_of_date": DAY, "region": region, "phase": phase, **times}
        for region, phase in (("US", "COMPLETED"), ("EU", "FAILED"))
    ]
    foreign.insert(engine_runs=runs)
    assert foreign_reader.engine_runs(DAY).select("region", "phase").rows() == [("EU", "FAILED"), ("US", "COMPLETED")]
    assert foreign_reader.engine_runs(TODAY).is_empty()


def test_row_counts_name_every_table_with_its_newest_day(foreign: Foreign, foreign_reader: SourceReader) -> None:
    made = foreign_decision()
    foreign.insert(engine_decisions=[made], decision_outcomes=[foreign_outcome(made)])
    counts = {table: (rows, newest) for table, rows, newest in foreign_reader.row_counts().iter_rows()}
    assert counts["engine_decisions"] == (1, DAY)
    assert counts["decision_outcomes"] == (1, date(2020, 4, 1))
    assert counts["job_executions"] == (0, None)


def test_config_bodies_are_found_only_where_beyond_doubt(foreign: Foreign, foreign_reader: SourceReader) -> None:
    named = [("fast", "shared"), ("slow", "shared"), ("own", None), ("sole", "alone")]
    foreign.insert(
        engine_decisions=[
            foreign_decision(config, config_id=config, strategy_id=strategy) for config, strategy in named
        ],
        strategy_configs=[{"strategy_id": name, "config_json": {"of": name}} for name in ("shared", "own", "alone")],
    )
    bodies = {row["config_id"]: row["config_body"] for row in foreign_reader.configs().iter_rows(named=True)}
    assert bodies == {"fast": None, "slow": None, "own": '{"of": "own"}', "sole": '{"of": "alone"}'}


def test_configs_are_named_without_the_strategy_table(foreign: Foreign, foreign_reader: SourceReader) -> None:
    foreign.insert(engine_decisions=[foreign_decision()])
    foreign.execute("DROP TABLE strategy_configs")
    assert foreign_reader.configs().select("engine_name", "config_id", "config_body").rows() == [
        ("PORTFOLIO", "fast", None)
    ]
