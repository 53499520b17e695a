"""Suites of controls and the gate report as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from kronos.core.controls.outcomes import ControlOutcome, Suite
    from kronos.core.controls.progress import SuiteUnderWay
    from kronos.core.controls.report import EngineGates, PositivePower, Rate
    from kronos.core.controls.standing import Standing
    from kronos.services.controls import StartedSuites

_SHOWN_WEEKS = 12


def print_started(done: StartedSuites, console: Console) -> None:
    """What was queued, what was not, and what was taken out."""
    for plan in done.started:
        key = plan.key
        console.print(
            f"{escape(key.engine_name)} {key.period} seed {key.seed}: {len(plan.controls)} controls of "
            f"{escape(key.incumbent)} queued",
            style="green",
        )
        for name, why in plan.left_out.items():
            console.print(f"  without {name}: {escape(why)}", style="dim")
    for engine, why in done.silent.items():
        console.print(f"{escape(engine)}: {escape(why)}", style="dim")
    if done.cancelled:
        reasons = sorted(set(done.cancelled.values()))
        console.print(
            f"{len(done.cancelled)} control(s) taken out of the queue: {escape('; '.join(reasons))}", style="yellow"
        )


def print_suites(
    found: Sequence[Suite], proven: Mapping[str, Standing], console: Console, *, every: bool = False
) -> None:
    """One line per suite, with its controls (every: all, else those not as expected); then what each engine's gates are
    worth."""
    if not found:
        console.print("no suite of controls was recorded yet")
    for suite in found:
        right = not suite.unexpected and not suite.missed_positives
        console.print(
            f"{escape(suite.engine_name)} {suite.period} seed {suite.seed}: {len(suite.outcomes)} controls, "
            f"{suite.unexpected} unexpected, {suite.missed_positives} missed positive(s), policy "
            f"{suite.policy_digest[:12]}, {suite.completed_at:%Y-%m-%d %H:%M} UTC",
            style="green" if right else "red",
        )
        shown = [one for one in suite.outcomes if every or not one.as_expected]
        if shown:
            console.print(_outcomes(shown))
    for standing in proven.values():
        style = "green" if standing.proof == "PROVEN" else "red"
        console.print(f"{escape(standing.engine_name)}: {standing.proof}, {escape(standing.why)}", style=style)


def print_under_way(found: Sequence[SuiteUnderWay], console: Console) -> None:
    """How far the suites are that are not recorded."""
    for suite in found:
        lost = f": {suite.broken_by}" if suite.broken_by else ""
        console.print(
            f"{escape(suite.key.engine_name)} {suite.key.period} seed {suite.key.seed}: {suite.state}, "
            f"{suite.judged} of {suite.planned} judged{escape(lost)}",
            style="yellow",
        )


def print_gate_report(found: Sequence[EngineGates], powers: Mapping[str, PositivePower], console: Console) -> None:
    """Rates by engine, refusals by gate, the promise about positives, and the last weeks."""
    rates = Table("engine", "suites", "false accepts", "unexpected", "false rejects", box=None, header_style="dim")
    for one in found:
        cells = (_rate(rate) for rate in (one.false_accepts, one.unexpected, one.false_rejects))
        rates.add_row(escape(one.engine_name), str(one.suites), *cells)
    console.print(rates)
    console.print("of count, share, exact 95 % interval; all engines together as *", style="dim")
    overall = found[0]
    gates = Table("gate", "refuses", "alone", box=None, header_style="dim", title="negatives", title_justify="left")
    for gate in overall.gates:
        gates.add_row(gate.gate, f"{gate.refused} of {overall.false_accepts.of}", str(gate.alone))
    console.print(gates)
    for engine, power in powers.items():
        console.print(
            f"{escape(engine)}: {power.passed} of the newest {power.of} positives passed, promised "
            f"{power.promised:.0%}, p {power.p_value:.3g}",
            style=None if power.kept else "red",
        )
    weeks = Table("week", "negatives", "let through", "unexpected", "positives", "missed", box=None, header_style="dim")
    for week in overall.trend[-_SHOWN_WEEKS:]:
        counts = (week.negatives, week.false_accepts, week.unexpected, week.positives, week.missed)
        weeks.add_row(week.period, *(str(count) for count in counts))
    console.print(weeks)


def _outcomes(shown: Sequence[ControlOutcome]) -> Table:
    table = Table("control", "family", "expected", "verdict", "refused by", box=None, header_style="dim")
    table.add_column("as expected", overflow="fold")
    for one in shown:
        table.add_row(
            one.expected.control,
            one.expected.family,
            str(one.expected),
            one.verdict,
            ", ".join(one.refused_by) or "-",
            "yes" if one.as_expected else escape(one.why),
            style=None if one.as_expected else "red",
        )
    return table


def _rate(rate: Rate) -> str:
    if rate.share is None:
        return "-"
    # a bracket opens rich markup unless it is escaped
    return f"{rate.count} of {rate.of}, {rate.share:.2%} \\[{rate.low:.2%}, {rate.high:.2%}]"
