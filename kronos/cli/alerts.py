"""`kronos alerts`: what Kronos noticed, and what people answered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from pydantic import TypeAdapter

from kronos import settings
from kronos.cli.options import Author, at_work, author_of
from kronos.cli.render import report_console
from kronos.cli.render_monitoring import print_alerts
from kronos.store.alerts import Alert, acknowledge, alerts, close
from kronos.store.database import Database
from kronos.store.open import open_database

app = typer.Typer(help="What calls for a person: list it, take it up, close it.")

Id = Annotated[int, typer.Argument(metavar="ID", help="The alert's number.")]
Reason = Annotated[str, typer.Option(help="Why; kept with the alert.")]


@app.callback(invoke_without_command=True)
def listing(
    context: typer.Context,
    engine: Annotated[str | None, typer.Option(help="Of this engine only.")] = None,
    closed: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With the evidence, as JSON.")] = False,
) -> None:
    """List open and acknowledged alerts, newest first."""
    if context.invoked_subcommand is not None:
        return
    with _database() as database:
        found = alerts(database, engine, closed=closed)
    if as_json:
        typer.echo(TypeAdapter(list[Alert]).dump_json(found, indent=1))
    else:
        print_alerts(found, report_console())


@app.command()
def ack(alert_id: Id, reason: Reason, by: Author = None) -> None:
    """Take an open alert up."""
    with at_work() as workplace:
        acknowledge(workplace.database, alert_id, by=author_of(workplace, by), reason=reason, token=workplace.token)
    typer.echo(f"alert {alert_id}: ACKNOWLEDGED")


@app.command("close")
def close_one(alert_id: Id, reason: Reason, by: Author = None) -> None:
    """Close an alert: it was dealt with."""
    with at_work() as workplace:
        close(workplace.database, alert_id, by=author_of(workplace, by), reason=reason, token=workplace.token)
    typer.echo(f"alert {alert_id}: CLOSED")


@contextmanager
def _database() -> Iterator[Database]:
    with open_database(settings.load()) as database:
        yield database
