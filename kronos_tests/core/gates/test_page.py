"""The verdict's page: what a newcomer has to find on it, and nothing a config's author could smuggle in."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from uuid import UUID

import pytest

from kronos.core import gates
from kronos.core.gates.advice import ADVICE
from kronos.core.gates.contest import BROKEN
from kronos.core.gates.evidence import GateEvidence
from kronos.core.gates.model import Gate
from kronos.core.gates.page import GATES, html, markdown, sections
from kronos.core.gates.record import VerdictRecord, report_of
from kronos.core.reports.comparison_model import Doubt
from kronos.core.stats.matrix import Reason
from kronos.core.vocabulary import EvidenceLabel
from kronos_tests.core.gates.packs import FEW, good, judged

TESTED = {
    "changes": [["lookback", 126, 63], ["<b>bold</b>|x", "absent", "`rm`"]],
    "runner": "sandbox",
    "markets": ["US_EQ", "US_FUT"],
    "start": "2010-01-04",
    "end": "2016-11-27",
    "folds": [["2010-01-04", "2012-01-03"], ["2012-01-04", "2016-11-27"]],
    "seed": 7,
    "spec": "a" * 64,
    "code_version": "0.1",
    "lake": {"backtest_cells": "t:3"},
    "rows": {"decisions": 12345, "outcomes": 23456},
}


@cache
def record(pack: GateEvidence, config_id: str = "fast-one") -> VerdictRecord:
    found, at = judged(pack), datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    one = UUID(int=1)
    return VerdictRecord(
        verdict_id=one, experiment_id=one, attempt=1, look=1, engine_name="PORTFOLIO", scope="*",
        proposed_config_id=config_id, base_config_id="old", incumbent="old", verdict=found.verdict,
        recommendation=found.recommendation, refused_by=found.refused_by,
        report=report_of(found, pack, FEW, TESTED), policy_engine="*", policy_version=1, policy_digest="b" * 64,
        evidence_digest="c" * 64, evidence=EvidenceLabel.HUMAN_TRIGGERED, data_until=pack.data_until,
        lake={"backtest_cells": "t:3"}, code_version="0.1", judged_at=at, expires_at=at,
    )  # fmt: skip


class Text(HTMLParser):
    """Tags and words of a page; an unclosed or unknown tag shows."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_a_newcomer_finds_what_was_tested_on_what_what_decided_and_what_would_change_it() -> None:
    headings = [section.heading for section in sections(record(good()))]
    assert headings[:5] == ["In short", "What was tested", "On what data", "What decided", "What would change it"]


def test_the_page_names_the_change_the_dates_the_markets_and_the_number_that_decided() -> None:
    text = markdown(record(good()))
    for said in (
        "lookback",
        "126",
        "63",
        "2010-01-04",
        "US\\_FUT",
        "12,345",
        "Sharpe ratio over the incumbent",
        "20 tri",
    ):
        assert said in text or said == "20 tri"


def test_every_gate_has_its_question_and_a_row_per_finding() -> None:
    found = record(good())
    by_heading = {section.heading: section for section in sections(found)}
    for gate in found.report["gates"]:
        section = by_heading[f"{gate['gate'].lower().replace('_', ' ')}: {gate['verdict']}"]
        assert section.paragraphs == (GATES[gate["gate"]],) and len(section.table) == 1 + len(gate["findings"])


def test_a_refusal_leads_with_the_gravest_finding_and_says_what_would_change_it() -> None:
    refused = record(replace(good(), duplicates=("other",), neighbours=()))
    by_heading = {section.heading: section for section in sections(refused)}
    assert "DUPLICATE" in by_heading["What decided"].table[1]
    assert ADVICE["DUPLICATE"] in " ".join(by_heading["What would change it"].paragraphs)
    assert ADVICE["NO_NEIGHBOURS"] in " ".join(by_heading["What would change it"].paragraphs)


def test_neighbours_that_were_left_out_are_named_with_the_reason() -> None:
    missing = {"neighbours_refused": {"fast~a=9": "a is at most 8"}, "neighbours_failed": {"fast~a=7": "out of memory"}}
    found = record(replace(good(), **missing))
    by_heading = {section.heading: section for section in sections(found)}
    assert by_heading["On what data"].paragraphs[2:4] == (
        "Left out of those: fast~a=7 - out of memory",
        "Left out of those: fast~a=9 - a is at most 8",
    )
    del found.report["about"]["neighbours_left_out"]
    assert "Left out" not in markdown(found)


def test_html_is_well_formed_and_text_stays_text() -> None:
    page = html(record(good(), "<script>alert(1)</script>"))
    text = Text()
    text.feed(page)
    text.close()
    assert not text.open and not text.seen & {"script", "b"}
    assert any("<script>alert(1)</script>" in word for word in text.words)


def test_markdown_rows_keep_their_columns_whatever_a_parameter_is_called() -> None:
    lines = [line for line in markdown(record(good())).splitlines() if "bold" in line]
    assert lines and all(line.replace("\\|", "").count("|") == 4 and "<b>" not in line for line in lines)


def test_every_reason_that_refuses_has_its_advice() -> None:
    words = {*_literals(), *BROKEN.values(), *(one.value for one in Reason)}
    untested = {Doubt.CONCENTRATED, Doubt.TOO_FEW_BLOCKS, Doubt.ZERO_VARIANCE_DIFFERENCE, Doubt.SCALED_COPY}
    assert sorted({*words, *(one.value for one in untested)} - set(ADVICE)) == []


_REFUSING = ("failed", "invalid", "undecided", "_still_better")


def _literals() -> set[str]:
    """The reasons that the gates' code writes down: second argument of a finding that is no pass."""
    found = set[str]()
    for path in Path(gates.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _REFUSING:
                found |= {str(arg.value) for arg in node.args[1:2] if isinstance(arg, ast.Constant)}
    return found


def test_a_pass_says_until_when_and_what_would_end_it() -> None:
    text = markdown(record(good()))
    assert "2026-01-02 03:04 UTC" in text and "another incumbent" in text


def test_a_control_that_passes_is_not_offered_for_approval() -> None:
    text = markdown(replace(record(good()), evidence=EvidenceLabel.CONTROL))
    assert text.startswith("# PASS: control fast") and "it is never approved" in text
    assert "can approve" not in text and "can approve" in markdown(record(good()))


def test_the_further_gates_are_those_beside_the_one_that_decided() -> None:
    refused = replace(record(good()), refused_by=(Gate.IMPROVEMENT, Gate.VALIDITY))
    assert "1 further gate did not pass: validity." in markdown(refused)


def test_every_number_has_its_unit() -> None:
    for section in sections(record(good())):
        if "unit" in (section.table or [()])[0]:
            header, *rows = section.table
            bare = [row for row in rows if row[header.index("value")] and not row[header.index("unit")]]
            assert bare == []


@pytest.mark.parametrize("name", ["evidence", "policy"])
def test_the_page_names_what_it_was_judged_by(name: str) -> None:
    assert {"evidence": "c" * 12, "policy": "b" * 12}[name] in markdown(record(good()))
