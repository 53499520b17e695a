"""A shadow beside its replay: agreement, violations, latency, gaps, each with n or a reason; silence never agrees."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronos.core.facts import facts_schema
from kronos.core.policy import ShadowPolicy
from kronos.core.reports.fidelity import Question, shadow_fidelity
from kronos.core.reports.fidelity_model import Fidelity, Gap, Measure, Safety, ShadowEvidence
from kronos.core.scheduling.expectation import CLOSES
from kronos.errors import BadValue
from kronos_tests.core.reports.builders import weekdays

DAYS = weekdays(30)
SCHEMA = facts_schema([1])
POLICY = ShadowPolicy(least_sessions=5)
Row = dict[str, Any]


def row(day: date, entity: str | None = "AAA", *, minutes: float = 30.0, **changes: Any) -> Row:
    """A decision half an hour after the close, with an outcome the next day that reports no violation."""
    values = {
        "decision_id": f"{day}-{entity}", "engine_name": "PORTFOLIO", "config_id": "new",
        "decided_at": datetime.combine(day, time(21), UTC) + timedelta(minutes=minutes),
        "as_of_date": day, "market_id": "US_EQ", "mode": "SHADOW",
        "experiment_id": "", "weight": 0.5, "entity_type": entity and "INSTRUMENT", "entity_id": entity, "region": "US",
        "due_date_h1": day + timedelta(days=1), "eval_date_h1": day + timedelta(days=1), "valid_h1": True,
        "hard_violations_h1": 0, "soft_violations_h1": 0,
    }  # fmt: skip
    return values | changes


def book(days: Iterable[date] = DAYS, **changes: Any) -> list[Row]:
    """Two entities a day."""
    return [row(day, entity, **changes) for day in days for entity in ("AAA", "BBB")]


def frame(rows: Iterable[Row], mode: str = "SHADOW") -> pl.DataFrame:
    held = [one | {"mode": mode} for one in rows]
    return pl.DataFrame([{name: one.get(name) for name in SCHEMA} for one in held], schema=SCHEMA)


def closes(markets: Iterable[str] = ("US_EQ", "EU_EQ")) -> pl.DataFrame:
    rows = [(name, "R", day, datetime.combine(day, time(21), UTC)) for name in markets for day in DAYS]
    return pl.DataFrame(rows, schema=CLOSES, orient="row")


def told(
    shadow: Iterable[Row], replay: Iterable[Row], policy: ShadowPolicy = POLICY, day: date = date(2030, 1, 1)
) -> ShadowEvidence:
    asked = Question("PORTFOLIO", "new", day, 1, timedelta(hours=4))
    return shadow_fidelity(frame(shadow), frame(replay, "BACKTEST"), closes(), asked, policy)


def changed(rows: list[Row], place: int, **changes: Any) -> list[Row]:
    return [one | changes if n == place else one for n, one in enumerate(rows)]


def test_a_shadow_that_does_what_its_replay_did_matches() -> None:
    found = told(book(), book())
    assert (found.fidelity, found.safety, found.window) == (Fidelity.MATCHES, Safety.CLEAN, (DAYS[0], DAYS[-1]))
    assert (found.shadow.decisions, found.shadow.sessions, found.shadow.duplicates) == (60, 30, 0)
    assert found.measures["matched"] == Measure(1.0, 60)
    assert found.measures["weight_difference_max"] == Measure(0.0, 30)
    assert found.measures["label_agreement"] == Measure(None, 0, Gap.NOT_GIVEN)
    assert found.measures["latency_p50"] == Measure(30.0, 60)


# no answer


@pytest.mark.parametrize(
    ("shadow", "replay", "fidelity", "safety"),
    [
        ([], [], Fidelity.NO_SHADOW, Safety.NO_SHADOW),
        ([], book(), Fidelity.NO_SHADOW, Safety.NO_SHADOW),
        (book(), [], Fidelity.NO_REPLAY, Safety.UNKNOWN),
        (book(DAYS[20:]), book(DAYS[:20]), Fidelity.NO_OVERLAP, Safety.UNKNOWN),
        (book(DAYS[:9:2]), book(DAYS[1:9:2]), Fidelity.NO_OVERLAP, Safety.INCOMPLETE),
        (book(DAYS[:4]), book(DAYS[:4]), Fidelity.TOO_FEW, Safety.CLEAN),
    ],
)
def test_without_enough_of_both_there_is_no_verdict(
    shadow: list[Row], replay: list[Row], fidelity: Fidelity, safety: Safety
) -> None:
    found = told(shadow, replay)
    assert (found.fidelity, found.safety) == (fidelity, safety)
    assert all((one.value is None) == (one.reason is not None) for one in found.measures.values())


def test_sessions_in_common_without_a_common_decision_differ() -> None:
    found = told(book(), [row(day, "ZZZ") for day in DAYS])
    assert (found.fidelity, found.measures["matched"]) == (Fidelity.DIFFERS, Measure(0.0, 90))
    assert found.measures["sign_agreement"].reason is Gap.NOTHING_MATCHES


# each difference shows


@pytest.mark.parametrize(
    ("changes", "other", "measure", "value"),
    [
        ({"weight": 0.6}, {}, "weight_difference_max", 0.1),
        ({"entity_id": "CCC"}, {}, "weight_difference_max", 1.0),
        ({"label": "UP"}, {"label": "UP"}, "label_agreement", 0.0),
        ({"score": 0.2}, {"score": -0.2}, "sign_agreement", 0.0),
        ({"expected_return": 0.2}, {"expected_return": -0.2}, "sign_agreement", 0.0),
        ({"probability": 0.6}, {"probability": 0.7}, "probability_difference_max", 0.1),
        ({"probability": 0.6}, {}, "probability_difference_max", 1.0),
        ({"classes": ["A", "B"], "class_probabilities": [0.4, 0.6]},
         {"classes": ["B", "C"], "class_probabilities": [0.5, 0.5]}, "probability_difference_max", 0.5),
        ({"classes": ["A"], "class_probabilities": [1.0]}, {}, "probability_difference_max", 1.0),
    ],
)  # fmt: skip
def test_one_decision_that_differs_is_seen(changes: Row, other: Row, measure: str, value: float) -> None:
    replay = changed(book(), 7, **(other | {"label": "DOWN"} if "label" in other else other))
    found = told(changed(book(), 7, **changes), replay)
    assert found.measures[measure].value == pytest.approx(value)
    assert found.fidelity is Fidelity.DIFFERS


@pytest.mark.parametrize(
    "same",
    [
        {"classes": ["B", "A"], "class_probabilities": [0.6, 0.4]},
        {"classes": ["A", "B", "C"], "class_probabilities": [0.4, 0.6, 0.0]},
    ],
)
def test_the_order_of_classes_and_classes_without_probability_make_no_difference(same: Row) -> None:
    given_ = {"classes": ["A", "B"], "class_probabilities": [0.4, 0.6]}
    found = told(book(**given_), book(**same))
    assert found.measures["probability_difference_max"] == Measure(0.0, 60)


def test_decisions_without_an_entity_match_each_other() -> None:
    found = told([row(day, None, label="CALM") for day in DAYS], [row(day, None, label="CALM") for day in DAYS])
    assert (found.fidelity, found.measures["label_agreement"]) == (Fidelity.MATCHES, Measure(1.0, 30))


def test_a_decision_made_twice_is_a_duplicate_and_the_last_counts() -> None:
    again = row(DAYS[3], "AAA", minutes=90.0, decision_id="again", label="UP", weight=0.0)
    found = told([*book(label="UP"), again], book(label="UP"))
    assert (found.measures["duplicates"], found.fidelity) == (Measure(1.0, 61), Fidelity.DIFFERS)
    assert found.measures["label_agreement"].value == 1.0
    assert told([*book(label="UP"), again], [*book(label="UP"), again]).fidelity is Fidelity.MATCHES


# missing data


def test_sessions_only_one_side_decided_on_are_counted() -> None:
    """From when both had begun to the replay's end: who starts late misses nothing before, who stops early does."""
    found = told(book([*DAYS[5:10], DAYS[11]]), book([*DAYS[:10], *DAYS[12:20]]))
    assert found.window == (DAYS[5], DAYS[19])
    counts = [found.measures[name] for name in ("sessions_both", "sessions_missing", "sessions_extra")]
    assert counts == [Measure(5.0, 14), Measure(8.0, 13), Measure(1.0, 6)]
    assert (found.fidelity, found.safety) == (Fidelity.DIFFERS, Safety.INCOMPLETE)


def test_a_market_the_shadow_leaves_out_is_missing() -> None:
    other = [one | {"market_id": "EU_EQ"} for one in book()]
    found = told(book(), [*book(), *other])
    assert (found.measures["session_coverage"], found.safety) == (Measure(0.5, 60), Safety.INCOMPLETE)


def test_due_outcomes_that_did_not_come_are_counted() -> None:
    found = told(changed(book(), 0, valid_h1=None, hard_violations_h1=None), book(), day=DAYS[1])
    assert (found.measures["outcomes_missing"], found.measures["outcome_coverage"]) == (
        Measure(1.0, 2),
        Measure(0.5, 2),
    )
    assert told(book(), book(), day=DAYS[0]).measures["outcome_coverage"].reason is Gap.NOT_DUE


# safety


def test_a_hard_violation_is_the_gravest() -> None:
    found = told(changed(book(minutes=600.0), 3, hard_violations_h1=2), book())
    assert (found.safety, found.measures["hard_violations"]) == (Safety.VIOLATES, Measure(2.0, 60))
    assert found.measures["replay_hard_violations"] == Measure(0.0, 60)


def test_soft_violations_are_told_and_decide_nothing() -> None:
    found = told(changed(book(), 3, soft_violations_h1=4), book())
    assert (found.safety, found.measures["soft_violations"]) == (Safety.CLEAN, Measure(4.0, 60))


def test_violations_that_nobody_reports_are_unknown_and_not_none() -> None:
    found = told(book(hard_violations_h1=None), book())
    assert (found.safety, found.measures["hard_violations"]) == (Safety.UNKNOWN, Measure(None, 0, Gap.NOT_REPORTED))


def test_latency_is_held_against_the_service_level() -> None:
    late = [
        one for n, day in enumerate(DAYS) for one in book([day], minutes=-10.0 if n == 0 else 241.0 if n < 3 else 60.0)
    ]
    found = told(late, book())
    assert (found.measures["on_time"].value, found.safety) == (pytest.approx(56 / 60), Safety.LATE)
    assert (found.measures["before_close"], found.measures["latency_max"]) == (Measure(2.0, 60), Measure(241.0, 60))


def test_decisions_off_the_calendar_have_no_latency() -> None:
    saturday = row(DAYS[4] + timedelta(days=1))
    found = told([*book(), saturday], book())
    assert found.measures["without_close"] == Measure(1.0, 61)
    asked = Question("PORTFOLIO", "new", date(2030, 1, 1), 1, timedelta(hours=4))
    nothing = shadow_fidelity(frame(book()), frame(book(), "BACKTEST"), closes([]), asked, POLICY)
    assert (nothing.safety, nothing.measures["on_time"].reason) == (Safety.UNKNOWN, Gap.NO_CLOSE)


# contract


def test_what_is_later_than_the_date_is_not_seen() -> None:
    early = told(book(), book(), day=DAYS[9])
    assert (early.shadow.last, early.window) == (DAYS[9], (DAYS[0], DAYS[9]))


@pytest.mark.parametrize(
    ("shadow", "replay"),
    [
        (frame(book(), "LIVE"), frame([], "BACKTEST")),
        (frame([row(DAYS[0]), row(DAYS[0], config_id="other")]), frame([], "BACKTEST")),
        (frame([]), frame(book())),
    ],
)
def test_other_modes_and_several_configs_are_refused(shadow: pl.DataFrame, replay: pl.DataFrame) -> None:
    asked = Question("PORTFOLIO", "new", date(2030, 1, 1), 1, timedelta(hours=4))
    with pytest.raises(BadValue, match="facts"):
        shadow_fidelity(shadow, replay, closes(), asked, POLICY)


def test_a_horizon_the_facts_do_not_have_is_not_due() -> None:
    asked = Question("PORTFOLIO", "new", date(2030, 1, 1), 21, timedelta(hours=4))
    found = shadow_fidelity(frame(book()), frame(book(), "BACKTEST"), closes(), asked, POLICY)
    assert (found.measures["outcome_coverage"].reason, found.safety) == (Gap.NOT_DUE, Safety.UNKNOWN)


def test_json_reads_back_the_same() -> None:
    found = told(book(label="UP"), book(label="DOWN"))
    assert ShadowEvidence.from_json_dict(found.to_json_dict()) == found


# a slow twin


DECISION = st.tuples(
    st.integers(0, 9), st.sampled_from(["AAA", "BBB", None]), st.sampled_from(["UP", "DOWN", None]),
    st.sampled_from([0.0, 0.25, 0.5]), st.sampled_from([0.0, 0.5, 1.0, None]),
)  # fmt: skip


def _rows(drawn: list[tuple[int, str | None, str | None, float, float | None]]) -> list[Row]:
    return [
        row(DAYS[n], entity, label=label, weight=weight, probability=p, decision_id=f"{place:03}")
        for place, (n, entity, label, weight, p) in enumerate(drawn)
    ]


@given(st.lists(DECISION, min_size=1, max_size=25), st.lists(DECISION, min_size=1, max_size=25))
def test_agreement_equals_plain_loops(one: list[Any], other: list[Any]) -> None:
    found = told(_rows(one), _rows(other))
    a, b = _by_key(_rows(one)), _by_key(_rows(other))
    first, last = max(min(a)[0], min(b)[0]), max(b)[0]
    days = {day for day, _ in a} & {day for day, _ in b} & {day for day in DAYS if first <= day <= last}
    if not days:
        assert found.fidelity is Fidelity.NO_OVERLAP
        return
    either = {key for key in {*a, *b} if key[0] in days}
    both = {key for key in either if key in a and key in b}
    assert found.measures["matched"] == Measure(len(both) / len(either), len(either))
    apart = [sum(abs(_weight(a, key) - _weight(b, key)) for key in either if key[0] == day) for day in days]
    assert found.measures["weight_difference_max"].value == pytest.approx(max(apart))
    assert found.measures["weight_difference_mean"].value == pytest.approx(sum(apart) / len(apart))
    said = [a[key]["label"] == b[key]["label"] for key in both if a[key]["label"] or b[key]["label"]]
    assert found.measures["label_agreement"].n == len(said)
    assert found.measures["label_agreement"].value == (pytest.approx(sum(said) / len(said)) if said else None)
    gaps = [gap for key in both if (gap := _gap(a[key]["probability"], b[key]["probability"])) is not None]
    assert found.measures["probability_difference_max"].value == (max(gaps) if gaps else None)


def _by_key(rows: list[Row]) -> dict[tuple[date, str], Row]:
    """The last row of each key, with the weights of all."""
    held: dict[tuple[date, str], Row] = {}
    for one in rows:
        key = (one["as_of_date"], one["entity_id"] or "")
        held[key] = one | {"weight": one["weight"] + (held[key]["weight"] if key in held else 0.0)}
    return held


def _weight(held: dict[tuple[date, str], Row], key: tuple[date, str]) -> float:
    return held[key]["weight"] if key in held else 0.0


def _gap(p: float | None, q: float | None) -> float | None:
    if p is None and q is None:
        return None
    return 1.0 if p is None or q is None else abs(p - q)
