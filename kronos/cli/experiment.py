"""`kronos experiment`: configs under test."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

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
from kronos.cli.render_backtests import print_attempts, print_queue, print_scenarios
from kronos.cli.render_changes import print_experiment, print_experiments, print_log, print_outcome
from kronos.cli.shadow import shadow
from kronos.cli.verdict import judge, verdict
from kronos.core.changes.model import Experiment
from kronos.core.changes.modifications import modifications
from kronos.core.changes.request import ExperimentRequest
from kronos.core.vocabulary import ExpectedOutcome, ResourceClass

if TYPE_CHECKING:
    from kronos.services.workplace import Workplace

app = typer.Typer(help="Configs under test: create, queue, cancel, look at.", no_args_is_help=True)

app.command()(shadow)
app.command()(verdict)
app.command()(judge)

Id = Annotated[str, typer.Argument(help="Experiment id, or how it begins.")]


@app.command("list")
def list_all(
    engine: Engine = None,
    status: Annotated[str | None, typer.Option(help="Only with this status.")] = None,
    as_json: AsJson = False,
) -> None:
    """All experiments, or those of an engine or status."""
    from kronos.services.experiments import list_experiments

    with at_work() as workplace:
        found = list_experiments(workplace.database, engine, status)
    if as_json:
        typer.echo(json.dumps([one.to_json_dict() for one in found], indent=1))
    else:
        print_experiments(found, report_console())


@app.command()
def show(experiment_id: Id, as_json: AsJson = False) -> None:
    """One experiment: what it changes, its power, its results and its history."""
    from kronos.services.audit import change_entries
    from kronos.services.experiments import attempts_at, config_body_of, experiment_results

    with at_work() as workplace:
        found = experiment_results(workplace.database, experiment_id)
        experiment = found.experiment
        base, proposed = (
            config_body_of(workplace.database, experiment.engine_name, config_id)
            for config_id in (experiment.base_config_id, experiment.proposed_config_id)
        )
        log = change_entries(workplace.database, 1000, str(experiment.experiment_id))
        attempts = attempts_at(workplace.database, experiment.experiment_id)
    if as_json:
        typer.echo(json.dumps(found.to_json_dict(), indent=1))
        return
    console = report_console()
    print_experiment(found, modifications(base, proposed), console)
    print_scenarios(found.whole, console)
    print_attempts(attempts, console)
    print_log(log, console)


@app.command()
def queue(as_json: AsJson = False) -> None:
    """What runs, what waits, for what and until when, as of now."""
    from kronos.services.backtest_queue import queue_status

    with at_work() as workplace:
        found = queue_status(workplace.database, workplace.policy.scheduler)
    if as_json:
        typer.echo(json.dumps(found.to_json_dict(), indent=1))
    else:
        print_queue(found, report_console())


@app.command()
def create(
    engine: Annotated[str, typer.Argument(help="Engine name.")],
    base: Annotated[str, typer.Argument(help="Config id it is derived from.")],
    config: Config,
    description: Annotated[str, typer.Option(help="What is tried, and why.")],
    start: Start = None,
    end: End = None,
    priority: Priority = None,
    resource_class: Annotated[str, typer.Option(help=", ".join(ResourceClass))] = ResourceClass.CPU_HEAVY,
    expected: Annotated[str, typer.Option(help="CANDIDATE, BASELINE")] = ExpectedOutcome.CANDIDATE,
    hoped_ratio: Hoped = None,
    queue: Annotated[bool, typer.Option("--enqueue", help="Put it in the queue at once.")] = False,
    author: Author = None,
    as_json: AsJson = False,
) -> None:
    """Register a config and create its experiment; says how many years of data the hoped-for improvement needs."""
    from kronos.services.experiments import create_experiment

    request = ExperimentRequest(
        engine_name=engine,
        base_config_id=base,
        proposed_config=read_config(config),
        description=description,
        start_date=day(start),
        end_date=day(end),
        priority=priority,
        resource_class=resource_class,
        expected_outcome=expected,
        hoped_ratio=hoped_ratio,
    )
    with at_work() as workplace:
        made = create_experiment(workplace, request, author_of(workplace, author), queued=queue)
    _tell(made, as_json)


@app.command("enqueue")
def put_in_queue(experiment_id: Id, priority: Priority = None, author: Author = None, as_json: AsJson = False) -> None:
    """Put a pending experiment in the queue for its backtests."""
    from kronos.services.experiments import enqueue

    with at_work() as workplace:
        made = enqueue(workplace, _found(workplace, experiment_id), author_of(workplace, author), priority=priority)
    _tell(made, as_json)


@app.command()
def cancel(experiment_id: Id, reason: Reason, author: Author = None, as_json: AsJson = False) -> None:
    """Reject an experiment that is still open, whatever it is doing."""
    from kronos.services import experiments

    with at_work() as workplace:
        made = experiments.cancel(workplace, _found(workplace, experiment_id), author_of(workplace, author), reason)
    _tell(made, as_json)


@app.command()
def requeue(
    experiment_id: Id,
    reason: Reason,
    priority: Priority = None,
    end: End = None,
    author: Author = None,
    as_json: AsJson = False,
) -> None:
    """Continue testing what awaits review, or is approved and not promoted, if wished up to a later end date."""
    from kronos.services import experiments

    with at_work() as workplace:
        made = experiments.requeue(
            workplace,
            _found(workplace, experiment_id),
            author_of(workplace, author),
            reason,
            priority=priority,
            end_date=day(end),
        )
    _tell(made, as_json)


def _found(workplace: Workplace, experiment_id: str) -> UUID:
    from kronos.services.experiments import find_experiment

    return find_experiment(workplace.database, experiment_id).experiment_id


def _tell(made: Experiment, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(made.to_json_dict(), indent=1))
    else:
        print_outcome(made, report_console())
