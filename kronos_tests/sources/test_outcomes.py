"""Outcome revisions of the stand-alone tables: order, values, and what each bad input comes to."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from kronos.core.frames import OUTCOME_VALUES
from kronos.sources.reader import SourceReader
from kronos.store.database import Database
from kronos_tests.builders import at, decision, decision_id, insert, outcome
from kronos_tests.sources.reading import DAY, TODAY, read_year, reasons

NAN, INF = float("nan"), float("inf")


def test_every_known_metric_becomes_a_typed_column(database: Database, reader: SourceReader) -> None:
    metrics = {
        "event": 0.25,
        "realised_class": "down",
        "hit": 0.5,
        "hard_violations": 2,
        "soft_violations": 0,
        "turnover": 0.1,
        "cost": 1e-4,
        "benchmark_return": -0.01,
        "realised_vol": 0.2,
        "loss": 3,
    }
    made = decision()
    insert(database, engine_decisions=[made], decision_outcomes=[outcome(made, 5, **metrics, unheard_of=[1])])
    row = read_year(reader).outcomes.row(0, named=True)
    assert {key: row[key] for key in metrics} == metrics
    assert (row["horizon"], row["eval_date"], row["valid"]) == (5, date(2020, 3, 7), True)
    assert (row["return"], row["pnl"], row["drawdown"]) == (0.01, 10.0, -0.002)


@pytest.mark.parametrize(("said", "means"), [(True, 1.0), (False, 0.0), (1, 1.0), (0, 0.0), (None, None)])
def test_truth_values_are_numbers(database: Database, reader: SourceReader, said: object, means: float | None) -> None:
    made = decision()
    insert(database, engine_decisions=[made], decision_outcomes=[outcome(made, event=said, hit=said)])
    assert read_year(reader).outcomes.select("event", "hit").row(0) == (means, means)


def test_an_outcome_without_any_number_is_valid_and_says_nothing(database: Database, reader: SourceReader) -> None:
    made = decision()
    bare = outcome(made) | {"return": None, "pnl": None, "drawdown": None, "risk_metrics": None}
    insert(database, engine_decisions=[made], decision_outcomes=[bare])
    row = read_year(reader).outcomes.row(0, named=True)
    assert row["valid"] and all(row[column] is None for column in OUTCOME_VALUES)


def test_all_revisions_are_read_in_recording_order(database: Database, reader: SourceReader) -> None:
    made = decision()
    days = [date(2020, 6, 1), date(2020, 3, 3), date(2020, 4, 1)]
    rows = [outcome(made, recorded_at=at(day)) | {"return": day.month / 100} for day in days]
    insert(database, engine_decisions=[made], decision_outcomes=rows)
    assert read_year(reader).outcomes["return"].to_list() == [0.03, 0.04, 0.06]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"return": NAN}, ("NOT_FINITE", "return=NaN")),
        ({"pnl": -INF}, ("NOT_FINITE", "pnl=-inf")),
        ({"drawdown": NAN}, ("NOT_FINITE", "drawdown=NaN")),
        ({"pnl": 2e17}, ("TOO_LARGE", "pnl=2e+17")),
        ({"loss": -(10**16)}, ("TOO_LARGE", "loss=-1e+16")),
        ({"event": 1.5}, ("EVENT_RANGE", "event=1.5")),
        ({"event": -0.5}, ("EVENT_RANGE", "event=-0.5")),
        ({"hit": 0.3}, ("HIT_VALUE", "hit=0.3")),
        ({"hard_violations": -1}, ("NOT_A_COUNT", "hard_violations=-1.0")),
        ({"soft_violations": 1.5}, ("NOT_A_COUNT", "soft_violations=1.5")),
        ({"event": "yes"}, ("WRONG_JSON_TYPE", "event")),
        ({"realised_class": 3, "cost": "1"}, ("WRONG_JSON_TYPE", "realised_class, cost")),
        ({"risk_metrics": ["a"]}, ("WRONG_JSON_TYPE", "risk_metrics")),
        ({"eval_date": date(2021, 1, 1)}, ("FUTURE_DATE", "eval_date=2021-01-01")),
        ({"eval_date": "infinity"}, ("FUTURE_DATE", "eval_date=9999-12-31")),
        ({"eval_date": date(2020, 3, 1)}, ("EVAL_BEFORE_DECISION", "eval_date=2020-03-01")),
    ],
)
def test_a_bad_revision_stays_as_an_invalid_one_and_hides_the_older(
    database: Database, reader: SourceReader, changes: dict[str, Any], expected: tuple[str, str]
) -> None:
    made = decision()
    newer = outcome(made, **{"recorded_at": at(date(2020, 4, 1)), **changes})
    insert(database, engine_decisions=[made], decision_outcomes=[newer, outcome(made)])
    batch = read_year(reader)
    assert batch.outcomes["valid"].to_list() == [True, False]
    assert all(value is None for value in batch.outcomes.select("eval_date", *OUTCOME_VALUES).row(1))
    assert reasons(batch) == [expected]
    assert batch.quarantine["source_key"].item() == f"{decision_id('d1')}/1/2020-04-01T21:00:00.000000+00:00"


@pytest.mark.parametrize("horizon", [0, -1, 2521])
def test_an_impossible_horizon_is_no_revision_of_anything(
    database: Database, reader: SourceReader, horizon: int
) -> None:
    made = decision()
    insert(database, engine_decisions=[made], decision_outcomes=[outcome(made, horizon, eval_date=DAY)])
    batch = read_year(reader)
    assert batch.outcomes.is_empty()
    assert reasons(batch) == [("BAD_HORIZON", f"horizon={horizon}")]
    assert reader.horizons().is_empty()


def test_outcomes_of_a_refused_decision_are_refused_with_it(database: Database, reader: SourceReader) -> None:
    made = decision(mode="?")
    insert(database, engine_decisions=[made], decision_outcomes=[outcome(made) | {"pnl": NAN}])
    batch = read_year(reader)
    assert batch.outcomes.is_empty()
    assert [rule for rule, _ in reasons(batch)] == ["DECISION_QUARANTINED", "UNKNOWN_MODE"]


def test_a_decision_without_outcomes_is_still_a_decision(database: Database, reader: SourceReader) -> None:
    insert(database, engine_decisions=[decision()])
    batch = read_year(reader)
    assert (batch.decisions.height, batch.outcomes.height, batch.quarantine.height) == (1, 0, 0)


def test_outcomes_come_with_their_decision_however_late(database: Database, reader: SourceReader) -> None:
    made = decision()
    insert(database, engine_decisions=[made, decision("d2", date(2020, 4, 1))])
    insert(database, decision_outcomes=[outcome(made, 60)])
    march = reader.read(date(2020, 3, 1), date(2020, 3, 31), today=TODAY)
    april = reader.read(date(2020, 4, 1), date(2020, 4, 30), today=TODAY)
    assert (march.outcomes.height, april.outcomes.height) == (1, 0)


def test_orphans_are_outcomes_without_decision_and_rows_no_month_holds(
    database: Database, reader: SourceReader
) -> None:
    undated, later = decision("undated") | {"as_of_date": None}, decision("later", date(2021, 1, 4))
    insert(database, engine_decisions=[undated, later], decision_outcomes=[outcome(decision("gone"))])
    found = reader.orphans(TODAY).select("rule", "value", "as_of_date").sort("rule")
    assert found.rows() == [
        ("FUTURE_DATE", "as_of_date=2021-01-04", date(2021, 1, 4)),
        ("MISSING_FIELD", "as_of_date=null", None),
        ("ORPHAN_OUTCOME", f"decision_id={decision_id('gone')}", date(2020, 3, 3)),
    ]


def test_horizons_are_those_at_which_a_config_has_any_outcome(database: Database, reader: SourceReader) -> None:
    fast, slow = decision(), decision("d2", config_id="slow")
    insert(database, engine_decisions=[fast, slow, decision("d3", config_id="none")])
    insert(database, decision_outcomes=[outcome(fast, 1), outcome(fast, 5), outcome(slow, 21)])
    assert reader.horizons().rows() == [("PORTFOLIO", "fast", 1), ("PORTFOLIO", "fast", 5), ("PORTFOLIO", "slow", 21)]
    assert reader.horizons().schema["horizon"] == pl.Int32
