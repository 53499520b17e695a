"""Experiments, proposals and the change log as tables for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kronos.core.changes.chain import Entry
from kronos.core.changes.model import ConfigProposal, Experiment, ExperimentResult, PeriodResult
from kronos.core.changes.modifications import ABSENT, Modification
from kronos.core.vocabulary import ExperimentStatus, ProposalStatus

if TYPE_CHECKING:
    from kronos.services.audit import Audit

SHOWN_METRICS = ("sharpe", "avg_return", "volatility", "max_dd", "hit_rate_day", "brier", "brier_multi", "mean_loss")

SHORT_ID = 8
"""Characters of an id in a table; commands take an id that is cut short."""

_LENGTH_OF_ID = 36

LONGEST_PROSE = 100
"""Characters of a description in a list; `show` and --json tell all of it."""

_STYLES = {
    ExperimentStatus.PENDING: "dim",
    ExperimentStatus.RUNNING_BACKTESTS: "cyan",
    ExperimentStatus.AWAITING_REVIEW: "yellow",
    ExperimentStatus.APPROVED: "green",
    ExperimentStatus.REJECTED: "red",
    ProposalStatus.PENDING_REVIEW: "yellow",
    ProposalStatus.CONVERTED_TO_EXPERIMENT: "green",
    ProposalStatus.DISCARDED: "dim",
}


def print_experiments(found: Sequence[Experiment], console: Console) -> None:
    """One line per experiment."""
    if not found:
        console.print("no experiments")
        return
    table = _table("experiment", "engine", "base", "status", "since", "prio", "class", "expected", "by", "evidence")
    _add_prose(table, "description")
    for one in found:
        table.add_row(
            _short(one.experiment_id),
            escape(one.engine_name),
            escape(one.base_config_id),
            one.status,
            _minute(one.status_since),
            str(one.priority),
            one.resource_class,
            one.expected_outcome,
            escape(one.created_by),
            one.evidence,
            escape(shorten(one.description, LONGEST_PROSE, placeholder=" ...")),
            style=_STYLES.get(one.status),
        )
    console.print(table)


def print_experiment(found: ExperimentResult, changed: Sequence[Modification], console: Console) -> None:
    """What one experiment is, and the numbers of its periods."""
    one = found.experiment
    console.print(f"experiment {one.experiment_id}: {escape(one.description)}", style="bold")
    table = Table(box=None, show_header=False)
    for name, value in _facts(one):
        table.add_row(f"[dim]{name}[/dim]", escape(value))
    console.print(table)
    _print_modifications(changed, console)
    _print_results(found.periods, console)


def print_outcome(made: Experiment, console: Console) -> None:
    """Where an experiment stands after a change."""
    print_experiments([made], console)
    console.print(_power(made.metadata.get("power")), style="dim")


def print_proposals(found: Sequence[ConfigProposal], console: Console) -> None:
    """One line per proposal."""
    if not found:
        console.print("no proposals")
        return
    table = _table("proposal", "engine", "base", "status", "proposed", "by")
    _add_prose(table, "rationale")
    for one in found:
        table.add_row(
            _short(one.proposal_id),
            escape(one.engine_name),
            escape(one.base_config_id),
            one.status,
            _minute(one.created_at),
            escape(one.created_by),
            escape(shorten(str(one.metadata.get("rationale", "")), LONGEST_PROSE, placeholder=" ...")),
            style=_STYLES.get(one.status),
        )
    console.print(table)


def print_proposal(
    found: ConfigProposal, changed: Sequence[Modification], log: Sequence[Entry], console: Console
) -> None:
    """Everything about one proposal."""
    console.print(f"proposal {found.proposal_id}", style="bold")
    print_proposals([found], console)
    console.print(escape(str(found.metadata.get("rationale", ""))))
    _print_modifications(changed, console)
    print_log(log, console)


def print_log(entries: Sequence[Entry], console: Console) -> None:
    """One line per transition, oldest first."""
    if not entries:
        console.print("nothing is logged yet")
        return
    table = _table("entry", "UTC", "subject", "id", "from", "to", "author", "evidence", "run")
    _add_prose(table, "why")
    for entry in entries:
        table.add_row(
            str(entry.entry_id),
            f"{entry.logged_at:%Y-%m-%d %H:%M:%S}",
            entry.subject,
            escape(_short(entry.subject_id)),
            entry.from_status or "",
            entry.to_status,
            escape(entry.author),
            entry.evidence or "",
            escape(entry.run_id or ""),
            escape(_told(json.loads(entry.detail), new=entry.from_status is None)),
        )
    console.print(table)


def print_audit(found: Audit, console: Console) -> None:
    """Whether the log is whole, and what it was held against."""
    verified = found.verified
    held = f"{verified.entries} entries, held against {found.roots} roots outside the database"
    if verified.broken:
        broken = verified.broken
        console.print(f"BROKEN at entry {broken.entry_id}: {broken.damage}, {escape(broken.detail)}", style="bold red")
        console.print(f"whole before it: {held}", style="dim")
        return
    if found.proven:
        console.print(f"whole: {held}", style="green")
    else:
        console.print(f"NOT PROVEN: {held}: nothing says that its end is there (kronos audit seal)", style="yellow")
    console.print(
        f"root {verified.root.entry_id}:{verified.root.hash}" + (" (kept now)" if found.sealed else ""), style="dim"
    )


def entry_as_json(entry: Entry) -> dict[str, Any]:
    """A JSON-ready dict of an entry, its own JSON parsed."""
    lake = entry.lake_version and json.loads(entry.lake_version)
    return asdict(entry) | {
        "logged_at": entry.logged_at.isoformat(),
        "lake_version": lake,
        "detail": json.loads(entry.detail),
    }


def _facts(one: Experiment) -> Iterable[tuple[str, str]]:
    yield "status", f"{one.status} since {_minute(one.status_since)}, attempt {one.attempt}"
    yield "configs", f"{one.engine_name}: {one.proposed_config_id} against {one.base_config_id}"
    yield "dates", f"{one.start_date}..{one.end_date}"
    yield "queue", f"priority {one.priority}, {one.resource_class}"
    yield "expected", f"{one.expected_outcome}, evidence {one.evidence}"
    yield "created", f"{_minute(one.created_at)} by {one.created_by}{', generated' if one.auto_generated else ''}"
    if one.proposal_id:
        yield "proposal", str(one.proposal_id)
    if one.run_id:
        yield "run", one.run_id
    if "reason" in one.metadata:
        yield "reason", str(one.metadata["reason"])
    yield "power", _power(one.metadata.get("power"))


def _power(plan: Mapping[str, Any] | None) -> str:
    if plan is None:
        return "unknown"
    return (
        f"an improvement of IR {plan['hoped_ratio']:g} needs {plan['years_needed']:.1f} years of data "
        f"({plan['n_trials']} trials, level {plan['level']:.0%}); {plan['years_planned']:.1f} are planned: "
        f"chance to find it {plan['power']:.0%}, "
        f"found with {plan['wanted_power']:.0%}: IR {plan['detectable_ratio']:.2f}"
    )


def _print_modifications(changed: Sequence[Modification], console: Console) -> None:
    if not changed:
        console.print("changes nothing: the config is the base's own", style="yellow")
        return
    table = Table("parameter", "base", "proposed", box=None, header_style="dim")
    for one in changed:
        table.add_row(escape(one.path), escape(_value(one.base)), escape(_value(one.proposed)))
    console.print(table)


def _print_results(periods: Sequence[PeriodResult], console: Console) -> None:
    if not periods:
        console.print("no results yet", style="dim")
        return
    shown = [name for name in SHOWN_METRICS if any(name in one.metrics for one in periods)]
    table = _table("period", "evidence", "recorded", *shown)
    for one in periods:
        numbers = ("" if one.metrics.get(name) is None else f"{one.metrics[name]:.4g}" for name in shown)
        table.add_row(f"{one.period_start}..{one.period_end}", one.evidence, _minute(one.recorded_at), *numbers)
    console.print(table)


def _table(*headers: str) -> Table:
    table = Table(box=None, header_style="dim")
    for header in headers:
        table.add_column(header, no_wrap=True)
    return table


def _told(detail: Mapping[str, Any], *, new: bool) -> str:
    """The reason where there is one, else what came into being or what the queue was told."""
    if "reason" in detail:
        return str(detail["reason"])
    if new:
        return str(detail.get("description", ""))
    return ", ".join(f"{name} {detail[name]}" for name in ("priority", "attempt") if name in detail)


def _add_prose(table: Table, header: str) -> None:
    table.add_column(header, overflow="fold", min_width=24)


def _short(identifier: object) -> str:
    """An id cut short; the names of engines and people stay whole."""
    text = str(identifier)
    return text[:SHORT_ID] if len(text) == _LENGTH_OF_ID else text


def _value(value: object) -> str:
    return "(absent)" if value is ABSENT else json.dumps(value)


def _minute(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M}"
