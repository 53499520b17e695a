"""`kronos gates`: the policy that verdicts rest on, and its history."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from kronos.cli.options import AsJson, Config, Engine, Reason, at_work, read_config
from kronos.cli.render import report_console

app = typer.Typer(help="The gate policy: every threshold a verdict rests on.", no_args_is_help=True)

EVERY_ENGINE = "*"


@app.command()
def show(engine: Engine = None) -> None:
    """The policy in force, as JSON: what `set` takes."""
    from kronos.services.gate_policies import gate_policy

    with at_work() as workplace:
        found = gate_policy(workplace.database, engine or EVERY_ENGINE)
    typer.echo(json.dumps(found.policy.model_dump(mode="json"), indent=1))


@app.command()
def history(engine: Engine = None, as_json: AsJson = False) -> None:
    """Every version, newest first."""
    from kronos.services.gate_policies import policy_versions

    with at_work() as workplace:
        found = policy_versions(workplace.database, engine)
    if as_json:
        typer.echo(json.dumps([{**vars(one), "created_at": one.created_at.isoformat()} for one in found], indent=1))
        return
    table = Table("engine", "version", "digest", "since", "by", "reason", box=None, header_style="dim")
    for one in found:
        since = f"{one.created_at:%Y-%m-%d %H:%M}"
        table.add_row(
            escape(one.engine_name),
            str(one.version),
            one.digest[:12],
            since,
            escape(one.created_by),
            escape(one.reason),
        )
    report_console().print(table)


@app.command("set")
def change(
    config: Config,
    reason: Reason,
    expected: Annotated[int, typer.Option(min=0, help="The version it replaces; 0: the engine has none of its own.")],
    engine: Engine = None,
) -> None:
    """Put a new version in force. Nothing is promoted under it until a suite of controls has proven it."""
    from kronos.services.gate_policies import change_gate_policy

    body = read_config(config)
    with at_work() as workplace:
        version = change_gate_policy(workplace, engine or EVERY_ENGINE, body, reason, expected)
    typer.echo(f"version {version} of {engine or EVERY_ENGINE} is in force")
