"""Postgres refuses to run as root: which account runs it, and what that account can reach."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kronos.errors import DatabaseUnavailable

_CANDIDATES = ("postgres", "nobody")
# nothing of the caller's environment: a PGDATA or PGOPTIONS set for another server must not leak in
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}


@dataclass(frozen=True)
class Account:
    """Operating system account of the server; uid None is the caller's own."""

    uid: int | None = None
    gid: int | None = None

    def run(
        self, command: Sequence[str | Path], *, text: str | None = None, pass_fds: Sequence[int] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as this account, with its output captured."""
        # a pipe would be inherited by the daemon pg_ctl leaves behind and never close: hence pass_fds, not PIPE, there
        output = subprocess.DEVNULL if pass_fds else subprocess.PIPE
        try:
            return subprocess.run(
                [str(part) for part in command],
                input=text,
                stdin=subprocess.DEVNULL if text is None else None,
                stdout=output,
                stderr=output,
                text=True,
                check=False,
                cwd="/",
                env=_ENVIRONMENT,
                umask=0o077,
                user=self.uid,
                group=self.gid,
                extra_groups=None if self.uid is None else [],
                pass_fds=pass_fds,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise DatabaseUnavailable(f"the embedded Postgres cannot be started: {error}") from error

    def can_write(self, folder: Path) -> bool:
        """Whether the account can reach the folder and create files in it."""
        return self.run(["/bin/sh", "-c", 'test -w "$0" && test -x "$0"', folder]).returncode == 0

    def can_execute(self, program: Path) -> bool:
        """Whether the account can reach and run the program."""
        return self.run(["/bin/sh", "-c", 'test -x "$0"', program]).returncode == 0

    def give(self, path: Path, mode: int) -> None:
        """Make the path the account's own."""
        path.chmod(mode)
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def server_account() -> Account:
    """The caller's account, or for root an unprivileged one."""
    if os.geteuid() != 0:
        return Account()
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    names = " or ".join(_CANDIDATES)
    raise DatabaseUnavailable(
        f"Postgres does not run as root and there is no account {names}: "
        "run Kronos as a normal user or set KRONOS_DATABASE_URL"
    )


def owner_of(path: Path) -> Account:
    """The account a folder belongs to: the caller's own unless the caller is root."""
    if os.geteuid() != 0:
        return Account()
    found = path.stat()
    return Account(found.st_uid, found.st_gid)
