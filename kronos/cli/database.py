"""`kronos db`: the database's address and migrations."""

from __future__ import annotations

import typer

from kronos import settings
from kronos.settings import Settings
from kronos.store.database import Database
from kronos.store.open import open_database

app = typer.Typer(help="The database Kronos keeps its state in.", no_args_is_help=True)


@app.command()
def migrate() -> None:
    """Start the database if needed, apply the migrations that are missing, and say where it is."""
    chosen = settings.load()
    with open_database(chosen) as database:
        typer.echo(f"migrated {database}")
        tell_first_admin(chosen, database)


def tell_first_admin(config: Settings, database: Database) -> None:
    """Make the first admin of a fresh database, and say once where his token is."""
    from kronos.services.code_version import code_version
    from kronos.services.principals import ensure_admin

    path = ensure_admin(database, config.home, code_version())
    if path is not None:
        typer.echo(f"the first admin's token is in {path}: keep it safe, and KRONOS_TOKEN acts with it")


@app.command()
def url() -> None:
    """Print the database's address with its password, for psql; it answers while something keeps the server up."""
    with open_database(settings.load()) as database:
        typer.echo(database.url)
