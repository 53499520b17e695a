"""The `kronos` command."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

import typer
from rich.console import Console

from kronos import __version__
from kronos.cli import (
    alerts,
    audit,
    compare,
    configs,
    controls,
    database,
    experiment,
    gates,
    latch,
    monitor,
    principal,
    promotion,
    proposal,
    report,
    sandbox,
    scheduler,
    up,
    why,
)
from kronos.errors import KronosError

app = typer.Typer(
    name="kronos",
    help="Kronos watches what trading engines decide and what comes of it. It recommends; it never trades.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("up")(up.up)
app.command("report")(report.report)
app.command("compare")(compare.compare)
app.command("why")(why.why)
app.command("monitor")(monitor.monitor)
app.add_typer(alerts.app, name="alerts")
app.add_typer(experiment.app, name="experiment")
app.add_typer(proposal.app, name="proposal")
app.command("approve")(promotion.approve)
app.command("reject")(promotion.reject)
app.command("promote")(promotion.promote)
app.command("rollback")(promotion.rollback)
app.add_typer(configs.app, name="configs")
app.add_typer(latch.app, name="latch")
app.add_typer(principal.app, name="principal")
app.add_typer(gates.app, name="gates")
app.add_typer(controls.app, name="controls")
app.command("log")(audit.log)
app.add_typer(audit.app, name="audit")
app.add_typer(scheduler.app, name="scheduler")
app.add_typer(sandbox.app, name="sandbox")
app.add_typer(database.app, name="db")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"kronos {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass


def _interrupted(_signum: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run a command; a KronosError is one line on stderr and exit code 1, a stop signal is exit code 130."""
    # a shell's background job is born ignoring SIGINT: both signals stop us, however we were started
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        app()
    except KronosError as error:
        errors.print("error:", style="bold red", end=" ")
        errors.print(str(error), markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("stopped", style="yellow")
        sys.exit(130)
    except BrokenPipeError:
        # the reader of our output (head, less) has gone; Python's exit must not complain about the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
