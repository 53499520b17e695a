"""`kronos scheduler`: the backtest scheduler, tried out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from kronos.core.scheduling.policy import NO_LIMITS, SchedulerPolicy, seconds
from kronos.core.scheduling.promises import Promise, Tally, promises, tally
from kronos.core.scheduling.timeline import timeline_svg
from kronos.services.simulation import simulated

app = typer.Typer(help="The scheduler that runs backtests where they are in nobody's way.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def simulate(
    schedules: Annotated[int, typer.Option(min=1, help="Random schedules to simulate, about 30 ms each.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same schedules.")] = 0,
    plot: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Draw the first schedule into this SVG file.")
    ] = None,
) -> None:
    """Simulate random schedules on real calendars and print what the scheduler promises beside what was seen.

    Arrivals, heavy-tailed runtimes and overruns, clock changes and half days, lost nodes and telemetry, tier 1 that
    starts early or ends late; room is all that limits how many run at once. Exit code 1 when a promise is broken.
    """
    policy, seen = SchedulerPolicy(limits=NO_LIMITS, most_running=None), Tally()
    for number, outcome in enumerate(simulated(schedules, seed, policy)):
        if number == 0 and plot is not None:
            plot.write_text(timeline_svg(outcome), encoding="utf-8")
        seen += tally(outcome)
    found = promises(seen, seconds(policy.grace))
    _print(seen, found, Console(highlight=False))
    if not all(promise.holds for promise in found):
        raise typer.Exit(1)


def _print(seen: Tally, found: list[Promise], console: Console) -> None:
    console.print(
        f"{seen.schedules} schedules, {seen.plans:,} plans; {seen.finished:,} of {seen.experiments:,} experiments "
        f"finished, the others fit no node or no gap; {seen.wasted / max(seen.used, 1):.1%} of the work was lost "
        f"with attempts that had to leave; {seen.idle_schedules} schedules below the utilisation by themselves"
    )
    table = Table("promise", "seen", "limit", "", box=None, header_style="dim")
    for promise in found:
        verdict = "[green]holds[/green]" if promise.holds else "[bold red]BROKEN[/bold red]"
        table.add_row(promise.name, promise.seen, promise.limit, verdict)
    console.print(table)
