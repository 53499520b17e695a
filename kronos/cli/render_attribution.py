"""An attribution for a terminal: a paragraph, a table per cut, the drawdowns."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kronos.core.reports.attribution_model import Attribution, By, Cut, DrawdownWindow, Part
from kronos.core.reports.attribution_summary import amount, summary

_COLUMNS = ("P&L", "contribution", "share", "decisions", "missing", "hit rate", "mean return", "hard", "soft")


def print_attribution(found: Attribution, before: Attribution | None, top: int, console: Console) -> None:
    """One attribution; with `before`, each part's difference to it. Cuts show `top` parts at each end."""
    console.print(_heading(found), style="bold")
    console.print(escape(summary(found)))
    for by, cut in found.cuts.items() if found.total.decisions else ():
        console.print(_cut(found, by, cut, before, top))
    if found.windows:
        console.print(_windows(found))
    for note in found.notes:
        console.print(f"note: {escape(note)}", style="dim")


def _heading(found: Attribution) -> str:
    return (
        f"{escape(found.engine_name)} {escape(found.config_id)}: decisions {found.period_start}..{found.period_end}, "
        f"{found.mode}, horizon {found.horizon}, as of {found.as_of}, labels by {found.recorded_by}"
    )


def _cut(found: Attribution, by: By, cut: Cut, before: Attribution | None, top: int) -> Table:
    title = by.value.replace("_", " ")
    table = Table(title=f"by {title}, largest loss first", title_justify="left", box=None, header_style="dim")
    changed = ["before", "change"] if before else []
    for header in (title, *_COLUMNS, *changed):
        table.add_column(header, no_wrap=True, justify="left" if header == title else "right")
    earlier = {part.label: part for part in before.cuts[by].parts} if before else None
    hidden = len(cut.parts) - 2 * top
    for index, part in enumerate(cut.parts):
        if hidden <= 0 or not top <= index < top + hidden:
            table.add_row(escape(part.label), *_row(part), *_change(part, earlier), style=_style(part))
        elif index == top:
            table.add_row(f"... {hidden} more", style="dim")
    table.add_row("all", *_row(found.total), *_change(found.total, {"ALL": before.total} if before else None))
    if not cut.residual.adds_up:
        residual = cut.residual
        table.add_row("residual", f"{residual.pnl:+,.2f}", f"{residual.contribution:+.4%}", style="bold red")
    return table


def _row(part: Part) -> list[str]:
    return [
        amount(part) if part.pnl is not None else _reason(part, "pnl"),
        _number(part, "contribution", part.contribution, ".4%"),
        _number(part, "share", part.share, ".1%"),
        f"{part.decisions:,}",
        f"{part.missing:,}",
        _number(part, "hit_rate", part.hit_rate, ".4f"),
        _number(part, "mean_return", part.mean_return, ".5f"),
        f"{part.hard_violations:,}" if part.violations_n else "-",
        f"{part.soft_violations:,}" if part.violations_n else "-",
    ]


def _change(part: Part, earlier: dict[str, Part] | None) -> list[str]:
    """The part's result in the period before, and the difference; a label that was absent brought nothing."""
    if earlier is None:
        return []
    money = part.pnl is not None
    then = earlier.get(part.label)
    value = 0.0 if then is None else then.pnl if money else then.contribution
    now = part.pnl if money else part.contribution
    if value is None or now is None:
        return ["-", "-"]
    return [_signed(value, money=money), _signed(now - value, money=money)]


def _signed(value: float, *, money: bool) -> str:
    return f"{value:+,.2f}" if money else f"{value:+.4%}"


def _number(part: Part, name: str, value: float | None, form: str) -> str:
    return _reason(part, name) if value is None else f"{value:{form}}"


def _reason(part: Part, name: str) -> str:
    return f"[dim]{part.undefined[name].value.replace('_', ' ').lower()}[/dim]"


def _style(part: Part) -> str | None:
    return "red" if part.result < 0 else "green" if part.result > 0 else None


def _windows(found: Attribution) -> Table:
    table = Table(title="deepest drawdowns", title_justify="left", box=None, header_style="dim")
    cuts = [by.value.replace("_", " ") for by in found.cuts]
    headers = ("peak", "trough", "recovery", "depth", "sessions", "P&L", "hard", "soft")
    for header in headers:
        table.add_column(header, no_wrap=True)
    for name in cuts:
        table.add_column(f"worst {name}", overflow="fold")
    for window in found.windows:
        table.add_row(*_dates(window), *_row_of(window), *(_worst(cut) for cut in window.cuts.values()))
    return table


def _dates(window: DrawdownWindow) -> list[str]:
    return [str(window.peak or "start"), str(window.trough), str(window.recovery or "not yet")]


def _row_of(window: DrawdownWindow) -> list[str]:
    row = _row(window.total)
    return [f"{window.depth:.2%}", f"{window.sessions:,}", row[0], *row[-2:]]


def _worst(cut: Cut) -> str:
    part = cut.parts[0]
    depth = "" if part.contribution is None else f" {part.contribution:+.2%}"
    return escape(part.label) + depth
