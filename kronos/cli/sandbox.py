"""`kronos sandbox`: the clock of the bundled history."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from kronos import settings
from kronos.errors import BadValue
from kronos.store.database import Database
from kronos.store.open import open_database

app = typer.Typer(help="Reference engines over bundled history, session by session.", no_args_is_help=True)


@contextmanager
def _sandbox_database() -> Iterator[Database]:
    config = settings.load()
    if not config.sandbox:
        raise BadValue("KRONOS_SOURCE_URL", "(set)", "unset: the sandbox plays upstream only in Kronos's own database")
    with open_database(config) as database:
        yield database


@app.command()
def advance(days: int = typer.Option(1, "--days", min=1, help="Sessions to move forward.")) -> None:
    """Move the sandbox clock and append what the engines would have written, the way upstream would."""
    from kronos.sandbox.load import advance as advance_sandbox

    with _sandbox_database() as database:
        today = advance_sandbox(database, days, progress=Console(stderr=True).print)
        typer.echo(f"sandbox clock: {today}")


@app.command()
def clock() -> None:
    """Print the sandbox's today."""
    from kronos.store.clock import sandbox_now

    with _sandbox_database() as database:
        typer.echo(f"{sandbox_now(database):%Y-%m-%d %H:%M} UTC")
