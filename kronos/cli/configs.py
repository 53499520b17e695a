"""`kronos configs`: what is active and why, and adopting what trades already."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import TypeAdapter

from kronos.cli.options import AsJson, Engine, Instant, Reason, at_work, instant
from kronos.cli.render import report_console
from kronos.cli.render_promotion import print_active

if TYPE_CHECKING:
    from kronos.store.promotions import ActiveConfig

app = typer.Typer(help="The engines' active configs.")


@app.callback(invoke_without_command=True)
def configs(context: typer.Context, engine: Engine = None, at: Instant = None, as_json: AsJson = False) -> None:
    """What is active, or was at a time, and why."""
    if context.invoked_subcommand is not None:
        return
    from kronos.services.promotion import active_configs

    with at_work() as workplace:
        found = active_configs(workplace.database, engine, instant(at))
    _tell(found, as_json)


@app.command()
def adopt(
    engine: Annotated[str, typer.Argument(help="Engine name; it never had an active config.")],
    config: Annotated[str, typer.Argument(help="Id of the config that trades upstream.")],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Make what trades upstream already an engine's first active config."""
    from kronos.orchestrator import MetaOrchestrator

    _tell([MetaOrchestrator.from_settings().adopt_config(engine, config, reason)], as_json)


def _tell(found: Sequence[ActiveConfig], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([TypeAdapter(type(one)).dump_python(one, mode="json") for one in found], indent=1))
    else:
        print_active(found, report_console())
