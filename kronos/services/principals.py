"""Principals: the first admin of a database, and adding, renewing and revoking tokens. A token is shown once."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from kronos.core.changes.request import person, text, word
from kronos.services.refused import refusals_logged
from kronos.services.workplace import Workplace, system_user
from kronos.store import principals as stored
from kronos.store.database import Database, Role
from kronos.store.principals import Principal, PrincipalKind, PrincipalRole, hash_of

FIRST_ADMIN: Final = "admin"
TOKEN_BYTES: Final = 32


def admin_token_file(home: Path) -> Path:
    """Where the first admin's token is put; whoever can read it is the admin."""
    return home / "admin.token"


def ensure_admin(database: Database, home: Path, code_version: str) -> Path | None:
    """Add the first admin of a fresh database; the file with his token, None when there is an admin already.

    The file is there before the admin is: a crash between the two leaves a token that opens nothing, and the next start
    begins again.
    """
    with database.connect(Role.READER) as session:
        if stored.list_principals(session):
            return None
    token = _new_token()
    path = admin_token_file(home)
    waiting = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    _write_private(waiting, token)
    try:
        with database.connect(Role.OWNER) as session:
            added = stored.begin_principals(session, FIRST_ADMIN, hash_of(token), code_version=code_version)
            if added:
                waiting.replace(path)
    finally:
        with suppress(FileNotFoundError):
            waiting.unlink()
    return path if added else None


def add_principal(workplace: Workplace, name: str, kind: str, role: str) -> str:
    """Add a person or service; returns its token, which is kept nowhere."""
    as_kind, as_role = word(PrincipalKind, "kind", kind), word(PrincipalRole, "role", role)
    token = _new_token()
    with (
        refusals_logged(workplace, "principal add", name),
        workplace.database.connect(Role.CHANGE_MANAGER) as session,
    ):
        stored.add_principal(
            session,
            workplace.token,
            name=name,
            kind=as_kind,
            role=as_role,
            token_hash=hash_of(token),
            code_version=workplace.code_version,
        )
    return token


def rotate_token(workplace: Workplace, name: str) -> str:
    """Give a principal another token and return it; the old one opens nothing from then on."""
    token = _new_token()
    with (
        refusals_logged(workplace, "principal rotate", name),
        workplace.database.connect(Role.CHANGE_MANAGER) as session,
    ):
        stored.rotate_principal(
            session, workplace.token, name, token_hash=hash_of(token), code_version=workplace.code_version
        )
    return token


def revoke_principal(workplace: Workplace, name: str, reason: str) -> None:
    """End a principal's rights for good; approvals of his that are not used yet lapse."""
    why = text("reason", reason)
    with (
        refusals_logged(workplace, "principal revoke", name),
        workplace.database.connect(Role.CHANGE_MANAGER) as session,
    ):
        stored.revoke_principal(session, workplace.token, name, why, code_version=workplace.code_version)


def list_principals(database: Database) -> list[Principal]:
    """Every principal there is or was, by name."""
    with database.connect(Role.READER) as session:
        return stored.list_principals(session)


def who_acts(workplace: Workplace) -> Principal | None:
    """The principal whose token this process was given."""
    if workplace.token is None:
        return None
    with workplace.database.connect(Role.READER) as session:
        return stored.identify(session, workplace.token)


def author_of(workplace: Workplace, given: str | None) -> str:
    """Whom a change is by: the one named, else the principal whose token is shown, else the account that runs this."""
    if given is not None:
        return person(given)
    acting = who_acts(workplace)
    return person(system_user()) if acting is None else acting.name


def _new_token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)


def _write_private(path: Path, content: str) -> None:
    """A new file that nobody else may read, from its first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "w", encoding="utf-8") as file:
        file.write(content + "\n")
        file.flush()
        os.fsync(file.fileno())
