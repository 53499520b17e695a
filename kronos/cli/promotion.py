"""`kronos approve`, `reject`, `promote` and `rollback`: the way to a live config."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from pydantic import TypeAdapter

from kronos.cli.options import AsJson, Instant, Reason, at_work, instant
from kronos.cli.render import report_console
from kronos.cli.render_promotion import print_approval, print_promotion, print_to_decide

Id = Annotated[str, typer.Argument(help="Experiment id, or how it begins.")]


def approve(
    experiment_id: Id,
    digest: Annotated[str | None, typer.Option(help="Of what you saw; without it, it is shown.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; it stays in the change log.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what an experiment would put live and what speaks for it, and with --digest and --reason approve that."""
    from kronos.services.promotion import ToDecide, to_decide
    from kronos.services.promotion import approve as decide

    with at_work() as workplace:
        if digest is None:
            shown = to_decide(workplace.database, experiment_id)
            if as_json:
                typer.echo(json.dumps(TypeAdapter(ToDecide).dump_python(shown, mode="json"), indent=1))
            else:
                print_to_decide(shown, report_console())
            return
        made = decide(workplace, experiment_id, digest, reason or "")
    if as_json:
        _tell(made)
    else:
        print_approval(made, report_console())


def reject(experiment_id: Id, reason: Reason, as_json: AsJson = False) -> None:
    """Reject an experiment that awaits review, or is approved and not promoted, for good."""
    from kronos.cli.render_changes import print_outcome
    from kronos.services.promotion import reject as decide

    with at_work() as workplace:
        made = decide(workplace, experiment_id, reason)
    if as_json:
        typer.echo(json.dumps(made.to_json_dict(), indent=1))
    else:
        print_outcome(made, report_console())


def promote(
    experiment_id: Id,
    reason: Reason,
    at: Instant = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="Take back the scheduled promotion instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make an approved config the incumbent of its engine, now or at a time to come."""
    from kronos.services.promotion import cancel_promotion
    from kronos.services.promotion import promote as change

    with at_work() as workplace:
        if cancel:
            made = cancel_promotion(workplace, experiment_id, reason)
        else:
            made = change(workplace, experiment_id, reason, instant(at))
    if as_json:
        _tell(made)
    else:
        print_promotion(made, report_console())


def rollback(
    engine: Annotated[str, typer.Argument(help="Engine name.")],
    left: Annotated[str, typer.Option("--from", help="Config to leave; refused when another is active by now.")],
    reason: Reason,
    scope: Annotated[str, typer.Option(help="Market it holds in; * is everywhere.")] = "*",
    as_json: AsJson = False,
) -> None:
    """Return an engine to the config that was active before the one it leaves."""
    from kronos.services.promotion import roll_back

    with at_work() as workplace:
        made = roll_back(workplace, engine, left, reason, scope)
    if as_json:
        _tell(made)
    else:
        print_promotion(made, report_console())


def _tell(made: object) -> None:
    typer.echo(json.dumps(TypeAdapter(type(made)).dump_python(made, mode="json"), indent=1))
