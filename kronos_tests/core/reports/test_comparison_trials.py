"""N from the ledger, what it amounts to, and the Sharpe ratio that is left of each config after it."""

from __future__ import annotations

import numpy as np
import pytest

from kronos.core.reports.comparison_model import ConfigComparison, DeflatedSharpe, Doubt
from kronos.core.reports.comparison_trials import Ledger
from kronos.core.stats.matrix import ReturnMatrix
from kronos.core.stats.sharpe import expected_maximum
from kronos.core.stats.trials import effective_trials
from kronos_tests.core.reports.builders import weekdays
from kronos_tests.core.reports.comparison_worlds import N, books, compare, record
from kronos_tests.core.reports.test_comparison import forecasts, sharpe

UNSEEN = Ledger(40, {})


def deflated(found: ConfigComparison, config: str) -> DeflatedSharpe:
    return {one.config_id: one for one in found.deflated}[config]


def test_trials_without_a_stream_count_in_full() -> None:
    """The four streams amount to what clustering says; the other 36 trials are taken as independent."""
    held = {name: values for name, values in books().items() if name != "copy"}
    found = compare(record(held), ledger=UNSEEN).trials
    days = np.array(weekdays(N), dtype="datetime64[D]")
    clustered = effective_trials(ReturnMatrix(np.column_stack(list(held.values())), tuple(held), days)).effective
    assert found is not None and (found.total, found.streamed) == (40, 4)
    assert found.effective == pytest.approx(clustered)
    assert found.independent == pytest.approx(clustered + 36)


def test_ids_of_one_body_are_one_trial() -> None:
    ledger = Ledger(4, dict.fromkeys(["incumbent", "copy"], "same body"))
    found = compare(record(books()), ledger=ledger).trials
    assert found is not None and (found.total, found.streamed) == (4, 4)


def test_streams_the_ledger_does_not_know_count_too() -> None:
    found = compare(record(books()), ledger=Ledger(1, {})).trials
    assert found is not None and found.total == 5


def test_naming_fewer_configs_does_not_shrink_the_search() -> None:
    frame = record({name: books()[name] for name in ("incumbent", "shifted", "bad")})
    asked = compare(frame, ids=["bad"], ledger=UNSEEN)
    assert asked.trials == compare(frame, ledger=UNSEEN).trials
    assert [one.config_id for one in asked.deflated] == ["bad", "incumbent"]


def test_the_sharpe_ratio_is_the_configs_own_and_the_hurdle_the_formulas() -> None:
    found = compare(record(books()), ledger=UNSEEN)
    one = deflated(found, "shifted")
    assert found.trials is not None and one.dispersion is not None and one.n == N
    assert one.sharpe == pytest.approx(sharpe(books()["shifted"]))
    assert one.hurdle == pytest.approx(one.dispersion * expected_maximum(found.trials.independent))
    assert one.dsr is not None and one.psr is not None and one.dsr < one.psr


def test_more_trials_leave_less() -> None:
    frame = record({name: books()[name] for name in ("incumbent", "shifted")})
    few, many = (deflated(compare(frame, ledger=Ledger(n, {})), "shifted").dsr or 0.0 for n in (5, 10_000))
    assert many < few


def test_gaps_do_not_raise_the_deflated_sharpe() -> None:
    """The worst 4 % left out count as bad days; with more gaps than 5 % there is no number."""
    held = books()["shifted"]
    hidden = np.where(held < np.quantile(held, 0.04), np.nan, held)
    holey = np.where(np.arange(N) % 10 == 0, np.nan, held)
    frame = record({"incumbent": books()["incumbent"], "honest": held, "hidden": hidden, "holey": holey})
    found = compare(frame, ledger=UNSEEN)
    assert (deflated(found, "hidden").dsr or 0.0) <= (deflated(found, "honest").dsr or 1.0)
    assert deflated(found, "holey").reason is Doubt.LOW_COVERAGE


@pytest.mark.parametrize(("values", "reason"), [(np.zeros(N), Doubt.NO_RECORD), (books()["bad"][:30], Doubt.TOO_SHORT)])
def test_what_has_no_sharpe_ratio_says_why(values: np.ndarray, reason: Doubt) -> None:
    found = compare(record({"incumbent": books()["incumbent"], "odd": values}), ledger=UNSEEN)
    assert (deflated(found, "odd").reason, deflated(found, "odd").dsr) == (reason, None)


def test_streams_that_never_meet_count_in_full() -> None:
    """Fewer than 60 dates that all share: nothing to cluster, so every trial is independent."""
    found = compare(record({"incumbent": books()["incumbent"], "brief": books()["bad"][:50]}), ledger=UNSEEN)
    assert found.trials is not None
    assert (found.trials.effective, found.trials.independent) == (None, 40.0)
    assert found.trials.reason is Doubt.STREAMS_NOT_MATCHED
    assert deflated(found, "incumbent").dsr is not None


def test_without_a_ledger_nothing_is_deflated() -> None:
    found = compare(record(books()))
    assert found.trials is None
    assert {one.reason for one in found.deflated} == {Doubt.NO_LEDGER}


def test_scores_have_trials_and_no_sharpe_ratio() -> None:
    base = np.random.default_rng(3).uniform(0.1, 0.3, N)
    found = compare(forecasts({"incumbent": base, "other": base[::-1].copy()}), ledger=UNSEEN)
    assert found.trials is not None and (found.trials.total, found.trials.independent) == (40, 40.0)
    assert {one.reason for one in found.deflated} == {Doubt.NO_RETURNS}


def test_trials_survive_json() -> None:
    found = compare(record(books()), ledger=UNSEEN)
    assert ConfigComparison.from_json_dict(found.to_json_dict()) == found
