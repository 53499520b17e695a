"""A month's fingerprint changes exactly when reading the month would give something else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from kronos.sources.reader import SourceReader
from kronos.store.database import Database, Role
from kronos_tests.builders import at, decision, decision_id, insert, outcome, regime, stability
from kronos_tests.sources.foreign import Foreign, foreign_decision, foreign_outcome
from kronos_tests.sources.reading import DAY, TODAY

MAY, JULY = date(2020, 5, 4), date(2020, 7, 1)


def changed(reader: SourceReader, change: Callable[[], object]) -> list[str]:
    """Months whose fingerprint the change moves."""
    before = dict(reader.fingerprints(TODAY).iter_rows())
    change()
    after = dict(reader.fingerprints(TODAY).iter_rows())
    return [month for month in after if before.get(month) != after[month]]


@pytest.fixture
def three_months(database: Database) -> Database:
    """Decisions in March, May and July with an outcome each."""
    made = [decision("march"), decision("may", MAY), decision("july", JULY)]
    insert(database, engine_decisions=made, decision_outcomes=[outcome(row) for row in made])
    return database


def upstream(database: Database, statement: str) -> None:
    with database.connect(Role.UPSTREAM) as connection:
        connection.execute(statement)


def test_an_empty_database_has_no_months(reader: SourceReader) -> None:
    assert reader.months(TODAY) == []
    assert reader.fingerprints(TODAY).is_empty()


def test_months_are_those_of_the_decisions(three_months: Database, reader: SourceReader) -> None:
    assert reader.months(TODAY) == ["2020-03", "2020-05", "2020-07"]
    assert reader.fingerprints(TODAY)["month"].to_list() == reader.months(TODAY)


def test_nothing_moves_when_nothing_changes(three_months: Database, reader: SourceReader) -> None:
    assert changed(reader, lambda: None) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE source.engine_decisions SET proposed_action = '{\"weight\": 1}' WHERE as_of_date = '2020-05-04'",
        "UPDATE source.engine_decisions SET config_id = 'slow' WHERE as_of_date = '2020-05-04'",
        "DELETE FROM source.decision_outcomes WHERE eval_date = '2020-05-05'",
        "UPDATE source.decision_outcomes SET pnl = 'NaN' WHERE eval_date = '2020-05-05'",
        "UPDATE source.decision_outcomes SET risk_metrics = '{\"hit\": true}' WHERE eval_date = '2020-05-05'",
    ],
)
def test_a_changed_row_moves_its_decisions_month(three_months: Database, reader: SourceReader, statement: str) -> None:
    assert changed(reader, lambda: upstream(three_months, statement)) == ["2020-05"]


def test_a_late_restatement_moves_the_month_of_the_decision(three_months: Database, reader: SourceReader) -> None:
    late = outcome(decision("march"), recorded_at=at(JULY))
    assert changed(reader, lambda: insert(three_months, decision_outcomes=[late])) == ["2020-03"]


def test_a_copied_decision_moves_every_month_that_holds_its_id(three_months: Database, reader: SourceReader) -> None:
    copy = decision(day=JULY, decision_id=decision_id("march"))
    assert changed(reader, lambda: insert(three_months, engine_decisions=[copy])) == ["2020-03", "2020-07"]


def test_context_moves_the_months_it_can_reach(three_months: Database, reader: SourceReader) -> None:
    insert(three_months, regimes=[regime(date(2020, 6, 15))])
    reaching = regime(date(2020, 2, 3), "CRISIS")
    assert changed(reader, lambda: insert(three_months, regimes=[reaching])) == ["2020-03", "2020-05"]
    assert changed(reader, lambda: insert(three_months, stability_vectors=[stability(MAY, 0.5)])) == [
        "2020-05",
        "2020-07",
    ]


def test_context_after_the_last_decision_moves_nothing(three_months: Database, reader: SourceReader) -> None:
    assert changed(reader, lambda: insert(three_months, regimes=[regime(date(2020, 9, 1))])) == []


def test_a_future_row_moves_its_month_again_when_its_day_comes(database: Database, reader: SourceReader) -> None:
    insert(database, engine_decisions=[decision(), decision("tomorrow", date(2020, 3, 3))])
    today, tomorrow = reader.fingerprints(DAY), reader.fingerprints(date(2020, 3, 3))
    assert not today.equals(tomorrow)
    assert tomorrow.equals(reader.fingerprints(TODAY))


def test_months_outside_the_calendar_or_after_today_are_none(database: Database, reader: SourceReader) -> None:
    insert(database, engine_decisions=[decision(), decision("far", date(2021, 1, 4)), decision("old", date(202, 3, 2))])
    for day in ("infinity", "-infinity"):
        upstream(
            database,
            f"INSERT INTO source.engine_decisions (decision_id, as_of_date) VALUES (gen_random_uuid(), '{day}')",
        )
        upstream(database, f"INSERT INTO source.regimes (region, as_of_date, regime_label) VALUES ('US', '{day}', 'A')")
    assert reader.months(TODAY) == reader.fingerprints(TODAY)["month"].to_list() == ["2020-03"]
    assert sorted(reader.orphans(TODAY)["rule"].to_list()) == [
        *["FUTURE_DATE"] * 4,
        *["IMPLAUSIBLE_DATE"] * 2,
    ]


def test_an_outcome_overwritten_in_place_moves_its_month(foreign: Foreign, foreign_reader: SourceReader) -> None:
    made = [foreign_decision("march"), foreign_decision("may", MAY)]
    foreign.insert(engine_decisions=made, decision_outcomes=[foreign_outcome(row) for row in made])
    overwrite = "UPDATE decision_outcomes SET realized_return = 0.02 WHERE decision_id = 'may'"
    assert changed(foreign_reader, lambda: foreign.execute(overwrite)) == ["2020-05"]
