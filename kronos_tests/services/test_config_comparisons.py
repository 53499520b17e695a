"""The month's comparison: as of its end, of who had decided by then, replaced as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from kronos.core.policy import ObservationPolicy
from kronos.core.scheduling.periods import Cadence, Period, period_of
from kronos.lake.tables import Lake
from kronos.services.config_comparisons import compare_months, judged_configs, sound_comparisons
from kronos.services.performance import Performance
from kronos.services.pipeline import Pipeline
from kronos.settings import Dialect, RecordedBy
from kronos.sources.reader import SourceReader
from kronos.store.database import Database
from kronos_tests.core.reports.builders import cells, weekdays
from kronos_tests.core.reports.comparison_worlds import POLICY, books
from kronos_tests.services.test_comparison import seed
from kronos_tests.store.activations import replace_incumbent

NOW = datetime(2005, 6, 1, tzinfo=UTC)
DAYS = 700
EARLY, LATE = period_of(Cadence.MONTHLY, date(2003, 1, 31)), period_of(Cadence.MONTHLY, date(2003, 6, 30))


def decisions(days: int = DAYS) -> pl.DataFrame:
    """Two configs from 2001 on, a third from spring 2003."""
    held = books()
    frames = [cells(held[name][:days], config=name) for name in ("incumbent", "bad")]
    young = weekdays(DAYS)[590:days]
    return (
        pl.concat([*frames, cells(held["shifted"][: len(young)], days=young, config="young")])
        if young
        else pl.concat(frames)
    )


@pytest.fixture
def pipeline(database: Database, tmp_path: Path) -> Iterator[Pipeline]:
    policy = ObservationPolicy(comparison=POLICY)
    seed(database, "incumbent", "bad", "young", active="incumbent")
    with SourceReader(database.url, Dialect.SPEC, RecordedBy.RECORDED, policy) as source:
        yield Pipeline(source, Lake(str(tmp_path / "lake")), database, policy, RecordedBy.RECORDED)


def written(pipeline: Pipeline, frame: pl.DataFrame, *months: Period) -> pl.DataFrame:
    """What the months' rows are, over these cells."""
    pipeline.lake.write_months("cells", frame, sorted(frame["month"].unique()))
    compare_months(pipeline, performance(pipeline), months, NOW)
    return pipeline.lake.scan("config_comparison").collect().sort("period", "config_id", "slice")


def performance(pipeline: Pipeline) -> Performance:
    return Performance(pipeline.lake, pipeline.policy, pipeline.recorded_by)


def test_a_month_knows_nothing_of_what_came_later(pipeline: Pipeline) -> None:
    """Written again when the record reaches further, it is the same."""
    until = decisions(len([day for day in weekdays(DAYS) if day <= EARLY.end]))
    first = written(pipeline, until, EARLY)
    again = written(pipeline, decisions(), EARLY)
    assert again.equals(first)
    assert set(first["config_id"]) == {"incumbent", "bad"}
    assert first["period_end"].unique().to_list() == first["as_of"].unique().to_list() == [EARLY.end]


def test_a_month_is_replaced_and_the_others_stay(pipeline: Pipeline) -> None:
    both = written(pipeline, decisions(), EARLY, LATE)
    again = written(pipeline, decisions(), LATE)
    assert again.equals(both)
    assert both.group_by("period").agg(pl.col("config_id").n_unique()).sort("period").rows() == [
        ("2003-01", 2), ("2003-06", 3),
    ]  # fmt: skip


def test_stored_months_pass_their_checks(pipeline: Pipeline) -> None:
    written(pipeline, decisions(), EARLY, LATE)
    months = [EARLY.key, LATE.key]
    assert sound_comparisons(pipeline, months).passed
    found = judged_configs(pipeline, performance(pipeline), months)
    assert found.passed and found.checked == 5


def test_the_incumbent_is_the_one_of_the_months_end(pipeline: Pipeline, database: Database) -> None:
    """Activated in 2020 only: until then the first one known stands in, and the rows say so."""
    replace_incumbent(database, "PORTFOLIO", "bad", expected="incumbent", at=datetime(2021, 1, 4, tzinfo=UTC))
    rows = written(pipeline, decisions(), LATE)
    assert rows["incumbent"].unique().to_list() == ["incumbent"]
    assert all("held against the first one known, incumbent, active from 2020-03-02" in note for note in rows["notes"])


def test_a_policy_may_look_at_fewer_years(pipeline: Pipeline) -> None:
    short = pipeline.policy.model_copy(update={"comparison": POLICY.model_copy(update={"report_years": 1})})
    limited = Pipeline(pipeline.source, pipeline.lake, pipeline.database, short, pipeline.recorded_by)
    assert written(limited, decisions(), LATE)["period_start"].unique().to_list() == [date(2002, 7, 1)]
