"""Who the incumbent is, and what is refused before anything is computed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from kronos import MetaOrchestrator
from kronos.core.policy import ObservationPolicy
from kronos.core.reports.comparison_model import ConfigClass, Doubt
from kronos.errors import BadValue, NotFound
from kronos.lake.tables import Lake
from kronos.services.comparison import recorded_incumbent
from kronos.services.performance import Performance
from kronos.settings import RecordedBy, Settings
from kronos.store.database import Database, Role
from kronos.store.engine_configs import activate, register
from kronos_tests.core.reports.builders import START, weekdays
from kronos_tests.core.reports.comparison_worlds import POLICY, N, books, record

SPRING = datetime(2020, 3, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    found = Lake(str(tmp_path_factory.mktemp("comparison") / "lake"))
    other = record({"calm": books()["incumbent"]}, engine="REGIME")
    frame = pl.concat([record({name: books()[name] for name in ("incumbent", "shifted", "bad")}), other])
    found.write_months("cells", frame, sorted(frame["month"].unique()))
    return found


@pytest.fixture(scope="module")
def performance(lake: Lake) -> Performance:
    return Performance(lake, ObservationPolicy(comparison=POLICY), RecordedBy.RECORDED, ("a note",))


@pytest.fixture
def settings(tmp_path: Path, lake: Lake, database: Database) -> Settings:
    """Of a foreign source, so that now is the wall clock's."""
    return Settings(home=tmp_path, database_url=database.url, source_url=database.url, lake_uri=lake.uri)


def seed(database: Database, *configs: str, active: str) -> None:
    """Register configs of PORTFOLIO and activate one."""
    with database.connect(Role.ORCHESTRATOR) as connection:
        for config in configs:
            register(
                connection,
                config_id=config,
                engine_name="PORTFOLIO",
                version="1",
                config_body={"name": config},
                created_by="test",
                created_at=SPRING,
            )
    with database.connect(Role.CHANGE_MANAGER) as connection:
        activate(
            connection,
            engine_name="PORTFOLIO",
            config_id=active,
            by="test",
            reason="test",
            at=SPRING,
            expected_incumbent=None,
        )


def test_incumbent_comes_from_the_activation_history(
    performance: Performance, settings: Settings, database: Database
) -> None:
    seed(database, "incumbent", "bad", active="incumbent")
    found = MetaOrchestrator(performance, recorded_incumbent(settings)).comparison("PORTFOLIO")
    assert found.incumbent == "incumbent"
    assert found.verdict("bad").label is ConfigClass.DOMINATED
    assert found.verdict("shifted").label is ConfigClass.ROBUST
    assert (found.period_start, found.period_end, found.notes) == (START, weekdays(N)[-1], ("a note",))


def test_without_activation_everything_is_undecided(performance: Performance, settings: Settings) -> None:
    found = MetaOrchestrator(performance, recorded_incumbent(settings)).comparison("PORTFOLIO")
    assert {verdict.reason for verdict in found.verdicts} == {Doubt.NO_INCUMBENT}


def test_active_config_that_never_decided_is_a_stated_outcome(
    performance: Performance, settings: Settings, database: Database
) -> None:
    seed(database, "brand-new", active="brand-new")
    found = MetaOrchestrator(performance, recorded_incumbent(settings)).comparison("PORTFOLIO", ["bad"])
    assert (found.incumbent, found.verdict("bad").reason) == ("brand-new", Doubt.INCUMBENT_UNUSABLE)


def test_named_incumbent_needs_no_history(performance: Performance) -> None:
    found = MetaOrchestrator(performance).comparison("PORTFOLIO", ["shifted"], incumbent="incumbent")
    assert {verdict.config_id for verdict in found.verdicts} == {"incumbent", "shifted"}


def test_dates_bound_the_comparison(performance: Performance) -> None:
    start, end = date(2003, 1, 1), date(2006, 12, 29)
    found = MetaOrchestrator(performance).comparison("PORTFOLIO", ["bad"], start, end, incumbent="incumbent")
    assert found.cell("bad", "overall").n == len([day for day in weekdays(N) if start <= day <= end])


def test_compare_configs_still_returns_reports(performance: Performance) -> None:
    found = MetaOrchestrator(performance).compare_configs("PORTFOLIO", ["bad"], START, date(2005, 1, 3))
    assert found["bad"].config_id == "bad"


def test_unknown_names_are_refused(performance: Performance) -> None:
    """An engine, a config, and an incumbent that belongs to another engine."""
    kronos = MetaOrchestrator(performance)
    with pytest.raises(NotFound, match=r"'NONE'.*PORTFOLIO, REGIME"):
        kronos.comparison("NONE")
    with pytest.raises(NotFound, match=r"config of PORTFOLIO 'ghost'.*bad, incumbent, shifted"):
        kronos.comparison("PORTFOLIO", ["bad", "ghost"])
    with pytest.raises(NotFound, match="config of PORTFOLIO 'calm'"):
        kronos.comparison("PORTFOLIO", incumbent="calm")


def test_reversed_dates_are_refused(performance: Performance) -> None:
    with pytest.raises(BadValue, match=r"2004-01-01.*2005-01-01"):
        MetaOrchestrator(performance).comparison("PORTFOLIO", (), date(2005, 1, 1), date(2004, 1, 1))
