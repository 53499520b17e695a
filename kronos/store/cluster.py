"""The embedded server's data: where it lies, how it is made, and what is needed to log in."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kronos.errors import DatabaseUnavailable
from kronos.store.account import Account, owner_of, server_account
from kronos.store.binaries import reachable

LOGIN = "kronos"
"""Login of the product: it may create databases and roles, and is no superuser."""

# roots for the data of a root user whose home no unprivileged account can enter
_OUTSIDE = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108 - mkdtemp makes the name, 0700 the folder

_CREATE_LOGIN = "CREATE ROLE {login} LOGIN CREATEDB CREATEROLE PASSWORD '{password}';\n"


@dataclass(frozen=True)
class Cluster:
    """One initialised data folder and the account and programs that serve it."""

    folder: Path
    account: Account
    programs: Path

    @property
    def data(self) -> Path:
        """Postgres's data directory."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "server.log"

    @property
    def name(self) -> str:
        """Cluster name: stands in the title of each of its processes."""
        return "kronos-" + hashlib.sha256(str(self.data).encode()).hexdigest()[:12]


def prepare(home: Path) -> Cluster:
    """The cluster of a home folder, made on first use. The caller holds the home's lock."""
    folder = _place(home)
    account = owner_of(folder)
    cluster = Cluster(folder, account, reachable(account, folder))
    if not cluster.data.is_dir():
        _initialise(cluster, password(home))
    return cluster


def password(home: Path) -> str:
    """The login's password, made on first use and readable by the home's owner alone."""
    path = home / "password"
    if not path.exists():
        partial = path.with_suffix(".new")
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
        partial.rename(path)
    return path.read_text()


def _place(home: Path) -> Path:
    """Folder of the cluster: below home, or, where the account cannot enter home, the one noted in home/location."""
    note = home / "location"
    if note.exists():
        folder = Path(note.read_text().strip())
        if not folder.is_dir():
            raise DatabaseUnavailable(f"{note} says the data lies in {folder}, which does not exist")
        return folder
    folder = home / "cluster"
    if folder.is_dir():
        return folder
    account = server_account()
    candidate = home / "cluster.new"
    candidate.mkdir(exist_ok=True)
    account.give(candidate, 0o700)
    if account.can_write(candidate):
        return candidate.rename(folder)
    candidate.rmdir()
    return _place_outside(home, account)


def _place_outside(home: Path, account: Account) -> Path:
    digest = hashlib.sha256(str(home).encode()).hexdigest()[:8]
    for root in _OUTSIDE:
        if not os.access(root, os.W_OK):
            continue
        folder = Path(tempfile.mkdtemp(dir=root, prefix=f"kronos-{digest}-"))
        account.give(folder, 0o700)
        if account.can_write(folder):
            (home / "location").write_text(f"{folder}\n")
            return folder
        folder.rmdir()
    raise DatabaseUnavailable(
        f"the account that runs Postgres can enter neither {home} nor {_OUTSIDE[0]}: "
        "set KRONOS_HOME to a folder it can enter, or KRONOS_DATABASE_URL"
    )


def _initialise(cluster: Cluster, login_password: str) -> None:
    """Make the data beside its final place and move it there complete: a kill in between leaves nothing half made."""
    partial = cluster.folder / "data.new"
    shutil.rmtree(partial, ignore_errors=True)
    superuser = cluster.folder / "superuser.new"
    # nobody needs the superuser's password: single-user mode reaches the data without it
    superuser.write_text(secrets.token_urlsafe(32))
    cluster.account.give(superuser, 0o600)
    try:
        _run(
            cluster,
            "initdb",
            f"--pgdata={partial}",
            "--username=postgres",
            f"--pwfile={superuser}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
        )
    finally:
        superuser.unlink()
    statement = _CREATE_LOGIN.format(login=LOGIN, password=login_password)
    _run(cluster, "postgres", "--single", "-D", str(partial), "postgres", text=statement)
    partial.rename(cluster.data)


def _run(cluster: Cluster, program: str, *arguments: str, text: str | None = None) -> None:
    done = cluster.account.run([cluster.programs / program, *arguments], text=text)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["nothing"]
        raise DatabaseUnavailable(f"{program} failed with exit code {done.returncode} and said: {said[-1]}")
