"""Principals: added and revoked by admins, known by their token alone, named once and for ever."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from kronos.errors import ChangeRefused, NotAllowed, NotFound
from kronos.store.database import Database, Role
from kronos.store.principals import (
    Principal,
    add_principal,
    begin_principals,
    hash_of,
    identify,
    list_principals,
    revoke_principal,
    rotate_principal,
)
from kronos_tests.store.changes import begin, proposed

ADMIN, CODE = "token of admin", "test"


@pytest.fixture
def admin(database: Database) -> Database:
    """A database with its first admin."""
    with database.connect(Role.OWNER) as session:
        assert begin_principals(session, "admin", hash_of(ADMIN), code_version=CODE)
    return database


def add(database: Database, token: str | None = ADMIN, **changes: Any) -> None:
    values = {"name": "mia", "kind": "PERSON", "role": "reader", "token_hash": hash_of("token of mia"), **changes}
    with database.connect(Role.CHANGE_MANAGER) as session:
        add_principal(session, token, **values, code_version=CODE)


def known(database: Database, token: str) -> Principal | None:
    with database.connect(Role.READER) as session:
        return identify(session, token)


def revoke(database: Database, name: str, token: str = ADMIN) -> None:
    with database.connect(Role.CHANGE_MANAGER) as session:
        revoke_principal(session, token, name, "left", code_version=CODE)


def rotate(database: Database, name: str, token: str, new: str) -> None:
    with database.connect(Role.CHANGE_MANAGER) as session:
        rotate_principal(session, token, name, token_hash=hash_of(new), code_version=CODE)


def test_a_token_says_who_it_is(admin: Database) -> None:
    add(admin)
    found = known(admin, "token of mia")
    assert found and (found.name, found.kind, found.role, found.created_by) == ("mia", "PERSON", "reader", "admin")


def test_the_hash_that_everyone_can_read_is_no_token(admin: Database) -> None:
    assert known(admin, hash_of(ADMIN)) is None


def test_there_is_one_first_admin(admin: Database) -> None:
    with admin.connect(Role.OWNER) as session:
        assert not begin_principals(session, "another", hash_of("x"), code_version=CODE)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OWNER])
def test_no_role_makes_the_first_admin(database: Database, role: Role) -> None:
    with database.connect(role) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute("SELECT kronos.begin_principals('eve', %s)", [hash_of("x")])


@pytest.mark.parametrize("role", ["reader", "orchestrator", "chat", "change_manager"])
def test_only_an_admin_adds_principals(admin: Database, role: str) -> None:
    add(admin, role=role)
    with pytest.raises(NotAllowed, match="with role admin"):
        add(admin, "token of mia", name="eve", token_hash=hash_of("token of eve"))


@pytest.mark.parametrize(("changes", "expected"), [
    ({"name": "Kronos"}, "not for principals"), ({"name": "policy"}, "not for principals"),
    ({"name": ""}, "letters, digits"), ({"name": "mia "}, "letters, digits"), ({"name": "mïa"}, "letters, digits"),
    ({"name": "ADMIN"}, "never given twice"), ({"name": "admin"}, "never given twice"),
    ({"kind": "ROBOT"}, "PERSON or a SERVICE"), ({"role": "root"}, "role is reader"),
    ({"token_hash": hash_of(ADMIN)}, "belongs to one principal"),
])  # fmt: skip
def test_a_principal_that_cannot_be_is_refused(admin: Database, changes: dict[str, str], expected: str) -> None:
    with pytest.raises(ChangeRefused, match=expected):
        add(admin, **changes)


def test_a_revoked_token_is_nobodys_and_its_name_is_not_given_again(admin: Database) -> None:
    add(admin)
    revoke(admin, "Mia")
    assert known(admin, "token of mia") is None
    with pytest.raises(ChangeRefused, match="never given twice"):
        add(admin, token_hash=hash_of("another"))
    with pytest.raises(ChangeRefused, match="for good once revoked"):
        rotate(admin, "mia", ADMIN, "another")


def test_the_last_admin_stays(admin: Database) -> None:
    with pytest.raises(ChangeRefused, match="principal admin is the last admin"):
        revoke(admin, "admin")
    add(admin, role="admin")
    revoke(admin, "admin", "token of mia")


def test_everyone_renews_his_own_token_and_an_admin_everyones(admin: Database) -> None:
    add(admin)
    rotate(admin, "mia", "token of mia", "second")
    assert known(admin, "token of mia") is None
    rotate(admin, "mia", ADMIN, "third")
    assert known(admin, "second") is None and known(admin, "third") is not None
    with pytest.raises(NotAllowed, match="another principal's token"):
        rotate(admin, "admin", "third", "mine")


def test_an_unknown_principal_is_not_found(admin: Database) -> None:
    with pytest.raises(NotFound, match="principal 'eve'"):
        revoke(admin, "eve")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE kronos.principals SET role = 'admin' WHERE name = 'mia'",
        "UPDATE kronos.principals SET name = 'eve' WHERE name = 'mia'",
        "DELETE FROM kronos.principals",
        "TRUNCATE kronos.principals",
    ],
)
def test_not_even_the_owner_rewrites_principals(admin: Database, statement: str) -> None:
    add(admin)
    with admin.connect(Role.OWNER) as session, pytest.raises(psycopg.errors.RestrictViolation):
        session.execute(statement)


def test_principals_are_logged_without_their_tokens(admin: Database) -> None:
    add(admin)
    with admin.connect(Role.READER) as session:
        rows = session.execute("SELECT subject_id, author, detail::text FROM kronos.change_log").fetchall()
        assert [(row[0], row[1]) for row in rows] == [("admin", "Kronos"), ("mia", "admin")]
        assert not any(hash_of("token of mia") in row[2] for row in rows)
        assert [one.name for one in list_principals(session)] == ["admin", "mia"]


def test_an_author_is_whose_token_is_shown(admin: Database) -> None:
    add(admin)
    with admin.connect(Role.ORCHESTRATOR) as session:
        begin(session, "Mia", token="token of mia")
        begin(session, "somebody")  # no principal: without a token anyone may say so


@pytest.mark.parametrize(
    ("author", "token", "expected"),
    [
        ("mia", None, "author mia is a principal: a change under that name needs its token in KRONOS_TOKEN"),
        (" MIA", None, "is a principal"),
        ("mia", ADMIN, "author mia is not whose token this is: admin"),
        ("somebody", ADMIN, "author somebody is not whose token this is: admin"),
        ("mia", "nobody's", "the token of author mia is unknown or revoked"),
        ("somebody", "nobody's", "the token of author somebody is unknown or revoked"),
    ],
)
@pytest.mark.parametrize("role", [Role.ORCHESTRATOR, Role.CHANGE_MANAGER])
def test_nobody_takes_the_name_of_a_principal(
    admin: Database, role: Role, author: str, token: str | None, expected: str
) -> None:
    add(admin)
    with pytest.raises(NotAllowed, match=expected), admin.connect(role) as session:
        begin(session, author, token=token)


def test_a_revoked_principals_name_stays_taken(admin: Database) -> None:
    add(admin)
    revoke(admin, "mia")
    for token in (None, "token of mia"):
        with pytest.raises(NotAllowed), admin.connect(Role.ORCHESTRATOR) as session:
            begin(session, "mia", token=token)


@pytest.mark.parametrize("role", [Role.ORCHESTRATOR, Role.CHAT])
def test_a_proposal_is_by_whose_token_is_shown(admin: Database, role: Role) -> None:
    add(admin)
    with pytest.raises(NotAllowed, match="author mia is a principal"):
        proposed(admin, "mia", role)
    assert proposed(admin, "mia", role, token="token of mia")


@pytest.mark.parametrize("role", [Role.READER, Role.ORCHESTRATOR, Role.CHAT, Role.CHANGE_MANAGER])
def test_nobody_goes_past_the_question_whose_token_it_is(admin: Database, role: Role) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), admin.connect(role) as session:
        session.execute("SELECT kronos.enter_change('admin')")
