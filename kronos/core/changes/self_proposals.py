"""What Kronos proposes by itself, and why it proposes nothing: from stored evidence to frozen proposals.

Kronos invents no parameters: it proposes the body of a config that is registered and not active. A proposal asks for a
test, no more: its evidence was found by looking at many configs and slices, so only data its mining did not see can
confirm it, which is why it says until when it looked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from kronos.core.changes.request import KRONOS
from kronos.core.changes.self_evidence import Alarm, Rival, StoredComparison, statistic_of
from kronos.core.policy import ObservationPolicy
from kronos.core.reports.comparison_model import OVERALL_SLICE, Cell, ConfigClass
from kronos.core.vocabulary import TrialFamily


class Ground(StrEnum):
    """Why a config is proposed; the first that holds, in this order."""

    DOMINATED_INCUMBENT = "DOMINATED_INCUMBENT"  # the config is significantly better over the whole book
    DEGRADED_INCUMBENT = "DEGRADED_INCUMBENT"  # the active config is in alarm, and this is the best that is left
    NICHE_WINNER = "NICHE_WINNER"  # the config is significantly best in a slice declared beforehand


class Silence(StrEnum):
    """Why nothing is proposed for an engine, or not this config."""

    NO_COMPARISON = "NO_COMPARISON"
    STALE_COMPARISON = "STALE_COMPARISON"
    NO_INCUMBENT = "NO_INCUMBENT"
    INCUMBENT_CHANGED = "INCUMBENT_CHANGED"  # the comparison is with a config that is no longer the active one
    NOTHING_BETTER = "NOTHING_BETTER"  # nothing is significantly better, nothing degrades: the incumbent is fine
    NO_ALTERNATIVE = "NO_ALTERNATIVE"  # the incumbent degrades, and every other config is dominated or unknown
    NOT_REGISTERED = "NOT_REGISTERED"  # only the config's id is known, not its parameters
    ALREADY_ACTIVE = "ALREADY_ACTIVE"  # in some market, or the same parameters under another id
    MADE_FOR_A_CONTROL = "MADE_FOR_A_CONTROL"
    REFUSED_BY_ENGINE = "REFUSED_BY_ENGINE"  # its parameters do not fit the engine's schema
    NO_EXPERIMENT = "NO_EXPERIMENT"  # none can be made of it: there are no dates to test it on, or its base is gone
    TOO_LITTLE_EVIDENCE = "TOO_LITTLE_EVIDENCE"
    UNDER_TEST = "UNDER_TEST"  # the same parameters are proposed or tested against the same base now
    DECIDED_BEFORE = "DECIDED_BEFORE"  # on evidence that has not grown enough since
    BOUND_REACHED = "BOUND_REACHED"


@dataclass(frozen=True)
class KnownConfig:
    """A registered config. active: in any scope."""

    config_id: str
    config_body: Mapping[str, Any]
    canonical_hash: str
    active: bool
    family: TrialFamily = TrialFamily.REAL


@dataclass(frozen=True)
class Attempt:
    """Parameters somebody proposed or tested against a base. mined_until: of Kronos's own; None for other people's."""

    base_config_id: str
    canonical_hash: str
    created_by: str
    is_open: bool
    mined_until: date | None = None


@dataclass(frozen=True)
class EngineView:
    """Everything that is known of an engine when Kronos looks for proposals.

    active: config active everywhere. alarms: raised, and not closed by a person.
    """

    engine_name: str
    active: str | None
    configs: Mapping[str, KnownConfig]
    compared: StoredComparison | None = None
    alarms: tuple[Alarm, ...] = ()
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True)
class SelfProposal:
    """A config Kronos proposes in place of the active one (base_config_id), and what speaks for it.

    slice: in which it is better. as_of: the day of the data; decisions and outcomes of [mined_from, mined_until] were
    looked at.
    """

    engine_name: str
    base_config_id: str
    config: KnownConfig
    ground: Ground
    slice: str
    as_of: date
    mined_from: date
    mined_until: date
    compared: StoredComparison
    rival: Rival
    alarms: tuple[Alarm, ...] = ()

    @property
    def cell(self) -> Cell:
        """The difference it rests on."""
        return self.rival.cells[self.slice]

    @property
    def strength(self) -> float:
        """Standard errors by which it is better in its slice."""
        return statistic_of(self.cell) or 0.0


@dataclass(frozen=True)
class Declined:
    """Nothing is proposed for an engine, or not this config of it."""

    engine_name: str
    reason: Silence
    detail: str
    config_id: str | None = None


@dataclass(frozen=True)
class MinedSlice:
    """A config in a declared slice that was looked at for a niche: a trial, whatever came of it."""

    engine_name: str
    config_id: str
    slice: str


@dataclass(frozen=True)
class Mined:
    """What Kronos would propose, strongest ground first; why not more; and what it looked at to find out."""

    proposals: tuple[SelfProposal, ...] = ()
    declined: tuple[Declined, ...] = ()
    slices: tuple[MinedSlice, ...] = ()


def mine(
    views: Iterable[EngineView], day: date, policy: ObservationPolicy, made_today: Mapping[str, int] | None = None
) -> Mined:
    """Proposals for these engines on a day of the data, and for each engine without one at least one reason.

    made_today: how many Kronos has made on that day already, by engine, also of engines not looked at.
    """
    made = made_today or {}
    held = sorted(views, key=lambda view: view.engine_name)
    found = [_of_engine(view, day, policy, made.get(view.engine_name, 0)) for view in held]
    wanted = sorted((one for part in found for one in part.proposals), key=_order)
    left = max(0, policy.proposals.most_per_day - sum(made.values()))
    bounded = (
        Declined(one.engine_name, Silence.BOUND_REACHED, _bound(policy.proposals.most_per_day, "day"), _id(one))
        for one in wanted[left:]
    )
    return Mined(
        tuple(wanted[:left]),
        (*(one for part in found for one in part.declined), *bounded),
        tuple(one for part in found for one in part.slices),
    )


def unusable(view: EngineView, day: date, policy: ObservationPolicy) -> Declined | None:
    """Why the engine's comparison is no ground for anything; None when it is one."""
    compared, oldest = view.compared, day - policy.proposals.newest_within
    if compared is None:
        return Declined(view.engine_name, Silence.NO_COMPARISON, "no comparison is stored")
    if compared.as_of < oldest:
        return Declined(view.engine_name, Silence.STALE_COMPARISON, f"as of {compared.as_of}: {oldest} or later needed")
    if view.active is None:
        return Declined(view.engine_name, Silence.NO_INCUMBENT, "no config is active everywhere")
    if compared.incumbent != view.active:
        detail = f"compared with {compared.incumbent} as of {compared.as_of}; active is {view.active}"
        return Declined(view.engine_name, Silence.INCUMBENT_CHANGED, detail)
    return None


def _of_engine(view: EngineView, day: date, policy: ObservationPolicy, made: int) -> Mined:
    flaw = unusable(view, day, policy)
    if flaw is not None or view.compared is None:
        return Mined(declined=() if flaw is None else (flaw,))
    slices = tuple(_looked_at(view.compared, policy.comparison.niche_slices))
    alarmed = tuple(one for one in view.alarms if _counts(one, view, day, policy))
    wanted = list(_wanted(view, view.compared, alarmed, day, policy))
    if not wanted:
        return Mined(declined=(_nothing(view, view.compared, alarmed),), slices=slices)
    unfit = [_unfit(one, view, policy) for one in wanted]
    fit = [one for one, why in zip(wanted, unfit, strict=True) if why is None]
    left = max(0, policy.proposals.most_per_engine - made)
    detail = _bound(policy.proposals.most_per_engine, "engine and day")
    bounded = (Declined(view.engine_name, Silence.BOUND_REACHED, detail, _id(one)) for one in fit[left:])
    return Mined(tuple(fit[:left]), (*(why for why in unfit if why is not None), *bounded), slices)


def _counts(alarm: Alarm, view: EngineView, day: date, policy: ObservationPolicy) -> bool:
    """Whether the alarm is of the active config, and not an old one."""
    return alarm.config_id == view.active and alarm.seen_on >= day - policy.proposals.newest_within


def _wanted(
    view: EngineView, compared: StoredComparison, alarmed: tuple[Alarm, ...], day: date, policy: ObservationPolicy
) -> Iterator[SelfProposal]:
    """What speaks for itself, strongest first, each config once."""
    level = policy.comparison.level
    better = [one for one in compared.rivals if one.p_better is not None and one.p_better <= level]
    found = [(Ground.DOMINATED_INCUMBENT, one, OVERALL_SLICE) for one in sorted(better, key=_best_first)]
    if alarmed and not better:
        found += [(Ground.DEGRADED_INCUMBENT, one, OVERALL_SLICE) for one in _alternatives(view, compared)]
    found += list(_niches(compared, policy.comparison.niche_slices))
    seen: set[str] = set()
    for ground, rival, name in found:
        if rival.config_id not in seen:
            seen.add(rival.config_id)
            yield _proposal(view, compared, alarmed, day, (ground, rival, name))


def _proposal(
    view: EngineView,
    compared: StoredComparison,
    alarmed: tuple[Alarm, ...],
    day: date,
    found: tuple[Ground, Rival, str],
) -> SelfProposal:
    ground, rival, name = found
    unknown = KnownConfig(rival.config_id, {}, "", active=False)
    return SelfProposal(
        engine_name=view.engine_name,
        base_config_id=view.active or "",
        config=view.configs.get(rival.config_id, unknown),
        ground=ground,
        slice=name,
        as_of=day,
        mined_from=compared.period_start,
        mined_until=max([compared.mined_until, *(one.seen_on for one in alarmed)]),
        compared=compared,
        rival=rival,
        alarms=alarmed,
    )


def _alternatives(view: EngineView, compared: StoredComparison) -> list[Rival]:
    """The best config that is not dominated and could be proposed: ROBUST before others, then the larger statistic."""
    left = [one for one in compared.rivals if one.label is not ConfigClass.DOMINATED and one.overall.reason is None]
    ranked = sorted(left, key=lambda one: (one.label is not ConfigClass.ROBUST, *_best_first(one)))
    return [one for one in ranked if _proposable(one.config_id, view)][:1]


def _proposable(config_id: str, view: EngineView) -> bool:
    known = view.configs.get(config_id)
    return known is not None and _no_config(known, view) is None


def _niches(compared: StoredComparison, declared: Sequence[str]) -> Iterator[tuple[Ground, Rival, str]]:
    """Winners of declared slices, each with the slice in which it is better by most standard errors."""
    for rival in sorted((one for one in compared.rivals if one.label is ConfigClass.NICHE), key=_best_first):
        won = [name for name in rival.niches if name in declared and rival.cells[name].reason is None]
        if won:
            best = max(won, key=lambda name: (statistic_of(rival.cells[name]) or 0.0, name))
            yield Ground.NICHE_WINNER, rival, best


def _unfit(one: SelfProposal, view: EngineView, policy: ObservationPolicy) -> Declined | None:
    """Why the config cannot be proposed, or not again."""
    if one.config.config_id not in view.configs:
        why: tuple[Silence, str] | None = Silence.NOT_REGISTERED, "its parameters are not registered here"
    else:
        why = _no_config(one.config, view) or _thin(one, policy) or _tried(one, view.attempts, policy)
    return Declined(one.engine_name, *why, config_id=_id(one)) if why else None


def _no_config(config: KnownConfig, view: EngineView) -> tuple[Silence, str] | None:
    if config.family is TrialFamily.CONTROL:
        return Silence.MADE_FOR_A_CONTROL, "a control's config is never proposed"
    if config.active:
        return Silence.ALREADY_ACTIVE, "it is active in a market of its own"
    active = view.configs.get(view.active or "")
    if active is not None and active.canonical_hash == config.canonical_hash:
        return Silence.ALREADY_ACTIVE, f"it has the parameters of the active {active.config_id}"
    return None


def _thin(one: SelfProposal, policy: ObservationPolicy) -> tuple[Silence, str] | None:
    needed = {one.slice: policy.proposals.least_slice_dates, OVERALL_SLICE: policy.proposals.least_dates}
    for name, least in needed.items():
        n = one.rival.cells[name].n
        if n < least:
            return Silence.TOO_LITTLE_EVIDENCE, f"{n} matched dates in {name}: {least} needed"
    return None


def _tried(one: SelfProposal, attempts: Sequence[Attempt], policy: ObservationPolicy) -> tuple[Silence, str] | None:
    same = [
        tried
        for tried in attempts
        if (tried.base_config_id, tried.canonical_hash) == (one.base_config_id, one.config.canonical_hash)
    ]
    running = [tried.created_by for tried in same if tried.is_open]
    if running:
        return Silence.UNDER_TEST, f"proposed by {', '.join(sorted(set(running)))} and not decided"
    since = one.mined_until - policy.proposals.new_evidence
    decided = [tried.mined_until for tried in same if tried.created_by == KRONOS and tried.mined_until is not None]
    if decided and max(decided) > since:
        return Silence.DECIDED_BEFORE, f"on evidence until {max(decided)}: until {since} or earlier would be new"
    return None


def _nothing(view: EngineView, compared: StoredComparison, alarmed: tuple[Alarm, ...]) -> Declined:
    if alarmed:
        detail = f"{view.active} is in alarm, and every other config is dominated, without statistics or not to be had"
        return Declined(view.engine_name, Silence.NO_ALTERNATIVE, detail)
    told = [one for one in compared.rivals if one.overall.difference is not None]
    if not told:
        return Declined(view.engine_name, Silence.NOTHING_BETTER, "no other config has statistics")
    best = min(told, key=_best_first)
    p = "unknown" if best.p_better is None else f"{best.p_better:.3g}"
    detail = (
        f"the best other config is {best.config_id}, by {best.overall.difference:+.3g} in {compared.metric} "
        f"(p {p}, {compared.tests} tests), and nothing is in alarm"
    )
    return Declined(view.engine_name, Silence.NOTHING_BETTER, detail)


def _looked_at(compared: StoredComparison, declared: Sequence[str]) -> Iterator[MinedSlice]:
    for rival in compared.rivals:
        for name in declared:
            if name in rival.cells and rival.cells[name].difference is not None:
                yield MinedSlice(compared.engine_name, rival.config_id, name)


def _best_first(one: Rival) -> tuple[float, str]:
    return -(statistic_of(one.overall) or 0.0), one.config_id


def _order(one: SelfProposal) -> tuple[int, float, str, str]:
    return list(Ground).index(one.ground), -one.strength, one.engine_name, one.config.config_id


def _id(one: SelfProposal) -> str:
    return one.config.config_id


def _bound(most: int, per: str) -> str:
    return f"at most {most} by {per}"
