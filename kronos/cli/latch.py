"""`kronos latch`: whether configs may be promoted, why not, and reopening what was closed."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from pydantic import TypeAdapter

from kronos.cli.options import AsJson, Reason, at_work
from kronos.cli.render import report_console
from kronos.cli.render_promotion import print_latches

app = typer.Typer(help="The promotion latches of the engines.", no_args_is_help=True)


@app.command()
def show(
    engine: Annotated[str | None, typer.Argument(help="Engine name; default: all, without their history.")] = None,
    as_json: AsJson = False,
) -> None:
    """Whether each latch is open, and why not."""
    from kronos.services.latch import latches

    with at_work() as workplace:
        found = latches(workplace.database, engine)
    if as_json:
        typer.echo(json.dumps([TypeAdapter(type(one)).dump_python(one, mode="json") for one in found], indent=1))
    else:
        print_latches(found, report_console(), history=engine is not None)


@app.command()
def reopen(
    engine: Annotated[str, typer.Argument(help="Engine name.")],
    event: Annotated[int, typer.Option(help="Number of the newest event that `latch show` showed.")],
    reason: Reason,
) -> None:
    """Reopen what a control or a person closed, after investigating it."""
    from kronos.services.latch import reopen_latch

    with at_work() as workplace:
        found = reopen_latch(workplace, engine, event, reason)
    print_latches([found], report_console(), history=False)
