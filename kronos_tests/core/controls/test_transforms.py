"""What holds of every control over every engine's rows, and what each control does to them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from kronos.core.backtests.runner import Produced
from kronos.core.backtests.spec import Subject
from kronos.core.controls.came import dragged
from kronos.core.controls.model import (
    BestOfNoise,
    BrokenRiskAversion,
    ConstantReturns,
    CostDrag,
    DataHoles,
    ExcessiveLeverage,
    InvertedSignal,
    LeveredIncumbent,
    LookAhead,
    PositiveEdge,
    ShuffledLabels,
    StaleData,
    TrivialVariation,
)
from kronos.core.controls.noise import best_variant, chosen_noise
from kronos.core.controls.rows import Rows, class_distance, gross
from kronos.core.controls.transforms import controlled, transformed
from kronos.core.gates.policy import CANARY, ILLIQUID
from kronos.errors import BadValue
from kronos_tests.core.controls.engines import EARNING, ENGINES, FORECASTING, books, control, pairs, rows, scores

CUT = date(2015, 3, 2)
every_pair = pytest.mark.parametrize(("engine", "name"), pairs())
each_engine = pytest.mark.parametrize("engine", ENGINES)
each_earner = pytest.mark.parametrize("engine", EARNING)
each_forecaster = pytest.mark.parametrize("engine", FORECASTING)


def ordered(found: Rows) -> tuple[pl.DataFrame, pl.DataFrame]:
    return found.decisions.sort("decision_id"), found.outcomes.sort("decision_id", "horizon")


def same(one: Rows, other: Rows) -> None:
    for left, right in zip(ordered(one), ordered(other), strict=True):
        assert_frame_equal(left, right, check_exact=True)


def dates(found: Rows, first: date, last: date) -> Rows:
    decisions = found.decisions.filter(pl.col("as_of_date").is_between(first, last))
    return Rows(decisions, found.outcomes.join(decisions.select("decision_id"), on="decision_id", how="semi"))


def value(frame: pl.DataFrame, column: str) -> np.ndarray[Any, Any]:
    return frame[column].to_numpy()


@every_pair
def test_what_a_control_leaves_keeps_the_contract(engine: str, name: str) -> None:
    made = transformed(control(name), rows(engine))
    found = Produced(made.decisions, made.outcomes)
    assert found.decisions["decision_id"].is_unique().all() and len(found.decisions) and len(found.outcomes)
    assert found.outcomes["decision_id"].is_in(found.decisions["decision_id"].implode()).all()
    floats = [column for column, dtype in found.outcomes.schema.items() if dtype == pl.Float64]
    assert all(found.outcomes[column].is_finite().all() for column in floats)
    assert found.decisions["probability"].is_between(0.0, 1.0).all()


def in_cash(found: Rows) -> Rows:
    """The rows with weights of 0 on every fifth day of the month, and a cost of getting there."""
    idle = pl.col("as_of_date").dt.day() % 5 == 0
    sold = found.told().select(pl.when(idle).then(1e-4).otherwise("cost").alias("cost"))["cost"]
    decisions = found.weighted().with_columns(weight=pl.when(idle).then(0.0).otherwise("weight"))
    return Rows(decisions, found.outcomes.with_columns(sold))


@pytest.mark.parametrize(("engine", "name"), [pair for pair in pairs() if pair[0] in EARNING])
def test_dates_in_cash_leave_every_number_finite(engine: str, name: str) -> None:
    """A weight of 0 is legal, and so is a cost beside it: of what was sold."""
    made = transformed(control(name), in_cash(rows(engine))).outcomes
    floats = [column for column, dtype in made.schema.items() if dtype == pl.Float64]
    assert all(made[column].drop_nulls().is_finite().all() for column in floats)


@each_earner
def test_dates_in_cash_have_no_edge_and_leave_that_of_the_others(engine: str) -> None:
    found, idle = rows(engine), in_cash(rows(engine))
    there = (idle.told()["weight"] != 0.0).alias("there")
    was, now = transformed(PositiveEdge(seed=3), found).outcomes, transformed(PositiveEdge(seed=3), idle).outcomes
    assert now.filter(~there)["return"].equals(found.outcomes.filter(~there)["return"])
    assert now.filter(there).equals(was.filter(there))


@each_earner
def test_what_going_to_cash_cost_stays_beside_the_inverted_book(engine: str) -> None:
    idle = in_cash(rows(engine))
    made = transformed(InvertedSignal(), idle).outcomes
    there = idle.told()["weight"] != 0.0
    assert made["cost"].equals(idle.outcomes["cost"]) and (made["cost"].filter(~there) > 0.0).any()
    assert made.filter(~there)["return"].equals((-idle.outcomes.filter(~there)["return"]).alias("return"))


@every_pair
def test_class_probabilities_still_add_up(engine: str, name: str) -> None:
    made = transformed(control(name), rows(engine)).decisions["class_probabilities"].drop_nulls()
    assert ((made.list.sum() - 1.0).abs() < 1e-6).all()


@every_pair
def test_the_order_of_rows_means_nothing(engine: str, name: str) -> None:
    found = rows(engine)
    turned = Rows(*(df.sample(fraction=1.0, shuffle=True, seed=4) for df in (found.decisions, found.outcomes)))
    same(transformed(control(name), turned), transformed(control(name), found))


@every_pair
def test_a_fold_gives_what_the_whole_gives_of_its_dates(engine: str, name: str) -> None:
    """With the sessions the control needs before it."""
    chosen, found = control(name), rows(engine)
    first = CUT - timedelta(days=round(1.5 * chosen.lead_sessions) + 10 if chosen.lead_sessions else 0)
    part = transformed(chosen, dates(found, first, date(2015, 6, 30)))
    whole = transformed(chosen, found)
    same(dates(part, CUT, date(2015, 6, 30)), dates(whole, CUT, date(2015, 6, 30)))


@every_pair
def test_no_rows_stay_no_rows(engine: str, name: str) -> None:
    found = rows(engine)
    made = transformed(control(name), Rows(found.decisions.clear(), found.outcomes.clear()))
    assert made.decisions.is_empty() and made.outcomes.is_empty()


@pytest.mark.parametrize("engine", FORECASTING)
@pytest.mark.parametrize("name", ["blacklist_ignored", "liquidity_ignored", "excessive_leverage", "levered_incumbent"])
def test_a_control_of_books_is_refused_by_an_engine_without_any(engine: str, name: str) -> None:
    with pytest.raises(BadValue, match=f"control {name} has value 'an engine without positions'"):
        transformed(control(name), rows(engine))


@pytest.mark.parametrize(
    "name", ["shuffled_labels", "data_holes", "positive_edge", "blacklist_ignored", "liquidity_ignored"]
)
def test_another_seed_draws_anew(name: str) -> None:
    one, other = (transformed(control(name).model_copy(update={"seed": seed}), rows("PORTFOLIO")) for seed in (1, 2))
    assert not all(left.equals(right) for left, right in zip(ordered(one), ordered(other), strict=True))


@each_earner
def test_an_inverted_book_loses_what_the_other_won_and_pays_the_same(engine: str) -> None:
    found = rows(engine)
    made = transformed(InvertedSignal(), found)
    was, now = found.told(), made.told()
    assert now.select(gross()).to_series().to_list() == pytest.approx((-was.select(gross()).to_series()).to_list())
    assert now["cost"].equals(was["cost"]) and made.decisions.equals(found.decisions)


@each_earner
def test_profit_goes_with_the_return(engine: str) -> None:
    """Both speak of the same money, before and after."""
    was, now = rows(engine).told(), transformed(InvertedSignal(), rows(engine)).told()
    moved = was["return"] != 0.0
    was, now = was.filter(moved), now.filter(moved)
    capital = value(was, "pnl") / (value(was, "weight") * value(was, "return"))
    assert value(now, "pnl") == pytest.approx(capital * value(now, "weight") * value(now, "return"))


def test_an_event_that_was_the_sign_of_the_return_follows_it() -> None:
    made = transformed(InvertedSignal(), rows("ASSESSMENT")).outcomes
    assert ((made["return"] > 0.0).cast(pl.Float64) == made["event"]).all()


def test_an_inverted_probability_is_that_of_the_opposite() -> None:
    found, made = rows("STABILITY"), transformed(InvertedSignal(), rows("STABILITY"))
    assert (made.decisions["probability"] + found.decisions["probability"]).to_list() == pytest.approx(
        [1.0] * len(found.decisions)
    )
    assert made.outcomes["event"].equals(found.outcomes["event"])


def test_inverted_classes_are_reversed_in_their_order() -> None:
    found, made = rows("REGIME"), transformed(InvertedSignal(), rows("REGIME"))
    assert made.decisions["class_probabilities"].equals(found.decisions["class_probabilities"].list.reverse())
    mirror = dict(zip(("CALM", "NORMAL", "STRESS", "CRISIS"), ("CRISIS", "STRESS", "NORMAL", "CALM"), strict=True))
    assert made.decisions["label"].equals(found.decisions["label"].replace(mirror))


@pytest.mark.parametrize("name", ["inverted_signal", "shuffled_labels", "look_ahead", "stale_data", "positive_edge"])
def test_hit_and_loss_of_classes_agree_with_the_label(name: str) -> None:
    told = transformed(control(name), rows("REGIME")).told()
    distance = class_distance(told)
    assert told["loss"].to_list() == pytest.approx(distance.to_list())
    assert ((distance == 0.0).cast(pl.Float64) == told["hit"]).all()


@each_earner
def test_a_coin_turns_whole_books_and_about_half_of_them(engine: str) -> None:
    found = rows(engine)
    was, now = found.told(), transformed(ShuffledLabels(seed=1), found).told()
    told = was.select("market_id", "as_of_date").with_columns(turned=(was["return"] != now["return"]))
    moved = told.filter(was.select(gross()).to_series().abs() > 1e-12)
    days = moved.group_by("market_id", "as_of_date").agg(pl.col("turned").n_unique(), share=pl.col("turned").mean())
    assert (days["turned"] == 1).all() and 0.4 < days["share"].mean() < 0.6  # type: ignore[operator]


@each_engine
def test_the_chosen_noise_is_the_best_of_all_in_sample(engine: str) -> None:
    found = rows(engine)
    best = best_variant(found.decisions, found.outcomes, 20, seed=1)
    made = [quality(transformed(BestOfNoise(variant=number, seed=1), found)) for number in range(20)]
    assert int(np.argmax(made)) == best


def quality(found: Rows) -> float:
    """The measure noise is chosen by, worked out the long way: over dates, markets weighing the same."""
    if not found.earns:
        days = scores(found).group_by("as_of_date").agg(pl.col("score").mean())
        return -float(days["score"].mean() / days["score"].std(ddof=0))  # type: ignore[operator, arg-type]
    days = books(found).group_by("as_of_date").agg(pl.col("book").mean())
    return float(days["book"].mean() / days["book"].std(ddof=0))  # type: ignore[operator, arg-type]


def test_the_choice_of_noise_is_part_of_the_control() -> None:
    found = rows("UNIVERSE")
    chosen = chosen_noise(found.decisions, found.outcomes, trials=10, seed=2)
    assert (chosen.trials, chosen.variant) == (
        10,
        best_variant(found.decisions.sample(fraction=1.0, shuffle=True), found.outcomes, 10, 2),
    )


def test_noise_cannot_be_chosen_without_outcomes() -> None:
    found = rows("UNIVERSE")
    with pytest.raises(BadValue, match="outcomes to choose noise by"):
        best_variant(found.decisions, found.outcomes.clear())


@each_earner
def test_a_drag_costs_every_book_the_same_per_weight(engine: str) -> None:
    found = rows(engine)
    was, now = books(found), books(transformed(CostDrag(drag=0.001), found))
    held = found.told().filter(pl.col("horizon") == 1).group_by("market_id", "as_of_date").agg(pl.col("weight").sum())
    weights = held.sort("market_id", "as_of_date")["weight"]
    assert (now["book"] - was["book"]).to_list() == pytest.approx((-0.001 * weights).to_list())


@each_forecaster
def test_a_drag_makes_no_forecasts_date_better_and_most_worse(engine: str) -> None:
    was, now = scores(rows(engine)), scores(dragged(CostDrag(), rows(engine)))
    worse = value(now, "score") - value(was, "score")
    assert (worse >= -1e-9).all() and (worse > 1e-9).mean() > 0.4


@each_engine
def test_stale_decisions_are_those_of_so_many_sessions_before(engine: str) -> None:
    found = rows(engine)
    made = transformed(StaleData(lag=40), found).decisions
    days = found.decisions.filter(pl.col("market_id") == "US_EQ")["as_of_date"].unique().sort()
    said = ["entity_id", "probability", "label", "score", "class_probabilities"]
    for day in (40, 150):
        now = made.filter(pl.col("market_id") == "US_EQ", pl.col("as_of_date") == days[day]).select(said)
        then = found.decisions.filter(pl.col("market_id") == "US_EQ", pl.col("as_of_date") == days[day - 40])
        assert len(now) and now.sort("entity_id").equals(then.select(said).sort("entity_id"))


@each_engine
def test_nothing_is_missing_of_what_comes_to_stale_decisions(engine: str) -> None:
    found, made = rows(engine), transformed(StaleData(lag=40), rows(engine))
    assert len(made.outcomes) == 3 * len(made.decisions) and len(found.outcomes) == 3 * len(found.decisions)


def test_stale_decisions_meet_what_comes_on_the_new_date() -> None:
    made = transformed(StaleData(lag=40), rows("STABILITY")).told()
    key = ["market_id", "as_of_date", "horizon"]
    real = rows("STABILITY").told().select(*key, "event")
    both = made.join(real, on=key, suffix="_real")
    assert len(both) == len(made) and (both["event"] == both["event_real"]).all()


@each_earner
def test_who_looks_ahead_never_loses_before_costs(engine: str) -> None:
    told = transformed(LookAhead(), rows(engine)).told().filter(pl.col("horizon") == 1)
    assert (told.select(gross()).to_series() >= -1e-12).all()


@each_forecaster
def test_who_looks_ahead_forecasts_better_on_every_date(engine: str) -> None:
    was, now = scores(rows(engine)), scores(transformed(LookAhead(), rows(engine)))
    assert (value(now, "score") <= value(was, "score") + 1e-9).all()


@each_engine
def test_a_look_ahead_shows_in_the_decisions_and_only_where_there_is_an_outcome(engine: str) -> None:
    found = rows(engine)
    blind = Rows(found.decisions, found.outcomes.join(late(found), on="decision_id", how="anti"))
    made = transformed(LookAhead(), blind).decisions
    is_late = made["decision_id"].is_in(late(found)["decision_id"].implode())
    said = ["probability", "expected_return", "class_probabilities"]
    assert made.filter(is_late).select(said).equals(found.decisions.filter(is_late).select(said))
    assert not made.filter(~is_late).select(said).equals(found.decisions.filter(~is_late).select(said))


def late(found: Rows) -> pl.DataFrame:
    return found.decisions.filter(pl.col("as_of_date") >= date(2015, 8, 1)).select("decision_id")


@each_engine
def test_holes_are_whole_dates_and_a_tenth_of_them(engine: str) -> None:
    found = rows(engine)
    left = transformed(DataHoles(seed=2), found).told()["as_of_date"].unique()
    there = found.told()["as_of_date"].unique()
    gone = there.filter(~there.is_in(left.implode()))
    assert 0.05 < len(gone) / len(there) < 0.16


@each_engine
def test_nothing_varies_when_every_return_is_the_same(engine: str) -> None:
    made = transformed(ConstantReturns(), rows(engine))
    series = books(made)["book"] if engine in EARNING else scores(made)["score"]
    assert series.n_unique() == 1


@each_engine
def test_a_trivial_variation_is_another_and_hardly_so(engine: str) -> None:
    found, made = rows(engine), transformed(TrivialVariation(seed=1), rows(engine))
    if engine in EARNING:
        was, now = value(found.outcomes, "return"), value(made.outcomes, "return")
    else:
        was, now = value(scores(found), "score"), value(scores(made), "score")
    assert (was != now).mean() > 0.9 and np.abs(now - was).max() < 1e-5


@each_earner
@pytest.mark.parametrize(("name", "entity"), [("blacklist_ignored", CANARY), ("liquidity_ignored", ILLIQUID)])
def test_a_name_not_to_be_held_stands_in_a_share_of_the_books(engine: str, name: str, entity: str) -> None:
    found = rows(engine)
    made = transformed(control(name), found)
    held = made.decisions.filter(pl.col("entity_id") == entity)
    books_there = found.decisions.select("market_id", "as_of_date").n_unique()
    assert held.select("market_id", "as_of_date").n_unique() == len(held)
    assert 0.02 < len(held) / books_there < 0.1 and made.outcomes.equals(found.outcomes)


@each_earner
@pytest.mark.parametrize(("chosen", "factor"), [(ExcessiveLeverage(), 3.0), (LeveredIncumbent(), 2.0)])
def test_leverage_multiplies_the_book(engine: str, chosen: Any, factor: float) -> None:
    found, made = rows(engine), transformed(chosen, rows(engine))
    assert value(books(made), "book") == pytest.approx(factor * value(books(found), "book"), abs=1e-8)
    assert value(made.decisions, "weight") == pytest.approx(factor * value(found.weighted(), "weight"), abs=1e-9)
    assert value(made.outcomes, "cost") == pytest.approx(factor * value(found.outcomes, "cost"))


@each_earner
def test_broken_risk_aversion_holds_more_after_losses_and_never_less(engine: str) -> None:
    found = rows(engine)
    made = transformed(BrokenRiskAversion(), found).decisions
    ratio = value(made, "weight") / value(found.weighted(), "weight")
    assert ratio.min() == pytest.approx(1.0) and ratio.max() == pytest.approx(1.45, abs=1e-3)


@each_earner
def test_broken_risk_aversion_knows_nothing_of_what_comes(engine: str) -> None:
    found = rows(engine)
    eval_date, own = pl.col("eval_date"), pl.col("return")
    another = found.outcomes.with_columns(pl.when(eval_date > CUT).then(-3.0 * own).otherwise(own).alias("return"))
    made = [transformed(BrokenRiskAversion(), Rows(found.decisions, one)) for one in (found.outcomes, another)]
    known = [one.decisions.filter(pl.col("as_of_date") <= CUT) for one in made]
    assert_frame_equal(*known)
    assert not made[0].decisions.equals(made[1].decisions)


@each_forecaster
def test_broken_risk_aversion_of_forecasts_is_too_sure(engine: str) -> None:
    was, now = scores(rows(engine)), scores(transformed(BrokenRiskAversion(), rows(engine)))
    assert value(now, "score").mean() > value(was, "score").mean()


@each_engine
def test_an_edge_changes_no_decision(engine: str) -> None:
    found = rows(engine)
    assert transformed(PositiveEdge(), found).decisions.equals(found.decisions)


@each_engine
@pytest.mark.parametrize("seed", range(3))
def test_the_planted_edge_has_an_information_ratio_of_three_or_more(engine: str, seed: int) -> None:
    """And noise: there are dates on which the config is no better."""
    found = rows(engine, date(2010, 1, 4))
    made = transformed(PositiveEdge(seed=seed), found)
    measure, sign = (books, 1.0) if engine in EARNING else (scores, -1.0)
    column = "book" if engine in EARNING else "score"
    both = measure(found).join(measure(made), on=["market_id", "as_of_date"], suffix="_now")
    both = both.with_columns(gain=sign * (pl.col(f"{column}_now") - pl.col(column)))
    gain = value(both.group_by("as_of_date").agg(pl.col("gain").mean()), "gain")
    assert gain.mean() / gain.std() * np.sqrt(252.0) >= 3.0 and (both["gain"] <= 0.0).any()


def test_a_control_is_laid_over_its_own_subject_alone() -> None:
    found = rows("PORTFOLIO")
    other = found.decisions.with_columns(
        config_id=pl.lit("other"), decision_id=pl.concat_str(pl.lit("x"), pl.col("decision_id"))
    )
    came = found.outcomes.with_columns(decision_id=pl.concat_str(pl.lit("x"), pl.col("decision_id")))
    both = Produced(pl.concat([found.decisions, other]), pl.concat([found.outcomes, came]))
    made = controlled(both, (Subject(config_id="other", config_body={}, control=InvertedSignal()),))
    own = pl.col("config_id") == "other"
    assert made.decisions.filter(~own).equals(found.decisions)
    left = made.outcomes.filter(~pl.col("decision_id").str.starts_with("x"))
    assert left.equals(found.outcomes) and len(made.outcomes) == len(both.outcomes)
    assert not made.outcomes.filter(pl.col("decision_id").str.starts_with("x")).equals(came)
