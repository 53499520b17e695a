"""`kronos log` and `kronos audit`: who changed what, and whether the record of it is whole."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from kronos import settings
from kronos.cli.options import AsJson
from kronos.cli.render import report_console
from kronos.cli.render_changes import entry_as_json, print_audit, print_log
from kronos.store.open import open_database

if TYPE_CHECKING:
    from kronos.services.audit import Audit

app = typer.Typer(help="Whether the change log is whole.", no_args_is_help=True)


def log(
    subject: Annotated[str | None, typer.Argument(help="Id of an experiment or proposal, or how it begins.")] = None,
    count: Annotated[int, typer.Option("--count", "-n", help="How many of the last entries.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Who changed what, when and why: the last entries of the change log, of one subject or of all."""
    from kronos.services.audit import change_entries

    with open_database(settings.load()) as database:
        found = change_entries(database, count, subject)
    if as_json:
        typer.echo(json.dumps([entry_as_json(entry) for entry in found], indent=1))
    else:
        print_log(found, report_console())


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Follow the hash chain from its first entry and against the roots outside the database.

    Exit code 1 if it is broken, or if no root proves it.
    """
    from kronos.services.audit import audit_folder, verify_log

    chosen = settings.load()
    with open_database(chosen) as database:
        found = verify_log(database, audit_folder(chosen.home))
    _tell(found, as_json)


@app.command()
def seal(as_json: AsJson = False) -> None:
    """Verify, and keep the chain's end as a root in $KRONOS_HOME/audit: it cannot be cut off unseen from then on."""
    from kronos.services.audit import audit_folder, seal_log

    chosen = settings.load()
    with open_database(chosen) as database:
        found = seal_log(database, audit_folder(chosen.home))
    _tell(found, as_json)


@app.command()
def trace(
    config_id: Annotated[str, typer.Argument(help="Config id.")],
    as_json: AsJson = False,
) -> None:
    """How a config came to be live: activation, approval, verdict, results, backtests, experiment and proposal."""
    from kronos.cli.render_promotion import print_trace
    from kronos.services.trace import trace_config

    with open_database(settings.load()) as database:
        found = trace_config(database, config_id)
    if as_json:
        typer.echo(json.dumps(found.to_json_dict(), indent=1))
    else:
        print_trace(found, report_console())


def _tell(found: Audit, as_json: bool) -> None:
    verified = found.verified
    if as_json:
        broken = verified.broken and asdict(verified.broken)
        summary = {"entries": verified.entries, "root": verified.root.hash, "roots": found.roots, "broken": broken}
        typer.echo(json.dumps(summary | {"proven": found.proven, "sealed": found.sealed}, indent=1))
    else:
        print_audit(found, report_console())
    if not found.proven:
        raise typer.Exit(1)
