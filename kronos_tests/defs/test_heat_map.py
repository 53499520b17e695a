"""Heat maps are pictures in markdown that need nothing else."""

from __future__ import annotations

from base64 import b64decode
from xml.etree import ElementTree

from kronos.defs.heat_map import Square, heat_map, pictures

SVG = "{http://www.w3.org/2000/svg}"


def drawn(text: str) -> ElementTree.Element:
    """The picture inside the markdown."""
    return ElementTree.fromstring(b64decode(text.split("base64,")[1].removesuffix(")")))  # noqa: S314  # our own text


def colours(text: str) -> list[str]:
    return [box.attrib["fill"] for box in drawn(text).iter(f"{SVG}rect")][1:]


def test_a_square_stands_where_something_is_known() -> None:
    squares = {("CALM", "a"): Square("+0.1", 0.3), ("CRISIS", "b"): Square("too short", None)}
    found = heat_map("title", ["CALM", "CRISIS"], ["a", "b"], squares)
    assert [text.text for text in drawn(found).iter(f"{SVG}text")] == ["a", "b", "CALM", "+0.1", "CRISIS", "too short"]
    assert len(colours(found)) == 2


def test_good_is_green_bad_is_red_and_unknown_grey() -> None:
    shades = {"good": 1.0, "far better": 9.0, "bad": -1.0, "even": 0.0, "unknown": None}
    found = heat_map("t", ["row"], list(shades), {("row", name): Square(name, shade) for name, shade in shades.items()})
    assert colours(found) == ["#2ea043", "#2ea043", "#da3633", "#30363d", "#30363d"]


def test_names_cannot_break_out_of_the_picture() -> None:
    hostile = "]<script>&\"'"
    found = heat_map(hostile, [hostile], [hostile], {(hostile, hostile): Square(hostile, 0.5)})
    assert {text.text for text in drawn(found).iter(f"{SVG}text")} == {hostile}
    assert "<script>" not in found and found.count("](") == 1


def test_without_pictures_it_says_so() -> None:
    assert pictures([], "legend").value == "nothing to show"
