"""`kronos monitor`: are the active configs degrading beside their own evidence?"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated

import typer

from kronos.cli.render import report_console
from kronos.cli.render_monitoring import print_monitoring

_ISO = ["%Y-%m-%d"]


def monitor(
    engine: Annotated[str | None, typer.Argument(help="Engine name; without it, every engine.")] = None,
    as_of: Annotated[datetime | None, typer.Option(formats=_ISO, help="Judge by what was known by then.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole answer as JSON.")] = False,
) -> None:
    """Judge each active config against its record from before it was watched, as often as you like."""
    from kronos.orchestrator import MetaOrchestrator

    kronos, day = MetaOrchestrator.from_settings(), as_of.date() if as_of else None
    answers = kronos.all_monitoring(day) if engine is None else [kronos.monitoring(engine, day)]
    if as_json:
        told = [answer.to_json_dict() for answer in answers]
        typer.echo(json.dumps(told if engine is None else told[0], indent=1))
    else:
        print_monitoring(answers, report_console(), windows=engine is not None)
