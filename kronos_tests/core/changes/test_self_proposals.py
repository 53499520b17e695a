"""What Kronos proposes by itself, and the reason wherever it proposes nothing."""

from __future__ import annotations

from datetime import date, timedelta
from statistics import NormalDist
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronos.core.changes.request import KRONOS
from kronos.core.changes.self_evidence import StoredComparison, stored_comparisons
from kronos.core.changes.self_proposals import (
    Attempt,
    EngineView,
    Ground,
    Mined,
    MinedSlice,
    Silence,
    mine,
)
from kronos.core.changes.self_rationale import about, rationale
from kronos.core.policy import ObservationPolicy, SelfProposalPolicy
from kronos.core.vocabulary import TrialFamily
from kronos_tests.core.changes.self_views import AS_OF, DAY, NICHES, POLICY, alarm, config, frame, row, view


def with_bounds(**changes: Any) -> ObservationPolicy:
    return POLICY.model_copy(update={"proposals": SelfProposalPolicy(**changes)})


def mined(*views: EngineView, policy: ObservationPolicy = POLICY, **made: int) -> Mined:
    return mine(views, DAY, policy, made)


def made(found: Mined) -> list[tuple[str, str]]:
    """Configs proposed, with the ground."""
    return [(one.config.config_id, one.ground.value) for one in found.proposals]


def reasons(found: Mined) -> list[tuple[str | None, str]]:
    return [(one.config_id, one.reason.value) for one in found.declined]


# a dominated incumbent


def test_a_config_that_is_significantly_better_is_proposed_against_the_active_one() -> None:
    found = mined(view(row("new", 3.5), row("other", 0.1)))
    (one,) = found.proposals
    assert (one.engine_name, one.base_config_id, one.config.config_body) == ("PORTFOLIO", "old", {"name": "new"})
    assert (one.ground, one.slice, one.as_of) == (Ground.DOMINATED_INCUMBENT, "overall", DAY)
    assert (one.mined_from, one.mined_until) == (date(2001, 1, 1), AS_OF)
    assert found.declined == ()


@pytest.mark.parametrize("t", [0.0, 1.9, 2.12, -5.0])
def test_a_config_that_is_not_significantly_better_is_not(t: float) -> None:
    """Three trials beside the incumbent: a one-sided 5 % by Holm needs 2.13 standard errors."""
    found = mined(view(row("new", t)))
    assert (made(found), reasons(found)) == ([], [(None, "NOTHING_BETTER")])
    assert "best other config is new" in found.declined[0].detail


def test_p_values_count_every_trial_of_the_ledger() -> None:
    """Independent twin: the largest of n normal statistics, Bonferroni for the best, then one test fewer."""
    held = stored_comparisons(frame(row("a", 2.5, trials=8), row("b", 2.2, trials=8), row("c", None, trials=8)))
    a, b, c = held["PORTFOLIO"].rivals
    assert held["PORTFOLIO"].tests == 7
    assert a.p_better == pytest.approx(7 * (1.0 - NormalDist().cdf(2.5)))
    assert b.p_better == pytest.approx(6 * (1.0 - NormalDist().cdf(2.2)))
    assert c.p_better is None


def test_without_a_ledger_nothing_is_significant() -> None:
    found = mined(view(row("new", 9.0, trials=None)))
    assert reasons(found) == [(None, "NOTHING_BETTER")]


def test_the_best_comes_first_and_the_bound_of_the_engine_holds() -> None:
    found = mined(view(row("good", 3.0), row("best", 4.0)))
    assert (made(found), reasons(found)) == ([("best", "DOMINATED_INCUMBENT")], [("good", "BOUND_REACHED")])


# a degraded incumbent


def test_in_alarm_the_best_alternative_is_proposed_and_said_to_be_without_significance() -> None:
    found = mined(
        view(row("weak", 0.2), row("fair", 0.9), row("bad", 2.0, **{"class": "DOMINATED"}), alarms=(alarm(),))
    )
    assert made(found) == [("fair", "DEGRADED_INCUMBENT")]
    told = rationale(found.proposals[0], POLICY)
    for words in ("is degrading", "without significance", "e-value up to 30", "in alarm since 2020-05-04", "n 370"):
        assert words in told
    assert found.proposals[0].mined_until == DAY - timedelta(days=1)


def test_in_alarm_a_robust_config_comes_before_a_larger_difference() -> None:
    found = mined(view(row("fair", 0.9), row("robust", -0.1, **{"class": "ROBUST"}), alarms=(alarm(),)))
    assert made(found) == [("robust", "DEGRADED_INCUMBENT")]


def test_an_alternative_that_is_worse_overall_is_said_to_be() -> None:
    (one,) = mined(view(row("worse", -1.5), alarms=(alarm(),))).proposals
    assert "estimated to be worse, and only the alarm speaks for testing it" in rationale(one, POLICY)


def test_in_alarm_what_is_significantly_better_is_proposed_as_such() -> None:
    found = mined(view(row("new", 4.0), row("fair", 0.9), alarms=(alarm(),)))
    assert made(found) == [("new", "DOMINATED_INCUMBENT")]
    assert "in alarm" in rationale(found.proposals[0], POLICY)


def test_in_alarm_without_an_alternative_that_is_the_reason() -> None:
    found = mined(view(row("bad", -4.0, **{"class": "DOMINATED"}), row("gone", None), alarms=(alarm(),)))
    assert reasons(found) == [(None, "NO_ALTERNATIVE")]


@pytest.mark.parametrize("changes", [{"config_id": "older"}, {"seen_on": DAY - timedelta(days=63)}])
def test_an_alarm_of_another_config_or_of_long_ago_is_none(changes: dict[str, Any]) -> None:
    assert reasons(mined(view(row("fair", 0.9), alarms=(alarm(**changes),)))) == [(None, "NOTHING_BETTER")]


# niches


def niche(config_id: str = "crisis", t: float = 4.0, **changes: Any) -> list[dict[str, Any]]:
    words = {"class": "NICHE", "niches": "regime:CRISIS", **changes}
    return [row(config_id, -1.0, **words), row(config_id, t, "regime:CRISIS", **words | {"n": 400})]


def test_a_niche_winner_is_proposed_with_its_slice() -> None:
    found = mined(view(*niche()))
    (one,) = found.proposals
    assert (one.ground, one.slice, one.strength) == (Ground.NICHE_WINNER, "regime:CRISIS", pytest.approx(4.0))
    told = rationale(one, POLICY)
    assert (
        "In regime:CRISIS the difference in sharpe is +0.4" in told
        and "Overall the difference in sharpe is -0.1" in told
    )


def test_a_niche_in_a_slice_that_is_not_declared_is_none() -> None:
    policy = ObservationPolicy()
    assert "regime:CALM" not in policy.comparison.niche_slices
    rows = [row("calm", 0.0, **{"class": "NICHE", "niches": "regime:CALM"}), row("calm", 5.0, "regime:CALM")]
    assert made(mined(view(*rows), policy=policy)) == []


def test_everything_looked_at_in_a_declared_slice_is_a_trial() -> None:
    """Whatever is proposed; what has no statistics could not have been found."""
    rows = [
        *niche(),
        row("other", 0.0),
        row("other", 0.1, NICHES[0]),
        row("other", None, NICHES[1]),
        row("other", 1, "x"),
    ]
    found = mined(view(*rows), policy=with_bounds(most_per_day=0))
    assert found.proposals == ()
    assert found.slices == (
        MinedSlice("PORTFOLIO", "crisis", NICHES[0]), MinedSlice("PORTFOLIO", "other", NICHES[0]),
    )  # fmt: skip


# what cannot be a ground


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"compared": None}, Silence.NO_COMPARISON),
        ({"active": None}, Silence.NO_INCUMBENT),
        ({"active": "new"}, Silence.INCUMBENT_CHANGED),
    ],
)
def test_an_engine_that_cannot_be_judged_has_a_reason(changes: dict[str, Any], reason: Silence) -> None:
    found = mined(view(row("new", 4.0), **changes))
    assert (made(found), reasons(found), found.slices) == ([], [(None, reason)], ())


def test_an_old_comparison_is_no_ground() -> None:
    held = view(row("new", 4.0, as_of=date(2020, 5, 8)))
    assert reasons(mined(held)) == [(None, "STALE_COMPARISON")]


def test_every_engine_has_a_proposal_or_a_reason_and_the_strongest_come_first() -> None:
    views = [
        EngineView("NOTHING", None, {}),
        view(row("new", 3.0)),
        view(row("new", 5.0, engine_name="B"), engine_name="B", compared=_of("B", 5.0)),
        view(row("new", 4.0, engine_name="C"), engine_name="C", compared=_of("C", 4.0)),
    ]
    found = mined(*views, policy=with_bounds(most_per_day=2))
    assert [one.engine_name for one in found.proposals] == ["B", "C"]
    assert {(one.engine_name, one.reason) for one in found.declined} == {
        ("NOTHING", Silence.NO_COMPARISON), ("PORTFOLIO", Silence.BOUND_REACHED),
    }  # fmt: skip


def _of(engine: str, t: float) -> StoredComparison:
    return stored_comparisons(frame(row("new", t)).with_columns(engine_name=pl.lit(engine)))[engine]


# which configs cannot be proposed


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        (None, Silence.NOT_REGISTERED),
        (config("new", active=True), Silence.ALREADY_ACTIVE),
        (config("new", body={"name": "old"}), Silence.ALREADY_ACTIVE),
        (config("new", family=TrialFamily.CONTROL), Silence.MADE_FOR_A_CONTROL),
    ],
)
def test_a_config_that_is_none_to_propose_has_a_reason(known: Any, reason: Silence) -> None:
    held = view(row("new", 4.0))
    configs = {"old": held.configs["old"]} | ({} if known is None else {"new": known})
    found = mined(view(row("new", 4.0), configs=configs))
    assert (made(found), reasons(found)) == ([], [("new", reason)])


def test_too_few_dates_are_no_ground() -> None:
    found = mined(view(row("new", 4.0, n=503)))
    assert reasons(found) == [("new", "TOO_LITTLE_EVIDENCE")]
    assert "503 matched dates in overall: 504 needed" in found.declined[0].detail
    rows = niche()
    rows[1]["n"] = 125
    assert reasons(mined(view(*rows))) == [("crisis", "TOO_LITTLE_EVIDENCE")]


@pytest.mark.parametrize("by", [KRONOS, "ann"])
def test_what_is_under_test_is_not_proposed_again(by: str) -> None:
    tried = Attempt("old", config("new").canonical_hash, by, is_open=True)
    assert reasons(mined(view(row("new", 4.0), attempts=(tried,)))) == [("new", "UNDER_TEST")]


@pytest.mark.parametrize(("days", "again"), [(0, False), (364, False), (365, True), (800, True)])
def test_what_was_decided_waits_for_a_year_of_new_evidence(days: int, again: bool) -> None:
    tried = Attempt(
        "old", config("new").canonical_hash, KRONOS, is_open=False, mined_until=AS_OF - timedelta(days=days)
    )
    found = mined(view(row("new", 4.0), attempts=(tried,)))
    assert bool(found.proposals) is again
    assert again or reasons(found) == [("new", "DECIDED_BEFORE")]


def test_what_people_decided_or_tried_against_another_base_does_not_count() -> None:
    mark = config("new").canonical_hash
    tried = (Attempt("old", mark, "ann", is_open=False), Attempt("other", mark, KRONOS, is_open=True))
    assert made(mined(view(row("new", 4.0), attempts=tried))) == [("new", "DOMINATED_INCUMBENT")]


# laws


@given(
    st.lists(st.tuples(st.floats(-6, 6), st.sampled_from(["ROBUST", "NICHE", "DOMINATED", "UNDECIDED"])), max_size=6),
    st.booleans(), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3),
)  # fmt: skip
def test_bounds_hold_reasons_are_given_and_the_answer_is_the_same_twice(
    rivals: list[tuple[float, str]], alarmed: bool, per_day: int, per_engine: int, before: int
) -> None:
    rows = [row(f"c{n}", t, **{"class": label, "niches": ""}) for n, (t, label) in enumerate(rivals)]
    held = view(*rows, alarms=(alarm(),) if alarmed else ())
    policy = with_bounds(most_per_day=per_day, most_per_engine=per_engine)
    found = mined(held, policy=policy, PORTFOLIO=before)
    assert len(found.proposals) <= max(0, min(per_day, per_engine) - before)
    assert found.proposals or found.declined
    assert len({one.config.config_id for one in found.proposals}) == len(found.proposals)
    assert not any(one.config.active for one in found.proposals)
    assert found == mined(held, policy=policy, PORTFOLIO=before)


# what it says


def test_metadata_holds_the_numbers_the_windows_and_the_marks() -> None:
    (one,) = mined(view(row("new", 4.0))).proposals
    told = about(one, POLICY, {"config_comparison": "t:7"})
    assert (told["ground"], told["config_id"], told["as_of"]) == ("DOMINATED_INCUMBENT", "new", "2020-07-10")
    assert (told["mined_from"], told["mined_until"]) == ("2001-01-01", "2020-06-30")
    assert told["lake"] == {"config_comparison": "t:7"}
    evidence = told["evidence"]
    assert (evidence["difference"]["n"], evidence["trials"], evidence["seed"]) == (2000, 4, POLICY.comparison.seed)
    assert evidence["difference"]["low"] == pytest.approx(0.1)


def test_a_partial_month_is_said_to_be_one() -> None:
    (one,) = mined(view(row("new", 4.0, label="PARTIAL(EU)"))).proposals
    assert "PARTIAL(EU)" in rationale(one, POLICY)
