"""Models, risk reports and job executions, as either dialect tells them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from kronos.core.frames import JOB_EXECUTIONS, MODELS, RISK_REPORTS
from kronos.core.vocabulary import JobStatus
from kronos.errors import SourceMismatch
from kronos.sandbox.history import history
from kronos.settings import Dialect
from kronos.sources.reader import SourceReader
from kronos.sources.tables import TABLES, Checked, table_breaches
from kronos.store.database import Database, Role
from kronos_tests.builders import Row, at, insert
from kronos_tests.sources.foreign import Foreign
from kronos_tests.sources.reading import DAY, TODAY

YEAR = (date(2020, 1, 1), TODAY)
Reason = tuple[str, str, str]


def job(name: str = "e1", **changes: Any) -> Row:
    """A job of US_EQ that took an hour."""
    row = {
        "execution_id": name,
        "job_id": "signals",
        "job_type": "SIGNALS",
        "dag_id": None,
        "market_id": "US_EQ",
        "as_of_date": DAY,
        "status": "SUCCESS",
        "started_at": at(DAY, 20),
        "completed_at": at(DAY, 21),
        "attempt_number": 1,
    }
    return row | changes


def naive(row: Row) -> Row:
    """The row with its times as upstream's job table has them: UTC, without saying so."""
    return {
        key: value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value
        for key, value in row.items()
    }


def report(day: date = DAY, **changes: Any) -> Row:
    """A risk report of the book `core`, in the stand-alone columns."""
    row = {
        "portfolio_id": "core",
        "as_of_date": day,
        "risk_metrics": {"var": 0.02, "portfolio_value": 1000.0, "cash": 10.0, "leverage": 1.5},
        "exposures": {"net_exposure": 0.5, "gross_exposure": 1.5, "by_sector": {"IT": None}, "by_factor": {"MOM": 0.1}},
        "scenario_pnl": {"crash": -100.0},
        "model_id": "m1",
        "metadata": {"model_id": "m1"},
        "recorded_at": at(day),
    }
    return row | changes


def foreign_report(day: date = DAY, **changes: Any) -> Row:
    """The same report in upstream's columns."""
    row = {
        "report_id": uuid.uuid4().hex,
        "portfolio_id": "core",
        "as_of_date": day,
        "portfolio_value": 1000.0,
        "cash": 10.0,
        "net_exposure": 0.5,
        "gross_exposure": 1.5,
        "leverage": 1.5,
        "risk_metrics": {"var": 0.02},
        "scenario_pnl": {"crash": -100.0},
        "exposures_by_sector": {"IT": None},
        "exposures_by_factor": {"MOM": 0.1},
        "metadata": {"model_id": "m1"},
        "created_at": at(day),
    }
    return row | changes


def model(name: str = "m1", **changes: Any) -> Row:
    """A registered regime model."""
    row = {
        "model_id": name,
        "engine_name": "REGIME",
        "type": "RULE",
        "artifact_ref": "a/b",
        "training_data_spec": {"fitted": False},
        "metrics": None,
        "created_at": at(DAY),
        "created_by": "ann",
    }
    return row | changes


def reasons(checked: Checked) -> list[Reason]:
    """Rule, value and key of every quarantined row."""
    return sorted(checked.quarantine.select("rule", "value", "source_key").iter_rows())


@dataclass(frozen=True)
class Source:
    """A source of one of the dialects."""

    reader: SourceReader
    insert: Callable[..., None]
    execute: Callable[[str], None]
    job: Callable[..., Row]
    report: Callable[..., Row]


@pytest.fixture(params=Dialect)
def source(request: pytest.FixtureRequest) -> Source:
    """An empty source of each dialect."""
    if request.param is Dialect.PROMETHEUS_V2:
        foreign: Foreign = request.getfixturevalue("foreign")
        reader = request.getfixturevalue("foreign_reader")
        return Source(reader, foreign.insert, foreign.execute, lambda *a, **k: naive(job(*a, **k)), foreign_report)
    database: Database = request.getfixturevalue("database")

    def execute(statement: str) -> None:
        with database.connect(Role.OWNER) as connection:
            connection.execute("SET search_path = source")
            connection.execute(statement)

    reader = request.getfixturevalue("reader")
    return Source(reader, lambda **tables: insert(database, **tables), execute, job, report)


def test_a_good_job_reads_the_same_in_both_dialects(source: Source) -> None:
    source.insert(job_executions=[source.job()])
    checked = source.reader.job_executions(*YEAR, today=TODAY)
    assert checked.rows.rows(named=True) == [job()]
    assert checked.rows.schema == pl.Schema(JOB_EXECUTIONS)
    assert checked.quarantine.is_empty()


def test_a_good_report_reads_the_same_in_both_dialects(source: Source) -> None:
    source.insert(portfolio_risk_reports=[source.report()])
    checked = source.reader.risk_reports(*YEAR, today=TODAY)
    assert checked.rows.schema == pl.Schema(RISK_REPORTS)
    assert checked.quarantine.is_empty()
    row = checked.rows.row(0, named=True)
    documents = {key for key, value in report().items() if isinstance(value, dict)}
    assert {key: json.loads(value) if key in documents else value for key, value in row.items()} == report()


def test_a_report_that_says_nothing_is_null_throughout(source: Source) -> None:
    empty = {
        key: None for key in source.report() if key not in ("report_id", "portfolio_id", "as_of_date", "recorded_at")
    }
    source.insert(portfolio_risk_reports=[source.report(**empty)])
    rows = source.reader.risk_reports(*YEAR).rows.drop("portfolio_id", "as_of_date", "recorded_at")
    assert rows.rows() == [(None,) * 5]


def test_a_json_null_is_no_document_and_no_breach(source: Source) -> None:
    source.insert(portfolio_risk_reports=[source.report()])
    source.execute("UPDATE portfolio_risk_reports SET scenario_pnl = 'null', metadata = 'null'")
    checked = source.reader.risk_reports(*YEAR)
    assert checked.rows.select("scenario_pnl", "metadata").rows() == [(None, None)]
    assert checked.quarantine.is_empty()


def test_only_the_range_is_read_in_order_of_the_key(source: Source) -> None:
    days = [date(2020, 3, 3), DAY, date(2019, 12, 31), date(2021, 1, 1)]
    source.insert(
        portfolio_risk_reports=[source.report(day) for day in days],
        job_executions=[source.job(f"e{day}", as_of_date=day) for day in days],
    )
    assert source.reader.risk_reports(*YEAR).rows["as_of_date"].to_list() == [DAY, date(2020, 3, 3)]
    assert source.reader.job_executions(*YEAR).rows["as_of_date"].to_list() == [DAY, date(2020, 3, 3)]


def test_models_come_by_id(database: Database, reader: SourceReader) -> None:
    insert(database, models=[model("m2"), model()])
    checked = reader.models(today=TODAY)
    assert checked.rows["model_id"].to_list() == ["m1", "m2"]
    assert checked.quarantine.is_empty()


def test_a_models_documents_come_as_text(database: Database, reader: SourceReader) -> None:
    insert(database, models=[model()])
    assert reader.models().rows.rows(named=True) == [model(training_data_spec='{"fitted": false}')]


def test_where_no_models_are_registered_the_frame_is_empty(source: Source) -> None:
    checked = source.reader.models(today=TODAY)
    assert checked.rows.schema == pl.Schema(MODELS)
    assert checked.rows.is_empty() and checked.quarantine.is_empty()


_TIMES = "started_at=2020-03-02 20:00:00.000000+00:00 completed_at=2020-03-02 19:00:00.000000+00:00"
_JOB_BREACHES: list[tuple[Row, Reason]] = [
    ({"execution_id": ""}, ("MISSING_FIELD", "execution_id=", "/1")),
    ({"job_id": ""}, ("MISSING_FIELD", "job_id=", "e1/1")),
    ({"job_type": ""}, ("MISSING_FIELD", "job_type=", "e1/1")),
    ({"as_of_date": None}, ("MISSING_FIELD", "as_of_date=null", "e1/1")),
    ({"status": ""}, ("MISSING_FIELD", "status=", "e1/1")),
    ({"status": "DONE"}, ("UNKNOWN_STATUS", "status=DONE", "e1/1")),
    ({"completed_at": at(DAY, 19)}, ("COMPLETED_BEFORE_STARTED", _TIMES, "e1/1")),
    ({"as_of_date": date(202, 3, 2)}, ("IMPLAUSIBLE_DATE", "as_of_date=0202-03-02", "e1/1")),
    ({"as_of_date": TODAY + timedelta(days=1)}, ("FUTURE_DATE", "as_of_date=2021-01-01", "e1/1")),
    (
        {"completed_at": at(TODAY + timedelta(days=2))},
        ("FUTURE_DATE", "completed_at=2021-01-02 21:00:00.000000+00:00", "e1/1"),
    ),
    (
        {"started_at": at(date(202, 3, 2))},
        ("IMPLAUSIBLE_DATE", "started_at=0202-03-02 21:00:00.000000+00:00", "e1/1"),
    ),
]


@pytest.mark.parametrize(("changes", "expected"), _JOB_BREACHES)
def test_a_job_that_breaks_a_rule_is_quarantined_with_rule_value_and_key(
    source: Source, changes: Row, expected: Reason
) -> None:
    source.insert(job_executions=[source.job(**changes), source.job("good")])
    checked = source.reader.job_executions(date(1, 1, 1), date(2030, 1, 1), today=TODAY)
    assert reasons(checked) == [expected]
    assert checked.quarantine["source_table"].to_list() == ["job_executions"]
    assert checked.rows["execution_id"].to_list() == ["good"]


_REPORT_BREACHES: list[tuple[Row, Reason]] = [
    ({"portfolio_id": ""}, ("MISSING_FIELD", "portfolio_id=", "/2020-03-02/2020-03-02T21:00:00.000000+00:00")),
    *(
        ({column: [1]}, ("WRONG_JSON_TYPE", column, "core/2020-03-02/2020-03-02T21:00:00.000000+00:00"))
        for column in ("risk_metrics", "scenario_pnl", "metadata")
    ),
    (
        {"as_of_date": TODAY + timedelta(days=1)},
        ("FUTURE_DATE", "as_of_date=2021-01-01", "core/2021-01-01/2020-03-02T21:00:00.000000+00:00"),
    ),
    (
        {"as_of_date": date(202, 3, 2)},
        ("IMPLAUSIBLE_DATE", "as_of_date=0202-03-02", "core/0202-03-02/2020-03-02T21:00:00.000000+00:00"),
    ),
]


@pytest.mark.parametrize(("changes", "expected"), _REPORT_BREACHES)
def test_a_report_that_breaks_a_rule_is_quarantined_with_rule_value_and_key(
    source: Source, changes: Row, expected: Reason
) -> None:
    source.insert(portfolio_risk_reports=[source.report(**changes), source.report(date(2020, 3, 3))])
    checked = source.reader.risk_reports(date(1, 1, 1), date(2030, 1, 1), today=TODAY)
    assert reasons(checked) == [expected]
    assert checked.rows["as_of_date"].to_list() == [date(2020, 3, 3)]


@pytest.mark.parametrize(
    "changes",
    [
        {"exposures_by_sector": [1]},
        {"exposures_by_factor": [1]},
        {"leverage": float("nan")},
        {"cash": float("inf")},
        {"metadata": {"model_id": 1}},
    ],
)
def test_upstreams_own_report_columns_are_checked_too(
    foreign: Foreign, foreign_reader: SourceReader, changes: Row
) -> None:
    foreign.insert(portfolio_risk_reports=[foreign_report(**changes)])
    column = "model_id" if "metadata" in changes else next(iter(changes))
    checked = foreign_reader.risk_reports(*YEAR)
    assert [reason[:2] for reason in reasons(checked)] == [("WRONG_JSON_TYPE", column)]
    assert checked.rows.is_empty()


def test_a_report_whose_exposures_are_no_object_is_quarantined(database: Database, reader: SourceReader) -> None:
    insert(database, portfolio_risk_reports=[report(exposures=[1])])
    assert [reason[:2] for reason in reasons(reader.risk_reports(*YEAR))] == [("WRONG_JSON_TYPE", "exposures")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model_id": ""}, ("MISSING_FIELD", "model_id=", "")),
        ({"engine_name": None}, ("MISSING_FIELD", "engine_name=null", "m1")),
        ({"metrics": [1]}, ("WRONG_JSON_TYPE", "metrics", "m1")),
        ({"training_data_spec": [1]}, ("WRONG_JSON_TYPE", "training_data_spec", "m1")),
        (
            {"created_at": at(date(2021, 1, 2))},
            ("FUTURE_DATE", "created_at=2021-01-02 21:00:00.000000+00:00", "m1"),
        ),
    ],
)
def test_a_model_that_breaks_a_rule_is_quarantined_with_rule_value_and_key(
    database: Database, reader: SourceReader, changes: Row, expected: Reason
) -> None:
    insert(database, models=[model(**changes), model("good")])
    checked = reader.models(today=TODAY)
    assert reasons(checked) == [expected]
    assert checked.rows["model_id"].to_list() == ["good"]


def test_without_today_no_date_is_too_late(source: Source) -> None:
    late = date(2024, 1, 2)
    source.insert(job_executions=[source.job(as_of_date=late)], portfolio_risk_reports=[source.report(late)])
    assert source.reader.job_executions(late, late).rows.height == 1
    assert source.reader.risk_reports(late, late).rows.height == 1


@pytest.mark.parametrize("status", ["PENDING", "RUNNING", "running"])
def test_a_retry_may_begin_after_the_attempt_before_has_ended(source: Source, status: str) -> None:
    source.insert(job_executions=[source.job(status=status, completed_at=at(DAY, 19), attempt_number=2)])
    checked = source.reader.job_executions(*YEAR, today=TODAY)
    assert checked.rows["status"].to_list() == [status.upper()]
    assert checked.quarantine.is_empty()


@pytest.mark.parametrize("status", JobStatus)
def test_a_status_may_be_written_in_small_letters(source: Source, status: JobStatus) -> None:
    source.insert(job_executions=[source.job(status=status.value.lower())])
    assert source.reader.job_executions(*YEAR).rows["status"].to_list() == [status.value]


def test_orphans_hold_every_breach_of_these_tables_whenever_it_is_dated(source: Source) -> None:
    days = [None, date(202, 3, 2), DAY, date(2021, 2, 1)]
    source.insert(
        job_executions=[source.job(f"e{n}", as_of_date=day, status="DONE") for n, day in enumerate(days)],
        portfolio_risk_reports=[source.report(metadata=[1]), source.report(date(2020, 3, 3))],
    )
    source.execute(
        "INSERT INTO job_executions SELECT 'e4', job_id, job_type, dag_id, market_id, '-infinity', 'FAILED',"
        " started_at, completed_at, 1 FROM job_executions WHERE execution_id = 'e2'"
    )
    counts = source.reader.orphans(TODAY).group_by("source_table", "rule").len().sort("source_table", "rule")
    assert counts.rows() == [
        ("job_executions", "FUTURE_DATE", 2),
        ("job_executions", "IMPLAUSIBLE_DATE", 1),
        ("job_executions", "MISSING_FIELD", 1),
        ("job_executions", "UNKNOWN_STATUS", 4),
        ("portfolio_risk_reports", "WRONG_JSON_TYPE", 1),
    ]


def test_orphans_hold_models_that_break_the_contract(database: Database, reader: SourceReader) -> None:
    insert(database, models=[model(engine_name="")])
    assert reader.orphans(TODAY).rows() == [("models", "m1", "MISSING_FIELD", "engine_name=", None)]


@pytest.mark.parametrize(
    ("table", "column"),
    [("portfolio_risk_reports", "scenario_pnl"), ("portfolio_risk_reports", "metadata"), ("job_executions", "job_id")],
)
def test_a_source_whose_tables_lack_a_column_does_not_fit(source: Source, table: str, column: str) -> None:
    source.reader.check()
    source.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    with pytest.raises(SourceMismatch, match=rf"table {table} .*{column}"):
        source.reader.check()


def test_a_stand_alone_source_promises_models(database: Database, reader: SourceReader) -> None:
    with database.connect(Role.OWNER) as connection:
        connection.execute("ALTER TABLE source.models DROP COLUMN metrics")
    with pytest.raises(SourceMismatch, match=r"table models .*metrics"):
        reader.check()


def test_the_sandboxs_own_rows_break_no_rule() -> None:
    until = date(2016, 9, 30)
    slices = list(history(until, start=date(2016, 6, 1)))
    for table in TABLES:
        rows = pl.concat(piece.rows for piece in slices if piece.table == table.name)
        assert not rows.is_empty()
        assert table_breaches(rows.with_columns(wrong_types=pl.lit("")), table, until).is_empty()
