"""What the recorded suites say: by family of controls, by engine, and about the experiments that wait for promotion."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import polars as pl

from kronos.core.canonical import canonical_json
from kronos.core.controls.families import FamilyAnswer, family_answer
from kronos.core.controls.outcomes import Suite
from kronos.core.controls.report import EngineGates, PositivePower, gate_report
from kronos.core.controls.standing import Candidate, Standing, power_of_positives, standing
from kronos.core.quality import Finding
from kronos.services.controls import engines_under_control, recorded_suites
from kronos.services.gate_policies import gate_policy
from kronos.store import control_suites as store
from kronos.store.database import Database, Role
from kronos.store.latch import latch_causes


def family_of_week(database: Database, family: str, period: str) -> FamilyAnswer:
    """One family of controls in one ISO week: every engine with an active config has to have its suite."""
    suites, engines = recorded_suites(database), engines_under_control(database)
    return family_answer(family, period, engines, suites, {one: _power(database, one, suites) for one in engines})


def gates_on_controls(database: Database, engine_name: str | None = None) -> tuple[EngineGates, ...]:
    """The gate report over every suite ever recorded, of one engine or of all."""
    return gate_report(recorded_suites(database, engine_name))


def powers_of_positives(database: Database, engine_name: str | None = None) -> dict[str, PositivePower]:
    """By engine whether its positives pass as often as promised."""
    suites = recorded_suites(database, engine_name)
    return {engine: _power(database, engine, suites) for engine in sorted({one.engine_name for one in suites})}


def standings(database: Database) -> dict[str, Standing]:
    """By engine with an active config whether its gates are proven now, by what keeps its latch closed."""
    suites, engines = recorded_suites(database), engines_under_control(database)
    with database.connect(Role.READER) as session:
        causes = {engine: [one.cause for one in latch_causes(session, engine)] for engine in engines}
    return {
        engine: standing(engine, [one for one in suites if one.engine_name == engine], causes[engine])
        for engine in engines
    }


def promotion_candidates(database: Database) -> tuple[Candidate, ...]:
    """Open experiments that were judged, each with every reason against its promotion, as the database says them."""
    with database.connect(Role.READER) as session:
        return tuple(store.candidates(session))


def candidates_mark(database: Database) -> str | None:
    """Changes with every verdict on an open experiment, suite, policy and active config; None without any verdict."""
    found = promotion_candidates(database)
    told = [[one.to_json_dict(), one.experiment.judged_at.isoformat()] for one in found]
    return canonical_json(told) if found else None


def unfounded_candidates(database: Database) -> Finding:
    """Experiments called promotable that the tables, asked by a query of their own, do not let through."""
    found = promotion_candidates(database)
    with database.connect(Role.READER) as session:
        allowed = set[UUID](store.promotable_experiments(session))
    named = [
        (str(one.experiment.experiment_id), one.experiment.engine_name)
        for one in found
        if one.promotable and one.experiment.experiment_id not in allowed
    ]
    schema = {"experiment_id": pl.String, "engine_name": pl.String}
    return Finding(len(found), pl.DataFrame(named, schema=schema, orient="row"))


def _power(database: Database, engine: str, suites: list[Suite]) -> PositivePower:
    own = [one for one in suites if one.engine_name == engine]
    return power_of_positives(own, gate_policy(database, engine).policy.promotion)


def weeks_judged(database: Database) -> Mapping[str, int]:
    """ISO weeks with the number of suites recorded in each, oldest first."""
    weeks = sorted(one.period for one in recorded_suites(database))
    return {week: weeks.count(week) for week in dict.fromkeys(weeks)}
