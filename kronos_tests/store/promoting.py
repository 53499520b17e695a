"""Helpers: an engine with an incumbent, people with tokens, a gate policy proven by a suite, and judged experiments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from kronos.core.changes.model import Experiment
from kronos.core.changes.request import EngineDates
from kronos.core.gates.model import Gate
from kronos.core.policy import ObservationPolicy
from kronos.core.vocabulary import ExpectedOutcome, ExperimentStatus
from kronos.services.workplace import Workplace, any_config
from kronos.store import promotions
from kronos.store.database import Database, Role
from kronos.store.experiments import matching_experiments
from kronos.store.principals import add_principal, begin_principals, hash_of
from kronos.store.refusals import refusals
from kronos_tests.store.activations import first_active
from kronos_tests.store.changes import END, START, T0, at_status, begin, register_config

ENGINE, CODE = "REGIME", "test"
ADMIN, IDA, MIA, BOT = "token of admin", "token of ida", "token of mia", "token of bot"
"""Tokens: the first admin, a person who proposes, a person and a service that may change configs."""
REVIEW = ExperimentStatus.AWAITING_REVIEW
FUTURE = datetime.now(UTC) + timedelta(days=90)
POLICY: Mapping[str, Any] = {"evidence": {"expires_days": 30}}
INSERT_VERDICT = """
INSERT INTO kronos.experiment_verdicts (
    verdict_id, experiment_id, attempt, incumbent, verdict, recommendation, report, policy_engine, policy_version,
    policy_digest, evidence_digest, data_until, lake, code_version
) SELECT %(verdict_id)s, experiment_id, attempt, %(incumbent)s, %(verdict)s,
    CASE WHEN %(verdict)s = 'PASS' THEN 'ADOPT' ELSE 'REJECT' END, %(report)s, policy.engine_name, version, digest,
    %(evidence)s, '2010-12-31', '{"backtest_cells": "7"}', %(code)s
FROM kronos.experiments CROSS JOIN kronos.gate_policy_in_force(experiments.engine_name) AS policy
WHERE experiment_id = %(experiment_id)s
"""
INSERT_SUITE = """
INSERT INTO kronos.control_suites (
    suite_id, engine_name, period, seed, policy_digest, code_version, outcomes, planned
) SELECT %(suite_id)s, %(engine)s, '2017-W52', %(seed)s, digest, %(code)s, %(outcomes)s, %(planned)s
FROM kronos.gate_policy_in_force(%(engine)s)
"""
PLAN = """
UPDATE kronos.experiments SET metadata = metadata || jsonb_build_object('suite', jsonb_build_object('policy_digest', (
    SELECT digest FROM kronos.gate_policy_in_force(engine_name)
)) || %s) WHERE experiment_id = %s AND NOT metadata ? 'suite'
"""
PLANNED = ("control", "family", "expected_verdicts", "expected_gate", "reason")
SET_POLICY = "SELECT kronos.set_gate_policy(%s, %s, %s, %s, 'a test')"


@dataclass
class Gated:
    """A database in which REGIME's `base` is active and the policy is proven: promotions are possible."""

    database: Database
    suites: int = field(default=0)

    def begin(self) -> Gated:
        """The incumbent, the people, the policy and its suite."""
        with self.database.connect(Role.ORCHESTRATOR) as session:
            register_config(session, "base")
        with self.database.connect(Role.CHANGE_MANAGER) as session:
            first_active(session, ENGINE, "base", T0)
        with self.database.connect(Role.OWNER) as session:
            begin_principals(session, "admin", hash_of(ADMIN), code_version=CODE)
        self.person("ida", IDA)
        self.person("mia", MIA)
        self.person("bot", BOT, kind="SERVICE")
        self.set_policy(POLICY)
        self.suite()
        return self

    def person(self, name: str, token: str, role: str = "change_manager", kind: str = "PERSON") -> None:
        """Add a principal."""
        with self.database.connect(Role.CHANGE_MANAGER) as session:
            add_principal(session, ADMIN, name=name, kind=kind, role=role, token_hash=hash_of(token), code_version=CODE)

    def set_policy(self, body: Mapping[str, Any], expected: int = 0, engine: str = "*") -> None:
        """Put a gate policy in force."""
        with self.database.connect(Role.CHANGE_MANAGER) as session:
            session.execute(SET_POLICY, [ADMIN, engine, Jsonb(dict(body)), expected])

    def judge(
        self,
        experiment: Experiment,
        verdict: str = "PASS",
        *,
        incumbent: str | None = "base",
        evidence: str = "first look",
        code: str = CODE,
        tested_by: str | None = CODE,
        reason: str = "NOT_SHOWN",
    ) -> UUID:
        """Judge an experiment that awaits review; a verdict that is none of PASS fails by improvement, for a reason.

        code, tested_by: versions of the code that judges and that ran the backtest; None: the report does not say.
        """
        verdict_id = uuid4()
        said = {gate: verdict if gate is Gate.IMPROVEMENT else "PASS" for gate in Gate}
        gates = [
            {"gate": gate, "verdict": one, "findings": [{"verdict": one, "reason": reason}]}
            for gate, one in said.items()
        ]
        values = {
            "verdict_id": verdict_id,
            "experiment_id": experiment.experiment_id,
            "incumbent": incumbent,
            "verdict": verdict,
            "report": Jsonb({"gates": gates, "about": {"code_version": tested_by}}),
            "evidence": sha256(evidence.encode()).hexdigest(),
            "code": code,
        }
        with self.database.connect(Role.ORCHESTRATOR) as session:
            begin(session, "Kronos")
            session.execute(INSERT_VERDICT, values)
        return verdict_id

    def suite(self, verdict: str = "FAIL", engine: str = ENGINE, code: str = CODE) -> UUID:
        """A suite of a negative and a positive control, as expected unless the negative passed."""
        return self.record(engine, self.negative(verdict, code), self.positive(code=code), code=code)

    def negative(
        self, verdict: str = "FAIL", code: str = CODE, tested_by: str | None = None, reason: str = "NOT_SHOWN"
    ) -> dict[str, Any]:
        """What came of a new negative control that awaits its review; tested_by: by default the code that judges.

        reason: of its gate, NOT_SHOWN is expected.
        """
        control = at_status(self.database, REVIEW, ExpectedOutcome.NEGATIVE_CONTROL)
        return {
            "control": "inverted signal",
            "family": "IMPROVEMENT",
            "reason": "a test",
            "experiment_id": str(control.experiment_id),
            "verdict_id": str(self.judge(control, verdict, code=code, tested_by=tested_by or code, reason=reason)),
            "expected_verdicts": ["FAIL", "INCONCLUSIVE"],
            "expected_gate": "IMPROVEMENT",
            "expected_reasons": ["NOT_SHOWN", "WORSE"],
            "verdict": verdict,
            "gate_verdict": verdict,
            "gate_reasons": [reason],
            "refused_by": [] if verdict == "PASS" else ["IMPROVEMENT"],
            "as_expected": verdict != "PASS" and reason == "NOT_SHOWN",
            "why": "a test",
        }

    def positive(self, verdict: str = "PASS", code: str = CODE) -> dict[str, Any]:
        """What came of a new positive control that awaits its review."""
        control = at_status(self.database, REVIEW, ExpectedOutcome.POSITIVE_CONTROL)
        return {
            "control": "positive_edge",
            "family": "POSITIVE",
            "reason": "a test",
            "experiment_id": str(control.experiment_id),
            "verdict_id": str(self.judge(control, verdict, code=code, tested_by=code)),
            "expected_verdicts": ["PASS"],
            "expected_gate": None,
            "expected_reasons": [],
            "verdict": verdict,
            "gate_verdict": None,
            "gate_reasons": [],
            "refused_by": [] if verdict == "PASS" else ["IMPROVEMENT"],
            "as_expected": verdict == "PASS",
            "why": "a test" if verdict == "PASS" else "missed",
        }

    def missed(self, engine: str = ENGINE) -> UUID:
        """A suite whose positive control did not pass."""
        return self.record(engine, self.negative(), self.positive("INCONCLUSIVE"))

    def plan(self, told: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """Let a control's experiment say that it is of the next suite, and what is expected; its first plan stays."""
        planned = {
            "engine_name": ENGINE, "period": "2017-W52", "seed": self.suites + 1, "code_version": CODE,
            **{name: told[name] for name in PLANNED if name in told}, **about,
        }  # fmt: skip
        with self.database.connect(Role.OWNER) as session:
            session.execute("ALTER TABLE kronos.experiments DISABLE TRIGGER USER")
            session.execute(PLAN, [Jsonb(planned), told.get("experiment_id")])
            session.execute("ALTER TABLE kronos.experiments ENABLE TRIGGER USER")

    def record(
        self,
        engine: str,
        *outcomes: Mapping[str, Any],
        code: str = CODE,
        suite_id: UUID | None = None,
        planned: bool = True,
    ) -> UUID:
        """Record a suite of these controls, as the orchestrator; suite_id: by default a new one.

        planned: their experiments say so, where they do not say something else.
        """
        suite_id = suite_id or uuid4()
        for told in outcomes if planned else ():
            about = {"suite_id": str(suite_id), "engine_name": engine, "code_version": code, "planned": len(outcomes)}
            self.plan(told, about)
        self.suites += 1
        values = {
            "suite_id": suite_id,
            "engine": engine,
            "seed": self.suites,
            "outcomes": Jsonb(outcomes),
            "planned": len(outcomes),
            "code": code,
        }
        with self.database.connect(Role.ORCHESTRATOR) as session, refusals(str(suite_id)):
            begin(session, "Kronos")
            session.execute(INSERT_SUITE, values)
        return suite_id

    def passed(self) -> Experiment:
        """A new experiment, by ida, that awaits review with the verdict PASS."""
        experiment = at_status(self.database, REVIEW, author="ida", token=IDA)
        self.judge(experiment)
        return experiment

    def digest(self, experiment: Experiment) -> str:
        """Of what an approval would be of now."""
        with self.database.connect(Role.READER) as session:
            review = promotions.review_of(session, experiment.experiment_id)
        assert review is not None
        return review.digest

    def approve(self, experiment: Experiment, token: str | None = MIA, digest: str | None = None) -> UUID:
        """Approve what there is now, or what has the digest."""
        seen = self.digest(experiment) if digest is None else digest
        with self.database.connect(Role.CHANGE_MANAGER) as session:
            return promotions.approve(
                session, token, experiment.experiment_id, digest=seen, reason="good", code_version=CODE
            )

    def approved(self) -> Experiment:
        """A new experiment with PASS that mia approved."""
        experiment = self.passed()
        self.approve(experiment)
        return experiment

    def promote(self, experiment: Experiment, token: str | None = MIA, **how: Any) -> UUID:
        """Promote, now or at a time."""
        with self.database.connect(Role.CHANGE_MANAGER) as session:
            return promotions.promote(
                session, token, experiment.experiment_id, reason="better", code_version=CODE, **how
            )

    def roll_back(self, expected: str, token: str | None = MIA) -> UUID:
        """Roll REGIME back."""
        with self.database.connect(Role.CHANGE_MANAGER) as session:
            return promotions.roll_back(
                session, token, ENGINE, expected_incumbent=expected, reason="worse", code_version=CODE
            )

    def incumbent(self) -> str:
        """What is active for REGIME."""
        with self.database.connect(Role.READER) as session:
            (active,) = promotions.active_configs(session, ENGINE)
        return active.config_id

    def status(self, experiment: Experiment) -> ExperimentStatus:
        """Of the experiment now."""
        with self.database.connect(Role.READER) as session:
            return matching_experiments(session, str(experiment.experiment_id))[0].status

    def found(self, **how: Any) -> list[promotions.Promotion]:
        """Those that are so."""
        with self.database.connect(Role.READER) as session:
            return promotions.find_promotions(session, **how)

    def make_due(self) -> None:
        """Let the time of everything scheduled have come."""
        with self.database.connect(Role.OWNER) as session:
            session.execute("ALTER TABLE kronos.promotions DISABLE TRIGGER USER")
            session.execute("UPDATE kronos.promotions SET activates_at = now() WHERE status = 'SCHEDULED'")
            session.execute("ALTER TABLE kronos.promotions ENABLE TRIGGER USER")

    def as_owner(self, *statements: str) -> None:
        """Run statements as the owner with the triggers of the tables concerned off: what no role can do."""
        tables = (
            "experiment_verdicts", "experiment_results", "engine_configs", "experiments", "principals", "approvals",
            "control_suites",
        )  # fmt: skip
        with self.database.connect(Role.OWNER) as session:
            for table in tables:
                session.execute(f"ALTER TABLE kronos.{table} DISABLE TRIGGER USER")
            for statement in statements:
                session.execute(statement)
            for table in tables:
                session.execute(f"ALTER TABLE kronos.{table} ENABLE TRIGGER USER")

    def workplace(self, token: str | None = MIA) -> Workplace:
        """The workplace of who holds the token."""
        dates = EngineDates((START, END), (START, END))
        return Workplace(
            self.database, ObservationPolicy(), lambda _: dates, any_config, code_version=CODE, token=token
        )

    def log(self, subject: str) -> list[tuple[str | None, str, str]]:
        """From, to and author of every entry about such subjects."""
        with self.database.connect(Role.READER) as session:
            rows = session.execute(
                "SELECT from_status, to_status, author FROM kronos.change_log WHERE subject = %s ORDER BY entry_id",
                [subject],
            )
            return [(row[0], row[1], row[2]) for row in rows]
