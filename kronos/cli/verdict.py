"""`kronos experiment verdict` and `kronos experiment judge`: what the gates say of an experiment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kronos import settings
from kronos.cli.options import at_work
from kronos.cli.render import LEAST_WIDTH, report_console
from kronos.core.gates.page import DETAIL, Section, html, markdown, sections, title
from kronos.core.gates.record import VerdictRecord

_STYLES = {"PASS": "green", "FAIL": "bold red", "INVALID": "bold red", "INCONCLUSIVE": "yellow"}

Id = Annotated[str, typer.Argument(help="Experiment id, or how it begins.")]


class Format(StrEnum):
    """How a verdict is printed."""

    TABLES = "tables"
    MARKDOWN = "markdown"
    HTML = "html"
    JSON = "json"


As = Annotated[Format, typer.Option("--as", help="Tables for a terminal, or the page for elsewhere.")]


def verdict(experiment_id: Id, as_format: As = Format.TABLES) -> None:
    """The verdict in force: what was tested, on what data, what decided, and what would change it."""
    from kronos.services.verdicts import verdict_of

    with at_work() as workplace:
        found = verdict_of(workplace.database, experiment_id)
    print_verdict(found, as_format, report_console())


def judge(experiment_id: Id, as_format: As = Format.TABLES) -> None:
    """Judge an experiment that awaits review under the policy in force; each code judges the same evidence once."""
    from kronos.services.observatory import current_instant, open_pipeline
    from kronos.services.verdicts import judge_experiment

    config = settings.load()
    with at_work() as workplace, open_pipeline(config, workplace.database) as pipeline:
        today = current_instant(config, workplace.database).date()
        found = judge_experiment(workplace, pipeline, experiment_id, today)
    print_verdict(found, as_format, report_console())


def print_verdict(found: VerdictRecord, as_format: Format, console: Console) -> None:
    """The page in the format asked."""
    match as_format:
        case Format.JSON:
            typer.echo(json.dumps(found.to_json_dict(), indent=1))
        case Format.MARKDOWN:
            typer.echo(markdown(found))
        case Format.HTML:
            typer.echo(html(found))
        case Format.TABLES:
            console.print(escape(title(found)), style=_STYLES[found.verdict.value])
            for section in sections(found):
                _print_section(section, console)


def _print_section(section: Section, console: Console) -> None:
    console.print(f"\n{escape(section.heading)}", style="bold")
    for paragraph in section.paragraphs:
        console.print(escape(paragraph))
    if section.table:
        _print_table(section.table, console)


def _print_table(table: Sequence[Sequence[str]], console: Console) -> None:
    """Nothing is cut off; where the console is narrow, details are lines below the table."""
    header, *rows = table
    below = header[-1] == DETAIL and console.width < LEAST_WIDTH
    shown = Table(box=None, header_style="dim")
    for name in header[:-1] if below else header:
        shown.add_column(name, overflow="fold")
    for row in rows:
        shown.add_row(*(_cell(cell) for cell in (row[:-1] if below else row)))
    console.print(shown)
    for row in rows if below else ():
        console.print(escape(f" {row[0]}, {row[1]}: {row[-1]}"), style="dim")


def _cell(text: str) -> str:
    return f"[{_STYLES[text]}]{text}[/]" if text in _STYLES else escape(text)
