"""`kronos controls`: configs whose right verdict is known beforehand, and what the gates said of them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from kronos import settings
from kronos.cli.calibrate import calibrate
from kronos.cli.options import AsJson, Engine, at_work
from kronos.cli.render import report_console
from kronos.cli.render_controls import print_gate_report, print_started, print_suites, print_under_way

if TYPE_CHECKING:
    from datetime import datetime

    from kronos.services.workplace import Workplace

app = typer.Typer(
    help="The control suite: run it, look at it, and see how often gates are wrong.", no_args_is_help=True
)

app.command()(calibrate)

_POLL_S: Final = 15.0
_NEWEST: Final = 20
"""Suites that `show` lists where no week is named."""

Week = Annotated[str | None, typer.Option(help="Only of this ISO week, such as 2017-W52.")]


@app.command()
def run(
    engine: Engine = None,
    seed: Annotated[
        int | None, typer.Option(min=1, help="Start this suite of the week; default: the one that is due, if any.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until the suites are recorded; `kronos up` runs them.")] = False,
    as_json: AsJson = False,
) -> None:
    """Queue the controls of an engine, or of all, at the lowest priority; started twice, they are run once."""
    from kronos.lake.tables import Lake
    from kronos.services.controls import start_suites

    config = settings.load()
    with at_work() as workplace:
        now = _now(workplace)
        done = start_suites(workplace, Lake(config.lake), now, engine, seed)
    if as_json:
        typer.echo(json.dumps(done.to_json_dict(), indent=1))
    else:
        print_started(done, report_console())
    if wait:
        _wait(engine)


@app.command()
def show(engine: Engine = None, week: Week = None, as_json: AsJson = False) -> None:
    """Suites as recorded, newest last, with every control that is not as expected; and those under way."""
    from kronos.services.controls import recorded_suites, suites_under_way
    from kronos.services.gate_standing import standings

    with at_work() as workplace:
        found = recorded_suites(workplace.database, engine, week)
        running = suites_under_way(workplace.database, _now(workplace))
        proven = standings(workplace.database)
    if as_json:
        typer.echo(json.dumps([one.to_json_dict() for one in found], indent=1))
        return
    console = report_console()
    print_suites(found if week else found[-_NEWEST:], proven, console, every=week is not None)
    print_under_way([one for one in running if engine in (None, one.key.engine_name)], console)


@app.command()
def report(engine: Engine = None, as_json: AsJson = False) -> None:
    """How often the gates are wrong, with exact intervals; which gate refuses, and how often it is the only one."""
    from kronos.services.gate_standing import gates_on_controls, powers_of_positives

    with at_work() as workplace:
        found = gates_on_controls(workplace.database, engine)
        powers = powers_of_positives(workplace.database, engine)
    if as_json:
        power = {name: one.to_json_dict() for name, one in powers.items()}
        typer.echo(json.dumps({"gates": [one.to_json_dict() for one in found], "power": power}, indent=1))
    else:
        print_gate_report(found, powers, report_console())


def _now(workplace: Workplace) -> datetime:
    from kronos.services.observatory import current_instant

    return current_instant(settings.load(), workplace.database)


def _wait(engine: str | None) -> None:
    """Until nothing is under way; what is judged is recorded on the way."""
    from kronos.services.controls import collect_suites, suites_under_way

    console = report_console()
    told = ""
    while True:
        with at_work() as workplace:
            now = _now(workplace)
            for suite in collect_suites(workplace, now):
                print_suites([suite], {}, console, every=True)
            mine = [one for one in suites_under_way(workplace.database, now) if engine in (None, one.key.engine_name)]
        running = [one for one in mine if one.state == "RUNNING"]
        if not running:
            print_under_way(mine, console)
            return
        judged, planned = sum(one.judged for one in running), sum(one.planned for one in running)
        if (said := f"{judged} of {planned} controls judged") != told:
            told = said
            console.print(said, style="dim")
        time.sleep(_POLL_S)
