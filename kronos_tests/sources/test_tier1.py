"""What tier 1 is doing, as either dialect tells it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from kronos.core.vocabulary import Phase
from kronos.errors import SourceMismatch
from kronos.settings import Dialect
from kronos.sources.adapters import adapter
from kronos.sources.connection import SourceConnection
from kronos.sources.reader import SourceReader
from kronos.store.database import Database
from kronos_tests.builders import Row, engine_run, insert
from kronos_tests.sources.foreign import Foreign

NOW = datetime(2024, 7, 3, 21, tzinfo=UTC)
DAY = NOW.date()
SINCE, ALIVE, UNTIL = NOW - timedelta(days=10), NOW - timedelta(hours=24), NOW + timedelta(hours=24)
Job = tuple[str, bool, datetime | None, datetime | None]
"""Of one type: market, busy, busy since, idle since."""


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def job(name: str, status: str, began: float | None = None, ended: float | None = None, **changes: Any) -> Row:
    """A job of US_EQ that began and ended so many hours ago."""
    row: Row = {
        "execution_id": name,
        "job_id": f"job {name}",
        "job_type": "SIGNALS",
        "dag_id": None,
        "market_id": "US_EQ",
        "as_of_date": DAY,
        "status": status,
        "started_at": None if began is None else ago(began),
        "completed_at": None if ended is None else ago(ended),
        "attempt_number": 1,
    }
    return row | changes


def naive(row: Row) -> Row:
    """The row with its times as upstream's job table has them: UTC, without saying so."""
    return {
        key: value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value
        for key, value in row.items()
    }


@dataclass(frozen=True)
class Source:
    """A source of one of the dialects."""

    reader: SourceReader
    write_jobs: Callable[[Sequence[Row]], None]
    write_runs: Callable[[Sequence[Row]], None]

    def jobs(self, *rows: Row) -> list[Job]:
        """What is read of these jobs."""
        self.write_jobs(rows)
        return self.reader.tier1_jobs(SINCE, ALIVE, UNTIL).drop("job_type").rows()

    def runs(self, *rows: Row) -> list[tuple[str, str, datetime]]:
        """What is read of these engine runs."""
        self.write_runs(rows)
        return self.reader.tier1_runs(SINCE).rows()


@pytest.fixture(params=Dialect)
def source(request: pytest.FixtureRequest) -> Source:
    """An empty source of each dialect."""
    if request.param is Dialect.SPEC:
        database, reader = request.getfixturevalue("database"), request.getfixturevalue("reader")
        return Source(
            reader,
            lambda rows: insert(database, job_executions=rows),
            lambda rows: insert(database, engine_runs=rows),
        )
    foreign, reader = request.getfixturevalue("foreign"), request.getfixturevalue("foreign_reader")
    return Source(
        reader,
        lambda rows: foreign.insert(job_executions=[naive(row) for row in rows]),
        lambda rows: foreign.insert(engine_runs=rows),
    )


def test_an_empty_source_says_nothing(source: Source) -> None:
    columns = ["market_id", "job_type", "busy", "busy_since", "idle_since"]
    assert source.reader.tier1_jobs(SINCE, ALIVE, UNTIL).columns == columns
    assert source.reader.tier1_runs(SINCE).columns == ["region", "phase", "since"]
    assert (source.jobs(), source.runs()) == ([], [])


def test_a_running_job_is_busy_since_it_began_and_an_ended_one_idle_since_it_ended(source: Source) -> None:
    rows = job("a", "RUNNING", 1), job("b", "RUNNING", 2), job("c", "SUCCESS", 5, 4), job("d", "FAILED", 4, 3)
    assert source.jobs(*rows) == [("US_EQ", False, None, ago(3)), ("US_EQ", True, ago(2), None)]


def test_each_market_has_its_own_jobs(source: Source) -> None:
    assert source.jobs(job("a", "RUNNING", 1), job("b", "SUCCESS", 2, 1, market_id="EU_EQ")) == [
        ("EU_EQ", False, None, ago(1)),
        ("US_EQ", True, ago(1), None),
    ]


def test_a_job_without_a_market_is_of_none(source: Source) -> None:
    assert source.jobs(job("a", "RUNNING", 1, market_id=None)) == [("", True, ago(1), None)]


def test_each_type_has_its_own_jobs(source: Source) -> None:
    source.write_jobs([job("a", "RUNNING", 1, job_type="BACKTEST"), job("b", "SUCCESS", 2, 1)])
    assert source.reader.tier1_jobs(SINCE, ALIVE, UNTIL).rows() == [
        ("US_EQ", "BACKTEST", True, ago(1), None),
        ("US_EQ", "SIGNALS", False, None, ago(1)),
    ]


def test_a_job_without_a_type_is_of_none(database: Database, reader: SourceReader) -> None:
    insert(database, job_executions=[job("a", "RUNNING", 1, job_type=None)])
    assert reader.tier1_jobs(SINCE, ALIVE, UNTIL).rows() == [("US_EQ", "", True, ago(1), None)]


def test_a_job_said_to_begin_beyond_the_limit_does_not_say_since_when_it_runs(source: Source) -> None:
    """And is over when its day is: else it would run for ever."""
    assert source.jobs(job("a", "RUNNING", -24)) == [("US_EQ", True, ago(-24), None)]
    assert source.jobs(job("b", "RUNNING", -9_999)) == [("US_EQ", True, ago(-24), None)]


@pytest.mark.parametrize("days", [-3, 3])
def test_a_job_that_begins_beyond_the_limit_and_is_not_of_today_has_died(source: Source, days: int) -> None:
    rows = job("a", "RUNNING", -9_999, as_of_date=DAY + timedelta(days=days))
    assert source.jobs(rows) == [("US_EQ", False, None, None)]


def test_an_end_beyond_the_limit_is_none(source: Source) -> None:
    """Tier 1 would settle until then."""
    assert source.jobs(job("a", "SUCCESS", 2, -9_999), job("b", "SUCCESS", 3, 2)) == [("US_EQ", False, None, ago(2))]


def test_what_is_dated_beyond_the_limit_alone_says_nothing(source: Source) -> None:
    assert source.jobs(job("a", "SUCCESS", -9_998, -9_999)) == []


def test_a_job_said_to_run_since_before_the_limit_has_died(source: Source) -> None:
    assert source.jobs(job("a", "RUNNING", 24.01)) == [("US_EQ", False, None, None)]
    assert source.jobs(job("b", "RUNNING", 24)) == [("US_EQ", False, None, None), ("US_EQ", True, ago(24), None)]


def test_a_running_job_that_does_not_say_since_when_runs(source: Source) -> None:
    assert source.jobs(job("a", "RUNNING")) == [("US_EQ", True, None, None)]
    assert source.jobs(job("b", "RUNNING", 2)) == [("US_EQ", True, ago(2), None)]


def test_a_job_of_an_earlier_day_that_never_said_when_it_began_has_died(source: Source) -> None:
    assert source.jobs(job("old", "RUNNING", as_of_date=DAY - timedelta(days=3))) == [("US_EQ", False, None, None)]


def test_a_retry_runs_whatever_its_row_says_of_the_attempt_before(source: Source) -> None:
    assert source.jobs(job("a", "RUNNING", 1, 2, attempt_number=2)) == [("US_EQ", True, ago(1), ago(2))]


@pytest.mark.parametrize("status", ["PENDING", "SKIPPED", "SUCCESS", "FAILED", "running late"])
def test_only_running_is_running(source: Source, status: str) -> None:
    assert source.jobs(job("a", status, 1)) == [("US_EQ", False, None, None)]


def test_a_status_may_be_written_in_small_letters(source: Source) -> None:
    assert source.jobs(job("a", "running", 1)) == [("US_EQ", True, ago(1), None)]


def test_what_neither_began_nor_ended_lately_is_left_out(source: Source) -> None:
    old = 24 * 10 + 1
    assert source.jobs(job("a", "SUCCESS", old + 1, old), job("b", "RUNNING", old), job("c", "PENDING")) == []
    assert source.jobs(job("d", "SUCCESS", old, 1)) == [("US_EQ", False, None, ago(1))]


def test_each_date_of_a_region_has_its_own_engine_run(source: Source) -> None:
    """A session that is late, or run again, is at work though the next one already waits for its data."""
    yesterday = DAY - timedelta(days=1)
    rows = [
        engine_run(yesterday, phase="SIGNALS_DONE", updated_at=ago(1)),
        engine_run(DAY, phase="WAITING_FOR_DATA", updated_at=ago(5)),
        engine_run(yesterday, "EU", updated_at=ago(20)),
    ]
    assert source.runs(*rows) == [
        ("EU", "COMPLETED", ago(20)),
        ("US", "WAITING_FOR_DATA", ago(5)),
        ("US", "SIGNALS_DONE", ago(1)),
    ]


@pytest.mark.parametrize("phase", Phase)
def test_a_phase_comes_as_it_is(source: Source, phase: Phase) -> None:
    assert source.runs(engine_run(DAY, phase=phase.value, updated_at=ago(2))) == [("US", phase.value, ago(2))]


def test_a_region_whose_runs_did_not_change_lately_is_left_out(source: Source) -> None:
    assert source.runs(engine_run(date(2024, 6, 3), updated_at=ago(24 * 10 + 1))) == []


@pytest.mark.parametrize("since", [SINCE, NOW - timedelta(hours=20)])
def test_naive_times_are_utc_whatever_the_sessions_zone(foreign: Foreign, since: datetime) -> None:
    """Hours apart they would make a job that runs stale, or one that died busy. Read past the source's own connection,
    whose driver works in UTC."""
    foreign.insert(job_executions=[naive(row) for row in (job("a", "RUNNING", 20), job("b", "SUCCESS", 2, 1))])
    statement = adapter(Dialect.PROMETHEUS_V2, "tier1_jobs")
    for number, name in (("$1", "since"), ("$2", "alive"), ("$3", "until")):
        statement = statement.replace(number, f"%({name})s")
    for zone in ("UTC", "Asia/Tokyo", "America/Los_Angeles"):
        with psycopg.connect(foreign.url) as session:
            session.execute("SELECT set_config('TimeZone', %s, false)", [zone])
            found = session.execute(statement, {"since": since, "alive": ALIVE, "until": UNTIL}).fetchall()
        assert found == [("US_EQ", "SIGNALS", False, None, ago(1)), ("US_EQ", "SIGNALS", True, ago(20), None)]


def test_a_database_in_another_zone_reads_the_same(foreign: Foreign) -> None:
    foreign.insert(job_executions=[naive(job("a", "RUNNING", 20))])
    foreign.execute(f"ALTER DATABASE {foreign.owner.name} SET TimeZone = 'Asia/Tokyo'")
    with SourceConnection(foreign.url) as connection:
        found = connection.fetch(adapter(Dialect.PROMETHEUS_V2, "tier1_jobs"), [SINCE, ALIVE, UNTIL])
    assert found.rows() == [("US_EQ", "SIGNALS", True, ago(20), None)]


@pytest.mark.parametrize("column", ["status", "started_at", "completed_at", "market_id", "job_type"])
def test_a_source_whose_jobs_lack_a_column_does_not_fit(
    foreign: Foreign, foreign_reader: SourceReader, column: str
) -> None:
    foreign_reader.check()
    foreign.execute(f"ALTER TABLE job_executions DROP COLUMN {column}")
    with pytest.raises(SourceMismatch, match="job_executions") as refused:
        foreign_reader.check()
    assert column in str(refused.value)
