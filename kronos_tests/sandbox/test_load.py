"""Loading the history into a database and playing on from there."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest

from kronos.core.policy import ObservationPolicy
from kronos.errors import BadValue, NotFound
from kronos.sandbox.configs import CONFIGS, incumbent
from kronos.sandbox.engines import ENGINES
from kronos.sandbox.load import SEED_REASON, SandboxAtEnd, SandboxOccupied, advance, load_history
from kronos.settings import Dialect, RecordedBy
from kronos.sources.reader import SourceReader
from kronos.store.clock import read_clock, sandbox_now
from kronos.store.database import Database, Role
from kronos.store.engine_configs import activations, list_configs
from kronos.store.migrate import migrate
from kronos_tests import builders

START, UNTIL = date(2017, 10, 2), date(2017, 12, 1)
TABLES = (
    "engine_decisions", "decision_outcomes", "models", "regimes", "stability_vectors", "fragility_measures",
    "soft_target_classes", "portfolio_risk_reports", "engine_runs", "job_executions",
)  # fmt: skip


def contents(database: Database) -> dict[str, Any]:
    """A digest of every source table, independent of the order of writing, and the clock."""
    found: dict[str, Any] = {"clock": read_clock(database)}
    with database.connect(Role.READER) as connection:
        for table in TABLES:
            # table names come from the constant above
            digest = f"SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM source.{table} AS t"
            found[table] = connection.execute(digest).fetchone()  # type: ignore[call-overload]
    return found


def test_a_loaded_history_fills_every_table_and_starts_the_clock(database: Database) -> None:
    assert load_history(database, UNTIL, start=START) == UNTIL
    found = contents(database)
    assert all(found[table][0] > 0 for table in TABLES)
    assert found["clock"].today == UNTIL and sandbox_now(database) == datetime(2017, 12, 2, 1, 30, tzinfo=UTC)
    assert found["clock"].loaded_from == START and found["clock"].data_end == date(2022, 12, 28)


def test_loading_again_changes_nothing(database: Database) -> None:
    load_history(database, UNTIL, start=START)
    before = contents(database)
    assert load_history(database) == UNTIL
    assert contents(database) == before


def test_playing_on_gives_what_loading_further_gives(database: Database, empty_database: Database) -> None:
    migrate(empty_database)
    load_history(database, date(2017, 11, 1), start=START)
    assert advance(database, 2) == date(2017, 11, 3)
    assert advance(database, 19) == UNTIL
    load_history(empty_database, UNTIL, start=START)
    assert contents(database) == contents(empty_database)


def test_a_killed_load_leaves_nothing_and_the_next_one_completes(database: Database, empty_database: Database) -> None:
    lines = killed_after(2, "load_history(Database(sys.argv[1]), progress=say)", database)
    assert "reached" in lines[1], "the load was in the middle of its work"
    assert read_clock(database) is None
    assert count(database, "engine_decisions") == 0
    load_history(database, UNTIL, start=START)
    migrate(empty_database)
    load_history(empty_database, UNTIL, start=START)
    assert contents(database) == contents(empty_database)


def test_a_killed_advance_goes_on_where_it_was(database: Database, empty_database: Database) -> None:
    load_history(database, date(2017, 10, 16), start=START)
    killed_after(3, "advance(Database(sys.argv[1]), 300, progress=say)", database)
    reached = advance(database, 1)
    assert date(2017, 10, 19) < reached < date(2018, 6, 1)
    migrate(empty_database)
    load_history(empty_database, reached, start=START)
    assert contents(database) == contents(empty_database)


def killed_after(count_of_lines: int, call: str, database: Database) -> list[str]:
    """Run a call in a process of its own and kill -9 it once it has said so many lines; returns those lines."""
    code = (
        "import sys; from kronos.sandbox.load import advance, load_history; "
        "from kronos.store.database import Database; "
        f"say = lambda line: print(line, flush=True); {call}"
    )
    with subprocess.Popen([sys.executable, "-c", code, database.url], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(count_of_lines)]
        process.send_signal(signal.SIGKILL)
    return lines


def test_two_loads_at_once_write_one_history(database: Database) -> None:
    with ThreadPoolExecutor(2) as pool:
        days = list(pool.map(lambda _: load_history(database, UNTIL, start=START), range(2)))
    assert days == [UNTIL, UNTIL]
    with database.connect(Role.READER) as connection:
        row = connection.execute("SELECT count(*), count(DISTINCT decision_id) FROM source.engine_decisions").fetchone()
    assert row is not None and row[0] == row[1] > 0


def test_configs_are_registered_and_incumbents_active(database: Database) -> None:
    load_history(database, UNTIL, start=START)
    with database.connect(Role.READER) as connection:
        configs = {config.config_id: config for config in list_configs(connection)}
        assert {name: configs[name].config_body for name in configs} == {c.config_id: c.body for c in CONFIGS}
        for name in ENGINES:
            (activation,) = activations(connection, name)
            assert activation.config_id == incumbent(name).config_id and activation.reason == SEED_REASON


def test_a_database_with_somebody_elses_decisions_is_refused_untouched(database: Database) -> None:
    builders.insert(database, engine_decisions=[builders.decision()])
    with pytest.raises(SandboxOccupied, match="did not write"):
        load_history(database, UNTIL, start=START)
    assert read_clock(database) is None and count(database, "engine_decisions") == 1


def test_only_planted_dirt_is_quarantined(database: Database) -> None:
    load_history(database, date(2017, 12, 1), start=date(2017, 1, 3))
    policy = ObservationPolicy()
    with SourceReader(database.url, Dialect.SPEC, RecordedBy.RECORDED, policy) as reader:
        reader.check()
        batch = reader.read(date(2017, 1, 1), date(2017, 12, 31), today=date(2017, 12, 1))
    assert len(batch.decisions) > 20_000
    rules = set(batch.quarantine["rule"].to_list())
    assert batch.quarantine.height < 20, rules
    assert batch.decisions["market_id"].unique().sort().to_list() == ["US_EQ", "US_ETF", "US_FUT", "US_IDX"]
    assert set(batch.decisions["mode"].to_list()) == {"LIVE"}


def test_a_market_leaves_when_its_data_ends(database: Database) -> None:
    load_history(database, date(2018, 12, 28), start=date(2018, 12, 3))
    advance(database, 4)
    with database.connect(Role.READER) as connection:
        found = connection.execute(
            "SELECT proposed_action ->> 'market_id', max(as_of_date) FROM source.engine_decisions GROUP BY 1"
        ).fetchall()
    assert dict(found) == {
        "US_EQ": date(2019, 1, 4),
        "US_ETF": date(2019, 1, 4),
        "US_FUT": date(2019, 1, 3),
        "US_IDX": date(2018, 12, 31),
    }


def test_the_clock_stops_where_the_prices_end(database: Database) -> None:
    load_history(database, date(2022, 12, 27), start=date(2022, 12, 1))
    said: list[str] = []
    assert advance(database, 5, progress=said.append) == date(2022, 12, 28)
    assert any("only 1 of 5 sessions" in line for line in said)
    with pytest.raises(SandboxAtEnd, match="2022-12-28, where its bundled prices end"):
        advance(database)


def test_a_clock_that_was_never_started_says_so(database: Database) -> None:
    with pytest.raises(NotFound, match="starts when `kronos up`"):
        advance(database)
    with pytest.raises(NotFound, match="sandbox clock"):
        sandbox_now(database)


def test_advancing_by_nothing_is_refused(database: Database) -> None:
    with pytest.raises(BadValue, match="days has value 0"):
        advance(database, 0)


def test_the_clock_cannot_go_back(database: Database) -> None:
    load_history(database, UNTIL, start=START)
    with (
        database.connect(Role.ORCHESTRATOR) as connection,
        pytest.raises(psycopg.errors.RestrictViolation, match="cannot go"),
    ):
        connection.execute("UPDATE kronos.sandbox_clock SET today = '2017-11-01'")


def count(database: Database, table: str) -> int:
    with database.connect(Role.READER) as connection:
        row = connection.execute(f"SELECT count(*) FROM source.{table}").fetchone()  # type: ignore[call-overload]
    assert row is not None
    return int(row[0])
