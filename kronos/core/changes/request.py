"""What is asked of an experiment, checked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

from kronos.core.canonical import canonical_json
from kronos.core.vocabulary import EvidenceLabel, ExpectedOutcome, ResourceClass
from kronos.errors import BadValue

KRONOS: Final = "Kronos"
"""Author of what Kronos does by itself; no person has this name."""

PRIORITY: Final = {EvidenceLabel.HUMAN_TRIGGERED: 5, EvidenceLabel.AUTO_PRESCREEN: 3, EvidenceLabel.CONTROL: 9}
"""Default priorities, lower first: auto-generated experiments at equal need before people's, controls last."""

LOWEST_PRIORITY: Final = 9
LONGEST_TEXT: Final = 4_000
LONGEST_NAME: Final = 200
LARGEST_CONFIG: Final = 1_000_000
"""Characters of a config body as JSON."""
DEEPEST_CONFIG: Final = 32
"""Levels of objects and lists in a config body."""

SMALLEST_RATIO: Final = 0.001
LARGEST_RATIO: Final = 100.0
"""Annual information ratios that may be hoped for: the first takes millions of years to find, the other no time."""

CONTROLS: Final = frozenset({ExpectedOutcome.NEGATIVE_CONTROL, ExpectedOutcome.POSITIVE_CONTROL})

DateRange = tuple[date, date]


@dataclass(frozen=True)
class EngineDates:
    """First and last date an engine can be played on, and of its LIVE decisions; None: it made none."""

    covered: DateRange
    live: DateRange | None


_Word = TypeVar("_Word", bound=StrEnum)


@dataclass(frozen=True, kw_only=True)
class ExperimentRequest:
    """A config to test against the one it is derived from.

    Dates None: those of the engine's LIVE decisions. priority None: the default of the path. hoped_ratio: annual
    information ratio of the improvement hoped for, None: what policy calls detectable; it decides how many years the
    test needs.
    """

    engine_name: str
    base_config_id: str
    proposed_config: Mapping[str, Any]
    description: str
    start_date: date | None = None
    end_date: date | None = None
    priority: int | None = None
    resource_class: str = ResourceClass.CPU_HEAVY
    expected_outcome: str = ExpectedOutcome.CANDIDATE
    hoped_ratio: float | None = None


@dataclass(frozen=True, kw_only=True)
class CheckedRequest(ExperimentRequest):
    """A request that may be written as it is."""

    start_date: date
    end_date: date
    priority: int
    resource_class: ResourceClass
    expected_outcome: ExpectedOutcome
    hoped_ratio: float


def checked(
    request: ExperimentRequest, data: EngineDates, default_ratio: float, *, auto_generated: bool
) -> CheckedRequest:
    """The request with its defaults; `BadValue` names what cannot be. data: the engine's."""
    outcome = word(ExpectedOutcome, "expected outcome", request.expected_outcome)
    start, end = checked_dates(request.start_date, request.end_date, data)
    ratio = default_ratio if request.hoped_ratio is None else request.hoped_ratio
    if not (isinstance(ratio, int | float) and SMALLEST_RATIO <= ratio <= LARGEST_RATIO):
        raise BadValue("hoped-for information ratio", ratio, f"a number from {SMALLEST_RATIO:g} to {LARGEST_RATIO:g}")
    return CheckedRequest(
        engine_name=request.engine_name,
        base_config_id=request.base_config_id,
        proposed_config=config_body(request.proposed_config),
        description=text("description", request.description),
        start_date=start,
        end_date=end,
        priority=checked_priority(default_priority(outcome, auto_generated), request.priority),
        resource_class=word(ResourceClass, "resource class", request.resource_class),
        expected_outcome=outcome,
        hoped_ratio=float(ratio),
    )


def default_priority(outcome: ExpectedOutcome, auto_generated: bool) -> int:
    """Priority of an experiment nobody gave one."""
    if outcome in CONTROLS:
        return PRIORITY[EvidenceLabel.CONTROL]
    return PRIORITY[EvidenceLabel.AUTO_PRESCREEN if auto_generated else EvidenceLabel.HUMAN_TRIGGERED]


def checked_priority(default: int, priority: int | None) -> int:
    """The priority asked for, else the default."""
    chosen = default if priority is None else priority
    if isinstance(chosen, bool) or not isinstance(chosen, int) or not 0 <= chosen <= LOWEST_PRIORITY:
        raise BadValue("priority", chosen, f"a whole number from 0 (first) to {LOWEST_PRIORITY} (last)")
    return chosen


def checked_dates(start: date | None, end: date | None, data: EngineDates) -> DateRange:
    """The dates asked for, else those of the LIVE decisions, inside the data and in order."""
    first = _checked_date("start date", start, data, data.live and data.live[0])
    last = _checked_date("end date", end, data, data.live and data.live[1])
    if last < first:
        raise BadValue("end date", last.isoformat(), f"a date not before the start date {first.isoformat()}")
    return first, last


def _checked_date(name: str, value: date | None, data: EngineDates, default: date | None) -> date:
    if value is not None and (not isinstance(value, date) or isinstance(value, datetime)):
        raise BadValue(name, value, "a date")
    first, last = data.covered
    chosen = default if value is None else value
    if chosen is None:
        raise BadValue(name, None, f"a date from {first} to {last}: the engine has no LIVE decisions to take it from")
    if not first <= chosen <= last:
        raise BadValue(name, chosen.isoformat(), f"a date the data covers, {first} to {last}")
    return chosen


def config_body(body: object) -> dict[str, Any]:
    """The body, if it is an object that JSON and the database can hold."""
    if not isinstance(body, Mapping):
        raise BadValue("config body", body, "an object of parameters")
    _require_shallow(body, 1)
    length = len(canonical_json(body))
    if length > LARGEST_CONFIG:
        raise BadValue("length of the config body", length, f"at most {LARGEST_CONFIG} characters")
    return dict(body)


def _require_shallow(value: object, level: int) -> None:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        if level > DEEPEST_CONFIG:
            raise BadValue(
                "depth of the config body", f"more than {DEEPEST_CONFIG}", f"at most {DEEPEST_CONFIG} levels"
            )
        for member in value:
            _require_shallow(member, level + 1)


def word(kind: type[_Word], name: str, value: str) -> _Word:
    """The value as a member of a closed vocabulary."""
    try:
        return kind(value)
    except ValueError:
        raise BadValue(name, value, f"one of {', '.join(kind)}") from None


def text(name: str, value: str, longest: int = LONGEST_TEXT) -> str:
    """The text without blanks around it, if something is left and the database can hold it."""
    stripped = value.strip() if isinstance(value, str) else ""
    if not stripped or len(stripped) > longest:
        shown = value if not isinstance(value, str) or len(value) <= longest else f"{value[:40]}..."
        raise BadValue(name, shown, f"a text of 1 to {longest} characters")
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in stripped):
        raise BadValue(name, value, "a text without NUL and lone surrogates")
    return stripped


def person(name: str) -> str:
    """The name of a person or service as author of a change; Kronos's own name is refused."""
    author = text("author", name, LONGEST_NAME)
    if author.casefold() == KRONOS.casefold():
        raise BadValue("author", name, f"a person or service: {KRONOS} signs only what it does by itself")
    if not author.isprintable():
        raise BadValue("author", name, "printable characters")
    return author
