"""A simulated schedule as a picture: nodes as lanes, runs as bars, protected windows and quiet hours behind them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final
from xml.sax.saxutils import escape

from kronos.core.scheduling.scenario import DAY, Span
from kronos.core.scheduling.simulate import Outcome, Stay

_NAMESPACE: Final = "http://www.w3.org/2000/svg"
_WIDTH, _LANE, _BAR, _LEFT, _TOP = 1200, 14, 11, 60, 34
_COLOURS: Final = {
    "protected": "#7f1d1d",
    "tier 1": "#dc2626",
    "quiet": "#1e293b",
    "run": "#22c55e",
    "node lost": "#78716c",
}


def timeline_svg(outcome: Outcome) -> str:
    """The stretch from the first arrival to the last end as an SVG document of its own."""
    schedule = outcome.schedule
    first = schedule.start
    last = max([stay.end for stay in outcome.stays] + [job.arrives for job in schedule.jobs] + [first + DAY])
    lanes = _lanes(outcome.stays, len(schedule.cpu))
    height = _TOP + _LANE * sum(len(rows) for rows in lanes) + 24
    windows = schedule.windows
    behind = [
        *_bands(
            "quiet", zip(windows.quiet_starts.tolist(), windows.quiet_ends.tolist(), strict=True), first, last, height
        ),
        *_bands("protected", zip(windows.starts.tolist(), windows.ends.tolist(), strict=True), first, last, height),
        *_bands("tier 1", ((begin, end) for _, begin, end in schedule.tier1), first, last, height),
        *_days(first, last, height),
    ]
    parts = [*behind, *_bars(outcome, lanes, first, last), _legend()]
    head = f'<svg xmlns="{_NAMESPACE}" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="9">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#020617"/>', *parts, "</svg>\n"])


def _x(at: int, first: int, last: int) -> float:
    return round(_LEFT + (_WIDTH - _LEFT - 10) * (at - first) / (last - first), 2)


def _bands(kind: str, spans: Iterable[Span], first: int, last: int, height: int) -> list[str]:
    return [
        _rectangle(kind, max(start, first), min(end, last), first, last, _TOP - 10, height - _TOP - 10)
        for start, end in spans
        if start < last and end > first
    ]


def _rectangle(kind: str, start: int, end: int, first: int, last: int, top: int, height: int, title: str = "") -> str:
    left, right = _x(start, first, last), _x(end, first, last)
    return (
        f'<rect x="{left}" y="{top}" width="{max(right - left, 0.6):.2f}" height="{height}" fill="{_COLOURS[kind]}">'
        f"<title>{escape(title or kind)}</title></rect>"
    )


def _lanes(stays: list[Stay], nodes: int) -> list[list[list[Stay]]]:
    """Per node as many rows as it had runs at once, each run in the first row that is free."""
    found: list[list[list[Stay]]] = [[[]] for _ in range(nodes)]
    for stay in sorted(stays, key=lambda one: (one.start, one.name)):
        rows = found[stay.node]
        free = next((row for row in rows if not row or row[-1].end <= stay.start), None)
        if free is None:
            rows.append([stay])
        else:
            free.append(stay)
    return found


def _bars(outcome: Outcome, lanes: list[list[list[Stay]]], first: int, last: int) -> list[str]:
    parts, top = [], _TOP
    for node, rows in enumerate(lanes):
        parts.append(
            f'<text x="4" y="{top + _BAR}" fill="#e2e8f0">n{node} {outcome.schedule.cpu[node] // 1000} cpu</text>'
        )
        lost = [(begin, end) for place, begin, end in outcome.schedule.lost if place == node and begin < last]
        parts += [
            _rectangle("node lost", begin, min(end, last), first, last, top, _LANE * len(rows)) for begin, end in lost
        ]
        for row in rows:
            parts += [_rectangle("run", stay.start, stay.end, first, last, top, _BAR, stay.name) for stay in row]
            top += _LANE
    return parts


def _days(first: int, last: int, height: int) -> list[str]:
    parts = []
    for midnight in range(-(-first // DAY) * DAY, last, DAY):
        x, text = _x(midnight, first, last), f"{datetime.fromtimestamp(midnight, UTC):%a %d %b}"
        parts.append(
            f'<line x1="{x}" x2="{x}" y1="{_TOP - 10}" y2="{height - 20}" stroke="#475569" stroke-width="0.5"/>'
        )
        parts.append(f'<text x="{x + 2}" y="{height - 8}" fill="#94a3b8">{text}</text>')
    return parts


def _legend() -> str:
    return "".join(
        f'<rect x="{_LEFT + 110 * n}" y="6" width="10" height="10" fill="{colour}"/>'
        f'<text x="{_LEFT + 110 * n + 14}" y="15" fill="#e2e8f0">{kind}</text>'
        for n, (kind, colour) in enumerate(_COLOURS.items())
    )
