"""Probes over the real engines: an honest config shows nothing, one that leaks or sleeps does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from kronos.core.backtests.runner import Ability, Produced, Watch
from kronos.core.backtests.spec import Subject, Task
from kronos.core.controls.model import ControlTransform, LookAhead, StaleData
from kronos.errors import BacktestFailed
from kronos.sandbox.configs import CONFIGS
from kronos.services.backtest_rows import rows_of
from kronos.services.probes import probe
from kronos_tests.core.controls.engines import ENGINES, control, pairs, task
from kronos_tests.services.backtest_world import Direct

DAY = date(2015, 5, 6)
each_engine = pytest.mark.parametrize("engine", ENGINES)


@dataclass
class Fixed(Direct):
    """A runner whose data is what it is, and that remembers what it was asked."""

    def unable(self, ability: Ability) -> str | None:
        return f"no {ability}"


def probed(
    engine: str,
    transform: ControlTransform | None = None,
    runner: Direct | None = None,
    *,
    day: date = DAY,
    piece: str = "probe-001",
) -> dict[str, Any]:
    """What one probe found of every config of the engine, the first with a control laid over it."""
    subjects = [Subject(config_id=one.config_id, config_body=one.body) for one in CONFIGS if one.engine_name == engine]
    subjects[0] = subjects[0].model_copy(update={"control": transform})
    asked = task(engine, day, day, piece=piece, subjects=tuple(subjects))
    return probe(asked, 42, runner or Direct(), lambda: None)


@each_engine
def test_every_honest_config_repeats_knows_no_future_and_looks_at_what_is_new(engine: str) -> None:
    for found in probed(engine).values():
        assert found["repeat"]["differing"] == found["future"]["differing"] == 0
        assert found["future"]["rows"] > 0 and found["future"]["method"] == "ALTERED"
        assert found["fresh"]["differing"] > 0


@each_engine
def test_a_look_ahead_is_seen_by_either_method(engine: str) -> None:
    for runner in (Direct(), Fixed()):
        found = next(iter(probed(engine, LookAhead(), runner).values()))
        assert found["future"]["differing"] > 0 and found["future"]["first"] <= DAY.isoformat()


def test_who_knows_that_something_rare_will_not_happen_shows_it_where_no_data_follows() -> None:
    """In the other future drawn for this date it does not happen either."""
    found = next(iter(probed("STABILITY", LookAhead(), day=date(2002, 3, 4), piece="probe-004").values()))
    assert found["future"]["differing"] == 3 and found["future"]["rows"] == 126


def test_stale_decisions_of_a_market_are_seen_beside_others_that_change() -> None:
    """New data decides whether US_FUT has a book at all on this date, stale or not."""
    found = next(iter(probed("PORTFOLIO", StaleData(), day=date(2006, 3, 5), piece="probe-006").values()))
    assert found["fresh"]["differing"] > 0
    assert found["fresh"]["markets"]["US_EQ"] == [6, 0]


@each_engine
def test_stale_decisions_do_not_change_with_what_is_new(engine: str) -> None:
    found = next(iter(probed(engine, StaleData()).values()))
    assert found["fresh"]["differing"] == 0 < found["fresh"]["rows"]
    assert found["repeat"]["differing"] == found["future"]["differing"] == 0


@pytest.mark.parametrize(
    ("engine", "name"), [pair for pair in pairs() if pair[1] not in ("look_ahead", "stale_data", "constant_returns")]
)
def test_no_other_control_is_caught_by_a_probe(engine: str, name: str) -> None:
    found = next(iter(probed(engine, control(name)).values()))
    assert found["repeat"]["differing"] == found["future"]["differing"] == 0 < found["fresh"]["differing"]


def test_a_runner_that_cannot_be_probed_so_says_why() -> None:
    found = next(iter(probed("STABILITY", runner=Fixed()).values()))
    assert found["repeat"] == {"refused": "no REPEAT"} and found["fresh"] == {"refused": "no ALTER"}
    assert found["future"]["method"] == "TRUNCATED" and found["future"]["differing"] == 0


def test_a_runner_is_asked_only_for_what_is_compared() -> None:
    """One that can neither repeat nor alter: for the longer run and the one that is cut."""
    fixed, able = Fixed(), Direct()
    probed("STABILITY", runner=fixed)
    probed("STABILITY", runner=able)
    assert (len(fixed.ran), len(able.ran)) == (2, 5)


def test_an_engine_that_refuses_the_altered_data_says_why() -> None:
    class Picky(Direct):
        def run(self, task: Task, watch: Watch) -> Produced:
            if task.altered is not None:
                raise BacktestFailed("nonsense for prices", final=True)
            return super().run(task, watch)

    found = next(iter(probed("STABILITY", runner=Picky()).values()))
    assert found["future"] == found["fresh"] == {"refused": "nonsense for prices"}


def test_the_runner_hears_of_no_control() -> None:
    heard: list[Task] = []

    class Curious(Direct):
        def run(self, task: Task, watch: Watch) -> Produced:
            heard.append(task)
            return super().run(task, watch)

    (only,) = task("STABILITY").subjects
    asked = task("STABILITY", date(2014, 9, 2), subjects=(only.model_copy(update={"control": StaleData()}),))
    made, _, _ = rows_of(asked, Curious(), lambda: None)
    assert [one.control for one in heard[0].subjects] == [None]
    assert heard[0].start < asked.start == made.decisions["as_of_date"].min()


def test_a_control_that_cannot_be_laid_over_the_rows_fails_for_good() -> None:
    (only,) = task("STABILITY").subjects
    asked = task("STABILITY", subjects=(only.model_copy(update={"control": control("excessive_leverage")}),))
    with pytest.raises(BacktestFailed, match="an engine without positions") as failed:
        rows_of(asked, Direct(), lambda: None)
    assert failed.value.final
