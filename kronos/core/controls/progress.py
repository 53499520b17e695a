"""How far a suite is that is not recorded yet, and when the next one is due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from kronos.core.controls.outcomes import ControlOutcome, Expectation, Suite
from kronos.core.controls.suite import SuiteKey
from kronos.core.gates.model import Gate, GateVerdict
from kronos.core.vocabulary import ExperimentStatus

REFRESHED_AFTER: Final = 0.75
"""Share of the days a suite counts for, after which the next one starts although the week of the data is the same."""
MOST_BROKEN: Final = 2
"""How many suites that lost a control are followed by another one: the code went back and forth, or a run died."""
PATIENCE: Final = timedelta(days=4)
"""How long the suites of a week that are ready wait to be told together with those that are not."""


class SuiteState(StrEnum):
    """RUNNING: some control waits for its backtest or verdict. JUDGED: all are judged. BROKEN: one never will be."""

    RUNNING = "RUNNING"
    JUDGED = "JUDGED"
    BROKEN = "BROKEN"


@dataclass(frozen=True, slots=True)
class Member:
    """A control's experiment. about: its suite and what is expected of it, as `SuitePlan.about` made it.

    started_at: when its suite was, by the database's clock. verdict_id, verdict: None until it is judged. gate_verdict:
    of the expected gate, and gate_reasons: why it says so. reason: why it was rejected. ran_by: version of the code
    that ran the backtest which was judged; None where the verdict does not say.
    """

    experiment_id: UUID
    status: ExperimentStatus
    about: Mapping[str, Any]
    started_at: datetime
    reason: str | None = None
    verdict_id: UUID | None = None
    verdict: GateVerdict | None = None
    gate_verdict: GateVerdict | None = None
    refused_by: tuple[Gate, ...] = ()
    ran_by: str | None = None
    gate_reasons: tuple[str, ...] = ()

    @property
    def outcome(self) -> ControlOutcome | None:
        """What the gates said; None until the experiment is judged."""
        if self.verdict_id is None or self.verdict is None:
            return None
        expected = Expectation.from_json_dict(self.about)
        return ControlOutcome(
            expected,
            self.experiment_id,
            self.verdict_id,
            self.verdict,
            self.gate_verdict,
            self.refused_by,
            self.gate_reasons,
        )


@dataclass(frozen=True, slots=True)
class SuiteUnderWay:
    """The experiments of a suite that is not recorded."""

    key: SuiteKey
    planned: int
    members: tuple[Member, ...]

    @property
    def open(self) -> tuple[Member, ...]:
        """Those that are not rejected."""
        return tuple(one for one in self.members if one.status is not ExperimentStatus.REJECTED)

    @property
    def state(self) -> SuiteState:
        """A suite whose controls are not all there, open and run by its own code never becomes complete."""
        if len(self.open) < self.planned or self.foreign:
            return SuiteState.BROKEN
        judged = all(one.status is ExperimentStatus.AWAITING_REVIEW and one.outcome is not None for one in self.members)
        return SuiteState.JUDGED if judged else SuiteState.RUNNING

    @property
    def foreign(self) -> tuple[Member, ...]:
        """Those that were judged on a backtest by other code, which proves nothing of the suite's."""
        judged = (one for one in self.open if one.outcome is not None)
        return tuple(one for one in judged if one.ran_by != self.key.code_version)

    @property
    def started_at(self) -> datetime:
        """When its controls were put in the queue."""
        return min(one.started_at for one in self.members)

    @property
    def judged(self) -> int:
        """How many of its controls have a verdict."""
        return sum(one.outcome is not None for one in self.members)

    @property
    def broken_by(self) -> str:
        """The controls that were rejected unjudged or run by other code, and why."""
        lost = [(one, one.reason) for one in self.members if one.status is ExperimentStatus.REJECTED]
        lost += [(one, f"its backtest ran by code {one.ran_by}, not {self.key.code_version}") for one in self.foreign]
        return "; ".join(f"{one.about['control']}: {why}" for one, why in lost)


def under_way(members: Sequence[Member]) -> tuple[SuiteUnderWay, ...]:
    """Members by suite, in the order of their first ones."""
    suites: dict[SuiteKey, list[Member]] = {}
    for one in members:
        suites.setdefault(key_of(one.about), []).append(one)
    return tuple(SuiteUnderWay(key, found[0].about["planned"], tuple(found)) for key, found in suites.items())


def ready(suites: Sequence[SuiteUnderWay], now: datetime) -> dict[str, tuple[SuiteUnderWay, ...]]:
    """By week the suites that are judged or broken, if nothing of that week is running still, or for too long.

    now: by the clock that started them.
    """
    weeks: dict[str, list[SuiteUnderWay]] = {}
    for suite in suites:
        weeks.setdefault(suite.key.period, []).append(suite)
    found = {}
    for period, of_week in sorted(weeks.items()):
        running = [one for one in of_week if one.state is SuiteState.RUNNING]
        done = tuple(one for one in of_week if one.state is not SuiteState.RUNNING)
        if done and all(now - one.started_at > PATIENCE for one in running):
            found[period] = done
    return found


def key_of(about: Mapping[str, Any]) -> SuiteKey:
    """The suite that a control's experiment says it belongs to."""
    return SuiteKey(**{name: about[name] for name in SuiteKey.__slots__})


def outdated(suite: SuiteUnderWay, present: SuiteKey) -> str | None:
    """Why a suite of the same engine proves nothing any more, or never will; None: it does, whatever its seed."""
    for name in ("period", "policy_digest", "incumbent", "code_version"):
        was, becomes = getattr(suite.key, name), getattr(present, name)
        if was != becomes:
            return f"superseded: {name.replace('_', ' ')} was {was}, is {becomes}"
    return f"its suite cannot be completed: {suite.broken_by}" if suite.state is SuiteState.BROKEN else None


def begun_anew(key: SuiteKey, unrecorded: Sequence[SuiteUnderWay]) -> SuiteKey:
    """The suite, or the one with a later seed that takes the place of those that broke, until a person looks."""
    lost = {one.key for one in unrecorded if one.state is SuiteState.BROKEN}
    following = (replace(key, seed=key.seed + after) for after in range(MOST_BROKEN + 1))
    return next((each for each in following if each not in lost), key)


def due_seed(
    recorded: Sequence[Suite], period: str, policy_digest: str, code_version: str, counts_for: timedelta, now: datetime
) -> int | None:
    """Seed of the suite that is to be started now; None: the newest one still counts for long enough.

    recorded: of the engine. counts_for: how long a suite counts. now: by the suites' clock. The first suite of a week,
    of a policy or of the code has seed 1; where the data's week does not change, the next seeds follow in time.
    """
    same = [
        one
        for one in recorded
        if (one.period, one.policy_digest, one.code_version) == (period, policy_digest, code_version)
    ]
    if not same:
        return 1
    newest = max(one.completed_at for one in same)
    return None if now - newest < REFRESHED_AFTER * counts_for else max(one.seed for one in same) + 1
