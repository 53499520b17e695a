"""A promotion is killed between its statements: the old state or the new one remains, and the log is whole.

Where it is stopped is no matter of luck. Another session holds one of the locks that the promotion takes on its way,
one place after the other, until it waits there; then its backend is terminated, or its client killed with SIGKILL.
Without anyone in the way the same kills come at the commit and after it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from kronos.core.changes.chain import verify
from kronos.core.changes.model import Experiment
from kronos.store.change_log import entries
from kronos.store.database import Connection, Database, Role
from kronos.store.promotions import approvals_of, find_promotions
from kronos_tests.proofs.promotion_races import fresh_database
from kronos_tests.store.changes import at_status
from kronos_tests.store.promoting import IDA, MIA, REVIEW, Gated

TABLES = ("experiments", "config_activations", "engine_configs", "promotions", "change_log")
"""What a promotion writes or locks rows of, in its order."""
PLACES = ("change log's lock", *(f"table {name}" for name in TABLES), "commit", "after")
WAYS = ("backend", "client")
CASES = [f"{way} at {place}" for way in WAYS for place in PLACES]
LONGEST_S = 60.0

_CLIENT = """
import sys
from uuid import UUID
from kronos.store.database import Database, Role
from kronos.store.promotions import promote
with Database(sys.argv[1]).connect(Role.CHANGE_MANAGER) as session:
    session.execute("SET application_name = 'promoting'")
    promote(session, sys.argv[3], UUID(sys.argv[2]), reason="better", code_version="test")
    print("promoted", flush=True)
    if sys.argv[4] == "commit":
        sys.stdin.read()
print("committed", flush=True)
sys.stdin.read()
"""
_LOCKS = {
    "change log's lock": "SELECT kronos.lock_change_log()",
    **{f"table {name}": f"LOCK TABLE kronos.{name} IN EXCLUSIVE MODE" for name in TABLES},
}
_WAITS = """
SELECT pid FROM pg_stat_activity
WHERE application_name = 'promoting' AND datname = current_database() AND wait_event_type = 'Lock'
"""
_BACKENDS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'promoting' AND datname = current_database()"


def run(case: str) -> dict[str, object]:
    """Over a database of its own."""
    with fresh_database() as database:
        return kill(Gated(database).begin(), case)


def kill(gated: Gated, case: str) -> dict[str, object]:
    """Kill one promotion in the case's way at its place and see what remains; from the old state it must still work."""
    way, _, place = case.partition(" at ")
    experiment = at_status(gated.database, REVIEW, author="ida", token=IDA)
    gated.judge(experiment, incumbent=gated.incumbent())
    gated.approve(experiment)
    before = gated.incumbent()
    _stop_at(gated.database, experiment, way, place)
    state = _state(gated, experiment, before)
    again = state != "old" or _promoted_now(gated, experiment)
    with gated.database.connect(Role.READER) as session:
        whole = verify(entries(session)).broken is None
    expected = {"new"} if place == "after" else {"old"} if place == "commit" or way == "backend" else {"old", "new"}
    holds = state in expected and again and whole
    return {"holds": holds, "state": state, "log_whole": whole, "promoted_afterwards": again}


def _stop_at(database: Database, experiment: Experiment, way: str, place: str) -> None:
    """Returns when neither the client nor its backend is there any more."""
    with database.connect(Role.OWNER) as blocker, database.connect(Role.OWNER, autocommit=True) as watcher:
        if place in _LOCKS:
            blocker.execute(_LOCKS[place])
        command = [sys.executable, "-c", _CLIENT, database.url, str(experiment.experiment_id), MIA, place]
        client = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            backend = _reached(watcher, client, place)
            if way == "backend":
                watcher.execute("SELECT pg_terminate_backend(%s)", [backend])
            else:
                os.kill(client.pid, signal.SIGKILL)
            blocker.rollback()
            _until(lambda: not watcher.execute(_BACKENDS).fetchall())
        finally:
            client.kill()
            client.communicate()


def _reached(watcher: Connection, client: subprocess.Popen[str], place: str) -> int:
    """The backend's process once the promotion is at the place."""
    if place in _LOCKS:
        _until(lambda: bool(watcher.execute(_WAITS).fetchall()))
    else:
        assert client.stdout is not None
        awaited = "promoted" if place == "commit" else "committed"
        while (line := client.stdout.readline().strip()) != awaited:
            assert line, "the promotion ended before its time"
    # after the commit its connection is closed already
    found = watcher.execute(_BACKENDS).fetchone()
    return 0 if found is None else int(found[0])


def _state(gated: Gated, experiment: Experiment, before: str) -> str:
    """old: nothing of the promotion is there; new: all of it; anything else says what is half."""
    with gated.database.connect(Role.READER) as session:
        made = find_promotions(session, experiment_id=experiment.experiment_id)
        (approval,) = approvals_of(session, experiment.experiment_id)
        logged = session.execute(
            "SELECT count(*) FROM kronos.change_log WHERE subject = 'promotion' AND subject_id = %s",
            [str(experiment.experiment_id)],
        ).fetchone()
    seen = (gated.incumbent(), [one.status for one in made], approval.promotion_id is not None, logged)
    if seen == (before, [], False, (0,)):
        return "old"
    return "new" if seen == (experiment.proposed_config_id, ["ACTIVATED"], True, (1,)) else f"half: {seen}"


def _promoted_now(gated: Gated, experiment: Experiment) -> bool:
    gated.promote(experiment)
    return gated.incumbent() == experiment.proposed_config_id


def _until(reached: Callable[[], bool]) -> None:
    patience = time.monotonic() + LONGEST_S
    while not reached():
        assert time.monotonic() < patience, "it did not get there"
        time.sleep(0.02)
