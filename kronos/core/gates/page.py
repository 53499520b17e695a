"""A verdict as a page: what was tested, on what data, what decided, and what would change it. Markdown and HTML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from kronos.core.gates.advice import ADVICE
from kronos.core.gates.model import GateVerdict
from kronos.core.gates.record import VerdictRecord
from kronos.core.vocabulary import EvidenceLabel

GATES: Final = {
    "INTEGRITY": "Can the evidence be believed: whole, fresh, reproducible, without foresight?",
    "EVIDENCE": "Is there enough of it to show what is hoped for?",
    "IMPROVEMENT": "Is the config better than the incumbent, beyond what luck and search explain?",
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
    gates = record.report["gates"]
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
        f"Evidence: {record.evidence.value}, look {record.look} at it; {about['trials']} configs of this engine were "
        "ever tried, and every one of them counts.",
    )
    rows = [(path, _value(before), _value(after)) for path, before, after in about["changes"]]
    table = (("parameter", "incumbent", "proposed"), *rows) if rows else ()
    return Section("What was tested", said, tuple(table))


def _data(record: VerdictRecord) -> Section:
    about = record.report["about"]
    rows = about["rows"]
    missing = sorted(about.get("neighbours_left_out", {}).items())  # older verdicts do not name them
    said = (
        f"Decisions from {about['start']} to {about['end']} in {', '.join(about['markets'])}: "
        f"{rows.get('decisions', 0):,} decisions and {rows.get('outcomes', 0):,} outcomes of all configs and "
        f"scenarios, in {len(about['folds'])} walk-forward folds.",
        f"Scenarios: {', '.join(about['scenarios']) or 'none'}. Configs with slightly other parameters: "
        f"{len(about['neighbours'])}.",
        *(f"Left out of those: {name} - {why}" for name, why in missing[:_LONGEST_LIST]),
        f"Judged are outcomes up to {about['data_until']}, when the data reached {about['data_now']}; the verdict "
        f"counts until {record.expires_at:%Y-%m-%d %H:%M} UTC.",
    )
    return Section("On what data", said)


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
    for gate in record.report["gates"]:
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
            )
            for one in gate["findings"]
        ]
        header = ("metric", "slice", "value", "unit", "interval", "required", "verdict", "reason")
        yield Section(f"{_gate_name(gate['gate'])}: {gate['verdict']}", (GATES[gate["gate"]],), (header, *rows))


def _provenance(record: VerdictRecord) -> Section:
    about = record.report["about"]
    lake = ", ".join(f"{table} at {mark}" for table, mark in sorted(record.lake.items()))
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
    interval = _interval(finding)
    said = [
        part
        for part in (f"interval {interval}" if interval else "", f"required {required}" if required else "")
        if part
    ]
    return f" ({', '.join(said)})" if said else ""


def _required(finding: Mapping[str, Any]) -> str:
    if finding["threshold"] is None:
        return ""
    return f"{finding['requires']} {_number(finding['threshold'])}"


def _interval(finding: Mapping[str, Any]) -> str:
    low, high = finding["low"], finding["high"]
    if low is None and high is None:
        return ""
    return f"[{_number(low) or '-inf'}, {_number(high) or 'inf'}]"


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
