"""`kronos proposal mine`: what Kronos proposes by itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kronos import settings
from kronos.cli.options import AsJson, at_work
from kronos.cli.render import report_console
from kronos.cli.render_changes import SHORT_ID

if TYPE_CHECKING:
    from kronos.core.changes.self_proposals import Declined
    from kronos.services.self_proposals import Proposed, SelfProposed


def mine(
    engine: Annotated[str | None, typer.Argument(help="Engine name; without it, every engine.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be proposed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look for configs to propose on the newest evidence, as Kronos does by itself; signed by Kronos."""
    from kronos.lake.tables import Lake
    from kronos.services.observatory import current_instant
    from kronos.services.self_proposals import propose_by_kronos

    config = settings.load()
    with at_work() as workplace:
        now = current_instant(config, workplace.database)
        done = propose_by_kronos(workplace, Lake(config.lake), now, engine, dry_run=dry_run)
    if as_json:
        typer.echo(json.dumps(done.to_json_dict(), indent=1))
    else:
        _print(done, report_console(), dry_run=dry_run)


def _print(done: SelfProposed, console: Console, *, dry_run: bool) -> None:
    done_or_not = "would propose" if dry_run else "proposed"
    console.print(f"as of {done.as_of}, Kronos {done_or_not} {len(done.proposed)} config(s)", style="bold")
    for one in done.proposed:
        _print_proposed(one, console)
    if done.declined:
        console.print(_reasons(done.declined))


def _print_proposed(one: Proposed, console: Console) -> None:
    wanted = one.wanted
    made = f", proposal {str(one.proposal.proposal_id)[:SHORT_ID]}" if one.proposal else ""
    tested = f", experiment {str(one.experiment.experiment_id)[:SHORT_ID]} queued" if one.experiment else ""
    head = f"{wanted.engine_name}: {wanted.config.config_id} in place of {wanted.base_config_id} ({wanted.ground})"
    console.print(f"{escape(head)}{made}{tested}", style="green")
    console.print(escape(one.rationale))


def _reasons(declined: tuple[Declined, ...]) -> Table:
    table = Table("engine", "config", "not proposed", box=None, header_style="dim")
    table.add_column("why", overflow="fold")
    for one in declined:
        table.add_row(escape(one.engine_name), escape(one.config_id or "-"), one.reason, escape(one.detail))
    return table
