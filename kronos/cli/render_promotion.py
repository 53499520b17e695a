"""Approvals, promotions, latches, principals and traces for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kronos.store.principals import Principal
from kronos.store.promotions import ActiveConfig, Approval, Promotion, Review

if TYPE_CHECKING:
    from kronos.services.latch import Latch
    from kronos.services.promotion import ToDecide
    from kronos.services.trace import Trace

_ABSENT = "(absent)"


def print_to_decide(shown: ToDecide, console: Console) -> None:
    """What would go live, what it changes, what speaks for it, and the digest to approve it by."""
    experiment, review = shown.experiment, shown.review
    console.print(
        f"[bold]{escape(experiment.engine_name)}[/] experiment {experiment.experiment_id}: {experiment.status}"
    )
    console.print(escape(experiment.description))
    if review is None:
        console.print("no verdict yet: there is nothing to approve")
        return
    _pairs(_facts(shown, review), console)
    console.print(_changes(review.content["changes"]))
    for approval in shown.approvals:
        print_approval(approval, console)
    for promotion in shown.promotions:
        print_promotion(promotion, console)
    console.print(f"digest {review.digest}", soft_wrap=True)
    console.print(
        f"to approve exactly this: kronos approve {experiment.experiment_id} --digest {review.digest} --reason ...",
        soft_wrap=True,
        markup=False,
    )


def print_approval(made: Approval, console: Console) -> None:
    """One line: who approved what, and whether the approval was used."""
    used = f"used by promotion {made.promotion_id}" if made.promotion_id else "not used yet"
    console.print(
        f"approved by {made.approver} ({made.kind}) at {_minute(made.approved_at)} on {made.evidence} evidence, "
        f"digest {made.digest[:12]}, {used}: {made.reason}",
        markup=False,
    )


def print_promotion(made: Promotion, console: Console) -> None:
    """One line: what becomes or became active in place of what."""
    when = f"for {_minute(made.activates_at)}" if made.status == "SCHEDULED" else f"as of {_minute(made.activates_at)}"
    why = f" ({made.settled_why})" if made.settled_why else ""
    console.print(
        f"{made.kind} of {made.engine_name} in {made.scope}: {made.config_id} instead of "
        f"{made.expected_incumbent or 'none'}, {made.status} {when}, by {made.requested_by}: {made.reason}{why}",
        markup=False,
    )


def print_active(found: Sequence[ActiveConfig], console: Console) -> None:
    """One line per engine and scope."""
    if not found:
        console.print("nothing was active")
        return
    table = _table(
        "engine", "scope", "config", "since", "until", "through", "by", "approved by", "evidence", "verdict", "why"
    )
    for one in found:
        table.add_row(
            *(escape(text) for text in (one.engine_name, one.scope, one.config_id)),
            _minute(one.activated_at),
            "" if one.deactivated_at is None else _minute(one.deactivated_at),
            one.through,
            escape(one.activated_by),
            escape(one.approver or ""),
            one.evidence or "",
            one.verdict or "",
            escape(one.reason),
        )
    console.print(table)


def print_latches(found: Sequence[Latch], console: Console, *, history: bool) -> None:
    """One line per latch, and if wished its history."""
    if not found:
        console.print("no engine has an active config yet")
    for one in found:
        if one.is_open:
            console.print(f"{escape(one.engine_name)}: [green]OPEN[/]")
        for cause in one.causes:
            since = "" if cause.since.year == 1970 else f" since {_minute(cause.since)}"
            number = "" if cause.event_id is None else f" (event {cause.event_id})"
            told = escape(json.dumps(cause.detail, sort_keys=True))
            console.print(
                f"{escape(one.engine_name)}: [red]CLOSED[/] {cause.cause}{since}{number} {told}", soft_wrap=True
            )
        for event in one.history if history else ():
            why = f": {event.reason}" if event.reason else ""
            line = f"  {_minute(event.occurred_at)} {event.event_id} {event.state} {event.cause} by {event.author}{why}"
            console.print(line, markup=False)


def print_principals(found: Sequence[Principal], console: Console) -> None:
    """One line per principal."""
    if not found:
        console.print("no principals yet: `kronos up` or `kronos db migrate` makes the first admin")
        return
    table = _table("name", "kind", "role", "added", "by", "token from", "revoked")
    for one in found:
        table.add_row(
            escape(one.name),
            one.kind,
            one.role,
            _minute(one.created_at),
            escape(one.created_by),
            _minute(one.rotated_at or one.created_at),
            "" if one.revoked_at is None else f"{_minute(one.revoked_at)} by {escape(one.revoked_by or '')}",
        )
    console.print(table)


def print_trace(found: Trace, console: Console) -> None:
    """Every link from the live config back to the idea, one line per row."""
    config = found.config
    console.print(
        f"{config['config_id']} of {config['engine_name']}: {config['status']}, family {config['family']}, "
        f"hash {config['canonical_hash'][:12]}, registered {_minute(config['created_at'])} by {config['created_by']}",
        markup=False,
    )
    for link, rows in found.links.items():
        console.print(f"{link} ({len(rows)})", style="bold")
        for row in rows:
            console.print("  " + _line(row), markup=False, soft_wrap=True)
    versions = ", ".join(found.lake_versions()) or "none"
    console.print(f"lake versions the verdicts rest on: {versions}", markup=False, soft_wrap=True)


def _facts(shown: ToDecide, review: Review) -> Iterable[tuple[str, str]]:
    content = review.content
    fresh = "EXPIRED" if review.expires_at <= datetime.now(UTC) else f"until {_minute(review.expires_at)}"
    refused = f", refused by {', '.join(review.refused_by)}" if review.refused_by else ""
    yield "verdict", f"{review.verdict}{refused}; {review.recommendation}, fresh {fresh}"
    yield "evidence", f"{review.evidence}, data until {review.data_until}, digest {content['evidence_digest'][:12]}"
    yield "brought about by", shown.experiment.created_by
    yield "goes live", f"{content['proposed_config_id']} in scope {content['scope']}"
    yield "instead of", content["incumbent"] or "none: nothing is active"
    yield (
        "gate policy",
        f"version {review.policy_version} of {review.policy_engine}, {str(content['policy_digest'])[:12]}",
    )
    yield (
        "latch",
        "open" if not shown.latch else "CLOSED: " + ", ".join(dict.fromkeys(cause.cause for cause in shown.latch)),
    )


def _changes(changes: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("parameter", "incumbent", "proposed")
    for one in changes:
        sides = (json.dumps(one[side]) if side in one else _ABSENT for side in ("base", "proposed"))
        table.add_row(escape(".".join(one["path"])), *(escape(text) for text in sides))
    return table


def _line(row: Mapping[str, Any]) -> str:
    """A row's filled columns; what is long is cut, `--json` tells all of it."""
    told = ((name, _value(value)) for name, value in row.items() if value not in (None, [], {}))
    return ", ".join(f"{name} {value if len(value) <= 120 else value[:117] + '...'}" for name, value in told)


def _value(value: Any) -> str:
    if isinstance(value, datetime):
        return _minute(value)
    return json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)


def _pairs(facts: Iterable[tuple[str, str]], console: Console) -> None:
    grid = Table.grid(padding=(0, 2))
    for name, value in facts:
        grid.add_row(name, escape(value))
    console.print(grid)


def _table(*headers: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for header in headers:
        table.add_column(header)
    return table


def _minute(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M}"
