"""The embedded Postgres of a home folder: started by its first user, stopped by its last.

home/postgres holds lock (start and stop), alive (held by the server's processes), users/ (one lease per user),
password, port, and cluster/ or, where the server's account cannot enter home, location: the path of the data.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from kronos.errors import DatabaseUnavailable
from kronos.store import cluster
from kronos.store.locks import closing_fd, exclusive, is_held, try_lock
from kronos.store.postmaster import READY_S, Postmaster

_TURN_S = 2 * READY_S
"""How long a starter waits for the one before it."""


class EmbeddedServer:
    """The server of one home folder; any number of processes may hold one of these at once."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "postgres"
        self._users = self.folder / "users"

    def url(self, database: str = cluster.LOGIN) -> str:
        """Address of a database on the running server, password included."""
        port = int((self.folder / "port").read_text())
        return f"postgresql://{cluster.LOGIN}:{cluster.password(self.folder)}@127.0.0.1:{port}/{database}"

    @contextmanager
    def used(self) -> Iterator[None]:
        """Keep the server running for the block."""
        self._make_folders()
        lease = self._users / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        descriptor = try_lock(lease)
        if descriptor is None:
            raise DatabaseUnavailable(f"{lease} is locked by someone else")
        with closing_fd(descriptor):
            with self._turn():
                self._postmaster().start()
            try:
                yield
            finally:
                self._leave(lease)

    def revive(self) -> bool:
        """Inside a block of `used`, start the server again if it is gone, however it ended; whether it was."""
        with self._turn():
            postmaster = self._postmaster()
            gone = not postmaster.serving()
            if gone:
                postmaster.start()
        return gone

    def _leave(self, lease: Path) -> None:
        with self._turn():
            lease.unlink(missing_ok=True)
            if not self._living_users():
                self._postmaster().stop()

    def _turn(self) -> AbstractContextManager[None]:
        return exclusive(self.folder / "lock", _TURN_S)

    def _postmaster(self) -> Postmaster:
        return Postmaster(cluster.prepare(self.folder), self.folder)

    def _living_users(self) -> bool:
        """Whether a lease is held; leases of killed processes are cleared away."""
        living = False
        for lease in self._users.iterdir():
            if is_held(lease):
                living = True
            else:
                lease.unlink(missing_ok=True)
        return living

    def _make_folders(self) -> None:
        try:
            self._users.mkdir(parents=True, exist_ok=True)
            # root's server runs as another account, which must pass through; the files inside stay closed to it
            self.folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
        except OSError as error:
            raise DatabaseUnavailable(f"the home folder {self.folder.parent} cannot be used: {error}") from error


@contextmanager
def running_server(home: Path) -> Iterator[EmbeddedServer]:
    """The home's server, running for the block: started if nobody uses it yet, stopped if nobody uses it after."""
    server = EmbeddedServer(home)
    with server.used():
        yield server
