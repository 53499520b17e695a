"""`kronos db`: the database's address and migrations."""

from __future__ import annotations

import typer

from kronos import settings
from kronos.store.open import open_database

app = typer.Typer(help="The database Kronos keeps its state in.", no_args_is_help=True)


@app.command()
def migrate() -> None:
    """Start the database if needed, apply the migrations that are missing, and say where it is."""
    with open_database(settings.load()) as database:
        typer.echo(f"migrated {database}")


@app.command()
def url() -> None:
    """Print the database's address with its password, for psql; it answers while something keeps the server up."""
    with open_database(settings.load()) as database:
        typer.echo(database.url)
