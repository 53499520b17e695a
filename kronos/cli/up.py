"""`kronos up`: from nothing to a report on real history, then Dagster's UI."""

from __future__ import annotations

import typer
from rich.console import Console

from kronos import settings
from kronos.cli.database import tell_first_admin
from kronos.cli.render import print_summary, report_console
from kronos.cli.stack import LOOPBACK, require_free_port, serve_dagster, single_instance, stop_recorded
from kronos.cli.upkeep import Upkeep
from kronos.settings import Settings
from kronos.store.database import Database
from kronos.store.open import open_database


def up(once: bool = typer.Option(False, "--once", help="End after the report instead of serving the UI.")) -> None:
    """Start what Kronos needs, bring the lake up to date, print the report, and serve the UI until Ctrl-C."""
    config = settings.load()
    console = Console(highlight=False)
    with single_instance(config.home):
        stop_recorded(config.home)
        if not once:
            require_free_port(config.dagster_port, "KRONOS_DAGSTER_PORT")
        console.print("starting Postgres")
        with open_database(config) as database:
            tell_first_admin(config, database)
            _observe(config, database, console)
            _report(config)
            if not once:
                _serve(config, database, console)


def _observe(config: Settings, database: Database, console: Console) -> None:
    from kronos.defs.launch import materialise_history

    if config.sandbox:
        from kronos.sandbox.load import load_history

        load_history(database, config.sandbox_until, progress=console.print)
    materialise_history(config, database, progress=console.print)


def _report(config: Settings) -> None:
    from kronos.orchestrator import MetaOrchestrator

    kronos = MetaOrchestrator.from_settings(config)
    print_summary(kronos.all_performance(*kronos.period()), report_console())


def _serve(config: Settings, database: Database, console: Console) -> None:
    from kronos.defs.interrupted import close_interrupted
    from kronos.services.dagster_home import prepare_dagster_home, workspace_file

    close_interrupted(config, database)
    console.print(f"Dagster: http://{LOOPBACK}:{config.dagster_port}  (Ctrl-C stops everything)", style="bold")
    env = prepare_dagster_home(config, database)
    serve_dagster(config.home, workspace_file(), config.dagster_port, env, Upkeep(config, console.print).look)
