"""A Postgres database Kronos may use, and the roles it uses it with."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg.rows import TupleRow

from kronos.errors import DatabaseUnavailable

_CONNECT_TIMEOUT_S = 10
_SESSION = "SELECT set_config('TimeZone', 'UTC', false), set_config('role', %s, false)"


class Role(StrEnum):
    """Group roles of sql/migrations/0001: each connection acts as one of them."""

    OWNER = "none"
    """The login itself: owns the objects, and is for migrations alone."""
    READER = "kronos_reader"
    ORCHESTRATOR = "kronos_orchestrator"
    CHAT = "kronos_chat"
    CHANGE_MANAGER = "kronos_change_manager"
    UPSTREAM = "kronos_upstream"


class Connection(psycopg.Connection[TupleRow]):
    """A psycopg connection; losing the server inside its `with` block is one sentence, not a traceback wall."""

    described = "database"

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        lost = self.closed and isinstance(exc_val, psycopg.OperationalError)
        super().__exit__(exc_type, exc_val, exc_tb)
        if lost:
            raise DatabaseUnavailable(f"the database {self.described} went away in the middle of the work") from exc_val


@dataclass(frozen=True)
class Database:
    """One database by its address; shows itself without the password."""

    url: str = field(repr=False)

    def connect(self, role: Role = Role.ORCHESTRATOR, *, autocommit: bool = False) -> Connection:
        """A new connection in UTC acting as the role; leaving its `with` block commits, or rolls back on an error."""
        connection = self._open()
        try:
            connection.execute(_SESSION, [role.value])
        except psycopg.Error as error:
            connection.close()
            raise DatabaseUnavailable(f"{self} does not let its login act as {role.value}: is it migrated?") from error
        connection.autocommit = autocommit
        return connection

    @property
    def name(self) -> str:
        """Name of the database."""
        return urlsplit(self.url).path.lstrip("/")

    @property
    def dagster_url(self) -> str:
        """Address of Dagster's instance storage: a second database of the same server."""
        return self.sibling(f"{self.name}_dagster").url

    def sibling(self, name: str) -> Database:
        """Another database of the same server under the same login."""
        return Database(urlunsplit(urlsplit(self.url)._replace(path="/" + quote(name))))

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        return f"{self.name!r} at {parts.hostname or 'a local socket'}:{parts.port or 5432}"

    __repr__ = __str__

    def _open(self) -> Connection:
        try:
            connection = Connection.connect(self.url, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_S)
        except psycopg.Error as error:
            # "from None": psycopg's own message may quote the address, password included
            raise DatabaseUnavailable(f"the database {self} cannot be used: {self._cause(error)}") from None
        connection.described = str(self)
        return connection

    def _cause(self, error: psycopg.Error) -> str:
        """The server's or driver's own last sentence; it never holds the password, and if it did, not here."""
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        words = lines[-1] if lines else type(error).__name__
        secret = urlsplit(self.url).password
        said = words.rpartition("FATAL:")[2].strip() or words
        return said.replace(secret, "***") if secret else said
