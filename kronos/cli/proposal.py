"""`kronos proposal`: configs someone, the chat or Kronos proposes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from kronos.cli.mine import mine
from kronos.cli.options import (
    AsJson,
    Author,
    Config,
    End,
    Engine,
    Hoped,
    Priority,
    Reason,
    Start,
    at_work,
    author_of,
    day,
    read_config,
)
from kronos.cli.render import report_console
from kronos.cli.render_changes import print_outcome, print_proposal, print_proposals
from kronos.core.changes.modifications import modifications
from kronos.core.vocabulary import ResourceClass

if TYPE_CHECKING:
    from kronos.services.workplace import Workplace

app = typer.Typer(help="Proposed configs: make, look at, turn into an experiment, discard.", no_args_is_help=True)
app.command()(mine)

Id = Annotated[str, typer.Argument(help="Proposal id, or how it begins.")]


@app.command("list")
def list_all(
    engine: Engine = None,
    status: Annotated[str | None, typer.Option(help="Only with this status.")] = None,
    as_json: AsJson = False,
) -> None:
    """All proposals, or those of an engine or status."""
    from kronos.services.proposals import list_proposals

    with at_work() as workplace:
        found = list_proposals(workplace.database, engine, status)
    if as_json:
        typer.echo(json.dumps([one.to_json_dict() for one in found], indent=1))
    else:
        print_proposals(found, report_console())


@app.command()
def show(proposal_id: Id, as_json: AsJson = False) -> None:
    """One proposal: what it changes, why, and its history."""
    from kronos.services.audit import change_entries
    from kronos.services.experiments import config_body_of
    from kronos.services.proposals import find_proposal

    with at_work() as workplace:
        found = find_proposal(workplace.database, proposal_id)
        base = config_body_of(workplace.database, found.engine_name, found.base_config_id)
        log = change_entries(workplace.database, 1000, str(found.proposal_id))
    if as_json:
        typer.echo(json.dumps(found.to_json_dict(), indent=1))
    else:
        print_proposal(found, modifications(base, found.proposed_config_body), log, report_console())


@app.command()
def create(
    engine: Annotated[str, typer.Argument(help="Engine name.")],
    base: Annotated[str, typer.Argument(help="Config id it is derived from.")],
    config: Config,
    rationale: Annotated[str, typer.Option(help="Why this should be better.")],
    author: Author = None,
    as_json: AsJson = False,
) -> None:
    """Propose a config; it waits for review and counts as a trial from now on."""
    from kronos.services.proposals import create_proposal

    body = read_config(config)
    with at_work() as workplace:
        made = create_proposal(workplace, engine, base, body, rationale, author_of(workplace, author))
    if as_json:
        typer.echo(json.dumps(made.to_json_dict(), indent=1))
    else:
        print_proposals([made], report_console())


@app.command()
def convert(
    proposal_id: Id,
    description: Annotated[str | None, typer.Option(help="Of the experiment; default: the rationale.")] = None,
    start: Start = None,
    end: End = None,
    priority: Priority = None,
    resource_class: Annotated[str, typer.Option(help=", ".join(ResourceClass))] = ResourceClass.CPU_HEAVY,
    hoped_ratio: Hoped = None,
    author: Author = None,
    as_json: AsJson = False,
) -> None:
    """Register the proposed config, create its experiment and put that in the queue."""
    from kronos.services.proposals import Conversion, convert_proposal

    how = Conversion(description, day(start), day(end), priority, resource_class, hoped_ratio)
    with at_work() as workplace:
        made = convert_proposal(workplace, _found(workplace, proposal_id), author_of(workplace, author), how)
    if as_json:
        typer.echo(json.dumps(made.to_json_dict(), indent=1))
    else:
        print_outcome(made, report_console())


@app.command()
def discard(proposal_id: Id, reason: Reason, author: Author = None, as_json: AsJson = False) -> None:
    """Put a proposal aside for good."""
    from kronos.services.proposals import discard_proposal

    with at_work() as workplace:
        made = discard_proposal(workplace, _found(workplace, proposal_id), author_of(workplace, author), reason)
    if as_json:
        typer.echo(json.dumps(made.to_json_dict(), indent=1))
    else:
        print_proposals([made], report_console())


def _found(workplace: Workplace, proposal_id: str) -> UUID:
    from kronos.services.proposals import find_proposal

    return find_proposal(workplace.database, proposal_id).proposal_id
