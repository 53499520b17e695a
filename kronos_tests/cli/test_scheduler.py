"""`kronos scheduler simulate` prints every promise and draws a schedule."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from kronos.cli import app


def test_the_simulation_prints_its_promises_and_draws_the_first_schedule(tmp_path: Path) -> None:
    picture = tmp_path / "schedule.svg"
    said = CliRunner().invoke(
        app, ["scheduler", "simulate", "--schedules", "25", "--seed", "1", "--plot", str(picture)]
    )
    assert said.exit_code == 0, said.output
    assert said.output.count("holds") == 8 and "25 schedules" in said.output
    assert picture.read_text().startswith("<svg ")
