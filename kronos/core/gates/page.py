"""A verdict as a page: what was tested, on what data, what decided, and what would change it. Markdown and HTML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from kronos.core.backtests.spec import place_of
from kronos.core.gates.advice import ADVICE
from kronos.core.gates.model import GateVerdict
from kronos.core.gates.record import VerdictRecord
from kronos.core.vocabulary import EvidenceLabel

GATES: Final = {
    "INTEGRITY": "Can the evidence be believed: whole, fresh, reproducible, without foresight?",
    "EVIDENCE": "Is there enough of it to show what is hoped for?",
    "IMPROVEMENT": "Is the config better than the incumbent, beyond what luck and search explain? The p-value decides: "
    "it counts every trial, and has to reach the level of this look. The interval only shows how large the difference "
    "may be: its confidence is another one, so it can lie on the right side of zero where luck is not ruled out.",
    "VALIDITY": "Could its own record be the luck of a search?",
    "NO_DEGRADATION": "Is nothing else worse by more than a margin?",
    "STRESS": "Does it hold where it hurts, and without its best year, market and parameters?",
    "HARD_CONSTRAINTS": "Did it keep every hard limit?",
}
VERDICTS: Final = {
    "PASS": "Every gate lets it through.",
    "FAIL": "At least one gate refuses it on good evidence.",
    "INVALID": "The evidence is missing, stale or broken, so it says nothing about the config.",
    "INCONCLUSIVE": "Nothing speaks against it for certain, and not enough speaks for it.",
}
RECOMMENDED: Final = {"ADOPT": "adopt", "REJECT": "reject", "CONTINUE_TESTING": "continue testing"}
DETAIL: Final = "detail"
"""Last column of a gate's table: every finding in words, whatever came of it."""
_LONGEST_LIST: Final = 8


@dataclass(frozen=True)
class Section:
    """A heading with paragraphs, and perhaps a table: header first, all text."""

    heading: str
    paragraphs: tuple[str, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()


def markdown(record: VerdictRecord) -> str:
    """The page in Markdown; text of users and of the data is data."""
    lines = [f"# {title(record)}", ""]
    for section in sections(record):
        lines += [f"## {section.heading}", ""]
        for paragraph in section.paragraphs:
            lines += [_plain(paragraph), ""]
        if section.table:
            header, *rows = section.table
            lines += [_row(header), _row(["---"] * len(header)), *(_row(row) for row in rows), ""]
    return "\n".join(lines)


def html(record: VerdictRecord) -> str:
    """The page as an HTML fragment: one article, every text escaped, no script and no style of its own."""
    verdict = record.verdict.value
    parts = [f'<article class="verdict verdict-{verdict.lower()}">', f"<h1>{escape(title(record))}</h1>"]
    for section in sections(record):
        parts.append(f"<section><h2>{escape(section.heading)}</h2>")
        parts += [f"<p>{escape(paragraph)}</p>" for paragraph in section.paragraphs]
        if section.table:
            header, *rows = section.table
            head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
            body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
        parts.append("</section>")
    return "\n".join([*parts, "</article>"])


def title(record: VerdictRecord) -> str:
    """The verdict in one line."""
    control = record.evidence is EvidenceLabel.CONTROL
    advice = "control" if control else RECOMMENDED[record.recommendation.value]
    return f"{record.verdict.value}: {advice} {record.proposed_config_id}"


def sections(record: VerdictRecord) -> list[Section]:
    """The page's parts in reading order."""
    return [
        Section("In short", tuple(_short(record))),
        _tested(record),
        _data(record),
        _decided(record),
        Section("What would change it", tuple(_change(record))),
        *_gates(record),
        _provenance(record),
    ]


def decisive(record: VerdictRecord) -> list[tuple[str, Mapping[str, Any]]]:
    """The gate and finding of everything that refused, the gravest first; of what passed, the improvement itself."""
    gates = _gates_of(record)
    order = [GateVerdict.FAIL, GateVerdict.INVALID, GateVerdict.INCONCLUSIVE]
    refusing = [
        (gate["gate"], finding)
        for wanted in order
        for gate in gates
        for finding in gate["findings"]
        if finding["verdict"] == wanted.value
    ]
    if refusing:
        return refusing
    return [("IMPROVEMENT", next(gate for gate in gates if gate["gate"] == "IMPROVEMENT")["findings"][0])]


def _gates_of(record: VerdictRecord) -> list[dict[str, Any]]:
    """Every gate with its findings; what reports of earlier code do not say of them is None.

    The level that decided the improvement was always kept.
    """
    return [
        {**gate, "findings": [_completed(one, gate["gate"], record.report["about"]) for one in gate["findings"]]}
        for gate in record.report["gates"]
    ]


def _completed(finding: Mapping[str, Any], gate: str, about: Mapping[str, Any]) -> dict[str, Any]:
    tested = gate == "IMPROVEMENT" and None not in (finding["low"], finding["high"])
    return {"confidence": None, "level": about.get("level") if tested else None, **finding}


def told(finding: Mapping[str, Any]) -> str:
    """A finding in one line: what was measured where, the numbers, and what was required."""
    where = "" if finding["slice"] == "overall" else f" in {finding['slice']}"
    return f"{finding['metric']}{where}: {finding['detail']}{_numbers(finding)}"


def _short(record: VerdictRecord) -> Iterator[str]:
    gate, finding = decisive(record)[0]
    yield VERDICTS[record.verdict.value]
    if record.evidence is EvidenceLabel.CONTROL:
        yield "It is a control, a test of the gates themselves: whatever they say, it is never approved."
    elif record.verdict is GateVerdict.PASS:
        yield "A person can approve it while the evidence is fresh."
    yield f"What decided: {_gate_name(gate)} - {told(finding)}."
    others = [_gate_name(one) for one in record.refused_by if one != gate]
    if others:
        yield f"{len(others)} further gate{'s' if len(others) > 1 else ''} did not pass: {', '.join(others)}."


def _tested(record: VerdictRecord) -> Section:
    about = record.report["about"]
    rival = record.incumbent or "none: no config is active"
    said = (
        f"{record.proposed_config_id} of engine {record.engine_name} against the incumbent {rival}, both run anew by "
        f"the runner '{about['runner']}' with the same dates, folds, costs and seed.",
        f"Evidence: {record.evidence.value}, look {record.look} at it.",
        _trials(record),
    )
    rows = [(path, _value(before), _value(after)) for path, before, after in about["changes"]]
    table = (("parameter", "incumbent", "proposed"), *rows) if rows else ()
    return Section("What was tested", said, tuple(table))


def _trials(record: VerdictRecord) -> str:
    chosen = ", and those a control says it was chosen from" if record.evidence is EvidenceLabel.CONTROL else ""
    return (
        f"{record.report['about']['trials']} trials of this engine count: every config ever evaluated, one more for "
        f"each further horizon it was evaluated at and each slice a proposal was mined from{chosen}."
    )


def _data(record: VerdictRecord) -> Section:
    about = record.report["about"]
    rows = about["rows"]
    missing = sorted(about.get("neighbours_left_out", {}).items())  # older verdicts do not name them
    said = (
        f"Run from {about['start']} to {about['end']} in {', '.join(about['markets'])}: "
        f"{rows.get('decisions', 0):,} decisions and {rows.get('outcomes', 0):,} outcomes of all configs and "
        f"scenarios, in {len(about['folds'])} walk-forward folds.",
        *_compared(about),
        f"Scenarios: {', '.join(about['scenarios']) or 'none'}. Configs with slightly other parameters: "
        f"{len(about['neighbours'])}.",
        *_windows(about),
        *(f"Left out of those: {name} - {why}" for name, why in missing[:_LONGEST_LIST]),
        f"Judged are outcomes up to {about['data_until']}, when the data reached {about['data_now']}; the verdict "
        f"counts until {record.expires_at:%Y-%m-%d %H:%M} UTC.",
    )
    return Section("On what data", said)


def _compared(about: Mapping[str, Any]) -> Iterator[str]:
    """The dates the two were compared on, which can be fewer than were run; older verdicts do not name them."""
    if "compared" not in about:
        return
    found = about["compared"]
    if found is None:
        yield "There is no date on which the config and the incumbent could be compared."
    else:
        yield (
            f"The config and the incumbent are compared on {found['dates']:,} dates, from {found['first']} to "
            f"{found['last']}."
        )


def _windows(about: Mapping[str, Any]) -> Iterator[str]:
    """Windows of history that say nothing here; older verdicts do not name them."""
    outside = sorted(about.get("windows_left_out", {}).items(), key=lambda one: one[1])
    if outside:
        named = ", ".join(f"{name} ({dates})" for name, dates in outside)
        yield f"Windows of history outside these dates, and so not judged: {named}."
    if about.get("windows_before"):
        yield f"Over before the two decided anything, and so not judged: {', '.join(about['windows_before'])}."


def _decided(record: VerdictRecord) -> Section:
    found = decisive(record)
    rows = [
        (_gate_name(gate), finding["verdict"], told(finding), finding["reason"])
        for gate, finding in found[:_LONGEST_LIST]
    ]
    more = len(found) - _LONGEST_LIST
    said = (f"The {_LONGEST_LIST} gravest of {len(found)} findings; the gates below show all.",) if more > 0 else ()
    return Section("What decided", said, (("gate", "verdict", "finding", "reason"), *rows))


def _change(record: VerdictRecord) -> Iterator[str]:
    if record.verdict is GateVerdict.PASS:
        yield "New evidence, another incumbent, another gate policy, or time: then it has to be judged again."
        return
    seen = []
    for gate, finding in decisive(record):
        if finding["reason"] not in seen:
            seen.append(finding["reason"])
            yield f"{_gate_name(gate)}, {finding['metric']} ({finding['reason']}): {ADVICE[finding['reason']]}"


def _gates(record: VerdictRecord) -> Iterator[Section]:
    for gate in _gates_of(record):
        rows = [
            (
                one["metric"],
                one["slice"],
                _number(one["value"]),
                one["unit"],
                _interval(one),
                _required(one),
                one["verdict"],
                one["reason"],
                one["detail"],
            )
            for one in gate["findings"]
        ]
        header = ("metric", "slice", "value", "unit", "interval", "required", "verdict", "reason", DETAIL)
        yield Section(f"{_gate_name(gate['gate'])}: {gate['verdict']}", (GATES[gate["gate"]],), (header, *rows))


def _provenance(record: VerdictRecord) -> Section:
    about = record.report["about"]
    places = {place_of(table, str(record.experiment_id)): mark for table, mark in record.lake.items()}
    lake = ", ".join(f"{place} at {mark}" for place, mark in sorted(places.items()))
    said = (
        f"Experiment {record.experiment_id}, attempt {record.attempt}, verdict {record.verdict_id} of "
        f"{record.judged_at:%Y-%m-%d %H:%M} UTC.",
        f"Gate policy version {record.policy_version} of {record.policy_engine} ({record.policy_digest[:12]}), "
        f"evidence {record.evidence_digest[:12]}, backtest {about['spec'][:12]} with seed {about['seed']}, code "
        f"{record.code_version}.",
        f"Read again from: {lake}.",
    )
    return Section("Where it comes from", said)


def _gate_name(gate: str) -> str:
    return gate.lower().replace("_", " ")


def _numbers(finding: Mapping[str, Any]) -> str:
    required = _required(finding)
    said = [part for part in (f"required: {required}" if required else "", _interval(finding)) if part]
    return f" ({'; '.join(said)})" if said else ""


def _required(finding: Mapping[str, Any]) -> str:
    """What had to hold: of the value and, where it was tested, the p-value; of a one-sided bound where there is one."""
    if finding["threshold"] is None:
        return ""
    held = f"{finding['requires']} {_number(finding['threshold'])}"
    low, high = finding["low"], finding["high"]
    if (low is None) != (high is None):
        return f"{'upper' if low is None else 'lower'} bound {held}"
    return held if finding["level"] is None else f"{held} and p <= {_number(finding['level'])}"


def _interval(finding: Mapping[str, Any]) -> str:
    low, high, confidence = finding["low"], finding["high"], finding["confidence"]
    if low is None and high is None:
        return ""
    sides = "one-sided " if low is None or high is None else ""
    share = "" if confidence is None else f"{100.0 * confidence:.4g} % "
    return f"{sides}{share}interval [{_number(low) or '-inf'}, {_number(high) or 'inf'}]"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain(text: str) -> str:
    """Text that Markdown does not read as markup."""
    for mark in ("\\", "`", "*", "_", "<", ">", "[", "]", "#", "|"):
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell if cell == "---" else _plain(cell) for cell in cells) + " |"
