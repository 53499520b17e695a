"""Kronos proposes: read what is known, decide in core, write each proposal with its experiment in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kronos.core.canonical import canonical_hash
from kronos.core.changes.model import ConfigProposal, Experiment
from kronos.core.changes.request import KRONOS
from kronos.core.frames import COMPARISON_ROWS, MONITOR_ROWS, empty
from kronos.core.vocabulary import TrialSource
from kronos.errors import BadValue, ChangeRefused, NotFound
from kronos.lake.tables import Lake
from kronos.services.proposals import Conversion, convert_within
from kronos.services.self_evidence import COMPARISONS, MONITORING
from kronos.services.workplace import Workplace
from kronos.store.alerts import alerts
from kronos.store.change_log import begin_change
from kronos.store.database import Role
from kronos.store.engine_configs import EVERYWHERE, EngineConfig, activations, list_configs
from kronos.store.proposals import matching_proposals
from kronos.store.self_proposals import BOUNDED, ONCE, Session, StoredAttempt, attempts, propose_own
from kronos.store.trials import Trial, record_trial

if TYPE_CHECKING:
    # brings scipy, which only a process that mines should wait for
    from kronos.core.changes.self_evidence import Alarm, StoredComparison
    from kronos.core.changes.self_proposals import Declined, EngineView, MinedSlice, SelfProposal

_BY_POLICY: Final = "converted by policy (proposals.convert): tested before a person sees it"


@dataclass(frozen=True)
class Proposed:
    """A proposal that Kronos made, or in a dry run would make, with its experiment where policy converts it."""

    wanted: SelfProposal
    rationale: str
    proposal: ConfigProposal | None = None
    experiment: Experiment | None = None

    def to_json_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {
            "engine_name": self.wanted.engine_name,
            "base_config_id": self.wanted.base_config_id,
            "config_id": self.wanted.config.config_id,
            "ground": self.wanted.ground.value,
            "slice": self.wanted.slice,
            "rationale": self.rationale,
            "proposal": self.proposal and self.proposal.to_json_dict(),
            "experiment": self.experiment and self.experiment.to_json_dict(),
        }


@dataclass(frozen=True)
class SelfProposed:
    """What came of a look for proposals on a day of the data. counted: slices that are trials from now on."""

    as_of: date
    proposed: tuple[Proposed, ...]
    declined: tuple[Declined, ...]
    counted: int = 0

    def to_json_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {
            "as_of": self.as_of.isoformat(),
            "proposed": [one.to_json_dict() for one in self.proposed],
            "declined": [vars(one) for one in self.declined],
            "counted": self.counted,
        }


@dataclass(frozen=True)
class _Read:
    """Rows of the lake, and the marks they were read at."""

    comparisons: dict[str, StoredComparison]
    alarms: dict[str, tuple[Alarm, ...]]
    marks: dict[str, str]


def propose_by_kronos(
    workplace: Workplace, lake: Lake, now: datetime, engine_name: str | None = None, *, dry_run: bool = False
) -> SelfProposed:
    """Propose for one engine or for all what the newest evidence calls for; now: in the data's own time.

    Slices looked at are counted as trials first. What a second writer made meanwhile is declined, not made again.
    """
    from kronos.core.changes.self_proposals import mine

    day, policy = now.date(), workplace.policy
    read = _read(lake, day)
    with workplace.database.connect(Role.READER) as session:
        configs, tried = list_configs(session), attempts(session)
        engines = _engines(configs, read, engine_name)
        active = {engine: _active(session, engine) for engine in engines}
    answered = _answered(workplace)
    views = [_view(engine, configs, tried, active[engine], read, answered) for engine in engines]
    made_today = Counter(one.engine_name for one in tried if one.created_by == KRONOS and one.as_of == day.isoformat())
    mined = mine(views, day, policy, made_today)
    if dry_run:
        return SelfProposed(day, tuple(_told(one, workplace) for one in mined.proposals), mined.declined)
    counted = _count(workplace, mined.slices, now)
    proposed, declined = _make_all(workplace, mined.proposals, read.marks)
    return SelfProposed(day, proposed, (*mined.declined, *declined), counted)


def _read(lake: Lake, day: date) -> _Read:
    """The newest month's comparisons and the newest day's monitor, none of them after the day."""
    from kronos.core.changes.self_evidence import alarms, stored_comparisons

    found, marks = {}, {}
    for table, schema in ((COMPARISONS, COMPARISON_ROWS), (MONITORING, MONITOR_ROWS)):
        mark = lake.mark(table)
        months = [month for month in lake.months(table) if month <= day.isoformat()[:7]]
        if mark is None or not months:
            found[table] = empty(schema)
            continue
        marks[table] = mark
        rows = lake.scan(table, months[-1:], mark=mark).filter(pl.col("period") <= day.isoformat())
        found[table] = rows.filter(pl.col("period") == pl.col("period").max()).collect()
    return _Read(stored_comparisons(found[COMPARISONS]), alarms(found[MONITORING]), marks)


def _engines(configs: Sequence[EngineConfig], read: _Read, wanted: str | None) -> list[str]:
    known = sorted({one.engine_name for one in configs} | {*read.comparisons})
    if wanted is not None and wanted not in known:
        raise NotFound("engine", wanted, known)
    return known if wanted is None else [wanted]


def _active(session: Session, engine_name: str) -> str | None:
    held = [one for one in activations(session, engine_name) if one.scope == EVERYWHERE and one.deactivated_at is None]
    return held[0].config_id if held else None


def _answered(workplace: Workplace) -> set[tuple[str, str, str, date]]:
    """Alarms whose alert a person has closed: they know better."""
    return {
        (one.engine_name, one.config_id, one.metric, one.monitored_from)
        for one in alerts(workplace.database, closed=True)
        if one.state == "CLOSED" and one.scope == EVERYWHERE
    }


def _view(
    engine: str,
    configs: Sequence[EngineConfig],
    tried: Sequence[StoredAttempt],
    active: str | None,
    read: _Read,
    answered: set[tuple[str, str, str, date]],
) -> EngineView:
    from kronos.core.changes.self_proposals import Attempt, EngineView, KnownConfig

    own = [one for one in configs if one.engine_name == engine]
    return EngineView(
        engine_name=engine,
        active=active,
        configs={
            one.config_id: KnownConfig(
                one.config_id, one.config_body, canonical_hash(one.config_body), one.status == "ACTIVE", one.family
            )
            for one in own
        },
        compared=read.comparisons.get(engine),
        alarms=tuple(
            one
            for one in read.alarms.get(engine, ())
            if (engine, one.config_id, one.metric, one.monitored_from) not in answered
        ),
        attempts=tuple(
            Attempt(
                one.base_config_id,
                one.canonical_hash,
                one.created_by,
                one.is_open,
                # only Kronos's own word on it counts
                date.fromisoformat(one.mined_until) if one.mined_until and one.created_by == KRONOS else None,
            )
            for one in tried
            if one.engine_name == engine
        ),
    )


def _count(workplace: Workplace, slices: Sequence[MinedSlice], now: datetime) -> int:
    """Enter what was looked at into the trial ledger; how many were new."""
    with workplace.database.connect(Role.ORCHESTRATOR) as session:
        return sum(
            record_trial(
                session,
                Trial(
                    engine_name=one.engine_name,
                    source=TrialSource.MINED_SLICE,
                    seen_at=now,
                    config_id=one.config_id,
                    slice=one.slice,
                ),
            )
            for one in slices
        )


def _make_all(
    workplace: Workplace, wanted: Sequence[SelfProposal], marks: dict[str, str]
) -> tuple[tuple[Proposed, ...], tuple[Declined, ...]]:
    from kronos.core.changes.self_proposals import Declined, Silence

    taken = {ONCE: Silence.UNDER_TEST, BOUNDED: Silence.BOUND_REACHED}
    made, declined = [], []
    for one in wanted:
        name = one.config.config_id
        try:
            workplace.check_config(one.engine_name, one.config.config_body)
        except BadValue as error:
            declined.append(Declined(one.engine_name, Silence.REFUSED_BY_ENGINE, str(error), name))
            continue
        try:
            made.append(make(workplace, one, marks))
        except ChangeRefused as refused:
            if refused.rule not in taken:
                raise
            declined.append(Declined(one.engine_name, taken[refused.rule], str(refused), name))
        except (BadValue, NotFound) as error:
            declined.append(Declined(one.engine_name, Silence.NO_EXPERIMENT, str(error), name))
    return tuple(made), tuple(declined)


def make(workplace: Workplace, one: SelfProposal, marks: dict[str, str]) -> Proposed:
    """Write a proposal and, if policy says so, its queued experiment: both or neither.

    `ChangeRefused` names the rule when another writer was quicker.
    """
    from kronos.core.changes.self_rationale import about

    told, policy = _told(one, workplace), workplace.policy.proposals
    dates = workplace.data(one.engine_name)
    with workplace.database.connect(Role.ORCHESTRATOR) as session:
        proposal_id = propose_own(
            session,
            engine_name=one.engine_name,
            base_config_id=one.base_config_id,
            config_body=one.config.config_body,
            rationale=told.rationale,
            about=about(one, workplace.policy, marks),
            policy=policy,
            code_version=workplace.code_version,
        )
        experiment = None
        if policy.convert:
            begin_change(session, KRONOS, _BY_POLICY, code_version=workplace.code_version)
            how = Conversion(priority=policy.priority)
            experiment = convert_within(session, workplace, proposal_id, KRONOS, how, dates)
        proposal = matching_proposals(session, str(proposal_id))[0]
    return Proposed(one, told.rationale, proposal, experiment)


def _told(one: SelfProposal, workplace: Workplace) -> Proposed:
    from kronos.core.changes.self_rationale import rationale

    return Proposed(one, rationale(one, workplace.policy))
