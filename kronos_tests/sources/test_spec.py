"""The stand-alone dialect's lesser tables: runs, counts, configs."""

from __future__ import annotations

from datetime import date

from kronos.sources.reader import SourceReader
from kronos.store.database import Database, Role
from kronos_tests.builders import at, decision, engine_run, insert, outcome, regime
from kronos_tests.sources.reading import DAY


def test_engine_runs_of_a_day_come_by_region(database: Database, reader: SourceReader) -> None:
    runs = [engine_run(DAY), engine_run(DAY, "EU", "FAILED", error={"why": "no data"}), engine_run(date(2020, 3, 3))]
    insert(database, engine_runs=runs)
    assert reader.engine_runs(DAY).select("region", "phase", "error", "updated_at").rows() == [
        ("EU", "FAILED", '{"why": "no data"}', at(DAY, 22)),
        ("US", "COMPLETED", None, at(DAY, 22)),
    ]


def test_row_counts_name_every_table_with_its_newest_day(database: Database, reader: SourceReader) -> None:
    made = decision()
    insert(database, engine_decisions=[made], decision_outcomes=[outcome(made, 5)], regimes=[regime(DAY)])
    counts = {table: (rows, newest) for table, rows, newest in reader.row_counts().iter_rows()}
    assert len(counts) == 10
    assert counts["decision_outcomes"] == (1, date(2020, 3, 7))
    assert counts["regimes"] == (1, DAY)
    assert counts["models"] == (0, None)


def test_configs_are_those_the_decisions_name(database: Database, reader: SourceReader) -> None:
    insert(database, engine_decisions=[decision(), decision("d2", date(2020, 1, 2)), decision("d3", config_id="slow")])
    configs = reader.configs().select("engine_name", "config_id", "config_body", "created_at")
    assert configs.rows() == [
        ("PORTFOLIO", "fast", None, at(date(2020, 1, 2), 0)),
        ("PORTFOLIO", "slow", None, at(DAY, 0)),
    ]


def test_configs_come_from_the_sources_own_registry_when_it_keeps_one(database: Database, reader: SourceReader) -> None:
    with database.connect(Role.OWNER) as connection:
        connection.execute(
            """CREATE TABLE source.engine_configs AS SELECT 'fast' AS config_id, 'PORTFOLIO' AS engine_name,
            '3' AS version, '{"a": 1}'::jsonb AS config_body,
            '2019-01-01'::timestamptz AS created_at, 'ann' AS created_by"""
        )
    row = ("PORTFOLIO", "fast", "3", '{"a": 1}', at(date(2019, 1, 1), 0), "ann")
    assert reader.configs().rows() == [row]
