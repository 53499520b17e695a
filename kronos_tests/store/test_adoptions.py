"""The first incumbent outside the sandbox: a person adopts what trades upstream, once per engine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import psycopg
import pytest

from kronos.core.changes.chain import verify
from kronos.errors import ChangeRefused, KronosError, NotAllowed
from kronos.services.promotion import active_configs, adopt
from kronos.store.change_log import entries
from kronos.store.database import Database, Role
from kronos.store.promotions import ActiveConfig, LiveRecord
from kronos_tests.store.changes import register_config
from kronos_tests.store.promoting import ADMIN, BOT, MIA, Gated

LIVE = LiveRecord(date(2020, 1, 2), date(2020, 3, 31), date(2020, 4, 30))
CALL = "SELECT kronos.adopt_config(%s, 'PORTFOLIO', 'fast', %s, '2020-01-02', '2020-03-31', '2020-04-30')"


@pytest.fixture
def observed(gated: Gated) -> Gated:
    """PORTFOLIO's `fast` and `slow` are registered and never were active; REGIME's `base` is."""
    with gated.database.connect(Role.ORCHESTRATOR) as session:
        register_config(session, "fast", "PORTFOLIO")
        register_config(session, "slow", "PORTFOLIO")
        register_config(session, "tame", "PORTFOLIO", control=True)
    return gated


def adopted(
    gated: Gated, config: str = "fast", token: str | None = MIA, engine: str = "PORTFOLIO", live: LiveRecord = LIVE
) -> ActiveConfig:
    """Adopt a config as the person whose token it is."""
    return adopt(replace(gated.workplace(MIA), token=token), live, engine, config, "it trades since January")


def activations(database: Database) -> Sequence[tuple[str, ...]]:
    """What was ever active of PORTFOLIO."""
    with database.connect(Role.READER) as session:
        return session.execute(
            "SELECT config_id FROM kronos.config_activations WHERE engine_name = 'PORTFOLIO'"
        ).fetchall()


def test_what_is_adopted_is_active_from_then_on_and_says_why(observed: Gated) -> None:
    made = adopted(observed)
    assert (made.config_id, made.scope, made.activated_by, made.through) == ("fast", "*", "mia", "FIRST")
    assert made.reason == (
        "adopted as what trades upstream, LIVE from 2020-01-02 to 2020-03-31 in data until 2020-04-30: "
        "it trades since January"
    )
    assert active_configs(observed.database, "PORTFOLIO", made.activated_at) == [made]


def test_an_adoption_is_in_the_change_log(observed: Gated) -> None:
    adopted(observed)
    with observed.database.connect(Role.READER) as session:
        log = list(entries(session))
    last = log[-1]
    told = (last.subject, last.subject_id, last.to_status, last.author)
    assert told == ("activation", "PORTFOLIO", "ACTIVATED", "mia")
    detail = json.loads(last.detail)
    assert detail["reason"] == "it trades since January"
    assert detail["adopted"] == {"live_from": "2020-01-02", "live_until": "2020-03-31", "data_until": "2020-04-30"}
    assert verify(log).broken is None


@pytest.mark.parametrize(
    ("config", "engine", "live", "rule", "words"),
    [
        ("base", "REGIME", LIVE, "config_activations_first", "engine REGIME has had an active config, last base"),
        ("none", "PORTFOLIO", LIVE, "adoptions_config", "config none is not registered: expected a registered config"),
        ("base", "PORTFOLIO", LIVE, "adoptions_config", "config base is of engine REGIME: expected .* of PORTFOLIO"),
        ("tame", "PORTFOLIO", LIVE, "adoptions_real", "config tame has family CONTROL: expected REAL"),
        ("fast", "PORTFOLIO", replace(LIVE, live_from=None, live_until=None), "adoptions_live", "on no day: expected"),
        (
            "fast",
            "PORTFOLIO",
            replace(LIVE, live_until=date(2020, 3, 29)),
            "adoptions_live",
            "on 2020-03-29: expected one in the 31 days up to 2020-04-30",
        ),
        ("fast", "PORTFOLIO", replace(LIVE, live_until=date(2020, 5, 1)), "adoptions_live", "on 2020-05-01: expected"),
    ],
)
def test_what_does_not_trade_upstream_is_not_adopted(
    observed: Gated, config: str, engine: str, live: LiveRecord, rule: str, words: str
) -> None:
    with pytest.raises(ChangeRefused, match=words) as refused:
        adopted(observed, config, engine=engine, live=live)
    assert refused.value.rule == rule
    assert activations(observed.database) == []


@pytest.mark.parametrize("second", ["fast", "slow"])
def test_nothing_is_adopted_a_second_time(observed: Gated, second: str) -> None:
    adopted(observed)
    with pytest.raises(ChangeRefused, match="PORTFOLIO has had an active config, last fast: expected one that never"):
        adopted(observed, second, ADMIN)
    assert activations(observed.database) == [("fast",)]


@pytest.mark.parametrize("token", [None, "nobody's", BOT])
def test_only_a_person_with_a_token_adopts(observed: Gated, token: str | None) -> None:
    with pytest.raises(NotAllowed, match="adopt a config"):
        adopted(observed, token=token)
    assert activations(observed.database) == []


def test_a_refused_adoption_is_logged(observed: Gated) -> None:
    with pytest.raises(ChangeRefused):
        adopted(observed, "none")
    with observed.database.connect(Role.READER) as session:
        *_, last = entries(session)
    assert (last.subject, last.author) == ("refusal", "mia")


@pytest.mark.parametrize("reason", [None, " "])
def test_the_database_itself_wants_a_reason(observed: Gated, reason: str | None) -> None:
    with (
        observed.database.connect(Role.CHANGE_MANAGER) as session,
        pytest.raises(psycopg.errors.RestrictViolation, match="an adoption needs a reason"),
    ):
        session.execute(CALL, [MIA, reason])


def test_of_two_who_adopt_at_once_one_does(observed: Gated) -> None:
    def attempt(config: str) -> bool:
        try:
            adopted(observed, config)
        except KronosError:
            return False
        return True

    with ThreadPoolExecutor(8) as people:
        done = list(people.map(attempt, ["fast", "slow"] * 4))
    assert done.count(True) == 1
    assert len(activations(observed.database)) == 1


def test_who_looked_before_the_other_committed_is_refused_too(observed: Gated) -> None:
    """The index holds what a snapshot of before cannot see."""
    with observed.database.connect(Role.CHANGE_MANAGER) as session:
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        session.execute("SELECT count(*) FROM kronos.config_activations")
        adopted(observed, "slow")
        with pytest.raises((psycopg.errors.IntegrityError, psycopg.errors.SerializationFailure)):
            session.execute(CALL, [MIA, "I too"])
    assert activations(observed.database) == [("slow",)]
