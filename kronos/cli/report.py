"""`kronos report`: performance of an engine's configs, from the cells."""

from __future__ import annotations

import json
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

import typer

from kronos.cli.render import print_report, print_summary, report_console
from kronos.core.reports.model import EnginePerformanceReport
from kronos.core.vocabulary import POOLED, Dimension, Mode
from kronos.errors import BadValue

_ISO = ["%Y-%m-%d"]


class By(StrEnum):
    """Slices `kronos report` can print."""

    REGIME = "regime"
    STABILITY = "stability"
    FRAGILITY = "fragility"
    MARKET = "market"
    REGIME_AND_MARKET = "regime_and_market"


def report(
    engine: Annotated[str | None, typer.Argument(help="Engine name; without it, every config of every engine.")] = None,
    config: Annotated[str, typer.Option(help="Config id; `*` pools all configs.")] = POOLED,
    start: Annotated[datetime | None, typer.Option(formats=_ISO, help="First decision date.")] = None,
    end: Annotated[datetime | None, typer.Option(formats=_ISO, help="Last decision date.")] = None,
    as_of: Annotated[datetime | None, typer.Option(formats=_ISO, help="Use only what was known by then.")] = None,
    by: Annotated[list[By] | None, typer.Option(help="Slices to print; may be given several times.")] = None,
    horizon: Annotated[int | None, typer.Option(min=1, help="Sessions; default the engine's primary horizon.")] = None,
    mode: Annotated[Mode, typer.Option(help="Modes never pool.")] = Mode.LIVE,
    as_json: Annotated[bool, typer.Option("--json", help="The whole report as JSON.")] = False,
) -> None:
    """Print what a config earned or forecast in a period, with intervals, counts, and reasons where undefined."""
    from kronos.orchestrator import MetaOrchestrator

    _require_order(start, end)
    kronos = MetaOrchestrator.from_settings()
    period = kronos.period()
    first, last = _day(start) or period[0], _day(end) or period[1]
    if engine is None:
        _print_all(kronos.all_performance(first, last, mode=mode, as_of=_day(as_of)), as_json=as_json)
        return
    found = kronos.engine_performance(
        engine, None if config == POOLED else config, first, last, horizon=horizon, mode=mode, as_of=_day(as_of)
    )
    _print_one(found, [Dimension(one.value) for one in by or []], as_json=as_json)


def _print_all(found: list[EnginePerformanceReport], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([one.to_json_dict() for one in found], indent=1))
    else:
        print_summary(found, report_console())


def _print_one(found: EnginePerformanceReport, dimensions: list[Dimension], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found.to_json_dict(), indent=1))
    else:
        print_report(found, dimensions, report_console())


def _day(instant: datetime | None) -> date | None:
    return instant.date() if instant else None


def _require_order(start: datetime | None, end: datetime | None) -> None:
    if start and end and start > end:
        raise BadValue("--start", f"{start:%Y-%m-%d}", f"a date not after --end ({end:%Y-%m-%d})")
