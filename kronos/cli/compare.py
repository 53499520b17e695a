"""`kronos compare`: an engine's configs against its incumbent."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated

import typer

from kronos.cli.render import report_console
from kronos.cli.render_comparison import print_comparison
from kronos.core.vocabulary import Mode

_ISO = ["%Y-%m-%d"]


def compare(
    engine: Annotated[str, typer.Argument(help="Engine name.")],
    configs: Annotated[list[str] | None, typer.Argument(help="Config ids; none: all configs of the engine.")] = None,
    start: Annotated[datetime | None, typer.Option(formats=_ISO, help="First decision date.")] = None,
    end: Annotated[datetime | None, typer.Option(formats=_ISO, help="Last decision date.")] = None,
    incumbent: Annotated[str | None, typer.Option(help="Compare with this config instead of the active one.")] = None,
    horizon: Annotated[
        int | None, typer.Option(min=1, help="Sessions to the outcome; the engine's primary one by default.")
    ] = None,
    mode: Annotated[Mode, typer.Option(help="How the decisions were made.")] = Mode.LIVE,
    as_of: Annotated[
        datetime | None, typer.Option(formats=_ISO, help="Only what was known then: outcomes, incumbent and trials.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole comparison as JSON.")] = False,
) -> None:
    """Say which configs are dominated, robust or a niche beside the active one, and show the matrix behind it."""
    from kronos.orchestrator import MetaOrchestrator

    found = MetaOrchestrator.from_settings().comparison(
        engine,
        configs or (),
        start.date() if start else None,
        end.date() if end else None,
        incumbent=incumbent,
        horizon=horizon,
        mode=mode,
        as_of=as_of.date() if as_of else None,
    )
    if as_json:
        typer.echo(json.dumps(found.to_json_dict(), indent=1))
    else:
        print_comparison(found, report_console())
