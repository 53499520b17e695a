"""`kronos why`: what a period's result is made of."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from typing import Annotated

import typer

from kronos.cli.render import report_console
from kronos.cli.render_attribution import print_attribution
from kronos.core.reports.attribution import DEFAULT_CUTS, DEFAULT_WINDOWS
from kronos.core.reports.attribution_model import By
from kronos.core.vocabulary import POOLED, Mode

_ISO = ["%Y-%m-%d"]


def why(
    engine: Annotated[str, typer.Argument(help="Engine name.")],
    config: Annotated[str, typer.Option(help="Config id; `*` pools all configs.")] = POOLED,
    start: Annotated[datetime | None, typer.Option(formats=_ISO, help="First decision date.")] = None,
    end: Annotated[datetime | None, typer.Option(formats=_ISO, help="Last decision date.")] = None,
    horizon: Annotated[int | None, typer.Option(min=1, help="Sessions; default the engine's primary horizon.")] = None,
    by: Annotated[list[By] | None, typer.Option(help="What to cut by; may be given several times.")] = None,
    as_of: Annotated[datetime | None, typer.Option(formats=_ISO, help="Use only what was known by then.")] = None,
    mode: Annotated[Mode, typer.Option(help="Modes never pool.")] = Mode.LIVE,
    windows: Annotated[int, typer.Option(min=0, help="How many of the deepest drawdowns.")] = DEFAULT_WINDOWS,
    top: Annotated[int, typer.Option(min=1, help="Parts to print at each end of a table.")] = 10,
    previous: Annotated[bool, typer.Option("--previous", help="Beside the period of equal length before.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The whole attribution as JSON.")] = False,
) -> None:
    """Say where a config lost or earned its money: by market, regime, instrument; and in which drawdowns."""
    from kronos.orchestrator import MetaOrchestrator

    kronos = MetaOrchestrator.from_settings()
    first, last = (_day(chosen) or known for chosen, known in zip((start, end), kronos.period(), strict=True))
    periods = [(first, last), *([_before(first, last)] if previous else [])]
    found = [
        kronos.attribution(
            engine,
            None if config == POOLED else config,
            *period,
            by=by or DEFAULT_CUTS,
            windows=windows,
            horizon=horizon,
            mode=mode,
            as_of=_day(as_of),
        )
        for period in periods
    ]
    if as_json:
        told = [one.to_json_dict() for one in found]
        typer.echo(json.dumps({**told[0], **({"previous": told[1]} if previous else {})}, indent=1))
    else:
        print_attribution(found[0], found[1] if previous else None, top, report_console())


def _before(first: date, last: date) -> tuple[date, date]:
    """The period of equal length that ends the day before."""
    return first - (last - first) - timedelta(days=1), first - timedelta(days=1)


def _day(instant: datetime | None) -> date | None:
    return instant.date() if instant else None
