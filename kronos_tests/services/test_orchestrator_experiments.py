"""The facade's experiments, from settings."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from kronos import MetaOrchestrator
from kronos.core.policy import ObservationPolicy
from kronos.errors import BadValue, DatabaseUnavailable, NotFound
from kronos.lake.tables import Lake
from kronos.sandbox.load import load_history
from kronos.services.performance import Performance
from kronos.services.workplace import system_user
from kronos.settings import RecordedBy, Settings
from kronos.store.database import Database

BODY = {"window": 21, "persistence": 0.8, "dispersion": 0.55}


@pytest.fixture
def kronos(database: Database, tmp_path: Path) -> MetaOrchestrator:
    """An orchestrator over a quarter of sandbox history that nobody has observed yet."""
    load_history(database, date(1990, 3, 30))
    return MetaOrchestrator.from_settings(Settings(home=tmp_path, database_url=database.url))


def test_experiments_are_created_listed_and_read(kronos: MetaOrchestrator) -> None:
    made = kronos.create_experiment("REGIME", "regime-slow", BODY, "a shorter window")
    assert (made.status, made.created_by, made.end_date) == ("PENDING", system_user(), date(1990, 3, 30))
    assert kronos.list_experiments() == [made]
    found = kronos.experiment_results(str(made.experiment_id))
    assert (found.experiment, found.periods) == (made, ())


def test_the_sandbox_has_no_data_after_its_clock(kronos: MetaOrchestrator) -> None:
    with pytest.raises(BadValue, match="end date has value '1990-04-02': expected a date the data covers"):
        kronos.create_experiment("REGIME", "regime-slow", BODY, "a look ahead", end_date=date(1990, 4, 2))


def test_an_unknown_experiment_says_so(kronos: MetaOrchestrator) -> None:
    with pytest.raises(NotFound, match="experiment"):
        kronos.experiment_results("00000000-0000-0000-0000-000000000000")


def test_a_reader_of_a_lake_alone_has_no_experiments(tmp_path: Path) -> None:
    lake = Performance(Lake(str(tmp_path)), ObservationPolicy(), RecordedBy.RECORDED)
    with pytest.raises(DatabaseUnavailable, match="from_settings"):
        MetaOrchestrator(lake).list_experiments()
