"""`kronos principal`: who may act, and with which token."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from pydantic import TypeAdapter

from kronos.cli.options import AsJson, Reason, at_work
from kronos.cli.render import report_console
from kronos.cli.render_promotion import print_principals
from kronos.store.principals import PrincipalKind, PrincipalRole

app = typer.Typer(help="People and services that act with a token (KRONOS_TOKEN).", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The principal's name.")]


@app.command()
def add(
    name: Name,
    role: Annotated[str, typer.Option(help=", ".join(PrincipalRole))],
    kind: Annotated[str, typer.Option(help=", ".join(PrincipalKind))] = PrincipalKind.PERSON,
) -> None:
    """Add a person or service and print the token: it is shown this once."""
    from kronos.services.principals import add_principal

    with at_work() as workplace:
        typer.echo(add_principal(workplace, name, kind, role))


@app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """Every principal there is or was."""
    from kronos.services.principals import list_principals

    with at_work() as workplace:
        found = list_principals(workplace.database)
    if as_json:
        typer.echo(json.dumps([TypeAdapter(type(one)).dump_python(one, mode="json") for one in found], indent=1))
    else:
        print_principals(found, report_console())


@app.command()
def rotate(name: Name) -> None:
    """Print a new token for a principal; the old one opens nothing from now on."""
    from kronos.services.principals import rotate_token

    with at_work() as workplace:
        typer.echo(rotate_token(workplace, name))


@app.command()
def revoke(name: Name, reason: Reason) -> None:
    """End a principal's rights for good."""
    from kronos.services.principals import revoke_principal

    with at_work() as workplace:
        revoke_principal(workplace, name, reason)
    typer.echo(f"principal {name}: REVOKED")
