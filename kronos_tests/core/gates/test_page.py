"""The verdict's page: what a newcomer has to find on it, and nothing a config's author could smuggle in."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from kronos.core import gates
from kronos.core.gates.advice import ADVICE
from kronos.core.gates.contest import BROKEN
from kronos.core.gates.evidence import GateEvidence
from kronos.core.gates.model import Gate
from kronos.core.gates.page import GATES, html, markdown, sections
from kronos.core.gates.record import VerdictRecord, report_of
from kronos.core.reports.comparison_gaps import Daily
from kronos.core.reports.comparison_model import OVERALL_SLICE, Doubt
from kronos.core.stats.matrix import Reason
from kronos.core.vocabulary import EvidenceLabel
from kronos_tests.core.gates.packs import FEW, forecasts, good, judged, overall, with_returns

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


@cache
def close() -> GateEvidence:
    """So little of the edge is left that the interval lies above zero and the p-value above its level."""
    edge = overall(good(), "c1") - overall(good(), "incumbent")
    return with_returns(good(), c1=overall(good(), "c1") - 0.81 * edge.mean())


def older(found: VerdictRecord) -> VerdictRecord:
    """As the code kept it that knew neither the confidence of intervals nor the dates compared."""
    new = ("confidence", "p_value", "level")
    report = [
        {**gate, "findings": [{key: it for key, it in one.items() if key not in new} for one in gate["findings"]]}
        for gate in found.report["gates"]
    ]
    about = {key: it for key, it in found.report["about"].items() if key != "compared"}
    return replace(found, report={**found.report, "gates": report, "about": about})


def cell(found: VerdictRecord, metric: str, column: str) -> str:
    """What a gate's table says of a metric."""
    (told,) = (
        row[section.table[0].index(column)]
        for section in sections(found)
        for row in section.table[1:]
        if section.table[0][0] == "metric" and row[0] == metric
    )
    return told


def paragraphs(found: VerdictRecord, heading: str) -> str:
    (told,) = (" ".join(section.paragraphs) for section in sections(found) if section.heading == heading)
    return told


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
    assert by_heading["On what data"].paragraphs[3:5] == (
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


SHARPE_OVER = "Sharpe ratio over the incumbent"


def test_where_luck_is_not_ruled_out_the_page_names_p_and_what_it_had_to_be() -> None:
    """The interval alone, above zero, would read as passed."""
    found = record(close())
    assert found.refused_by == (Gate.IMPROVEMENT,)
    told = paragraphs(found, "In short")
    assert "p 0.013" in told and "required: > 0 and p <= 0.0052; 95 % interval [0.08111, " in told
    assert cell(found, SHARPE_OVER, "required") == "> 0 and p <= 0.0052"


def test_the_level_that_is_named_is_that_of_the_look() -> None:
    again = record(replace(close(), search=replace(close().search, look=2)))
    assert cell(again, SHARPE_OVER, "required") == "> 0 and p <= 0.0004"


def test_one_sided_bounds_are_named_so_with_their_confidence_and_what_they_were_held_against() -> None:
    mined = replace(close().search, mined_until=date(2012, 1, 1))
    found = record(replace(close(), search=mined))
    for metric, interval, required in (
        ("non-inferiority", "one-sided 95 % interval [", "lower bound >= -0.2"),
        ("confirmation", "one-sided 80 % interval [", "lower bound > 0"),
    ):
        assert cell(found, metric, "interval").startswith(interval)
        assert cell(found, metric, "required") == required


def test_of_a_score_that_may_not_rise_it_is_the_upper_bound() -> None:
    scored = {name: forecasts().series[name][OVERALL_SLICE] for name in ("c1", "incumbent")}
    found = record(replace(good(), scores=scored, score_metric="brier"))
    assert cell(found, "calibration (brier)", "interval").startswith("one-sided 95 % interval [-inf, ")
    assert cell(found, "calibration (brier)", "required").startswith("upper bound <= ")
    assert "(95%, one-sided)" in cell(found, "calibration (brier)", "detail")


def test_the_confidence_is_the_policys() -> None:
    strict = FEW.model_copy(update={"degradation": FEW.degradation.model_copy(update={"confidence": 0.975})})
    report = report_of(judged(close(), strict), close(), strict, TESTED)
    assert cell(replace(record(close()), report=report), SHARPE_OVER, "interval").startswith("97.5 % interval [")


def test_reports_of_earlier_code_are_shown_with_what_they_say() -> None:
    found = older(record(close()))
    assert cell(found, SHARPE_OVER, "interval").startswith("interval [0.08111, ")
    assert cell(found, SHARPE_OVER, "required") == "> 0 and p <= 0.0052"
    assert "compared" not in paragraphs(found, "On what data") and html(found)


def test_every_finding_is_told_in_words_in_its_gates_table_also_where_others_crowd_what_decided() -> None:
    nothing = {"neighbours": (), "probes": {"future": good().probes["future"]}, "costs": {}, "turnovers": {}}
    late = date(2026, 1, 1)
    crowded = record(replace(close(), **nothing, wealth={}, data_now=late, actions=None, duplicates=("other",)))
    assert "gravest of" in paragraphs(crowded, "What decided")
    for gate in crowded.report["gates"]:
        (section,) = (one for one in sections(crowded) if one.paragraphs == (GATES[gate["gate"]],))
        assert [row[-1] for row in section.table[1:]] == [one["detail"] for one in gate["findings"]]
    assert "0 of 100 decisions change" in cell(crowded, "probe future", "detail")
    assert "with p 0.013" in cell(crowded, SHARPE_OVER, "detail")


def test_an_edge_that_is_not_shown_is_sent_to_the_row_that_says_how_many_years_show_how_much() -> None:
    found = record(close())
    assert "NOT_SHOWN" in cell(found, SHARPE_OVER, "reason")
    assert "`years of evidence` of the evidence gate" in paragraphs(found, "What would change it")
    said = cell(found, "years of evidence", "detail")
    assert "information ratio of 1.5 is found with probability" in said and "years for 80%" in said


def test_the_dates_on_the_page_are_those_on_which_the_two_are_compared() -> None:
    """A config that decides from 2012-04-03 on is not compared before, whatever dates were run."""
    begins = np.datetime64("2012-04-03")
    kept = {
        name: Daily(daily.days[daily.days >= begins], daily.values[daily.days >= begins])
        for name, daily in good().series["c1"].items()
    }
    late = {**good().series, "c1": kept}
    said = paragraphs(record(replace(good(), series=late, wealth=late)), "On what data")
    assert "Run from 2010-01-04 to 2016-11-27" in said
    assert "are compared on 1,700 dates, from 2012-04-03 to 2016-11-27." in said


def test_without_a_date_of_both_the_page_says_so() -> None:
    alone = {name: slices for name, slices in good().series.items() if name != "c1"}
    said = paragraphs(record(replace(good(), series=alone)), "On what data")
    assert "no date on which the config and the incumbent could be compared" in said


def test_windows_of_history_that_are_not_judged_are_named() -> None:
    found = record(good())
    left_out = {"windows_left_out": {"crash-1987": "1987-08-25 to 1987-12-04"}, "windows_before": ["euro-2010"]}
    changed = replace(found, report={**found.report, "about": {**found.report["about"], **left_out}})
    said = paragraphs(changed, "On what data")
    assert "outside these dates, and so not judged: crash-1987 (1987-08-25 to 1987-12-04)." in said
    assert "so not judged: euro-2010." in said
    assert "so not judged" not in paragraphs(found, "On what data")


def test_the_trials_are_said_to_be_more_than_configs_and_a_controls_its_own_too() -> None:
    told = paragraphs(record(good()), "What was tested")
    assert "3 trials of this engine count: every config ever evaluated" in told and "slice a proposal" in told
    control = replace(record(good()), evidence=EvidenceLabel.CONTROL)
    declared = "those a control says it was chosen from"
    assert declared in paragraphs(control, "What was tested") and declared not in told


def test_where_the_evidence_can_be_read_again_is_a_place_in_the_lake() -> None:
    """The backtest's tables lie in a folder of the experiment's own, those of the LIVE record do not."""
    found = record(good())
    told = paragraphs(replace(found, lake={"backtest_cells": "t:3", "cells": "u:7"}), "Where it comes from")
    assert told.endswith(f"Read again from: backtests/{found.experiment_id}/backtest_cells at t:3, cells at u:7.")
