"""The facade's experiments, from settings."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from kronos import MetaOrchestrator
from kronos.core.changes.request import EngineDates
from kronos.core.policy import ObservationPolicy
from kronos.errors import BadValue, DatabaseUnavailable, NotFound
from kronos.lake.tables import Lake
from kronos.sandbox.load import load_history
from kronos.services.performance import Performance
from kronos.services.workplace import system_user, workplace_over
from kronos.settings import RecordedBy, Settings
from kronos.store.database import Database, Role
from kronos.store.engine_configs import register
from kronos_tests.core.reports.builders import cells, weekdays

BODY = {"window": 21, "persistence": 0.8, "dispersion": 0.55}


@pytest.fixture
def kronos(database: Database, tmp_path: Path) -> MetaOrchestrator:
    """An orchestrator over a quarter of sandbox history that nobody has observed yet."""
    load_history(database, date(1990, 3, 30))
    return MetaOrchestrator.from_settings(Settings(home=tmp_path, database_url=database.url))


def test_experiments_are_created_listed_and_read(kronos: MetaOrchestrator) -> None:
    made = kronos.create_experiment("REGIME", "regime-slow", BODY, "a shorter window")
    assert (made.status, made.created_by) == ("PENDING", system_user())
    assert (made.start_date, made.end_date) == (date(1990, 1, 1), date(1990, 3, 30))
    assert kronos.list_experiments() == [made]
    found = kronos.experiment_results(str(made.experiment_id))
    assert (found.experiment, found.periods) == (made, ())


def test_the_sandbox_has_no_data_after_its_clock(kronos: MetaOrchestrator) -> None:
    with pytest.raises(BadValue, match="end date has value '1990-04-02': expected a date the data covers"):
        kronos.create_experiment("REGIME", "regime-slow", BODY, "a look ahead", end_date=date(1990, 4, 2))


def test_in_the_sandbox_every_engine_has_the_dates_it_has_played(database: Database, tmp_path: Path) -> None:
    """Whatever has been observed of it."""
    load_history(database, date(1990, 3, 30))
    settings = Settings(home=tmp_path, database_url=database.url)
    workplace = workplace_over(settings, database, ObservationPolicy())
    played = (date(1990, 1, 1), date(1990, 3, 30))
    assert {workplace.data(engine) for engine in ("REGIME", "PORTFOLIO", "NEW")} == {EngineDates(played, played)}


def test_elsewhere_an_experiment_has_its_own_engines_dates(database: Database, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url=database.url, source_url=database.url)
    live, older = cells([0.0] * 30, engine="REGIME"), cells([0.0] * 60)
    late = live.filter(pl.col("as_of_date") >= weekdays(60)[10])
    held = pl.concat([late, older])
    Lake(settings.lake).write_months("cells", held, sorted(held["month"].unique()))
    with database.connect(Role.ORCHESTRATOR) as session:
        for engine in ("REGIME", "NEW"):
            register(
                session, config_id=f"{engine}-1", engine_name=engine, version="1", config_body={"engine": engine},
                created_by="source", created_at=datetime(2020, 1, 2, tzinfo=UTC),
            )  # fmt: skip
    kronos = MetaOrchestrator.from_settings(settings)
    made = kronos.create_experiment("REGIME", "REGIME-1", BODY, "a shorter window")
    assert (made.start_date, made.end_date) == (weekdays(60)[10], weekdays(60)[29])
    assert (
        kronos.create_experiment("REGIME", "REGIME-1", BODY, "its years before", start_date=weekdays(1)[0]).start_date
        == weekdays(1)[0]
    )
    with pytest.raises(BadValue, match="start date has value '2000-12-29': expected a date the data covers"):
        kronos.create_experiment("REGIME", "REGIME-1", BODY, "too early", start_date=date(2000, 12, 29))
    with pytest.raises(BadValue, match=r"start date has value None: expected a date from .*: the engine has no LIVE"):
        kronos.create_experiment("NEW", "NEW-1", BODY, "of nothing")


def test_an_unknown_experiment_says_so(kronos: MetaOrchestrator) -> None:
    with pytest.raises(NotFound, match="experiment"):
        kronos.experiment_results("00000000-0000-0000-0000-000000000000")


def test_a_reader_of_a_lake_alone_has_no_experiments(tmp_path: Path) -> None:
    lake = Performance(Lake(str(tmp_path)), ObservationPolicy(), RecordedBy.RECORDED)
    with pytest.raises(DatabaseUnavailable, match="from_settings"):
        MetaOrchestrator(lake).list_experiments()
