"""An attribution in one paragraph: what was lost, where most of it, and when."""

from __future__ import annotations

from kronos.core.reports.attribution_model import Attribution, By, Cut, DrawdownWindow, Part

_NAMES = {by: by.value.replace("_and_", " and ").replace("_", " ") for by in By}


def summary(found: Attribution) -> str:
    """A paragraph of plain sentences; the same attribution gives the same words."""
    if found.total.decisions == 0:
        return f"{_who(found)} decided nothing in {_period(found)}."
    sentences = [_whole(found), *(_largest(by, cut) for by, cut in found.cuts.items()), _missing(found)]
    sentences += [_ruin(found), *(_window(window) for window in found.windows[:1])]
    return " ".join(sentence for sentence in sentences if sentence)


def amount(part: Part) -> str:
    """P&L with its currency, else the contribution in per cent of capital, else the reason why there is neither."""
    if part.pnl is not None:
        return f"{part.pnl:+,.2f} {part.currency}"
    if part.contribution is not None:
        return f"{part.contribution:+.2%} of capital"
    return str(part.undefined["pnl"])


def _who(found: Attribution) -> str:
    return f"{found.engine_name} {found.config_id}"


def _period(found: Attribution) -> str:
    return f"{found.period_start}..{found.period_end}"


def _whole(found: Attribution) -> str:
    total = found.total
    if total.pnl is None and total.contribution is None:
        return f"{_who(found)} reports neither P&L nor returns ({total.decisions:,} decisions of {_period(found)})."
    compounded = "" if total.contribution is None else f", {total.contribution:+.2%} compounded"
    verb = "lost" if total.result < 0 else "earned"
    return (
        f"{_who(found)} {verb} money over {total.decisions:,} decisions of {_period(found)} at horizon "
        f"{found.horizon}: {amount(total)}{compounded}."
    )


def _largest(by: By, cut: Cut) -> str:
    """The parts that lost and earned most, where there is more than one part."""
    if len(cut.parts) < 2:
        return ""
    worst, best = cut.parts[0], cut.parts[-1]
    told = [f"{worst.label} lost most ({_of_total(worst)})"] if worst.result < 0 else []
    told += [f"{best.label} earned most ({_of_total(best)})"] if best.result > 0 else []
    return f"By {_NAMES[by]}, {' and '.join(told)}." if told else ""


def _of_total(part: Part) -> str:
    share = "" if part.share is None else f", {part.share:.0%} of the total"
    return amount(part) + share


def _missing(found: Attribution) -> str:
    if found.total.missing == 0:
        return ""
    dates = f"; evaluation dates without a book return: {found.missing_dates:,}" if found.missing_dates else ""
    return f"Missing outcomes: {found.total.missing:,} of {found.total.due:,} due{dates}."


def _ruin(found: Attribution) -> str:
    return f"The whole capital was lost on {found.ruined_on}." if found.ruined_on else ""


def _window(window: DrawdownWindow) -> str:
    since = window.peak or "the start"
    until = f"recovered on {window.recovery}" if window.recovery else "not recovered"
    worst = [cut.parts[0].label for cut in window.cuts.values() if len(cut.parts) > 1 and cut.parts[0].result < 0]
    mostly = f", mostly {', '.join(worst)}" if worst else ""
    total = window.total
    violations = f"{total.hard_violations:,} hard and {total.soft_violations:,} soft violations in it"
    return (
        f"The deepest drawdown is {window.depth:.2%} from {since} to {window.trough} "
        f"({window.sessions:,} sessions, {until}){mostly}; {violations}."
    )
