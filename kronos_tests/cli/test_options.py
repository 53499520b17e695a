"""A config as an option gives it: JSON itself, a file, or what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kronos.cli.options import read_config
from kronos.errors import BadValue


@pytest.mark.parametrize(
    ("given", "found"),
    [(' {"a": {"b": 1}, "b": [1]}', {"a": {"b": 1}, "b": [1]}), ("[1]", [1]), ('"x"', "x"), ("3", 3), ("null", None)],
)
def test_json_is_read_whatever_it_is(given: str, found: Any) -> None:
    assert read_config(given) == found


def test_a_file_is_read_even_if_its_name_is_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("3").write_text('{"a": 1}')
    assert read_config("3") == {"a": 1}


@pytest.mark.parametrize("given", ['{"a": 1, "b": 0, "a": 2}', '{"c": [{"a": 1, "a": 2}]}'])
@pytest.mark.parametrize("in_file", [False, True])
def test_a_key_that_is_there_twice_is_refused(tmp_path: Path, given: str, in_file: bool) -> None:
    """At any depth."""
    if in_file:
        (tmp_path / "config.json").write_text(given)
        given = str(tmp_path / "config.json")
    with pytest.raises(BadValue, match=r"--config a has value \[1, 2\]: expected one value: the key is there twice"):
        read_config(given)


@pytest.mark.parametrize("given", ["", "ghost.json", "'x'", "x" * 10_000])
def test_what_is_neither_json_nor_a_file_is_refused_as_a_file(given: str) -> None:
    with pytest.raises(BadValue, match="a readable JSON file"):
        read_config(given)
