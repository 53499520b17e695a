"""The e-processes of a day as one picture."""

import base64
import math
from collections.abc import Sequence
from datetime import date
from html import escape

import dagster as dg

from kronos.core.monitoring.model import EngineMonitoring, MonitorFinding

_WIDTH, _HEIGHT, _LEFT, _TOP, _LINE = 720, 260, 44, 12, 16
_COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2", "#ff9da6", "#9d755d")
_LOW, _HIGH = -1.0, 2.0
"""Evidence shown, in shares of what raises the alarm; beyond, a line runs along the edge."""


def evidence_plot(answers: Sequence[EngineMonitoring]) -> dg.MarkdownMetadataValue:
    """Logarithm of every e-process over that of its threshold, by decision date: at 1 the alarm is raised."""
    drawn = [found for answer in answers for found in answer.findings if found.e is not None]
    if not drawn:
        return dg.MetadataValue.md("no metric has evidence yet")
    picture = base64.b64encode(_svg(drawn).encode()).decode()
    return dg.MetadataValue.md(f"![evidence of degradation; the alarm is at 1](data:image/svg+xml;base64,{picture})")


def _svg(drawn: Sequence[MonitorFinding]) -> str:
    days = sorted({day for found in drawn if found.e for day in found.e.dates})
    height = _HEIGHT + _LINE * (len(drawn) + 1)
    lines = [_curve(found, days, _COLOURS[n % len(_COLOURS)], n) for n, found in enumerate(drawn)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#fff"/>'
        f"{_grid(days)}{''.join(lines)}</svg>"
    )


def _grid(days: Sequence[date]) -> str:
    marks = "".join(
        f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{_y(level):.1f}" y2="{_y(level):.1f}" '
        f'stroke="{"#c00" if level == 1.0 else "#ddd"}"/><text x="4" y="{_y(level) + 4:.1f}">{level:g}</text>'
        for level in (-1.0, 0.0, 1.0, 2.0)
    )
    ends = f'<text x="{_LEFT}" y="{_HEIGHT}">{days[0]}</text>'
    return f'{marks}{ends}<text x="{_WIDTH - 4}" y="{_HEIGHT}" text-anchor="end">{days[-1]}</text>'


def _curve(found: MonitorFinding, days: Sequence[date], colour: str, number: int) -> str:
    if found.e is None:
        return ""
    first, span = days[0].toordinal(), max(1, (days[-1] - days[0]).days)
    scale = math.log(found.e.threshold)
    points = " ".join(
        f"{_LEFT + (day.toordinal() - first) / span * (_WIDTH - _LEFT):.1f},{_y(math.log(max(e, 1e-300)) / scale):.1f}"
        for day, e in zip(found.e.dates, found.e.values, strict=True)
    )
    name = escape(f"{found.engine_name} {found.scope} {found.config_id} {found.score or found.metric}: {found.state}")
    y = _HEIGHT + _LINE * (number + 1)
    return (
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        f'<rect x="{_LEFT}" y="{y - 8}" width="10" height="8" fill="{colour}"/>'
        f'<text x="{_LEFT + 16}" y="{y}">{name}</text>'
    )


def _y(share: float) -> float:
    clipped = min(max(share, _LOW), _HIGH)
    return _TOP + (_HIGH - clipped) / (_HIGH - _LOW) * (_HEIGHT - 3 * _TOP)
