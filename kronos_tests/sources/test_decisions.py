"""Decisions of the stand-alone tables: what is read, and what each bad input comes to."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from kronos.core import frames
from kronos.sources.reader import SourceReader
from kronos.store.database import Database
from kronos_tests.builders import at, decision, decision_id, insert, outcome
from kronos_tests.sources.reading import DAY, TODAY, read_year, reasons


def test_an_empty_database_gives_empty_frames_of_the_contract(reader: SourceReader) -> None:
    batch = read_year(reader)
    assert batch.decisions.schema == frames.DECISIONS
    assert batch.outcomes.schema == frames.OUTCOMES
    assert batch.quarantine.schema == frames.QUARANTINE
    assert (batch.decisions.height, batch.outcomes.height, batch.quarantine.height) == (0, 0, 0)


def test_every_known_key_of_the_action_becomes_a_typed_column(database: Database, reader: SourceReader) -> None:
    action: dict[str, Any] = {
        "market_id": "EU_EQ",
        "portfolio_id": "P1",
        "strategy_id": "S1",
        "entity_type": "ISSUER",
        "entity_id": "E1",
        "mode": "SHADOW",
        "experiment_id": "x1",
        "weight": 0.25,
        "probability": 0.1,
        "classes": ["down", 'u"p, [1]'],
        "class_probabilities": [0.3, 7e-1],
        "label": "down",
        "score": -1.5e-3,
        "expected_return": 0.002,
    }
    insert(database, engine_decisions=[decision(**action, region="EU", unheard_of={"a": 1})])
    row = read_year(reader).decisions.row(0, named=True)
    assert {key: row[key] for key in action} == action
    assert (row["decision_id"], row["decided_at"], row["as_of_date"]) == (decision_id("d1"), at(DAY), DAY)


def test_an_empty_action_is_a_live_decision_without_opinions(database: Database, reader: SourceReader) -> None:
    insert(database, engine_decisions=[decision(proposed_action={}), decision("d2", proposed_action=None)])
    for row in read_year(reader).decisions.iter_rows(named=True):
        assert (row["mode"], row["experiment_id"], row["weight"], row["classes"]) == ("LIVE", "", None, None)


def test_json_null_means_not_said(database: Database, reader: SourceReader) -> None:
    insert(database, engine_decisions=[decision(weight=None, mode=None, classes=None, label=None)])
    row = read_year(reader).decisions.row(0, named=True)
    assert (row["weight"], row["mode"], row["label"]) == (None, "LIVE", None)


@pytest.mark.parametrize(
    ("context", "market"),
    [
        ("2020-03-02_EU_EQ_daily", "EU_EQ"),
        ("20200302_JP_EQ", "JP_EQ"),
        ("2020-03-02_US_EQUITIES_daily", "UNKNOWN"),
        ("2020-03-02_P1_US_EQ", "UNKNOWN"),
        ("EU_EQ", "UNKNOWN"),
        ("", "UNKNOWN"),
        (None, "UNKNOWN"),
    ],
)
def test_the_market_is_taken_from_the_context_when_it_names_a_known_one(
    database: Database, reader: SourceReader, context: str | None, market: str
) -> None:
    insert(database, engine_decisions=[decision(context_id=context, proposed_action={})])
    assert read_year(reader).decisions["market_id"].to_list() == [market]


def test_unknown_engines_and_markets_are_data(database: Database, reader: SourceReader) -> None:
    insert(database, engine_decisions=[decision(engine_name="FRAGILITY_ALPHA", market_id="MOON_EQ")])
    batch = read_year(reader)
    assert batch.decisions.select("engine_name", "market_id").row(0) == ("FRAGILITY_ALPHA", "MOON_EQ")
    assert reasons(batch) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"engine_name": None}, [("MISSING_FIELD", "engine_name=null")]),
        ({"config_id": ""}, [("MISSING_FIELD", "config_id=")]),
        ({"config_id": "c" * 201}, [("TOO_LONG", f"config_id={'c' * 190}")]),
        ({"engine_name": "ü" * 101}, [("TOO_LONG", f"engine_name={'ü' * 101}")]),
        ({"market_id": "m" * 201}, [("TOO_LONG", f"market_id={'m' * 190}")]),
        ({"timestamp": None}, [("MISSING_FIELD", "decided_at=null")]),
        (
            {"timestamp": at(TODAY + timedelta(days=3))},
            [("FUTURE_DATE", "decided_at=2021-01-03 21:00:00.000000+00:00")],
        ),
        ({"probability": 1.0000001}, [("PROBABILITY_RANGE", "probability=1.0000001")]),
        ({"probability": -0.1}, [("PROBABILITY_RANGE", "probability=-0.1")]),
        ({"weight": -0.5}, [("NEGATIVE_WEIGHT", "weight=-0.5")]),
        ({"weight": 1e16}, [("TOO_LARGE", "weight=1e+16")]),
        ({"score": 10**400}, [("NOT_FINITE", "score=inf")]),
        ({"mode": "live"}, [("UNKNOWN_MODE", "mode=live")]),
        ({"weight": "0.5"}, [("WRONG_JSON_TYPE", "weight")]),
        ({"market_id": 7, "label": ["a"]}, [("WRONG_JSON_TYPE", "market_id, label")]),
        ({"classes": ["a", 1], "class_probabilities": [0.5, 0.5]}, [("WRONG_JSON_TYPE", "classes")]),
        ({"classes": {"a": 1}, "class_probabilities": [1]}, [("WRONG_JSON_TYPE", "classes")]),
        ({"classes": ["a"], "class_probabilities": [[1.0]]}, [("WRONG_JSON_TYPE", "class_probabilities")]),
        ({"classes": ["a"], "class_probabilities": "1"}, [("WRONG_JSON_TYPE", "class_probabilities")]),
        ({"proposed_action": [1, 2]}, [("WRONG_JSON_TYPE", "proposed_action")]),
        ({"classes": ["a", "b"]}, [("CLASSES_MISMATCH", "a, b null")]),
        ({"class_probabilities": [1.0]}, [("CLASSES_MISMATCH", "null 1.0")]),
        ({"classes": ["a", "b"], "class_probabilities": [1.0]}, [("CLASSES_MISMATCH", "a, b 1.0")]),
        ({"classes": ["a", "a"], "class_probabilities": [0.5, 0.5]}, [("CLASSES_MISMATCH", "a, a 0.5, 0.5")]),
        ({"classes": [], "class_probabilities": []}, [("CLASSES_MISMATCH", " ")]),
        ({"classes": ["a", "b"], "class_probabilities": [0.5, 0.6]}, [("PROBABILITY_SUM", "a, b 0.5, 0.6")]),
        ({"classes": ["a", "b"], "class_probabilities": [1.5, -0.5]}, [("PROBABILITY_RANGE", "a, b 1.5, -0.5")]),
    ],
)
def test_a_decision_that_breaks_the_contract_is_quarantined_with_rule_and_value(
    database: Database, reader: SourceReader, changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    insert(database, engine_decisions=[decision(**changes), decision("good")])
    batch = read_year(reader)
    assert batch.decisions["decision_id"].to_list() == [decision_id("good")]
    assert reasons(batch) == expected
    assert batch.quarantine.select("source_table", "source_key", "as_of_date").row(0) == (
        "engine_decisions",
        decision_id("d1"),
        DAY,
    )


def test_probabilities_may_miss_one_by_a_millionth(database: Database, reader: SourceReader) -> None:
    insert(database, engine_decisions=[decision(classes=["a", "b"], class_probabilities=[0.5, 0.5000009])])
    assert read_year(reader).decisions.height == 1


def test_a_number_smaller_than_a_double_can_hold_is_zero(database: Database, reader: SourceReader) -> None:
    with database.connect() as connection:
        connection.execute("SET ROLE kronos_upstream")
        connection.execute(
            """INSERT INTO source.engine_decisions VALUES
            (gen_random_uuid(), '2020-03-02', 'E', 'c', '', '2020-03-02', '{}', '{}', '{"score": 1e-400}')"""
        )
    assert read_year(reader).decisions["score"].to_list() == [0.0]


def test_a_row_that_breaks_several_rules_is_reported_once_per_rule(database: Database, reader: SourceReader) -> None:
    insert(database, engine_decisions=[decision(engine_name=None, weight=-1, mode="x")])
    assert [rule for rule, _ in reasons(read_year(reader))] == ["MISSING_FIELD", "NEGATIVE_WEIGHT", "UNKNOWN_MODE"]


def test_a_copied_decision_counts_once_and_the_copy_is_quarantined(database: Database, reader: SourceReader) -> None:
    first = decision()
    insert(database, engine_decisions=[first, first], decision_outcomes=[outcome(first)])
    batch = read_year(reader)
    assert (batch.decisions.height, batch.outcomes.height) == (1, 1)
    assert reasons(batch) == [("DUPLICATE_DECISION", f"decision_id={decision_id('d1')}")]


def test_conflicting_decisions_of_one_id_are_all_refused(database: Database, reader: SourceReader) -> None:
    first = decision()
    insert(database, engine_decisions=[first, decision(weight=0.5)], decision_outcomes=[outcome(first)])
    batch = read_year(reader)
    assert (batch.decisions.height, batch.outcomes.height) == (0, 0)
    assert [rule for rule, _ in reasons(batch)] == ["DECISION_QUARANTINED", "DUPLICATE_DECISION", "DUPLICATE_DECISION"]


def test_an_id_used_again_in_another_month_is_refused_in_both(database: Database, reader: SourceReader) -> None:
    insert(database, engine_decisions=[decision(), decision(day=date(2020, 5, 4))])
    march = reader.read(date(2020, 3, 1), date(2020, 3, 31), today=TODAY)
    may = reader.read(date(2020, 5, 1), date(2020, 5, 31), today=TODAY)
    assert (march.decisions.height, may.decisions.height) == (0, 0)
    assert [rule for rule, _ in reasons(march) + reasons(may)] == ["DUPLICATE_DECISION"] * 2


def test_a_decision_after_today_is_quarantined(database: Database, reader: SourceReader) -> None:
    insert(database, engine_decisions=[decision(day=date(2020, 3, 20)), decision("good", date(2020, 3, 19))])
    batch = reader.read(date(2020, 3, 1), date(2020, 3, 31), today=date(2020, 3, 19))
    assert batch.decisions["as_of_date"].to_list() == [date(2020, 3, 19)]
    assert ("FUTURE_DATE", "as_of_date=2020-03-20") in reasons(batch)


def test_only_decisions_of_the_range_are_read(database: Database, reader: SourceReader) -> None:
    days = [date(2020, 2, 29), date(2020, 3, 1), date(2020, 3, 31), date(2020, 4, 1)]
    insert(database, engine_decisions=[decision(day, day) for day in days])
    batch = reader.read(date(2020, 3, 1), date(2020, 3, 31), today=TODAY)
    assert batch.decisions["as_of_date"].to_list() == days[1:3]


@pytest.mark.parametrize("instant", ["infinity", "-infinity"])
def test_an_instant_no_calendar_holds_is_in_the_future(database: Database, reader: SourceReader, instant: str) -> None:
    insert(database, engine_decisions=[decision() | {"timestamp": instant}, decision("good")])
    batch = read_year(reader)
    assert batch.decisions.height == 1
    assert reasons(batch) == [("FUTURE_DATE", "decided_at=9999-12-31 00:00:00.000000+00:00")]


def test_instants_are_utc_whatever_the_server_thinks(database: Database, reader: SourceReader) -> None:
    tokyo = datetime.fromisoformat("2020-03-02T08:00:00+09:00")
    insert(database, engine_decisions=[decision(timestamp=tokyo)])
    assert str(read_year(reader).decisions["decided_at"][0]) == "2020-03-01 23:00:00+00:00"
