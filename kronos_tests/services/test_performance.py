"""Reports over a real lake: what is loaded, remembered and refused."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from kronos import MetaOrchestrator
from kronos.core.changes.request import EngineDates
from kronos.core.policy import ObservationPolicy
from kronos.core.reports.periods import Every
from kronos.core.vocabulary import Dimension
from kronos.errors import BadValue, KronosError, NotFound, NothingObserved
from kronos.lake.tables import Lake
from kronos.services.performance import Performance
from kronos.settings import RecordedBy, Settings
from kronos.store.promotions import LiveRecord
from kronos_tests.core.reports.builders import START, cells, weekdays

END = date(2001, 12, 31)


def frame(seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    frames = [cells(rng.normal(0, 0.01, 120), config=config) for config in ("a", "b")]
    other = cells(rng.normal(0, 0.01, 90), config="x", engine="REGIME")
    return pl.concat([*frames, other, cells(rng.normal(0, 0.01, 60), mode="SHADOW")])


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    found = Lake(str(tmp_path / "lake"))
    found.write_months("cells", frame(), sorted(frame()["month"].unique()))
    return found


@pytest.fixture
def performance(lake: Lake) -> Performance:
    return Performance(lake, ObservationPolicy(), RecordedBy.RECORDED, ("a note",))


def test_report_says_what_it_is_of(performance: Performance) -> None:
    report = performance.engine_performance("PORTFOLIO", "a", START, END)
    assert (report.engine_name, report.config_id, report.mode, report.horizon) == ("PORTFOLIO", "a", "LIVE", 1)
    assert report.recorded_by == "recorded"
    assert report.as_of == weekdays(121)[-1]
    assert "a note" in report.notes
    assert report.coverage.due == 120


def test_facade_gives_the_same_reports(performance: Performance) -> None:
    kronos = MetaOrchestrator(performance)
    found = kronos.compare_configs("PORTFOLIO", ["a", "b"], START, END)
    assert list(found) == ["a", "b"]
    assert found["b"] == performance.engine_performance("PORTFOLIO", "b", START, END)
    assert kronos.period() == (START, weekdays(120)[-1])


def test_all_configs_together_equal_one_by_one(performance: Performance) -> None:
    found = performance.all_performance(START, END)
    assert [(one.engine_name, one.config_id) for one in found] == [
        ("PORTFOLIO", "a"),
        ("PORTFOLIO", "b"),
        ("REGIME", "x"),
    ]
    for one in found:
        assert one == performance.engine_performance(one.engine_name, one.config_id, START, END)


def test_the_gates_series_of_some_markets_are_of_the_book_there(performance: Performance) -> None:
    """A market without decisions has none."""
    whole = performance.gate_series("PORTFOLIO", "a", START, END)
    there = performance.gate_series("PORTFOLIO", "a", START, END, markets=("US_EQ", "EU_EQ"))
    assert whole is not None and there is not None
    assert there.series["a"]["overall"].values.tolist() == whole.series["a"]["overall"].values.tolist()
    assert performance.gate_series("PORTFOLIO", "a", START, END, markets=("EU_EQ",)) is None


def test_a_live_record_is_of_live_decisions_alone(tmp_path: Path) -> None:
    """Shadow decisions reach the end of the data, not of the config's own record."""
    live, shadow = cells([0.01] * 60, config="a"), cells([0.01] * 90, config="a", mode="SHADOW")
    held = pl.concat([live, shadow, live.with_columns(config_id=pl.lit("e"), experiment_id=pl.lit("one"))])
    lake = Lake(str(tmp_path / "lake"))
    lake.write_months("cells", held, sorted(held["month"].unique()))
    record = Performance(lake, ObservationPolicy(), RecordedBy.RECORDED)
    assert record.live_record("PORTFOLIO", "a") == LiveRecord(START, weekdays(60)[-1], weekdays(90)[-1])
    for never in ("e", "unknown"):
        assert record.live_record("PORTFOLIO", never) == LiveRecord(None, None, weekdays(90)[-1])


def test_an_experiments_dates_are_its_engines_live_ones_and_at_most_all_there_are(tmp_path: Path) -> None:
    days = weekdays(120)
    live = cells([0.01] * 60, config="a").filter(pl.col("as_of_date") >= days[20])
    backtest = cells([0.01] * 90, config="a", mode="BACKTEST").filter(pl.col("as_of_date") >= days[10])
    canary = cells([0.01] * 80, config="b").with_columns(experiment_id=pl.lit("one"))
    other = cells([0.01] * 120, config="x", engine="REGIME")
    held = pl.concat([live, backtest, canary.filter(pl.col("as_of_date") >= days[70]), other])
    lake = Lake(str(tmp_path / "lake"))
    lake.write_months("cells", held, sorted(held["month"].unique()))
    record = Performance(lake, ObservationPolicy(), RecordedBy.RECORDED)
    whole = (START, days[119])
    assert record.engine_dates("PORTFOLIO") == EngineDates(whole, (days[20], days[59]))
    assert record.engine_dates("REGIME") == EngineDates(whole, whole)
    assert record.engine_dates("NEW") == EngineDates(whole, None)
    assert record.period() == whole


def test_before_the_first_decision_there_are_no_dates(tmp_path: Path) -> None:
    nothing = Performance(Lake(str(tmp_path)), ObservationPolicy(), RecordedBy.RECORDED)
    with pytest.raises(NothingObserved):
        nothing.engine_dates("PORTFOLIO")


def test_pooled_report_is_the_star(performance: Performance) -> None:
    report = performance.engine_performance("PORTFOLIO", None, START, END)
    assert report.config_id == "*"
    assert report.metrics["decisions"] == 240


def test_modes_are_kept_apart(performance: Performance) -> None:
    assert performance.engine_performance("PORTFOLIO", "a", START, END, mode="SHADOW").coverage.due == 60
    assert performance.engine_performance("PORTFOLIO", "a", START, END, mode="BACKTEST").metrics == {}


def test_unknown_names_are_refused_with_the_known_ones(performance: Performance) -> None:
    with pytest.raises(NotFound, match="PORTFOLIO, REGIME"):
        performance.engine_performance("PORTFOLIOS", None, START, END)
    with pytest.raises(NotFound, match="known: a, b"):
        performance.engine_performance("PORTFOLIO", "c", START, END)


@pytest.mark.parametrize(("name", "value"), [("mode", "PAPER"), ("horizon", 0)])
def test_bad_arguments_are_named(performance: Performance, name: str, value: object) -> None:
    with pytest.raises(BadValue, match=name):
        performance.engine_performance("PORTFOLIO", "a", START, END, **{name: value})


def test_an_empty_lake_is_a_clear_error(tmp_path: Path) -> None:
    nothing = Performance(Lake(str(tmp_path)), ObservationPolicy(), RecordedBy.RECORDED)
    with pytest.raises(KronosError):
        nothing.engine_performance("PORTFOLIO", "a", START, END)
    assert nothing.all_performance(START, END) == []


def test_a_new_lake_version_is_seen(lake: Lake, performance: Performance) -> None:
    before = performance.engine_performance("PORTFOLIO", "a", START, END)
    assert performance.engine_performance("PORTFOLIO", "a", START, END) == before
    january = frame(seed=1).filter(month="2001-01")
    lake.write_months("cells", january, ["2001-01"])
    assert performance.engine_performance("PORTFOLIO", "a", START, END) != before


def test_summaries_and_breakdowns_hold_all_configs(performance: Performance) -> None:
    months = performance.period_summary(Every.MONTH, START, END)
    assert set(months["config_id"]) == {"a", "b", "x"}
    slices = performance.breakdown(Dimension.MARKET, START, END)
    assert set(slices["slice"]) == {"US_EQ"}


def test_settings_are_enough(lake: Lake, tmp_path: Path) -> None:
    kronos = MetaOrchestrator.from_settings(Settings(home=tmp_path, lake_uri=lake.uri))
    report = kronos.engine_performance("REGIME", "x", START, END)
    assert any("survivors" in note for note in report.notes)


def test_importing_kronos_stays_light() -> None:
    """`import kronos` loads no frame library; the facade comes on first use."""
    light = "import sys, kronos; assert 'polars' not in sys.modules"
    used = "kronos.MetaOrchestrator; assert 'polars' in sys.modules"
    subprocess.run([sys.executable, "-c", f"{light}; {used}"], check=True)
