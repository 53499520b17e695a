"""Who the incumbent is, and what is refused before anything is computed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from kronos import MetaOrchestrator
from kronos.core.policy import ObservationPolicy
from kronos.core.reports.comparison_model import ConfigClass, Doubt
from kronos.core.vocabulary import TrialFamily, TrialSource
from kronos.errors import BadValue, NotFound
from kronos.lake.tables import Lake
from kronos.services.comparison import recorded_background
from kronos.services.performance import Performance
from kronos.settings import RecordedBy, Settings
from kronos.store.database import Database, Role
from kronos.store.engine_configs import activate, register
from kronos.store.trials import Trial, record_trial
from kronos_tests.core.reports.builders import START, weekdays
from kronos_tests.core.reports.comparison_worlds import POLICY, N, books, record
from kronos_tests.store.activations import replace_incumbent

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
    found = MetaOrchestrator(performance, recorded_background(settings)).comparison("PORTFOLIO")
    assert found.incumbent == "incumbent"
    assert found.verdict("bad").label is ConfigClass.DOMINATED
    assert found.verdict("shifted").label is ConfigClass.ROBUST
    assert (found.period_start, found.period_end, found.notes) == (START, weekdays(N)[-1], ("a note",))


def test_trials_come_from_the_ledger(performance: Performance, settings: Settings, database: Database) -> None:
    """The four registered configs and the observed one that nobody registered; the control's is not among them."""
    seed(database, "incumbent", "bad", "failed", "proposed", active="incumbent")
    with database.connect() as connection:
        trial = Trial(engine_name="PORTFOLIO", config_id="shifted", source=TrialSource.OBSERVED, seen_at=SPRING)
        control = Trial(
            engine_name="PORTFOLIO",
            config_body={"inverted": True},
            source=TrialSource.EXPERIMENT,
            seen_at=SPRING,
            family=TrialFamily.CONTROL,
        )
        assert [record_trial(connection, one) for one in (trial, control)] == [True, True]
    found = MetaOrchestrator(performance, recorded_background(settings)).comparison("PORTFOLIO")
    assert found.trials is not None and (found.trials.total, found.trials.streamed) == (5, 3)
    assert {one.config_id for one in found.deflated if one.dsr is not None} == {"incumbent", "shifted", "bad"}


def test_as_of_a_date_the_incumbent_is_the_one_of_then(
    performance: Performance, settings: Settings, database: Database
) -> None:
    """And the trials those known then; before the first activation it is the first, and said to be."""
    seed(database, "incumbent", "bad", active="bad")
    replace_incumbent(
        database, "PORTFOLIO", "incumbent", expected="bad", at=datetime(2021, 3, 2, tzinfo=UTC), reason="better"
    )
    kronos = MetaOrchestrator(performance, recorded_background(settings))
    dates = (date(2019, 1, 2), date(2020, 6, 1), date(2021, 6, 1))
    before, then, later = (kronos.comparison("PORTFOLIO", as_of=day) for day in dates)
    assert [found.incumbent for found in (before, then, later)] == ["bad", "bad", "incumbent"]
    assert [found.trials and found.trials.total for found in (before, then)] == [3, 3]
    assert "no activation was known by 2019-01-02: held against the first one known, bad" in before.notes[0]
    assert then.notes == ("a note",)


def test_without_activation_everything_is_undecided(performance: Performance, settings: Settings) -> None:
    found = MetaOrchestrator(performance, recorded_background(settings)).comparison("PORTFOLIO")
    assert {verdict.reason for verdict in found.verdicts} == {Doubt.NO_INCUMBENT}


def test_active_config_that_never_decided_is_a_stated_outcome(
    performance: Performance, settings: Settings, database: Database
) -> None:
    seed(database, "brand-new", active="brand-new")
    found = MetaOrchestrator(performance, recorded_background(settings)).comparison("PORTFOLIO", ["bad"])
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
