"""`kronos controls calibrate`: the judge over simulated nulls and planted edges."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from kronos.cli.options import AsJson, read_config
from kronos.core.gates.policy import GatePolicy, parse_gate_policy

if TYPE_CHECKING:
    from kronos.services.calibration import Calibrated

PROMISED = {1.5: 0.8, 3.0: 0.99}
"""Share of worlds in which the planted config is accepted, by its active ratio over ten years among 20 trials."""
LARGEST_BOUND = 0.013
"""Exact one-sided 95 % upper bound of false accepts."""


def calibrate(
    nulls: Annotated[int, typer.Option(min=1, help="Worlds without an edge, per case.")] = 5000,
    planted: Annotated[int, typer.Option(min=0, help="Worlds with a planted edge, per ratio.")] = 1000,
    policy: Annotated[str | None, typer.Option(help="Gate policy: a JSON file, `-` or JSON; default: ours.")] = None,
    case: Annotated[str, typer.Option(help="Only cases whose name contains this.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same worlds.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = min(4, os.cpu_count() or 1),
    as_json: AsJson = False,
) -> None:
    """How often all gates together accept what has no edge, and what has one, with exact one-sided 95 % bounds.

    Nulls are held to the upper bound of all accepts, planted edges to the rate at which the planted config itself is
    accepted. Exit code 1 when that is broken. Ten years of daily returns and 20 trials a world; about 0.2 s each.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy loads: the processes are the threads
    from kronos.core.gates.calibration import cases
    from kronos.services.calibration import Calibrated, calibrate_case

    terms = GatePolicy() if policy is None else parse_gate_policy(read_config(policy, "--policy"))
    console, found = Console(highlight=False, stderr=True), list[Calibrated]()
    for one in cases(tuple(PROMISED)):
        edge = one.truth.active_ratio
        count = planted if edge else nulls
        if count and case in one.name:
            console.print(one.name, style="bold")
            tally = calibrate_case(one, count, terms, seed=seed, jobs=jobs, say=console.print)
            bound = {"least": PROMISED[edge]} if edge else {"most": LARGEST_BOUND}
            found.append(Calibrated(one, tally, **bound))
    if as_json:
        typer.echo(json.dumps([_as_json(one) for one in found], indent=1))
    else:
        print_calibrated(found, Console(highlight=False))
    if not all(one.holds for one in found):
        raise typer.Exit(1)


def _as_json(one: Calibrated) -> dict[str, object]:
    low, high = one.tally.bounds()
    told = {"rate": one.tally.rate(), "low": low, "high": high, "most": one.most, "least": one.least}
    return {"case": one.case.name, **one.tally.to_json_dict(), **told, "holds": one.holds}


def print_calibrated(found: list[Calibrated], console: Console) -> None:
    """One row per case: rate and bounds of what is required."""
    table = Table(
        "case",
        "worlds",
        "accepted",
        "one-sided 95 % bounds",
        "required",
        "",
        "refused by",
        box=None,
        header_style="dim",
    )
    for one in found:
        low, high = one.tally.bounds()
        required = f"upper <= {one.most:.2%}" if one.most is not None else f"rate >= {one.least or 0.0:.0%}"
        wrong = f", {one.tally.wrong} more of another config" if one.tally.wrong else ""
        gates = ", ".join(f"{gate.lower()} {count}" for gate, count in one.tally.refused_by.items())
        table.add_row(
            one.case.name,
            str(one.tally.worlds),
            f"{one.tally.right} ({one.tally.rate():.2%}){wrong}",
            f"{low:.3%} .. {high:.3%}",
            required,
            "[green]holds[/]" if one.holds else "[bold red]BROKEN[/]",
            gates,
        )
    console.print(table)
