"""Alerts: raised once under any number of writers, answered forward only, kept for ever."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import psycopg
import pytest

from kronos.errors import AlertConflict, BadValue, NotAllowed, NotFound
from kronos.store.alerts import acknowledge, alerts, close, raise_alert
from kronos.store.database import Database, Role
from kronos_tests.store.promoting import MIA, Gated

MARCH, JUNE = date(2020, 3, 2), date(2020, 6, 1)


def raised(database: Database, role: Role = Role.ORCHESTRATOR, **changes: Any) -> int | None:
    """Raise an alert in a transaction of its own."""
    values: dict[str, Any] = {
        "engine_name": "PORTFOLIO",
        "scope": "*",
        "config_id": "fast",
        "metric": "return",
        "monitored_from": MARCH,
        "raised_on": JUNE,
        "evidence": {"largest": 41.0},
    }
    with database.connect(role) as connection:
        return raise_alert(connection, **{**values, **changes})


def state(database: Database) -> list[str]:
    return [one.state for one in alerts(database, closed=True)]


def test_an_alert_is_open_and_tells_what_was_seen(database: Database) -> None:
    number = raised(database)
    (found,) = alerts(database)
    assert (found.alert_id, found.state, found.raised_on, found.evidence) == (number, "OPEN", JUNE, {"largest": 41.0})


def test_what_was_raised_is_not_raised_again(database: Database) -> None:
    """A rerun, a later day, and other evidence leave the first alert as it is."""
    raised(database)
    assert raised(database, raised_on=date(2020, 6, 2), evidence={}) is None
    assert [one.raised_on for one in alerts(database)] == [JUNE]


def test_two_writers_raise_one(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: raised(database), range(16)))
    assert len([number for number in ids if number is not None]) == 1
    assert len(alerts(database)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"engine_name": "REGIME"},
        {"scope": "US_EQ"},
        {"config_id": "slow"},
        {"metric": "calibration"},
        {"monitored_from": date(2020, 4, 1)},
    ],
)
def test_another_engine_scope_config_metric_or_start_is_another_alert(
    database: Database, changes: dict[str, Any]
) -> None:
    raised(database)
    assert raised(database, **changes) is not None


def test_an_alert_is_taken_up_and_closed_by_people(database: Database) -> None:
    number = raised(database) or 0
    acknowledge(database, number, by="ann", reason="looking")
    close(database, number, by="bob", reason="rolled back")
    assert alerts(database) == []
    (found,) = alerts(database, "PORTFOLIO", closed=True)
    told = (found.acknowledged_by, found.acknowledged_reason, found.closed_by, found.closed_reason, found.state)
    assert told == ("ann", "looking", "bob", "rolled back", "CLOSED")
    assert found.acknowledged_at is not None and found.closed_at is not None


def test_a_closed_alert_is_not_raised_again(database: Database) -> None:
    close(database, raised(database) or 0, by="ann", reason="known")
    assert raised(database) is None


@pytest.mark.parametrize("answer", [acknowledge, close])
def test_what_is_closed_stays_closed(database: Database, answer: Any) -> None:
    number = raised(database) or 0
    close(database, number, by="ann", reason="done")
    with pytest.raises(AlertConflict, match="is CLOSED and cannot become") as refused:
        answer(database, number, by="bob", reason="again")
    assert refused.value.rule == "alerts_move_forward"


def test_two_people_cannot_both_take_it_up(database: Database) -> None:
    number = raised(database) or 0
    acknowledge(database, number, by="ann", reason="mine")
    with pytest.raises(AlertConflict):
        acknowledge(database, number, by="bob", reason="mine")
    assert [one.acknowledged_by for one in alerts(database)] == ["ann"]


@pytest.mark.parametrize(("by", "reason"), [("", "because"), ("ann", "")])
def test_an_answer_names_who_and_why(database: Database, by: str, reason: str) -> None:
    with pytest.raises(BadValue, match="neither empty"):
        acknowledge(database, raised(database) or 0, by=by, reason=reason)
    assert state(database) == ["OPEN"]


def test_an_unknown_alert_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound, match="alert '77'"):
        close(database, 77, by="ann", reason="why")


@pytest.mark.parametrize("answer", [acknowledge, close])
@pytest.mark.parametrize(("by", "token"), [("mia", None), ("ann", MIA), ("ann", "nobody's"), ("policy", None)])
def test_nobody_answers_under_a_name_that_is_not_his(gated: Gated, answer: Any, by: str, token: str | None) -> None:
    number = raised(gated.database) or 0
    with pytest.raises((NotAllowed, BadValue)):
        answer(gated.database, number, by=by, reason="known", token=token)
    assert state(gated.database) == ["OPEN"]


@pytest.mark.parametrize("answer", [acknowledge, close])
def test_a_principal_answers_with_his_token(gated: Gated, answer: Any) -> None:
    answer(gated.database, raised(gated.database) or 0, by="mia", reason="known", token=MIA)
    (found,) = alerts(gated.database, closed=True)
    assert "mia" in (found.acknowledged_by, found.closed_by)


@pytest.mark.parametrize("role", [Role.ORCHESTRATOR, Role.READER, Role.CHAT])
def test_only_people_answer(database: Database, role: Role) -> None:
    number = raised(database)
    with database.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT kronos.acknowledge_alert(%s, 'me', 'why')", [number])


@pytest.mark.parametrize("role", [Role.READER, Role.CHAT, Role.CHANGE_MANAGER])
def test_only_the_orchestrator_raises(database: Database, role: Role) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        raised(database, role)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE kronos.alerts SET config_id = 'slow'",
        "UPDATE kronos.alerts SET state = 'ACKNOWLEDGED', acknowledged_by = 'x', acknowledged_at = now(), "
        "acknowledged_reason = 'y', evidence = '{}'",
        "UPDATE kronos.alerts SET state = 'ACKNOWLEDGED'",
        "UPDATE kronos.alerts SET state = 'OPEN'",
        "DELETE FROM kronos.alerts",
        "TRUNCATE kronos.alerts CASCADE",
    ],
)
def test_even_the_owner_cannot_rewrite_an_alert(database: Database, statement: str) -> None:
    raised(database)
    with database.connect(Role.OWNER) as connection, pytest.raises(psycopg.errors.IntegrityError):
        connection.execute(statement)
    assert state(database) == ["OPEN"]


def test_who_took_it_up_is_not_rewritten_when_it_is_closed(database: Database) -> None:
    acknowledge(database, raised(database) or 0, by="ann", reason="mine")
    with database.connect(Role.OWNER) as connection, pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute(
            "UPDATE kronos.alerts SET state = 'CLOSED', closed_by = 'x', closed_at = now(), closed_reason = 'y', "
            "acknowledged_by = 'bob'"
        )


def test_no_alert_is_born_answered_or_before_its_monitoring(database: Database) -> None:
    columns = "kind, engine_name, scope, config_id, metric, monitored_from, raised_on, evidence"
    values = "'DEGRADATION', 'E', '*', 'c', 'return', '2020-03-02', '2020-06-01', '{}'"
    statement = f"INSERT INTO kronos.alerts ({columns}, state) VALUES ({values}, 'CLOSED')"
    with database.connect(Role.OWNER) as connection, pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute(statement)
    with pytest.raises(psycopg.errors.CheckViolation):
        raised(database, raised_on=date(2020, 3, 1))
