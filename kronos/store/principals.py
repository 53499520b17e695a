"""People and services that act with a token. The database keeps the token's hash and decides by it who may do what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

import psycopg
from psycopg.rows import class_row, scalar_row

from kronos.errors import NotAllowed, NotFound
from kronos.store.database import Role
from kronos.store.queries import query
from kronos.store.refusals import refusals

Session = psycopg.Connection[Any]


class PrincipalRole(StrEnum):
    """What a principal may do; an admin also adds and revokes principals."""

    READER = "reader"
    ORCHESTRATOR = "orchestrator"
    CHAT = "chat"
    CHANGE_MANAGER = "change_manager"
    ADMIN = "admin"


class PrincipalKind(StrEnum):
    """Only a person approves, reopens a latch and rolls back."""

    PERSON = "PERSON"
    SERVICE = "SERVICE"


ACTS_AS: Final[Mapping[PrincipalRole, Role]] = {
    PrincipalRole.READER: Role.READER,
    PrincipalRole.ORCHESTRATOR: Role.ORCHESTRATOR,
    PrincipalRole.CHAT: Role.CHAT,
    PrincipalRole.CHANGE_MANAGER: Role.CHANGE_MANAGER,
    PrincipalRole.ADMIN: Role.CHANGE_MANAGER,
}
"""The database role of each."""


@dataclass(frozen=True)
class Principal:
    """One row of kronos.principals without its hash; role and kind as in `PrincipalRole` and `PrincipalKind`."""

    name: str
    kind: str
    role: str
    created_at: datetime
    created_by: str
    rotated_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None


def hash_of(token: str) -> str:
    """SHA-256 of a token, as the database keeps it."""
    return sha256(token.encode()).hexdigest()


def identify(session: Session, token: str) -> Principal | None:
    """Whose token it is; None when it is unknown or revoked."""
    with session.cursor(row_factory=class_row(Principal)) as cursor:
        return cursor.execute(query("principals", "identify"), {"token": token}).fetchone()


def list_principals(session: Session) -> list[Principal]:
    """Every principal there is or was, by name."""
    with session.cursor(row_factory=class_row(Principal)) as cursor:
        return cursor.execute(query("principals", "list")).fetchall()


def begin_principals(session: Session, name: str, token_hash: str, *, code_version: str) -> bool:
    """Add the first admin, as the owner; False when there is one already."""
    values = {"name": name, "token_hash": token_hash, "code_version": code_version}
    with refusals(name), session.cursor(row_factory=scalar_row) as cursor:
        return bool(cursor.execute(query("principals", "begin"), values).fetchone())


def add_principal(
    session: Session, token: str | None, *, name: str, kind: str, role: str, token_hash: str, code_version: str
) -> None:
    """Add a principal, by the admin whose token it is."""
    values = {"token": token, "name": name, "kind": kind, "role": role, "token_hash": token_hash}
    with allowed(name):
        session.execute(query("principals", "add"), values | {"code_version": code_version})


def rotate_principal(session: Session, token: str | None, name: str, *, token_hash: str, code_version: str) -> None:
    """Give a principal another token; his old one ends with it."""
    values = {"token": token, "name": name, "token_hash": token_hash, "code_version": code_version}
    with allowed(name, "principal"):
        session.execute(query("principals", "rotate"), values)


def revoke_principal(session: Session, token: str | None, name: str, reason: str, *, code_version: str) -> None:
    """End a principal's rights for good."""
    values = {"token": token, "name": name, "reason": reason, "code_version": code_version}
    with allowed(name, "principal"):
        session.execute(query("principals", "revoke"), values)


@contextmanager
def allowed(subject: str, kind: str = "experiment") -> Iterator[None]:
    """What the functions that take a token refuse: `NotAllowed` for who may not, `NotFound`, else `ChangeRefused`."""
    try:
        with refusals(subject):
            yield
    except psycopg.errors.NoDataFound as error:
        raise NotFound(kind, subject) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotAllowed(error.diag.message_primary or str(error), error.diag.constraint_name) from error
