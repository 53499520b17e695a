"""The daily root of the change log, by its job."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from kronos.defs.audit.schedules import seal_change_log
from kronos.defs.resources import Kronos
from kronos.services.audit import audit_folder, kept_roots
from kronos.settings import Settings
from kronos.store.database import Database, Role
from kronos_tests.store.changes import created


def _run(database: Database, home: Path) -> dg.ExecuteInProcessResult:
    kronos = Kronos(Settings(home=home, database_url=database.url))
    return seal_change_log.execute_in_process(resources={"kronos": kronos}, raise_on_error=False)


def test_the_job_keeps_the_end_of_the_log(database: Database, tmp_path: Path) -> None:
    created(database)
    assert _run(database, tmp_path).success
    assert [root.entry_id for root in kept_roots(audit_folder(tmp_path))] == [1]


def test_the_job_fails_when_the_log_is_broken(database: Database, tmp_path: Path) -> None:
    created(database)
    with database.connect(Role.OWNER) as session:
        session.execute("ALTER TABLE kronos.change_log DISABLE TRIGGER USER")
        session.execute("UPDATE kronos.change_log SET author = 'eve'")
    assert not _run(database, tmp_path).success
    assert kept_roots(audit_folder(tmp_path)) == []
