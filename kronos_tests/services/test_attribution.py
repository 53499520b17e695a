"""Attribution over a real lake: what is read, and through which doors."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from kronos import MetaOrchestrator
from kronos.core.cells import build_cells
from kronos.core.policy import ObservationPolicy
from kronos.core.reports.attribution_model import By
from kronos.errors import BadValue, NotFound
from kronos.lake.tables import Lake
from kronos.services.performance import Performance
from kronos.settings import RecordedBy
from kronos_tests.core.reports.test_attribution import DAYS, book
from kronos_tests.frames import FIRST, POLICY, at, decision, facts, outcome

END = FIRST + timedelta(days=40)


def write(lake: Lake) -> None:
    """The book worked by hand, a config and a mode beside it, and a restated decision a month later."""
    later = date(2020, 4, 1)
    made = [decision("slow", config_id="slow"), decision("shadow", mode="SHADOW"), decision("later", later)]
    told = [(later + timedelta(days=1), -0.01), (later + timedelta(days=6), -0.03)]
    came = [outcome("slow", pnl=1.0), outcome("shadow", pnl=2.0)]
    came += [outcome("later", told[0][0], recorded_at=at(d, 22), pnl=1e4 * r, **{"return": r}) for d, r in told]
    for batch in (book(), facts(made, came, due=[1])):
        cells = build_cells(batch, POLICY).cells
        for table, frame in (("decision_facts", batch.facts), ("superseded_facts", batch.superseded), ("cells", cells)):
            months = sorted({*batch.facts["month"], "2020-03"})
            held = lake.scan(table, months).collect()
            lake.write_months(table, pl.concat([held, frame], how="diagonal"), months)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    found = Lake(str(tmp_path_factory.mktemp("home") / "lake"))
    write(found)
    return found


@pytest.fixture
def kronos(lake: Lake) -> MetaOrchestrator:
    return MetaOrchestrator(Performance(lake, ObservationPolicy(), RecordedBy.RECORDED, ("a note",)))


def test_facade_explains_one_config(kronos: MetaOrchestrator) -> None:
    """Other configs, modes and months stay out."""
    found = kronos.attribution("PORTFOLIO", "fast", FIRST, DAYS[4], by=[By.INSTRUMENT], windows=1)
    assert (found.total.decisions, found.total.pnl) == (8, pytest.approx(200.0))
    assert list(found.cuts) == [By.INSTRUMENT]
    assert (found.recorded_by, found.notes, found.adds_up) == ("recorded", ("a note",), True)


def test_all_configs_pooled_are_cut_by_config(kronos: MetaOrchestrator) -> None:
    found = kronos.attribution("PORTFOLIO", None, FIRST, DAYS[4], by=[By.CONFIG])
    assert {part.label: part.pnl for part in found.cuts[By.CONFIG].parts} == pytest.approx({"fast": 200.0, "slow": 1.0})
    assert found.config_id == "*"
    assert found.adds_up


def test_as_of_uses_what_stood_then(kronos: MetaOrchestrator) -> None:
    """The superseded fact is read beside the current one."""
    day = date(2020, 4, 1)
    then = kronos.attribution("PORTFOLIO", "fast", day, day, as_of=day + timedelta(days=3))
    now = kronos.attribution("PORTFOLIO", "fast", day, day)
    assert (then.total.pnl, now.total.pnl) == pytest.approx((-100.0, -300.0))
    assert then.adds_up and now.adds_up


def test_modes_are_kept_apart(kronos: MetaOrchestrator) -> None:
    assert kronos.attribution("PORTFOLIO", None, FIRST, END, mode="SHADOW").total.pnl == 2.0


def test_horizon_nobody_has_is_empty_of_outcomes(kronos: MetaOrchestrator) -> None:
    found = kronos.attribution("PORTFOLIO", "fast", FIRST, DAYS[4], horizon=7)
    assert (found.total.decisions, found.total.due, found.adds_up) == (8, 0, True)


def test_unknown_names_and_reversed_dates_are_refused(kronos: MetaOrchestrator) -> None:
    with pytest.raises(NotFound, match="fast, slow"):
        kronos.attribution("PORTFOLIO", "ghost", FIRST, END)
    with pytest.raises(BadValue, match="end_date"):
        kronos.attribution("PORTFOLIO", "fast", END, FIRST)
