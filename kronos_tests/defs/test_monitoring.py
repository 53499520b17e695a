"""The degradation monitor as an asset: in the daily job, seen by its checks, drawn in its metadata."""

from __future__ import annotations

import base64
import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from kronos.core.monitoring.model import EngineMonitoring, EProcess, MonitorFinding, MonitorState, Watch
from kronos.core.policy import ObservationPolicy
from kronos.defs.monitoring.plot import evidence_plot
from kronos.defs.partitions import days_of_run, range_tags
from kronos.defs.resources import Kronos
from kronos.lake.tables import Lake
from kronos.services.market_hours import session_closes
from kronos.settings import Settings
from kronos.store.alerts import alerts
from kronos.store.database import Database, Role
from kronos.store.engine_configs import activate, register
from kronos_tests.builders import at, decision, engine_run, insert, outcome
from kronos_tests.defs.ticks import launch, observe, tick
from kronos_tests.defs.world import World, evening

ASSET = dg.AssetKey("degradation_monitor")
TUESDAY = date(2020, 2, 4)


def states(world: World) -> set[tuple[str, str, str | None]]:
    """metric, state and cause of every row of the newest day."""
    rows = Lake(world.settings.lake).scan("monitoring").filter(pl.col("period") == pl.col("period").max()).collect()
    return set(rows.select("metric", "state", "cause").rows())


def test_the_daily_job_judges_every_day_it_covers(world: World, kronos: Kronos, instance: dg.DagsterInstance) -> None:
    world.play(date(2020, 1, 2), TUESDAY)
    world.set_clock(evening(TUESDAY))
    observe(kronos, instance)
    (request,) = tick(kronos, instance, "meta_daily_barrier")
    done = launch(kronos, instance, request)
    assert instance.get_materialized_partitions(ASSET) == {"2020-02-03", "2020-02-04"}
    checks = {one.check_name: one.passed for one in done.get_asset_check_evaluations() if one.asset_key == ASSET}
    assert checks == {"earning_engines_hold": True, "forecasting_engines_hold": True}
    nobody = "INCONCLUSIVE", "NO_ACTIVE_CONFIG"
    assert states(world) == {("return", *nobody), ("calibration", *nobody)}


# a config that earns less since it is watched

LIVE = date(2021, 1, 25)
LAST = date(2021, 3, 31)


@pytest.fixture
def worsening(database: Database, tmp_path: Path) -> World:
    """PORTFOLIO's active config earned Sharpe 5 over 2020 in the US, and loses most days since it is live."""
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"monitoring": {"reference_least": 250}}))
    world = World(_settings(database, tmp_path, policy), database)
    closes = session_closes(ObservationPolicy(), ["US_EQ"], date(2020, 1, 2), LAST)
    days = closes["session"].to_list()
    made = [decision(f"d-{day}", day) for day in days]
    outcomes = [outcome(row, **{"return": _earned(row["as_of_date"])}) for row in made]
    insert(database, engine_decisions=made, decision_outcomes=outcomes, engine_runs=[engine_run(day) for day in days])
    words = {"engine_name": "PORTFOLIO", "config_id": "fast"}
    start = at(date(2020, 1, 2))
    with database.connect(Role.ORCHESTRATOR) as connection:
        register(connection, **words, version="1", config_body={}, created_by="t", created_at=start)
    with database.connect(Role.CHANGE_MANAGER) as connection:
        activate(connection, **words, by="t", reason="t", at=start, expected_incumbent=None)
    world.set_clock(evening(LAST))
    return world


def _settings(database: Database, home: Path, policy: Path) -> Settings:
    return Settings(
        home=home, database_url=database.url, history_start=date(2020, 1, 1), live_start=LIVE, policy=policy
    )


def _earned(day: date) -> float:
    noise = 0.01 * (((day.toordinal() * 7919) % 101) / 50.0 - 1.0)
    return noise + (0.002 if day < LIVE else -0.006)


def test_what_degrades_warns_and_raises_one_alert(worsening: World, instance: dg.DagsterInstance) -> None:
    kronos = Kronos(worsening.settings)
    observe(kronos, instance)
    request = dg.RunRequest(job_name="meta_daily", tags=range_tags("2021-03-29", "2021-03-31"))
    done = launch(kronos, instance, request)
    found = {one.check_name: one for one in done.get_asset_check_evaluations() if one.asset_key == ASSET}
    bad = found["earning_engines_hold"]
    assert (bad.passed, bad.severity, bad.blocking) == (False, dg.AssetCheckSeverity.WARN, False)
    assert found["forecasting_engines_hold"].passed
    assert ("return", "DEGRADING", None) in states(worsening)
    (alert,) = alerts(worsening.database)
    assert (alert.config_id, alert.raised_on, alert.monitored_from) == ("fast", date(2021, 3, 29), LIVE)
    metadata = done.asset_materializations_for_node("degradation_monitor")[-1].metadata
    assert "DEGRADING" in metadata["newest"].value
    assert "| fast |" in metadata["alerts_waiting"].value
    assert metadata["alerts_raised"].value == 1
    assert launch(kronos, instance, request).success
    assert len(alerts(worsening.database)) == 1


# presentation


def test_days_of_a_run_are_those_of_its_partition_or_range() -> None:
    days = ["2020-02-03", "2020-02-04", "2020-02-05"]
    assert days_of_run({"dagster/partition": "2020-02-04"}, days) == ["2020-02-04"]
    assert days_of_run(range_tags("2020-02-04", "2020-02-29"), days) == days[1:]
    assert days_of_run({}, days) == days


def picture(*findings: MonitorFinding) -> ET.Element:
    """The drawing of these findings, parsed."""
    text = str(evidence_plot([EngineMonitoring("E", TUESDAY, 0.05, findings)]).value)
    return ET.fromstring(base64.b64decode(text.partition("base64,")[2].rstrip(")")))  # noqa: S314 - our own drawing


def path(values: tuple[float, ...], name: str = "E") -> MonitorFinding:
    days = tuple(TUESDAY + timedelta(days=n) for n in range(len(values)))
    process = EProcess(values[-1], max(values), days[0], 20.0, 4.0, 1.0, None, days, values)
    return MonitorFinding(name, "*", "c", Watch.RETURN, MonitorState.HEALTHY, e=process)


def test_the_picture_has_a_curve_and_a_name_per_metric() -> None:
    drawn = picture(path((1.0, 2.0)), path((1.0, 0.5), "<B&B>"))
    space = "{http://www.w3.org/2000/svg}"
    assert len(drawn.findall(f"{space}polyline")) == 2
    assert any("<B&B>" in (text.text or "") for text in drawn.findall(f"{space}text"))


def test_one_day_and_endless_evidence_are_drawn_too() -> None:
    assert picture(path((1.0,))) is not None
    assert "nan" not in ET.tostring(picture(path((0.0, 1e304)))).decode()


def test_without_evidence_the_picture_is_a_sentence() -> None:
    silent = replace(path((1.0,)), e=None)
    assert evidence_plot([EngineMonitoring("E", TUESDAY, 0.05, (silent,))]).value == "no metric has evidence yet"
