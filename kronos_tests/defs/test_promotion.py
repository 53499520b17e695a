"""What the change manager's sensor does by itself."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from kronos.defs.resources import Kronos
from kronos.services.audit import audit_folder, kept_roots, verify_log
from kronos.settings import Settings
from kronos.store.database import Database
from kronos_tests.defs.ticks import tick
from kronos_tests.store.changes import created


def test_the_end_of_the_change_log_is_kept_whenever_it_grew(
    database: Database, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    kronos, folder = Kronos(Settings(home=tmp_path, database_url=database.url)), audit_folder(tmp_path)
    for count in (1, 2):
        created(database)
        for _ in range(2):
            assert tick(kronos, instance, "promotions_due") == []
            assert [root.entry_id for root in kept_roots(folder)] == list(range(1, count + 1))
    assert verify_log(database, folder).proven
