"""Suites of controls: started for every engine with an active config, recorded when the gates have judged them all.

A suite's experiments go the way of all others: queue, scheduler, runner, battery, cells, judge. One transaction starts
all of a suite, one records it, so whoever dies in between leaves it whole or not begun.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from kronos.core.backtests.attempts import AttemptOutcome
from kronos.core.changes.request import KRONOS, EngineDates, ExperimentRequest
from kronos.core.controls.noise import chosen_noise
from kronos.core.controls.outcomes import Suite
from kronos.core.controls.progress import SuiteState, SuiteUnderWay, begun_anew, due_seed, outdated, ready
from kronos.core.controls.standing import power_of_positives
from kronos.core.controls.suite import PlannedControl, SuiteKey, SuitePlan, plan_suite
from kronos.core.controls.weeks import iso_week
from kronos.core.facts import facts_at, horizons_in
from kronos.core.frames import DECISIONS, OUTCOMES
from kronos.core.gates.policy import PromotionTerms
from kronos.core.vocabulary import ExperimentStatus, Mode
from kronos.errors import NotFound
from kronos.lake.tables import Lake
from kronos.services.comparison import background
from kronos.services.experiments import OPEN, Identity, changing, config_body_of, create_within, enqueue_within
from kronos.services.gate_policies import gate_policy
from kronos.services.runners import alters_data
from kronos.services.workplace import Workplace
from kronos.store import control_suites as store
from kronos.store.backtests import end_attempt
from kronos.store.database import Database, Role
from kronos.store.engine_configs import EVERYWHERE, activations, list_configs
from kronos.store.experiments import matching_experiments, move_experiment
from kronos.store.latch import close_latch
from kronos.store.scheduler import database_now

JUDGED = "control judged"
MISSED_POSITIVES = "MISSED_POSITIVES"
"""Why a latch closes when positive controls fail to pass too often."""
_FACTS = "decision_facts"


@dataclass(frozen=True)
class StartedSuites:
    """What came of a look at which suites are due. started: with their experiments in the queue.

    cancelled: of suites that prove nothing any more, and why. silent: by engine why nothing was started.
    """

    started: tuple[SuitePlan, ...] = ()
    cancelled: Mapping[str, str] = field(default_factory=dict)
    silent: Mapping[str, str] = field(default_factory=dict)

    def to_json_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {
            "started": [
                {
                    "suite_id": str(plan.key.suite_id),
                    "controls": [plan.about(control) for control in plan.controls],
                    "left_out": dict(plan.left_out),
                }
                for plan in self.started
            ],
            "cancelled": dict(self.cancelled),
            "silent": dict(self.silent),
        }


def start_suites(
    workplace: Workplace, lake: Lake, now: datetime, engine_name: str | None = None, seed: int | None = None
) -> StartedSuites:
    """Start the suites that are due, of one engine or of all that have an active config; now: in the data's own time.

    seed: start this one whether or not one is due. A suite that was started before is not started again; one that lost
    a control is followed by another, twice. What runs for another week, gate policy, active config or code is taken out
    of the queue.
    """
    started: list[SuitePlan] = []
    cancelled, silent = dict[str, str](), dict[str, str]()
    for engine in _engines(workplace.database, engine_name):
        key, why = _due(workplace, engine, now, seed)
        if key is None:
            silent[engine] = why
            continue
        cancelled |= _cancel_outdated(workplace, key)
        found = _planned(workplace, lake, key) if why == "" else why
        if isinstance(found, str):
            silent[engine] = found
        elif _start(workplace, found, workplace.data(engine)):
            started.append(found)
    return StartedSuites(tuple(started), cancelled, silent)


def suites_due(workplace: Workplace, now: datetime) -> list[SuiteKey]:
    """Suites that `start_suites` would try to start, none where they start by hand; now: in the data's own time."""
    found: list[SuiteKey] = []
    if not workplace.policy.controls.weekly:
        return found
    for engine in engines_under_control(workplace.database):
        key, why = _due(workplace, engine, now, None)
        if key is not None and why == "" and key not in {one.key for one in suites_under_way(workplace.database, now)}:
            found.append(key)
    return found


def collect_suites(workplace: Workplace, now: datetime) -> list[Suite]:
    """Record every suite whose controls are all judged, and reject those controls; now: in the data's own time.

    The database counts what is not as expected, and closes the promotion latch on it in the same transaction.
    """
    with workplace.database.connect(Role.READER) as session:
        judged = [one for one in store.unrecorded(session, iso_week(now.date())) if one.state is SuiteState.JUDGED]
    recorded = [one.key.suite_id for one in judged if _record(workplace, one)]
    return [one for one in recorded_suites(workplace.database) if one.suite_id in recorded]


def recorded_suites(database: Database, engine_name: str | None = None, period: str | None = None) -> list[Suite]:
    """Recorded suites of an engine and ISO week, or of all, by completion."""
    with database.connect(Role.READER) as session:
        return store.suites(session, engine_name, period)


def suites_under_way(database: Database, now: datetime) -> tuple[SuiteUnderWay, ...]:
    """Suites of this week that are not recorded, and older ones with an open control; now: in the data's own time."""
    with database.connect(Role.READER) as session:
        return store.unrecorded(session, iso_week(now.date()))


def suites_ready(database: Database, now: datetime) -> dict[str, tuple[SuiteUnderWay, ...]]:
    """By ISO week the suites that are to be told: judged or broken; now: in the data's own time."""
    with database.connect(Role.READER) as session:
        return ready(store.unrecorded(session, iso_week(now.date())), database_now(session))


def engines_under_control(database: Database) -> list[str]:
    """Engines with an active config, by name."""
    with database.connect(Role.READER) as session:
        engines = sorted({one.engine_name for one in list_configs(session) if one.status == "ACTIVE"})
        return [engine for engine in engines if _has_incumbent(session, engine)]


def _engines(database: Database, wanted: str | None) -> list[str]:
    known = engines_under_control(database)
    if wanted is not None and wanted not in known:
        raise NotFound("engine with an active config", wanted, known)
    return known if wanted is None else [wanted]


def _has_incumbent(session: store.Session, engine: str) -> bool:
    return any(one.scope == EVERYWHERE and one.deactivated_at is None for one in activations(session, engine))


def _due(workplace: Workplace, engine: str, now: datetime, seed: int | None) -> tuple[SuiteKey | None, str]:
    """The suite that should be, and why it need not be started; no key: there can be none."""
    incumbent = background(workplace.database, engine, now).incumbent
    if incumbent is None:
        return None, "no config is active: there is nothing to make controls of"
    terms, period = gate_policy(workplace.database, engine), iso_week(now.date())
    digest, code = terms.version.digest, workplace.code_version
    with workplace.database.connect(Role.READER) as session:
        recorded, unrecorded = store.suites(session, engine), store.unrecorded(session, period)
        wall = database_now(session)
    counts_for = timedelta(days=terms.policy.promotion.suite_days)
    due = due_seed(recorded, period, digest, code, counts_for, wall) if seed is None else seed
    same = [one for one in recorded if (one.period, one.policy_digest, one.code_version) == (period, digest, code)]
    key = SuiteKey(engine, period, due or 1, digest, incumbent, code)
    if seed is None:
        key = begun_anew(key, unrecorded)
    if due is None or due in {one.seed for one in same}:
        return key, f"{period}: {len(same)} suite(s) recorded, the newest on {same[-1].completed_at:%Y-%m-%d}"
    return key, ""


def _planned(workplace: Workplace, lake: Lake, key: SuiteKey) -> SuitePlan | str:
    """The suite's controls; a text says why there can be none, or that it is under way."""
    with workplace.database.connect(Role.READER) as session:
        found = [one for one in store.unrecorded(session, key.period) if one.key == key]
    if found:
        return f"{key.period}: suite {key.seed} is {found[0].state}"
    decisions, outcomes = live_record(lake, key.engine_name, key.incumbent)
    if outcomes.is_empty() or workplace.data(key.engine_name).live is None:
        return f"{key.incumbent} has no LIVE record: there is nothing to make controls of"
    body = config_body_of(workplace.database, key.engine_name, key.incumbent)
    earns = outcomes["return"].null_count() < outcomes.height
    noise = chosen_noise(decisions, outcomes, seed=key.draw_seed)
    alters = alters_data(workplace.policy, key.engine_name)
    return plan_suite(key, body, noise, earns=earns, alters=alters)


def live_record(lake: Lake, engine_name: str, config_id: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """LIVE decisions of a config and their outcomes at its shortest horizon, as DECISIONS and OUTCOMES."""
    mark = lake.mark(_FACTS)
    if mark is None:
        return pl.DataFrame(schema=DECISIONS), pl.DataFrame(schema=OUTCOMES)
    facts = lake.scan(_FACTS, mark=mark).filter(engine_name=engine_name, config_id=config_id, mode=Mode.LIVE.value)
    rows = next((rows for h in horizons_in(facts) if (rows := facts_at(facts, h).collect()).height), None)
    if rows is None:
        return pl.DataFrame(schema=DECISIONS), pl.DataFrame(schema=OUTCOMES)
    rows = rows.sort("as_of_date", "decision_id").with_columns(recorded_at=pl.lit(None, OUTCOMES["recorded_at"]))
    return rows.select(*DECISIONS), rows.filter("valid").select(*OUTCOMES)


def _start(workplace: Workplace, plan: SuitePlan, data: EngineDates) -> bool:
    """Put all of a suite's experiments in the queue; False when somebody else just did."""
    key = plan.key
    with changing(workplace, KRONOS, f"controls of {key.engine_name} in {key.period}, seed {key.seed}") as session:
        if matching_experiments(session, str(plan.controls[0].experiment_id)):
            return False
        for control in plan.controls:
            made = create_within(
                session, workplace, _request(key, control), KRONOS, data, identity=_identity(plan, control)
            )
            enqueue_within(session, made.experiment_id)
    return True


def _request(key: SuiteKey, control: PlannedControl) -> ExperimentRequest:
    return ExperimentRequest(
        engine_name=key.engine_name,
        base_config_id=key.incumbent,
        proposed_config=control.config_body,
        description=f"control {control.expectation.control}: {control.expectation.reason}",
        expected_outcome=control.expected_outcome,
    )


def _identity(plan: SuitePlan, control: PlannedControl) -> Identity:
    return Identity(control.experiment_id, control.config_id, {"suite": plan.about(control)})


def _cancel_outdated(workplace: Workplace, present: SuiteKey) -> dict[str, str]:
    """Take the open controls of suites out that prove nothing any more; experiment ids and why."""
    cancelled = {}
    for suite in _unrecorded(workplace.database, present):
        why = outdated(suite, present)
        if why is not None and suite.open:
            with changing(workplace, KRONOS, why) as session:
                for member in _as_it_stands(session, suite).open:
                    end_attempt(session, member.experiment_id, AttemptOutcome.CANCELLED, why=why)
                    move_experiment(session, member.experiment_id, OPEN, ExperimentStatus.REJECTED)
                    cancelled[str(member.experiment_id)] = why
    return cancelled


def _unrecorded(database: Database, present: SuiteKey) -> list[SuiteUnderWay]:
    """Suites of the same engine that are not recorded."""
    with database.connect(Role.READER) as session:
        found = store.unrecorded(session, present.period)
    return [one for one in found if one.key.engine_name == present.engine_name]


def _as_it_stands(session: store.Session, suite: SuiteUnderWay) -> SuiteUnderWay:
    """The suite inside a change, which nobody else can move meanwhile; without members when it was recorded."""
    found = [one for one in store.unrecorded(session, suite.key.period) if one.key == suite.key]
    return found[0] if found else replace(suite, members=())


def _record(workplace: Workplace, suite: SuiteUnderWay) -> bool:
    """Write the suite and reject its controls; False when somebody else did, or one of them moved on meanwhile."""
    terms = gate_policy(workplace.database, suite.key.engine_name).policy.promotion
    with changing(workplace, KRONOS, JUDGED) as session:
        now = _as_it_stands(session, suite)
        if now.state is not SuiteState.JUDGED:
            return False
        store.record_suite(session, now.key, [one.outcome for one in now.members if one.outcome is not None])
        for member in now.members:
            review, rejected = ExperimentStatus.AWAITING_REVIEW, ExperimentStatus.REJECTED
            move_experiment(session, member.experiment_id, [review], rejected)
        _keep_promise(session, now.key, terms)
    return True


def _keep_promise(session: store.Session, key: SuiteKey, terms: PromotionTerms) -> None:
    """Close the engine's latch when its positives pass less often than the policy promises."""
    power = power_of_positives(store.suites(session, key.engine_name), terms)
    if not power.kept:
        detail = {"suite_id": str(key.suite_id), "period": key.period, **power.to_json_dict()}
        close_latch(session, key.engine_name, MISSED_POSITIVES, detail)
