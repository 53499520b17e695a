"""A read-only session on the source database that answers in Polars frames."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from threading import RLock
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, cast
from urllib.parse import urlsplit, urlunsplit

import polars as pl
from adbc_driver_manager import Error as AdbcError

from kronos.errors import BadValue, DatabaseUnavailable, SourceMismatch

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection as DbapiConnection

Parameter = date | datetime | int | str | None

_SESSION: Final = (
    "SET default_transaction_read_only = on",
    "SET TimeZone = 'UTC'",
    # short analytical statements: compiling them costs more than it saves
    "SET jit = off",
    # decisions are joined from memory rather than through temporary files on the source
    "SET work_mem = '64MB'",
    # the stand-alone tables live in a schema of their own, an upstream's where its role looks for them
    "SELECT set_config('search_path', concat_ws(', ', 'source', nullif(current_setting('search_path'), ''), 'public'),"
    " false)",
)
_SCHEMES: Final = ("postgresql", "postgres")
_CONNECT_TIMEOUT_S: Final = 10
_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_MISFIT_CLASSES: Final = ("22", "42")
"""SQLSTATE classes that mean other tables, columns, types or grants than the dialect promises."""
_CALENDAR: Final[dict[type[pl.DataType], tuple[int, int]]] = {
    pl.Date: (-719_162, 2_932_896),
    pl.Datetime: (-62_135_596_800_000_000, 253_402_214_400_000_000),
}
"""Years 1 to 9999 as days, and as microseconds, since 1970."""
_SEVERITY: Final = re.compile(r"FATAL:|ERROR:|Failed to connect:")


class SourceConnection:
    """Runs SELECTs on the source; nothing is ever written or created there. Threads that share one take turns.

    The session begins with the first statement, so that whoever reads nothing needs no server.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        # two statements at once on one session can wait for each other for ever, and would share a snapshot
        self._turn = RLock()
        if urlsplit(url).scheme not in _SCHEMES:
            raise BadValue("the source URL", str(self), "postgresql://user:password@host:port/database")
        self._connection: DbapiConnection | None = None

    def fetch(self, statement: str, parameters: Sequence[Parameter] = (), *, reads: str = "query") -> pl.DataFrame:
        """The rows of one SELECT; `reads` names what is read, for the error when the source does not hold it."""
        try:
            with self._turn, self._session().cursor() as cursor:
                cursor.execute(statement, parameters or None)
                return within_calendar(cast(pl.DataFrame, pl.from_arrow(cursor.fetch_arrow_table())))
        except AdbcError as error:
            raise self._translated(error, reads) from None

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything fetched inside is of one moment."""
        with self._turn:
            self._execute(_SNAPSHOT)
            try:
                yield
            finally:
                self._execute("ROLLBACK")

    def close(self) -> None:
        """End the session, if there is one."""
        if self._connection is not None:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __str__(self) -> str:
        parts = urlsplit(self._url)
        return f"{parts.path.lstrip('/')!r} at {parts.hostname or 'a local socket'}:{parts.port or 5432}"

    def _session(self) -> DbapiConnection:
        """The session, begun if there is none yet; in one's turn."""
        if self._connection is None:
            self._connection = self._begun()
        return self._connection

    def _begun(self) -> DbapiConnection:
        from adbc_driver_postgresql import dbapi  # brings pandas, half a second, which not every process needs

        try:
            begun: DbapiConnection = dbapi.connect(_with_timeout(self._url), autocommit=True)
        except AdbcError as error:
            raise DatabaseUnavailable(f"the source database {self} cannot be used: {self._cause(error)}") from None
        try:
            with begun.cursor() as cursor:
                for statement in _SESSION:
                    cursor.execute(statement)
        except AdbcError as error:
            begun.close()
            raise self._translated(error, "session") from None
        return begun

    def _execute(self, statement: str) -> None:
        try:
            with self._turn, self._session().cursor() as cursor:
                cursor.execute(statement)
        except AdbcError as error:
            raise self._translated(error, "session") from None

    def _translated(self, error: AdbcError, reads: str) -> DatabaseUnavailable | SourceMismatch:
        if (error.sqlstate or "").startswith(_MISFIT_CLASSES):
            return SourceMismatch(f"the source database {self} does not fit: {reads}: {self._cause(error)}")
        return DatabaseUnavailable(f"the source database {self} went away: {self._cause(error)}")

    def _cause(self, error: AdbcError) -> str:
        """The server's own sentence, without position marks and without the password."""
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = next((line for line in lines if _SEVERITY.search(line)), lines[0] if lines else "no cause given")
        said = _SEVERITY.split(said)[-1].strip()
        secret = urlsplit(self._url).password
        return said.replace(secret, "***") if secret else said


def within_calendar(df: pl.DataFrame) -> pl.DataFrame:
    """Postgres knows `infinity` and years that no calendar here holds: they become the last day of the year 9999."""
    return df.with_columns(
        pl.when(pl.col(column).to_physical().is_between(*_CALENDAR[dtype.base_type()]) | pl.col(column).is_null())
        .then(pl.col(column))
        .otherwise(pl.lit(_CALENDAR[dtype.base_type()][1]).cast(dtype))
        .alias(column)
        for column, dtype in df.schema.items()
        if dtype.base_type() in _CALENDAR
    )


def _with_timeout(url: str) -> str:
    """The address with a bound on how long an unreachable server may keep us waiting, unless it has one."""
    parts = urlsplit(url)
    if "connect_timeout" in parts.query:
        return url
    return urlunsplit(
        parts._replace(query="&".join(filter(None, (parts.query, f"connect_timeout={_CONNECT_TIMEOUT_S}"))))
    )
