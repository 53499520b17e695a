"""Decision facts: labels, weights, due dates, revisions."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from kronos.core.facts import build_facts, facts_schema, horizons_in, long_facts
from kronos.core.frames import LONG_FACTS, REVISIONS
from kronos.errors import BadValue
from kronos_tests import frames as build
from kronos_tests.core import twin
from kronos_tests.frames import FIRST, POLICY, History, at, decision, facts, outcome

SEEDS = st.integers(0, 10_000)
DAY = timedelta(days=1)


def only(df: pl.DataFrame, column: str) -> object:
    """The one value of a column."""
    return df[column].item()


def test_labels_weights_and_due_dates_equal_the_slow_twin() -> None:
    """Four hundred dirty decisions, row by row."""
    history = History(1, 400)
    made = {row["decision_id"]: row for row in history.decisions}
    rows = {name: getattr(history.contexts, name).to_dicts() for name in history.contexts.__dataclass_fields__}
    shares = twin.weights(history.decisions)
    for fact in history.facts().facts.iter_rows(named=True):
        row = made[fact["decision_id"]]
        assert fact["regime"] == twin.regime(row, rows["regimes"])
        assert fact["stability_bucket"] == twin.bucket(twin.entity_value(row, rows["stability"], "stability_score"))
        assert fact["fragility_bucket"] == twin.bucket(twin.entity_value(row, rows["fragility"], "fragility_score"))
        target = twin.entity_value(row, rows["soft_targets"], "soft_target_class")
        assert fact["soft_target_class"] == (target or "UNKNOWN")
        assert fact["weight"] == shares[fact["decision_id"]]
        assert [fact["due_date_h1"], fact["due_date_h3"]] == [twin.due_date(row, 1), twin.due_date(row, 3)]


def test_label_recorded_after_the_decision_is_unknown() -> None:
    """What was said later was not known."""
    said = {"region": "US", "as_of_date": FIRST, "recorded_at": at(FIRST, 23), "regime": "CALM"}
    assert only(facts([decision()], around=build.contexts([said])).facts, "regime") == "UNKNOWN"


def test_recording_times_do_not_count_by_as_of_date() -> None:
    """Where the source's recording times mean nothing the as-of date alone decides."""
    said = {"region": "US", "as_of_date": FIRST, "recorded_at": at(FIRST, 23), "regime": "CALM"}
    batch = facts([decision(decided_at=at(FIRST + 9 * DAY))], [outcome()], build.contexts([said]), recorded=False)
    assert only(batch.facts, "regime") == "CALM"
    assert only(batch.facts, "decision_known_date") == FIRST
    assert only(batch.facts, "known_date_h1") == FIRST + DAY


def test_restated_label_of_one_date_counts_as_last_recorded_in_time() -> None:
    """Of several rows for the same date the latest one the decision could know."""
    said = [
        {"region": "US", "as_of_date": FIRST, "recorded_at": at(FIRST, hour), "regime": name}
        for hour, name in ((22, "LATE"), (9, "SECOND"), (6, "FIRST"))
    ]
    assert only(facts([decision()], around=build.contexts(said)).facts, "regime") == "SECOND"


def test_entity_without_a_row_falls_back_to_portfolio_then_market() -> None:
    """The chain of DESIGN section 3; a row without a score ends it."""
    of = {"as_of_date": FIRST, "recorded_at": at(FIRST, 6)}
    rows = [
        {"entity_type": "PORTFOLIO", "entity_id": "core", "stability_score": 0.8, **of},
        {"entity_type": "MARKET", "entity_id": "US_EQ", "stability_score": 0.1, **of},
        {"entity_type": "INSTRUMENT", "entity_id": "MUTE", "stability_score": None, **of},
    ]
    made = [
        decision("a", entity_type="INSTRUMENT", entity_id="NEW", portfolio_id="core"),
        decision("b", portfolio_id="other"),
        decision("c", entity_type="INSTRUMENT", entity_id="MUTE"),
    ]
    labelled = facts(made, around=build.contexts(stability=rows)).facts.sort("decision_id")
    assert labelled["stability_bucket"].to_list() == ["HIGH", "VERY_LOW", "UNKNOWN"]


@pytest.mark.parametrize(
    ("score", "name"), [(0.0, "VERY_LOW"), (0.25, "LOW"), (0.5, "MEDIUM"), (0.75, "HIGH"), (1.0, "HIGH")]
)
def test_buckets_are_left_closed(score: float, name: str) -> None:
    """A score on a cut belongs to the higher bucket."""
    row = {"entity_type": "MARKET", "entity_id": "US_EQ", "as_of_date": FIRST, "recorded_at": at(FIRST, 6)}
    batch = facts([decision()], around=build.contexts(fragility=[row | {"fragility_score": score}]))
    assert only(batch.facts, "fragility_bucket") == name


def test_horizon_counts_sessions_after_a_day_without_one() -> None:
    """From a Saturday the first session is Monday."""
    saturday = date(2020, 3, 7)
    assert only(facts([decision(day=saturday)]).facts, "due_date_h1") == date(2020, 3, 9)


def test_calendar_that_ends_too_early_is_refused() -> None:
    """A missing due date would look like a horizon that is not due."""
    with pytest.raises(BadValue, match=r"US_EQ after 2020-03-02.*at least 3 sessions"):
        build_facts(
            build.frame(build.frames.DECISIONS, [decision()]),
            build.frame(build.frames.OUTCOMES, []),
            build.contexts(),
            build.weekdays(days=2),
            pl.DataFrame({"engine_name": ["PORTFOLIO"], "config_id": ["fast"], "horizon": [3]}),
            POLICY,
            recorded=True,
        )


def test_nan_is_refused_at_the_door() -> None:
    """Missing is null."""
    with pytest.raises(BadValue, match=r"outcomes\.return"):
        facts([decision()], [outcome(**{"return": float("nan")})])


def test_invalid_newest_revision_leaves_the_outcome_missing() -> None:
    """It does not bring the older one back, and the older one was believed until then."""
    batch = facts([decision()], [outcome(), outcome(recorded_at=at(FIRST + 5 * DAY), valid=False)])
    assert (only(batch.facts, "valid_h1"), only(batch.facts, "return_h1")) == (False, None)
    assert only(batch.superseded, "known_date") == FIRST + DAY
    assert only(batch.superseded, "superseded_date") == FIRST + 5 * DAY


def test_revision_replaced_before_its_evaluation_was_never_visible() -> None:
    """Two recordings before the evaluation date are one fact."""
    early = [outcome(day=FIRST + 9 * DAY, recorded_at=at(FIRST + n * DAY), pnl=float(n)) for n in (1, 2)]
    batch = facts([decision()], early)
    assert batch.superseded.is_empty()
    assert (only(batch.facts, "pnl_h1"), only(batch.facts, "known_date_h1")) == (2.0, FIRST + 9 * DAY)


def test_outcome_without_evaluation_date_is_dated_by_the_calendar() -> None:
    """The prometheus_v2 dialect has none."""
    batch = facts([decision()], [outcome(day=None, recorded_at=at(FIRST, 23))])
    assert only(batch.facts, "eval_date_h1") == only(batch.facts, "due_date_h1")


def test_horizon_seen_only_in_the_outcomes_is_due() -> None:
    """An outcome at a horizon the source did not list a moment ago is not lost."""
    batch = facts([decision("a"), decision("b")], [outcome("a", horizon=5)], due=[1])
    assert horizons_in(batch.facts) == [1, 5]
    assert batch.facts["due_date_h5"].null_count() == 0


def test_config_without_outcomes_at_a_horizon_is_not_due_there() -> None:
    """Its columns are null and its long view has no row."""
    batch = facts([decision("a"), decision("b", config_id="slow")], [outcome("a")], due=[])
    assert batch.facts.sort("decision_id")["due_date_h1"].to_list() == [date(2020, 3, 3), None]
    assert long_facts(batch.facts.lazy()).collect()["decision_id"].to_list() == ["a"]


def test_no_decisions_give_empty_frames_of_their_contracts() -> None:
    """The empty case."""
    batch = facts([])
    assert (dict(batch.facts.schema), dict(batch.superseded.schema)) == (facts_schema([]), REVISIONS)
    assert dict(long_facts(batch.facts.lazy()).collect_schema()) == LONG_FACTS


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_row_order_of_the_input_does_not_matter(seed: int) -> None:
    """Permuted decisions, outcomes and contexts give the same rows in the same order."""
    history, mixed = History(seed), History(seed)
    mixed.decisions.reverse()
    mixed.outcomes.sort(key=lambda row: str(row["recorded_at"])[::-1])
    mixed.contexts = type(mixed.contexts)(
        *(getattr(mixed.contexts, name).reverse() for name in mixed.contexts.__dataclass_fields__)
    )
    assert_frame_equal(mixed.facts().facts, history.facts().facts)
    assert_frame_equal(mixed.facts().superseded, history.facts().superseded)
