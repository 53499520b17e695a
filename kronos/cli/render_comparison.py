"""A config comparison as tables for a terminal: classes with their reasons, then the matrix."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kronos.core.reports.comparison_model import (
    Cell,
    ConfigClass,
    ConfigComparison,
    DeflatedSharpe,
    Doubt,
    Finding,
    TrialsCounted,
    Verdict,
)

_STYLES = {
    ConfigClass.INCUMBENT: "bold",
    ConfigClass.DOMINATED: "red",
    ConfigClass.ROBUST: "green",
    ConfigClass.NICHE: "cyan",
    ConfigClass.UNDECIDED: "dim",
}


def print_comparison(found: ConfigComparison, console: Console) -> None:
    """Classes, then the search they came out of, then differences to the incumbent by slice."""
    console.print(_heading(found), style="bold")
    console.print(_classes(found))
    if found.trials:
        console.print(_trials(found.trials))
    if any(one.dsr is not None for one in found.deflated):
        console.print(_deflated(found.deflated))
    if found.cells:
        console.print(_matrix(found))
        console.print(_legend(found), style="dim")
    for note in found.notes:
        console.print(f"note: {escape(note)}", style="dim")


def _heading(found: ConfigComparison) -> str:
    incumbent = escape(found.incumbent) if found.incumbent else "no known incumbent"
    return (
        f"{escape(found.engine_name)} against {incumbent}: decisions {found.period_start}..{found.period_end}, "
        f"{found.mode}, horizon {found.horizon}, as of {found.as_of}"
    )


def _trials(counted: TrialsCounted) -> str:
    if counted.effective is None:
        return f"{counted.total} trials, all taken as independent ({_reason(counted.reason, counted.detail)})"
    return (
        f"{counted.total} trials: the {counted.streamed} with returns amount to {counted.effective:.1f} independent "
        f"ones, in all {counted.independent:.1f}"
    )


def _deflated(deflated: Sequence[DeflatedSharpe]) -> Table:
    title = (
        "probability that the own Sharpe ratio is above 0 (PSR), and above the best of so many worthless trials (DSR)"
    )
    table = Table("config", "sharpe", "PSR", "hurdle", "DSR", title=title, title_justify="left", box=None)
    table.header_style = "dim"
    for one in deflated:
        if one.sharpe is None or one.psr is None or one.hurdle is None or one.dsr is None:
            table.add_row(escape(one.config_id), f"[dim]{_reason(one.reason, one.detail)}[/dim]")
        else:
            numbers = (f"{one.sharpe:+.2f}", f"{one.psr:.3f}", f"{one.hurdle:.2f}", f"{one.dsr:.3f}")
            table.add_row(escape(one.config_id), *numbers)
    return table


def _reason(reason: Doubt | None, detail: str) -> str:
    words = str(reason).replace("_", " ").lower()
    return escape(f"{words}: {detail}" if detail else words)


def _classes(found: ConfigComparison) -> Table:
    table = Table("config", "class", "why", box=None, header_style="dim")
    for verdict in found.verdicts:
        table.add_row(escape(verdict.config_id), verdict.label, escape(_why(verdict)), style=_STYLES[verdict.label])
    return table


def _why(verdict: Verdict) -> str:
    """The reason why there is no class, else the conditions that made it."""
    told = [_told(one) for one in verdict.findings if _tells(one, verdict)]
    reason = (
        [f"{verdict.reason}: {verdict.detail}" if verdict.detail else str(verdict.reason)] if verdict.reason else []
    )
    return "\n".join([*reason, *told])


def _tells(finding: Finding, verdict: Verdict) -> bool:
    """Of a class the conditions it is made of; of none those that failed, except single slices."""
    if verdict.label is ConfigClass.UNDECIDED:
        return finding.met is None or finding.slice == "overall"
    return bool(finding.met)


def _told(finding: Finding) -> str:
    value = "undefined" if finding.value is None else f"{finding.value:.4g}"
    answer = "too close to call" if finding.met is None else "yes" if finding.met else "no"
    where = "" if finding.slice == "overall" else f" {finding.slice}"
    return f"{finding.condition}{where}: {answer} ({value}, threshold {finding.threshold:.4g})"


def _matrix(found: ConfigComparison) -> Table:
    table = Table(title=f"difference in {found.metric}, positive is better", title_justify="left", box=None)
    table.header_style = "dim"
    configs = sorted({cell.config_id for cell in found.cells})
    for header in ("slice", *configs):
        table.add_column(escape(header))
    cells = {(cell.config_id, cell.slice): cell for cell in found.cells}
    for name in found.slices:
        table.add_row(escape(name), *(_cell(cells[(config, name)]) for config in configs))
    return table


def _cell(cell: Cell) -> str:
    if cell.difference is None or cell.low is None or cell.high is None:
        reason = str(cell.reason).replace("_", " ").lower()
        return f"[dim]{reason} (n {cell.n})[/dim]"
    colour = "green" if cell.low > 0.0 else "red" if cell.high < 0.0 else "default"
    eligible = "" if cell.eligible else " (weak)"
    return (
        f"[{colour}]{cell.difference:+.3f} \\[{cell.low:+.3f}, {cell.high:+.3f}][/{colour}]\n"
        f"[dim]n {cell.n}, p {cell.p_value:.3g}{eligible}[/dim]"
    )


def _legend(found: ConfigComparison) -> str:
    return (
        f"intervals and p-values hold for all cells at once ({1 - found.level:.0%}, {found.resamples:,} resamples, "
        f"seed {found.seed}); weak: cannot detect {found.detectable:.3g}, so it does not count for ROBUST; "
        f"margin {found.margin:.3g}"
    )
