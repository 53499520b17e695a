"""`kronos experiment shadow`: did the config do in the shadow what its backtest did?"""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kronos import settings
from kronos.cli.options import AsJson, at_work
from kronos.cli.render import report_console
from kronos.core.reports.fidelity_model import Condition, Fidelity, Measure, Safety, ShadowEvidence, Stream

_GOOD = {Fidelity.MATCHES, Safety.CLEAN}
_BAD = {Fidelity.DIFFERS, Safety.VIOLATES, Safety.INCOMPLETE, Safety.LATE}
_NOTE = (
    "this is about fidelity and safety: a shadow is far too short to show which config is better; decisions match that "
    "are of one market, date and entity; latencies are minutes after the session's close"
)


def shadow(
    experiment_id: Annotated[str, typer.Argument(help="Experiment id, or how it begins.")], as_json: AsJson = False
) -> None:
    """Hold the config's SHADOW decisions against the replay of its backtest: agreement, violations, latency, gaps."""
    from kronos.lake.tables import Lake
    from kronos.services.observatory import current_instant
    from kronos.services.shadow import shadow_evidence

    config = settings.load()
    with at_work() as workplace:
        now = current_instant(config, workplace.database)
        found = shadow_evidence(workplace, Lake(config.lake), experiment_id, now)
    if as_json:
        typer.echo(json.dumps(found.to_json_dict(), indent=1))
    else:
        print_shadow(found, report_console())


def print_shadow(found: ShadowEvidence, console: Console) -> None:
    """The two answers, what they rest on, then every number."""
    console.print(f"{escape(found.engine_name)} {escape(found.config_id)} as of {found.as_of}", style="bold")
    console.print(f"fidelity {_word(found.fidelity)}, safety {_word(found.safety)}")
    window = f"{found.window[0]}..{found.window[1]}" if found.window else "none"
    console.print(f"shadow {_stream(found.shadow)}; replay {_stream(found.replay)}; common window {window}")
    console.print(_conditions((*found.fidelity_conditions, *found.safety_conditions)))
    console.print(_measures(found))
    console.print(_NOTE, style="dim")


def _word(word: Fidelity | Safety) -> str:
    style = "green" if word in _GOOD else "bold red" if word in _BAD else "yellow"
    return f"[{style}]{word}[/]"


def _stream(one: Stream) -> str:
    if not one.decisions:
        return "none"
    return f"{one.decisions} decisions on {one.sessions} market sessions, {one.first}..{one.last}"


def _conditions(conditions: tuple[Condition, ...]) -> Table:
    table = Table("condition", "needed", "is", "n", "met", box=None, header_style="dim")
    for one in conditions:
        needed = f"{'at least' if one.at_least else 'at most'} {one.threshold:.4g}"
        met = "[dim]unknown[/]" if one.met is None else "[green]yes[/]" if one.met else "[bold red]no[/]"
        table.add_row(one.measure, needed, _value(Measure(one.value, one.n, one.reason)), str(one.n), met)
    return table


def _measures(found: ShadowEvidence) -> Table:
    held = {one.measure for one in (*found.fidelity_conditions, *found.safety_conditions)}
    table = Table("measure", "value", "n", box=None, header_style="dim")
    for name, one in found.measures.items():
        if name not in held:
            table.add_row(name, _value(one), str(one.n))
    return table


def _value(one: Measure) -> str:
    return str(one.reason).replace("_", " ").lower() if one.value is None else f"{one.value:.4g}"
