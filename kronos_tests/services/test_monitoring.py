"""What is watched from when, what a run writes, and that an alert is raised once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from kronos import MetaOrchestrator
from kronos.core.monitoring.model import Cause, MonitorState, Watch, Watched
from kronos.core.policy import ObservationPolicy
from kronos.core.scheduling.periods import Cadence, Period, period_of
from kronos.errors import NotFound
from kronos.lake.tables import Lake
from kronos.services.monitoring import (
    Monitored,
    degrading,
    monitor_days,
    monitored_days,
    monitored_rows,
    recorded_standing,
    unmonitored_days,
    watched_on,
)
from kronos.services.performance import Performance
from kronos.services.pipeline import Pipeline
from kronos.settings import Dialect, RecordedBy, Settings
from kronos.sources.reader import SourceReader
from kronos.store.alerts import alerts, close
from kronos.store.database import Database, Role
from kronos.store.engine_configs import Activation, register
from kronos_tests.core.monitoring.records import BEFORE, DAYS, SINCE, START, book, briers, forecasts, returns
from kronos_tests.store.activations import replace_incumbent

LIVE = START
NOW = datetime(2020, 6, 1, tzinfo=UTC)
LATE = [period_of(Cadence.DAILY, day) for day in DAYS[-3:]]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """PORTFOLIO's `a` is degrading in return since the live start, its `b` and all of REGIME are not."""
    made = Lake(str(tmp_path_factory.mktemp("monitoring") / "lake"))
    parts = [
        book(returns(drop=8.0), **forecasts(briers())),
        book(returns(seed=3), config="b"),
        book(returns(seed=4), config="calm", engine="REGIME"),
    ]
    frame = pl.concat(parts)
    made.write_months("cells", frame, sorted(frame["month"].unique()))
    return made


@pytest.fixture
def pipeline(lake: Lake, database: Database, tmp_path: Path) -> Iterator[Pipeline]:
    """The lake's cells, an own lake for what is written, and a database in which `a` and `calm` are active."""
    own = Lake(str(tmp_path / "lake"))
    own.write_months("cells", lake.scan("cells").collect(), lake.months("cells"))
    begin(database, "PORTFOLIO", "a", None)
    begin(database, "REGIME", "calm", None)
    policy = ObservationPolicy()
    with SourceReader(database.url, Dialect.SPEC, RecordedBy.RECORDED, policy) as source:
        yield Pipeline(source, own, database, policy, RecordedBy.RECORDED)


def begin(database: Database, engine: str, config: str, incumbent: str | None, on: date = date(2001, 1, 1)) -> None:
    """Register a config and activate it at noon."""
    noon = datetime(on.year, on.month, on.day, 12, tzinfo=UTC)
    words = {"config_id": config, "engine_name": engine}
    with database.connect(Role.ORCHESTRATOR) as connection:
        register(connection, **words, version="1", config_body={"id": config}, created_by="t", created_at=noon)
    replace_incumbent(database, engine, config, expected=incumbent, at=noon)


def watch(pipeline: Pipeline, days: list[Period]) -> Monitored:
    performance = Performance(pipeline.lake, pipeline.policy, RecordedBy.RECORDED)
    return monitor_days(pipeline, performance, days, LIVE, NOW)


# what is watched, from when


def activation(config: str, since: datetime, until: datetime | None = None, scope: str = "*") -> Activation:
    return Activation("PORTFOLIO", scope, config, since, until, "t", "t")


MARCH_9 = datetime(2020, 3, 9, 14, tzinfo=UTC)
LONG_AGO = date(1990, 1, 1)


def test_decisions_are_watched_from_the_day_after_the_activation() -> None:
    history = [activation("a", MARCH_9)]
    assert watched_on(history, date(2020, 3, 9), LONG_AGO) == [Watched("a", "*", date(2020, 3, 10))]
    assert watched_on(history, date(2020, 3, 8), LONG_AGO) == []


def test_nothing_is_watched_before_the_live_start() -> None:
    live = date(2020, 5, 1)
    assert watched_on([activation("a", MARCH_9)], date(2020, 6, 1), live) == [Watched("a", "*", live)]


def test_a_new_activation_restarts_the_clock_and_the_old_one_is_found_as_of_its_days() -> None:
    may = datetime(2020, 5, 4, 20, tzinfo=UTC)
    history = [activation("a", MARCH_9, may), activation("b", may)]
    assert [one.config_id for one in watched_on(history, date(2020, 5, 3), LONG_AGO)] == ["a"]
    assert watched_on(history, date(2020, 5, 4), LONG_AGO) == [Watched("b", "*", date(2020, 5, 5))]


def test_a_market_with_a_config_of_its_own_is_left_to_it() -> None:
    history = [activation("a", MARCH_9), activation("b", MARCH_9, scope="EU_EQ")]
    found = {one.scope: one.others for one in watched_on(history, date(2020, 4, 1), LONG_AGO)}
    assert found == {"*": ("EU_EQ",), "EU_EQ": ()}


# what a run writes


def test_a_run_writes_a_row_per_day_engine_and_metric(pipeline: Pipeline) -> None:
    done = watch(pipeline, LATE)
    assert monitored_days(pipeline) == [day.key for day in LATE]
    rows = monitored_rows(pipeline, LATE[-1].key)
    assert rows.select("engine_name", "config_id", "metric", "state", "cause").rows() == [
        ("PORTFOLIO", "a", "calibration", "HEALTHY", None),
        ("PORTFOLIO", "a", "return", "DEGRADING", None),
        ("REGIME", "calm", "calibration", "INCONCLUSIVE", "NO_FORECASTS"),
        ("REGIME", "calm", "return", "HEALTHY", None),
    ]
    assert {one.engine_name: one.state for one in done.newest} == {
        "PORTFOLIO": MonitorState.DEGRADING,
        "REGIME": MonitorState.HEALTHY,
    }


def test_a_rerun_replaces_its_days_and_nothing_else(pipeline: Pipeline) -> None:
    watch(pipeline, LATE)
    before = pipeline.lake.scan("monitoring").collect().sort("period", "engine_name", "metric")
    watch(pipeline, LATE[1:2])
    assert pipeline.lake.scan("monitoring").collect().sort("period", "engine_name", "metric").equals(before)
    assert unmonitored_days(pipeline, [*LATE, LATE[-1].next()]) == [LATE[-1].next()]


def test_the_newest_day_decides_the_check(pipeline: Pipeline) -> None:
    early = period_of(Cadence.DAILY, DAYS[BEFORE + 2])
    watch(pipeline, [early, LATE[-1]])
    bad = degrading(pipeline, Watch.RETURN, [early.key, LATE[-1].key])
    assert (bad.checked, bad.broken["config_id"].to_list()) == (2, ["a"])
    assert degrading(pipeline, Watch.RETURN, [early.key]).passed
    assert degrading(pipeline, Watch.CALIBRATION, [LATE[-1].key]).passed
    assert degrading(pipeline, Watch.RETURN, []).checked == 0


# alerts


def test_an_alert_is_raised_once_with_its_evidence_on_the_first_day_seen(pipeline: Pipeline) -> None:
    days = [period_of(Cadence.DAILY, day) for day in DAYS[BEFORE : BEFORE + SINCE : 25]] + LATE
    first = watch(pipeline, days)
    again = watch(pipeline, days)
    assert (first.raised, again.raised) == (1, 0)
    (found,) = alerts(pipeline.database)
    assert (found.engine_name, found.config_id, found.metric, found.scope) == ("PORTFOLIO", "a", "return", "*")
    seen = pipeline.lake.scan("monitoring").filter(state="DEGRADING").collect()["period"].min()
    assert (str(found.raised_on), found.monitored_from, found.state) == (seen, LIVE, "OPEN")
    evidence = found.evidence
    assert evidence["e"]["largest"] >= evidence["e"]["threshold"] == pytest.approx(40.0)
    assert evidence["reference"]["n"] == BEFORE
    assert "asks" not in evidence, "nothing was active before the first config"


def test_the_alert_of_a_promoted_config_asks_for_a_rollback_to_the_one_before(pipeline: Pipeline) -> None:
    begin(pipeline.database, "PORTFOLIO", "before", "a", on=date(2001, 1, 2))
    noon = datetime(2001, 1, 3, 12, tzinfo=UTC)
    replace_incumbent(pipeline.database, "PORTFOLIO", "a", expected="before", at=noon)
    watch(pipeline, LATE)
    (found,) = alerts(pipeline.database)
    command = "kronos rollback PORTFOLIO --from a --reason ..."
    assert found.evidence["asks"] == {"rollback_to": "before", "command": command}


def test_no_rollback_is_asked_for_from_a_config_that_is_active_no_more(pipeline: Pipeline) -> None:
    begin(pipeline.database, "PORTFOLIO", "after", "a", on=DAYS[-1] + timedelta(days=1))
    watch(pipeline, LATE)
    (found,) = alerts(pipeline.database)
    assert found.config_id == "a" and "asks" not in found.evidence


def test_two_runs_at_once_raise_one_alert(pipeline: Pipeline) -> None:
    def run(day: Period) -> Monitored:
        # like runs, threads cannot share a connection to the source
        url, policy = pipeline.database.url, pipeline.policy
        with SourceReader(url, Dialect.SPEC, RecordedBy.RECORDED, policy) as source:
            return watch(replace(pipeline, source=source), [day])

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(run, LATE[:2]))
    assert sum(one.raised for one in done) == len(alerts(pipeline.database)) == 1


def test_a_closed_alert_stays_closed_until_the_config_is_activated_anew(pipeline: Pipeline) -> None:
    watch(pipeline, LATE[:1])
    close(pipeline.database, alerts(pipeline.database)[0].alert_id, by="ann", reason="known")
    assert watch(pipeline, LATE).raised == 0


def test_the_new_config_is_not_blamed_for_the_old_one(pipeline: Pipeline) -> None:
    """Replaced at session 200 of the live record: as of later days only the new config is judged."""
    begin(pipeline.database, "PORTFOLIO", "b", "a", on=DAYS[BEFORE + 200])
    done = watch(pipeline, LATE)
    (found,) = (one for one in done.newest if one.engine_name == "PORTFOLIO")
    assert {one.config_id for one in found.findings} == {"b"}
    assert (found.state, done.raised) == (MonitorState.HEALTHY, 0)
    assert found.findings[0].monitored_from == DAYS[BEFORE + 200] + timedelta(days=1)


# the Python API


@pytest.fixture
def kronos(pipeline: Pipeline, tmp_path: Path) -> MetaOrchestrator:
    url = pipeline.database.url
    settings = Settings(home=tmp_path, database_url=url, source_url=url, lake_uri=pipeline.lake.uri, live_start=LIVE)
    performance = Performance(pipeline.lake, pipeline.policy, RecordedBy.RECORDED)
    return MetaOrchestrator(performance, standing_of=recorded_standing(settings))


def test_the_api_answers_as_of_a_date_and_raises_nothing(kronos: MetaOrchestrator, pipeline: Pipeline) -> None:
    found = kronos.monitoring("PORTFOLIO", DAYS[-1])
    assert (found.state, found.as_of) == (MonitorState.DEGRADING, DAYS[-1])
    assert [one.engine_name for one in kronos.all_monitoring(DAYS[-1])] == ["PORTFOLIO", "REGIME"]
    assert alerts(pipeline.database, closed=True) == []


def test_without_a_date_today_counts(kronos: MetaOrchestrator) -> None:
    """The record ended years ago: nobody is judged by it."""
    assert {one.cause for one in kronos.monitoring("REGIME").findings} == {Cause.RECORD_STOPPED, Cause.NO_FORECASTS}


def test_an_active_config_of_an_engine_that_never_decided_is_a_stated_outcome(
    kronos: MetaOrchestrator, pipeline: Pipeline
) -> None:
    begin(pipeline.database, "UNIVERSE", "new", None)
    assert {one.cause for one in kronos.monitoring("UNIVERSE", DAYS[-1]).findings} == {Cause.NO_RECORD}


def test_an_unknown_engine_is_refused(kronos: MetaOrchestrator) -> None:
    with pytest.raises(NotFound, match="engine 'NONE'"):
        kronos.monitoring("NONE", DAYS[-1])


def test_without_an_activation_history_nothing_is_active(pipeline: Pipeline) -> None:
    kronos = MetaOrchestrator(Performance(pipeline.lake, pipeline.policy, RecordedBy.RECORDED))
    assert {one.cause for one in kronos.monitoring("PORTFOLIO").findings} == {Cause.NO_ACTIVE_CONFIG}
