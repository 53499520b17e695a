"""Suites of controls as use cases: started whole and once, recorded when judged, replaced when outdated."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kronos.core.changes.request import EngineDates
from kronos.core.controls.catalogue import CATALOGUE
from kronos.core.controls.outcomes import Expectation
from kronos.core.controls.progress import SuiteState
from kronos.core.gates.model import Gate, GateVerdict
from kronos.core.policy import ControlsPolicy
from kronos.core.vocabulary import EvidenceLabel, ExpectedOutcome, ExperimentStatus, TrialFamily
from kronos.errors import ChangeRefused, NotFound
from kronos.orchestrator import MetaOrchestrator
from kronos.sandbox.configs import HANDICAPPED_INCUMBENT
from kronos.services.backtest_spec import backtest_spec
from kronos.services.controls import collect_suites, recorded_suites, start_suites, suites_due, suites_under_way
from kronos.services.experiments import cancel, config_body_of, list_experiments
from kronos.services.gate_policies import change_gate_policy, gate_policy
from kronos.services.latch import latches
from kronos.services.performance import Performance
from kronos.services.workplace import any_config
from kronos.store.control_suites import record_suite
from kronos.store.database import Database, Role
from kronos.store.engine_configs import list_configs
from kronos.store.trials import count_trials
from kronos_tests.services.backtest_world import NOW, World
from kronos_tests.services.control_world import WEEK, control_world, judge_suite, judged, right_answer, under_way

ENGINE = "PORTFOLIO"
QUEUED, REVIEW, REJECTED = (
    ExperimentStatus.QUEUED_FOR_BACKTEST,
    ExperimentStatus.AWAITING_REVIEW,
    ExperimentStatus.REJECTED,
)


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[World]:
    with control_world(database, tmp_path) as found:
        yield found


def start(world: World, seed: int | None = None, engine: str | None = ENGINE) -> int:
    """How many suites were started."""
    return len(start_suites(world.workplace, world.pipeline.lake, NOW, engine, seed).started)


def statuses(world: World) -> set[ExperimentStatus]:
    return {one.status for one in list_experiments(world.database)}


def test_a_suite_queues_every_control_of_the_catalogue_as_a_control(world: World) -> None:
    assert start(world) == 1
    found = list_experiments(world.database)
    assert [one.description.split(":")[0] for one in found] == [f"control {kind.name}" for kind in CATALOGUE]
    assert {(one.status, one.priority, one.evidence, one.created_by) for one in found} == {
        (QUEUED, 9, EvidenceLabel.CONTROL, "Kronos")
    }
    positives = {one.description.split(":")[0] for one in found if one.expected_outcome == "POSITIVE_CONTROL"}
    assert positives == {"control positive_edge"}


def test_controls_are_made_of_the_active_config(world: World) -> None:
    start(world)
    incumbent = config_body_of(world.database, ENGINE, HANDICAPPED_INCUMBENT)
    with world.database.connect(Role.READER) as session:
        bodies = [one.config_body for one in list_configs(session, ENGINE) if one.family == TrialFamily.CONTROL]
    assert [{**body, "control": 0} for body in bodies] == [{**incumbent, "control": 0}] * len(CATALOGUE)


def test_what_the_active_config_calls_control_is_its_engines_in_every_control(world: World) -> None:
    """Outside the sandbox a body may hold any key."""
    with world.database.connect(Role.OWNER) as session:
        session.execute("ALTER TABLE kronos.engine_configs DISABLE TRIGGER USER")
        session.execute(
            "UPDATE kronos.engine_configs SET config_body = config_body || %s WHERE config_id = %s",
            ['{"control": {"gain": 2}}', HANDICAPPED_INCUMBENT],
        )
        session.execute("ALTER TABLE kronos.engine_configs ENABLE TRIGGER USER")
    assert start(replace(world, workplace=replace(world.workplace, check_config=any_config))) == 1
    bench, database = world.bench(), world.database
    for one in list_experiments(database):
        chosen = bench.choose(one)
        proposed = backtest_spec(world.pipeline, one, chosen, NOW, any_config).subjects[0]
        assert proposed.config_body == config_body_of(database, ENGINE, HANDICAPPED_INCUMBENT)
        assert (proposed.control is None) == ("exact_copy" in one.description)


def test_a_suite_waits_for_verdicts_by_its_own_code(world: World) -> None:
    start(world)
    object.__setattr__(world.workplace, "code_version", "edited")
    judge_suite(world)
    assert (under_way(world).state, under_way(world).judged) == (SuiteState.RUNNING, 0)
    assert collect_suites(world.workplace, NOW) == []
    assert start(world) == 1
    running = [one for one in suites_under_way(world.database, NOW) if one.state is SuiteState.RUNNING]
    assert [one.key.code_version for one in running] == ["edited"]


def test_controls_never_add_to_the_real_search(world: World) -> None:
    with world.database.connect(Role.READER) as session:
        before = count_trials(session, ENGINE)
        start(world)
        after = count_trials(session, ENGINE)
    assert (after.real, after.control) == (before.real, before.control + len(CATALOGUE))


def test_a_suite_started_again_is_the_same_suite(world: World) -> None:
    assert [start(world), start(world)] == [1, 0]
    assert len(list_experiments(world.database)) == len(CATALOGUE)


def test_two_who_start_at_once_start_one_suite(world: World) -> None:
    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(lambda _: start(world), range(4))) == 1
    assert len(list_experiments(world.database)) == len(CATALOGUE)


def test_who_dies_in_the_middle_leaves_nothing_half_started(world: World) -> None:
    """The check refuses the last body: all experiments before it were made in the same transaction."""
    seen: list[object] = []

    def dying(engine: str, body: object) -> None:
        seen.append(body)
        if len(seen) == len(CATALOGUE):
            raise KeyboardInterrupt

    broken = replace(world.workplace, check_config=dying)
    with pytest.raises(KeyboardInterrupt):
        start_suites(broken, world.pipeline.lake, NOW, ENGINE)
    assert list_experiments(world.database) == []
    assert start(world) == 1


def test_every_seed_is_a_suite_of_its_own(world: World) -> None:
    assert [start(world, seed) for seed in (1, 2, 2)] == [1, 1, 0]
    assert len({one.proposed_config_id for one in list_experiments(world.database)}) == 2 * len(CATALOGUE)


def test_an_engine_without_a_record_has_no_controls_and_the_reason_is_told(world: World) -> None:
    told = start_suites(world.workplace, world.pipeline.lake, NOW).silent
    assert "no LIVE record" in told["REGIME"]
    assert set(told) == {"ASSESSMENT", "REGIME", "STABILITY", "UNIVERSE"}


def test_an_engine_without_live_dates_has_no_controls_and_stops_nobody_else(world: World) -> None:
    """Its record is all in experiments, or in no cells yet."""
    covered = world.workplace.data(ENGINE).covered
    dateless = replace(world.workplace, data=lambda _: EngineDates(covered, None))
    started = start_suites(dateless, world.pipeline.lake, NOW)
    assert started.started == () and "no LIVE record" in started.silent[ENGINE]


def test_controls_have_the_dates_of_their_engine(world: World) -> None:
    start(world)
    (live,) = {(one.start_date, one.end_date) for one in list_experiments(world.database)}
    assert live == world.workplace.data(ENGINE).live


def test_an_unknown_engine_is_refused_by_name(world: World) -> None:
    with pytest.raises(NotFound, match="'ASTROLOGY' does not exist; known: ASSESSMENT"):
        start(world, engine="ASTROLOGY")


def test_a_suite_is_recorded_when_all_of_it_is_judged(world: World) -> None:
    start(world)
    first, *_ = under_way(world).members
    judged(world, first.experiment_id, {Gate.IMPROVEMENT: GateVerdict.FAIL})
    assert collect_suites(world.workplace, NOW) == []
    assert under_way(world).state is SuiteState.RUNNING


def test_a_judged_suite_says_what_came_of_every_control(world: World) -> None:
    start(world)
    judge_suite(world)
    (found,) = collect_suites(world.workplace, NOW)
    assert (found.engine_name, found.period, found.seed, len(found.outcomes)) == (ENGINE, WEEK, 1, len(CATALOGUE))
    assert (found.unexpected, found.missed_positives) == (0, 0)
    assert all(one.as_expected for one in found.outcomes)


def test_judged_controls_are_rejected_as_judged(world: World) -> None:
    start(world)
    judge_suite(world)
    collect_suites(world.workplace, NOW)
    assert {(one.status, one.metadata["reason"]) for one in list_experiments(world.database)} == {
        (REJECTED, "control judged")
    }


def test_a_suite_is_recorded_once(world: World) -> None:
    start(world)
    judge_suite(world)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: collect_suites(world.workplace, NOW), range(4)))
    assert sorted(map(len, found)) == [0, 0, 0, 1]
    assert len(recorded_suites(world.database)) == 1


def test_a_negative_that_passes_and_a_missed_positive_are_counted_apart(world: World) -> None:
    start(world)
    judge_suite(world, {"inverted_signal": {}, "positive_edge": {Gate.EVIDENCE: GateVerdict.INCONCLUSIVE}})
    (found,) = collect_suites(world.workplace, NOW)
    assert (found.unexpected, found.missed_positives) == (1, 1)
    wrong = {one.expected.control: one.why for one in found.outcomes if not one.as_expected}
    assert wrong == {
        "inverted_signal": "let through: expected FAIL or INCONCLUSIVE by IMPROVEMENT (NOT_SHOWN or WORSE)",
        "positive_edge": "missed: INCONCLUSIVE by EVIDENCE",
    }


def test_a_recorded_suite_is_not_due_again(world: World) -> None:
    start(world)
    judge_suite(world)
    collect_suites(world.workplace, NOW)
    assert start(world) == 0
    assert start(world, seed=1) == 0
    assert start(world, seed=2) == 1


def test_where_suites_start_by_hand_none_is_due_but_one_that_is_asked_for_starts(world: World) -> None:
    by_hand = world.workplace.policy.model_copy(update={"controls": ControlsPolicy(weekly=False)})
    manual = replace(world.workplace, policy=by_hand)
    assert suites_due(world.workplace, NOW) and not suites_due(manual, NOW)
    assert len(start_suites(manual, world.pipeline.lake, NOW, ENGINE).started) == 1


def test_a_week_later_the_next_suite_starts(world: World) -> None:
    start(world)
    judge_suite(world)
    collect_suites(world.workplace, NOW)
    (found,) = start_suites(world.workplace, world.pipeline.lake, NOW + timedelta(days=7), ENGINE).started
    assert (found.key.period, found.key.seed) == ("1997-W02", 1)


def test_another_gate_policy_needs_a_suite_of_its_own(world: World) -> None:
    """What is in the queue under the old one proves nothing any more."""
    start(world)
    old = under_way(world)
    terms = gate_policy(world.database, ENGINE)
    body = terms.policy.model_dump(mode="json")
    body["evidence"]["least_dates"] = 600
    change_gate_policy(world.as_admin(), "*", body, "stricter", terms.version.version)
    done = start_suites(world.workplace, world.pipeline.lake, NOW, ENGINE)
    assert set(done.cancelled) == {str(one.experiment_id) for one in old.members}
    assert len(done.started) == 1
    assert {why.partition(" was ")[0] for why in done.cancelled.values()} == {"superseded: policy digest"}


def test_a_suite_that_lost_a_control_is_given_up(world: World) -> None:
    """It is never a pass: it is not recorded, and another seed is started, until that is no accident any more."""
    start(world)
    lost, *others = under_way(world).members
    cancel(world.workplace, lost.experiment_id, "ann", "in the way")
    assert under_way(world).state is SuiteState.BROKEN
    assert [one.seed for one in suites_due(world.workplace, NOW) if one.engine_name == ENGINE] == [2]
    done = start_suites(world.workplace, world.pipeline.lake, NOW, ENGINE)
    assert len(done.cancelled) == len(others)
    assert [plan.key.seed for plan in done.started] == [2]
    assert collect_suites(world.workplace, NOW) == []
    for seed in (2, 3):
        (running,) = (one for one in suites_under_way(world.database, NOW) if one.state is SuiteState.RUNNING)
        assert running.key.seed == seed
        cancel(world.workplace, running.members[0].experiment_id, "ann", "in the way")
        done = start_suites(world.workplace, world.pipeline.lake, NOW, ENGINE)
    assert done.silent == {ENGINE: f"{WEEK}: suite 1 is BROKEN"}
    assert start(world, seed=4) == 1


def test_a_suite_with_a_control_run_by_other_code_is_replaced(world: World) -> None:
    """It proves nothing of the code that judged it, however good the verdicts are."""
    start(world)
    first, *others = under_way(world).members
    judged(world, first.experiment_id, right_answer(Expectation.from_json_dict(first.about)), ran_by="older")
    assert under_way(world).broken_by.endswith(f"ran by code older, not {world.workplace.code_version}")
    assert collect_suites(world.workplace, NOW) == []
    done = start_suites(world.workplace, world.pipeline.lake, NOW, ENGINE)
    assert len(done.cancelled) == len(others) + 1
    assert [plan.key.seed for plan in done.started] == [2]


def test_code_that_comes_back_has_its_suite_begun_anew(world: World) -> None:
    start(world)
    before, workplace = world.workplace.code_version, world.workplace
    object.__setattr__(workplace, "code_version", "edited")
    assert start(world) == 1
    object.__setattr__(workplace, "code_version", before)
    assert start(world) == 1
    running = [one.key for one in suites_under_way(world.database, NOW) if one.state is SuiteState.RUNNING]
    assert [(one.code_version, one.seed) for one in running] == [(before, 2)]


def test_a_control_cancelled_while_collecting_is_not_recorded(world: World) -> None:
    start(world)
    suite = judge_suite(world)
    cancel(world.workplace, suite.members[0].experiment_id, "ann", "in the way")
    assert collect_suites(world.workplace, NOW) == []
    assert recorded_suites(world.database) == []


def test_the_database_refuses_outcomes_that_the_verdicts_do_not_say(world: World) -> None:
    start(world)
    judge_suite(world, {"cost_drag": {}})
    suite = under_way(world)
    outcomes = [one.outcome for one in suite.members if one.outcome is not None]
    told = [replace(one, gate_verdict=GateVerdict.FAIL, verdict=GateVerdict.FAIL) for one in outcomes]
    with world.database.connect(Role.ORCHESTRATOR) as session, pytest.raises(ChangeRefused) as refused:
        session.execute("SELECT kronos.begin_change('Kronos', 'a lie')")
        record_suite(session, suite.key, told)
    assert refused.value.rule == "control_suites_as_judged"


def test_suites_of_other_weeks_are_looked_at_while_they_have_open_controls(world: World) -> None:
    start(world)
    later = NOW + timedelta(days=7)
    assert [one.key.period for one in suites_under_way(world.database, later)] == [WEEK]
    start_suites(world.workplace, world.pipeline.lake, later, ENGINE)
    assert [one.key.period for one in suites_under_way(world.database, later)] == ["1997-W02"]


def test_expected_outcomes_are_the_experiments_own(world: World) -> None:
    start(world)
    negatives = [
        one for one in list_experiments(world.database) if one.expected_outcome is ExpectedOutcome.NEGATIVE_CONTROL
    ]
    assert len(negatives) == len(CATALOGUE) - 1
    assert statuses(world) == {QUEUED}


def test_a_negative_that_passes_closes_the_promotion_latch(world: World) -> None:
    """In the transaction that records the suite."""
    start(world)
    judge_suite(world, {"inverted_signal": {}})
    collect_suites(world.workplace, NOW)
    cause, unproven = latches(world.database, ENGINE)[0].causes
    assert (cause.cause, unproven.cause) == ("UNEXPECTED_CONTROL", "POLICY_UNPROVEN")
    assert [one["control"] for one in cause.detail["outcomes"]] == ["inverted_signal"]


def test_a_suite_as_expected_leaves_the_latch_open(world: World) -> None:
    start(world)
    judge_suite(world)
    collect_suites(world.workplace, NOW)
    assert latches(world.database, ENGINE)[0].is_open


def test_a_broken_promise_about_positives_closes_the_latch(world: World) -> None:
    missed = {"positive_edge": {Gate.EVIDENCE: GateVerdict.INCONCLUSIVE}}
    for seed in (1, 2):
        assert latches(world.database, ENGINE)[0].is_open == (seed == 2)
        start(world, seed)
        judge_suite(world, missed)
        collect_suites(world.workplace, NOW)
    (cause,) = latches(world.database, ENGINE)[0].causes
    assert (cause.cause, cause.detail["passed"], cause.detail["of"]) == ("MISSED_POSITIVES", 0, 2)


def test_the_facade_reads_suites_report_and_candidates(world: World) -> None:
    start(world)
    judge_suite(world)
    collect_suites(world.workplace, NOW)
    facade = MetaOrchestrator(
        Performance(world.pipeline.lake, world.workplace.policy, world.pipeline.recorded_by),
        open_workplace=lambda: nullcontext(world.workplace),
    )
    assert [one.engine_name for one in facade.control_suites()] == [ENGINE]
    assert [one.engine_name for one in facade.gate_report(ENGINE)] == ["*", ENGINE]
    assert facade.promotion_candidates() == ()
