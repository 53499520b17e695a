"""Options that several commands share, and the values behind them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kronos import settings
from kronos.errors import BadValue

if TYPE_CHECKING:
    from kronos.services.workplace import Workplace

ISO_DATE = ["%Y-%m-%d"]

Author = Annotated[
    str | None, typer.Option(help="Who does this; default: the principal of KRONOS_TOKEN, else the account.")
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
Engine = Annotated[str | None, typer.Option(help="Only of this engine.")]
Priority = Annotated[int | None, typer.Option(help="0 (first) to 9 (last); default by the path: 3, 5 or 9.")]
Reason = Annotated[str, typer.Option(help="Why; it stays in the change log.")]
Start = Annotated[datetime | None, typer.Option(formats=ISO_DATE, help="First decision date; default: of the data.")]
End = Annotated[datetime | None, typer.Option(formats=ISO_DATE, help="Last decision date; default: of the data.")]
Hoped = Annotated[
    float | None,
    typer.Option("--hoped-ratio", help="Annual information ratio hoped for; it decides the years needed."),
]
Instant = Annotated[
    str | None, typer.Option("--at", help="A time such as 2026-03-01T18:00+00:00; UTC where it names no zone.")
]
Config = Annotated[str, typer.Option(help="The proposed config: a JSON file, `-` for standard input, or JSON itself.")]


@contextmanager
def at_work() -> Iterator[Workplace]:
    """The workplace the environment names."""
    from kronos.services.workplace import open_workplace

    with open_workplace(settings.load()) as workplace:
        yield workplace


def author_of(workplace: Workplace, given: str | None) -> str:
    """The author named, else the principal of KRONOS_TOKEN, else the account the command runs as."""
    from kronos.services import principals

    return principals.author_of(workplace, given)


def day(instant: datetime | None) -> date | None:
    """The date of an option."""
    return instant.date() if instant else None


def instant(given: str | None) -> datetime | None:
    """The time of an option, in UTC where it names no zone; `BadValue` when it is none."""
    if given is None:
        return None
    try:
        found = datetime.fromisoformat(given)
    except ValueError as error:
        raise BadValue("--at", given, "a time such as 2026-03-01T18:00+00:00") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def read_config(given: str, option: str = "--config") -> Any:
    """The JSON that an option names or is; `BadValue` when it is none, or names a key of an object twice."""
    try:
        return json.loads(_json_text(given, option), object_pairs_hook=lambda pairs: _object(pairs, option))
    except (ValueError, RecursionError) as error:
        raise BadValue(option, given, f"JSON ({error})") from error


def _json_text(given: str, option: str) -> str:
    if given.lstrip().startswith(("{", "[")):
        return given
    try:
        return typer.get_text_stream("stdin").read() if given == "-" else Path(given).read_text(encoding="utf-8")
    except OSError as error:
        if _is_json(given):
            return given
        raise BadValue(option, given, f"a readable JSON file ({error.strerror})") from error


def _is_json(given: str) -> bool:
    with suppress(ValueError):
        json.loads(given)
        return True
    return False


def _object(pairs: Sequence[tuple[str, Any]], option: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise BadValue(f"{option} {key}", [made[key], value], "one value: the key is there twice")
        made[key] = value
    return made
