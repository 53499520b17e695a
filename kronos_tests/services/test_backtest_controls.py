"""Controls, probes and neighbours of an experiment, from its creation to its stored results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kronos.core.backtests.runner import Produced, Watch
from kronos.core.backtests.spec import BacktestSpec, SubjectRole, Task
from kronos.core.changes.model import Experiment
from kronos.core.controls.model import ControlTransform, ExcessiveLeverage, StaleData, control_body
from kronos.core.vocabulary import ExpectedOutcome
from kronos.errors import BadValue, TaskRefused
from kronos.lake.backtests import BacktestRecord
from kronos.sandbox.configs import HANDICAPPED_INCUMBENT, incumbent
from kronos.services.backtest import run_backtest
from kronos.services.experiments import experiment_results
from kronos.store.backtests import PieceRecord, pieces_of, specs_of
from kronos.store.database import Database, Role
from kronos_tests.services.backtest_world import BODY, Direct, World, backtest_world, policy, short

PROBES, NEIGHBOURS = 2, 3


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[World]:
    terms = policy().model_copy(update={"backtests": short(probes=PROBES, neighbours=NEIGHBOURS, fold_months=12)})
    with backtest_world(database, tmp_path, terms) as found:
        yield found


def queued(world: World, transform: ControlTransform, engine: str = "PORTFOLIO") -> Experiment:
    """A control of the engine's incumbent."""
    active = incumbent(engine)
    return world.queued(
        "Kronos",
        engine_name=engine,
        base_config_id=active.config_id,
        proposed_config=control_body(active.body, transform),
        expected_outcome=ExpectedOutcome.NEGATIVE_CONTROL,
    )


def ran(world: World, experiment: Experiment) -> Experiment:
    done = run_backtest(world.bench(), experiment.experiment_id, world.admitted(experiment), "run")
    assert done is not None
    return done


def spec_and_pieces(world: World, experiment: Experiment) -> tuple[BacktestSpec, dict[str, PieceRecord]]:
    with world.database.connect(Role.READER) as session:
        (spec,) = specs_of(session, experiment.experiment_id)
        return spec, pieces_of(session, experiment.experiment_id, spec.digest, "test")


def test_everything_about_a_candidate_is_stored_once(world: World) -> None:
    done = ran(world, world.queued())
    spec, pieces = spec_and_pieces(world, done)
    proposed, base, *near = spec.subjects
    assert proposed.roles == (SubjectRole.PROPOSED,) and base.roles == (SubjectRole.BASE, SubjectRole.INCUMBENT)
    assert len(near) == NEIGHBOURS and all(one.config_id.startswith(f"{proposed.config_id}~") for one in near)
    assert set(pieces) == {"fold-001", "fold-002", "scenario-gaps", "probe-001", "probe-002"}
    for name in ("probe-001", "probe-002"):
        found = pieces[name].found
        assert found is not None and set(found) == {proposed.config_id, base.config_id} and not pieces[name].lake
        assert all(one["future"]["differing"] == one["repeat"]["differing"] == 0 for one in found.values())
        assert all(one["future"]["rows"] > 0 < one["fresh"]["differing"] for one in found.values())


def test_neighbours_stand_beside_the_whole_replay_and_in_no_scenario(world: World) -> None:
    done = ran(world, world.queued())
    whole = experiment_results(world.database, done.experiment_id).whole
    assert whole is not None
    roles = [one["role"] for one in whole.detail["beside"].values()]
    assert roles == ["base and incumbent", *["neighbour"] * NEIGHBOURS]
    assert all("sharpe" in one["metrics"] for one in whole.detail["beside"].values())
    assert set(whole.detail["scenarios"]["gaps"]["configs"]) == {done.proposed_config_id, HANDICAPPED_INCUMBENT}
    assert whole.detail["neighbours_left_out"] == {}


def test_a_neighbour_that_the_schema_refuses_is_left_out_with_the_reason(world: World) -> None:
    """Two of lookback 2 sessions is the least there is, and names cannot be none."""
    done = ran(world, world.queued(proposed_config={**BODY, "lookback": 2, "names": 1, "rebalance_every": 1}))
    whole = experiment_results(world.database, done.experiment_id).whole
    assert whole is not None and whole.detail["neighbours_left_out"]
    for name, why in whole.detail["neighbours_left_out"].items():
        assert name not in whole.detail["beside"] and "greater than or equal to" in why


def test_a_neighbour_that_the_runner_refuses_is_no_failure(world: World) -> None:
    class Picky(Direct):
        def run(self, task: Task, watch: Watch) -> Produced:
            if "~" in task.subjects[0].config_id:
                raise TaskRefused("too wild")
            return super().run(task, watch)

    object.__setattr__(world, "runner", Picky())
    done = ran(world, world.queued())
    whole = experiment_results(world.database, done.experiment_id).whole
    assert whole is not None and len(whole.detail["beside"]) == 1
    assert set(whole.detail["neighbours_left_out"].values()) == {"too wild"}


def test_a_control_is_the_incumbent_with_its_rows_changed(world: World) -> None:
    done = ran(world, queued(world, ExcessiveLeverage()))
    spec, _ = spec_and_pieces(world, done)
    assert spec.subjects[0].config_body == incumbent("PORTFOLIO").body
    assert spec.subjects[0].control == ExcessiveLeverage() and spec.subjects[1].control is None
    cells = BacktestRecord(world.pipeline.lake, str(done.experiment_id)).scan("cells").collect()
    own = cells.filter(pl.col("cube") == "regime", pl.col("horizon") == 1)
    for stream in (str(done.experiment_id), f"{done.experiment_id}/gaps"):
        books = own.filter(pl.col("experiment_id") == stream)
        held = {
            key: books.filter(pl.col("config_id") == key)["weight_due"].sum()
            for key in (done.proposed_config_id, HANDICAPPED_INCUMBENT)
        }
        assert held[done.proposed_config_id] == pytest.approx(3.0 * held[HANDICAPPED_INCUMBENT])


def test_neighbours_of_a_control_are_controls_too(world: World) -> None:
    done = ran(world, queued(world, ExcessiveLeverage()))
    spec, _ = spec_and_pieces(world, done)
    near = [one for one in spec.subjects if one.is_neighbour]
    assert len(near) == NEIGHBOURS and all(one.control == ExcessiveLeverage() for one in near)


@pytest.mark.parametrize("engine", ["PORTFOLIO", "STABILITY"])
def test_a_stale_control_has_its_sessions_from_the_first_date_on(world: World, engine: str) -> None:
    """Where the engine had decided so long before; and each probe finds it asleep."""
    done = ran(world, queued(world, StaleData(lag=63), engine))
    _, pieces = spec_and_pieces(world, done)
    facts = BacktestRecord(world.pipeline.lake, str(done.experiment_id)).scan("decision_facts").collect()
    replay = facts.filter(pl.col("experiment_id") == str(done.experiment_id))
    days = replay.group_by("config_id").agg(pl.col("as_of_date").unique().sort())
    by_config = dict(days.iter_rows())
    assert by_config[done.proposed_config_id] == by_config[done.base_config_id]
    for name in ("probe-001", "probe-002"):
        found = (pieces[name].found or {})[done.proposed_config_id]
        assert found["fresh"]["differing"] == 0 < found["fresh"]["rows"]


@pytest.mark.parametrize("outcome", [ExpectedOutcome.CANDIDATE, ExpectedOutcome.BASELINE])
def test_only_a_control_may_have_the_controls_key(world: World, outcome: ExpectedOutcome) -> None:
    body = control_body(incumbent("PORTFOLIO").body, StaleData())
    with pytest.raises(BadValue, match=r"PORTFOLIO\.control"):
        world.queued(proposed_config=body, expected_outcome=outcome)


@pytest.mark.parametrize(
    ("changed", "named"),
    [({"control": {"kind": "nonsense"}}, "control has value"), ({"lookback": 0}, "PORTFOLIO.lookback")],
)
def test_a_control_that_cannot_be_is_refused_before_anything_is_written(
    world: World, changed: dict[str, Any], named: str
) -> None:
    body = {**incumbent("PORTFOLIO").body, **changed}
    with pytest.raises(BadValue, match=named):
        world.queued(proposed_config=body, expected_outcome=ExpectedOutcome.NEGATIVE_CONTROL)
