"""Heat maps as pictures inside markdown: an SVG in a data address, drawn with nothing but text."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import dagster as dg

_ROW, _COLUMN, _HEAD, _SIDE, _CHARACTER = 22, 92, 26, 12, 6.6
_STYLE = "font:11px ui-monospace,Menlo,Consolas,monospace"
_GOOD, _BAD, _BLANK, _BACK, _INK = (46, 160, 67), (218, 54, 51), (48, 54, 61), "#0d1117", "#e6edf3"


@dataclass(frozen=True)
class Square:
    """One square: its text, and how good it is from -1 (red) to 1 (green); None where nothing is known (grey)."""

    text: str
    shade: float | None


def heat_map(title: str, rows: Sequence[str], columns: Sequence[str], squares: Mapping[tuple[str, str], Square]) -> str:
    """A picture in markdown, rows by columns; a square that is not given stays empty."""
    side = _SIDE + int(_CHARACTER * max((len(name) for name in rows), default=0))
    width = [max(_COLUMN, int(_CHARACTER * len(name)) + 8) for name in columns]
    left = [side + sum(width[:at]) for at in range(len(columns))]
    parts = [_label(left[at] + 4, 17, name) for at, name in enumerate(columns)]
    for down, row in enumerate(rows):
        top = _HEAD + down * _ROW
        parts.append(_label(4, top + 15, row))
        parts += [
            _square(left[at], top, width[at], squares[(row, name)])
            for at, name in enumerate(columns)
            if (row, name) in squares
        ]
    svg = _svg(side + sum(width) + 4, _HEAD + len(rows) * _ROW + 4, parts)
    alternative = title.replace("[", "(").replace("]", ")")
    return (
        f"**{escape(title)}**\n\n![{escape(alternative)}](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})"
    )


def pictures(maps: Sequence[str], legend: str) -> dg.MarkdownMetadataValue:
    """Several heat maps, one below the other, and how to read them."""
    return dg.MetadataValue.md("\n\n".join([*maps, legend]) if maps else "nothing to show")


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" style="{_STYLE}">'
        f'<rect width="100%" height="100%" fill="{_BACK}"/>{"".join(parts)}</svg>'
    )


def _label(x: int, y: int, text: str) -> str:
    return f'<text x="{x}" y="{y}" fill="{_INK}">{escape(text)}</text>'


def _square(x: int, y: int, width: int, square: Square) -> str:
    box = f'<rect x="{x}" y="{y}" width="{width - 2}" height="{_ROW - 2}" rx="2" fill="{_colour(square.shade)}"/>'
    return box + _label(x + 4, y + 14, square.text)


def _colour(shade: float | None) -> str:
    """From the blank's grey towards green or red."""
    full = _GOOD if (shade or 0.0) > 0 else _BAD
    strength = 0.0 if shade is None else min(abs(shade), 1.0)
    mixed = (round(blank + (one - blank) * strength) for blank, one in zip(_BLANK, full, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)
