"""Classes of configs whose truth is known, and what cannot be compared."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from kronos.core.reports.comparison_model import Cell, ConfigClass, ConfigComparison, Doubt
from kronos.errors import BadValue
from kronos_tests.core.reports.comparison_worlds import (
    CRISIS,
    POLICY,
    N,
    books,
    compare,
    record,
)

TRUTH = {
    "bad": ConfigClass.DOMINATED,
    "copy": ConfigClass.UNDECIDED,
    "crisis": ConfigClass.NICHE,
    "incumbent": ConfigClass.INCUMBENT,
    "shifted": ConfigClass.ROBUST,
}


@pytest.fixture(scope="module")
def world() -> ConfigComparison:
    return compare(record(books()))


def sharpe(values: np.ndarray) -> float:
    """Annual Sharpe ratio."""
    return float(values.mean() / values.std(ddof=1) * np.sqrt(252))


def classes(found: ConfigComparison) -> dict[str, ConfigClass]:
    return {verdict.config_id: verdict.label for verdict in found.verdicts}


def test_constructed_truth_comes_out_right(world: ConfigComparison) -> None:
    """A copy, a copy shifted by a constant, a config good in CRISIS only, one bad everywhere."""
    assert classes(world) == TRUTH
    assert world.verdict("copy").reason is Doubt.IDENTICAL
    assert world.verdict("crisis").niches == ("regime:CRISIS",)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_another_seed_changes_no_class(seed: int) -> None:
    assert classes(compare(record(books()), POLICY.model_copy(update={"seed": seed}))) == TRUTH


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_other_worlds_of_the_same_truth_agree(seed: int) -> None:
    assert classes(compare(record(books(seed)))) == TRUTH


def test_same_input_gives_the_same_bytes(world: ConfigComparison) -> None:
    assert compare(record(books())).to_json_dict() == world.to_json_dict()


def test_order_of_configs_and_rows_changes_nothing(world: ConfigComparison) -> None:
    frame = record(books()).sample(fraction=1.0, shuffle=True, seed=5)
    assert compare(frame, ids=sorted(TRUTH, reverse=True)) == world


def test_config_without_its_niche_declared_is_no_niche() -> None:
    found = compare(record(books()), POLICY.model_copy(update={"niche_slices": ("regime:STRESS", "regime:TYPO")}))
    assert found.verdict("crisis").reason is Doubt.NO_CLASS_APPLIES
    told = [finding for finding in found.verdict("crisis").findings if finding.slice == "regime:TYPO"]
    assert [(finding.met, finding.reason) for finding in told] == [(False, "no statistics in this slice")]


def test_json_round_trip_is_exact_and_sorted(world: ConfigComparison) -> None:
    data = world.to_json_dict()
    text = json.dumps(data)
    assert text == json.dumps(data, sort_keys=True)
    assert ConfigComparison.from_json_dict(json.loads(text)) == world


def test_differences_are_those_of_the_sharpe_ratios(world: ConfigComparison) -> None:
    """Overall and in one regime, from the returns themselves."""
    held = books()
    for name, mask in (("overall", np.ones(N, dtype=bool)), ("regime:CRISIS", CRISIS)):
        cell = world.cell("crisis", name)
        assert cell.n == mask.sum()
        assert cell.value == pytest.approx(sharpe(held["crisis"][mask]))
        assert cell.difference == pytest.approx(sharpe(held["crisis"][mask]) - sharpe(held["incumbent"][mask]))


def test_interval_excludes_zero_exactly_when_the_p_value_is_small(world: ConfigComparison) -> None:
    for cell in world.cells:
        if cell.low is not None and cell.high is not None and cell.p_value is not None:
            assert (cell.low > 0.0 or cell.high < 0.0) == (cell.p_value <= POLICY.level)


def test_class_carries_its_evidence(world: ConfigComparison) -> None:
    """Every condition with value, threshold and interval."""
    bound = world.verdict("bad").findings[0]
    assert (bound.slice, bound.metric, bound.threshold, bound.met) == ("overall", "sharpe", 0.0, True)
    assert bound.value == world.cell("bad", "overall").high
    assert {finding.met for finding in world.verdict("bad").findings[1:]} == {False}


def test_asking_for_fewer_configs_makes_a_smaller_family(world: ConfigComparison) -> None:
    found = compare(record(books()), ids=["bad"])
    assert list(classes(found)) == ["bad", "incumbent"]
    assert found.critical is not None and world.critical is not None and found.critical < world.critical


def test_low_power_earns_no_class() -> None:
    """A truly better config in one year of data has no eligible slice."""
    short = {name: values[:250] for name, values in books().items()}
    found = compare(record({"incumbent": short["incumbent"], "noisy": short["crisis"] + 0.0012}))
    assert found.verdict("noisy").label is ConfigClass.UNDECIDED
    assert not any(cell.eligible for cell in found.cells)


def test_p_value_within_its_monte_carlo_error_decides_nothing() -> None:
    """With the level at the p-value itself, other draws could go either way."""
    rng = np.random.default_rng(4)
    held = books()
    frame = record({"incumbent": held["incumbent"], "worse": held["incumbent"] + rng.normal(-0.00015, 0.004, N)})
    p = compare(frame).cell("worse", "overall").p_value
    assert p is not None and 0.005 < p < 0.2
    found = compare(frame, POLICY.model_copy(update={"level": p})).verdict("worse")
    assert (found.label, found.reason) == (ConfigClass.UNDECIDED, Doubt.MONTE_CARLO_ERROR)


def unusable() -> dict[str, tuple[np.ndarray, Doubt]]:
    """Streams that cannot be compared, with the reason each must get."""
    held = books()
    incumbent, other = held["incumbent"], held["crisis"]
    gaps = np.where(np.arange(N) % 12 == 0, np.nan, other)
    jump = incumbent.copy()
    jump[100] += 0.2
    return {
        "constant": (np.full(N, 0.001), Doubt.CONSTANT),
        "gappy": (gaps, Doubt.LOW_COVERAGE),
        "one-day": (jump, Doubt.CONCENTRATED),
        "levered": (2.0 * incumbent, Doubt.SCALED_COPY),
        "short": (other[:50], Doubt.TOO_SHORT),
        "twin": (held["bad"].copy(), Doubt.IDENTICAL),
        "zero": (np.zeros(N), Doubt.CONSTANT),
    }


@pytest.fixture(scope="module")
def troubled() -> ConfigComparison:
    return compare(record(books() | {name: values for name, (values, _) in unusable().items()}))


@pytest.mark.parametrize("name", sorted(unusable()))
def test_what_cannot_be_compared_says_why(troubled: ConfigComparison, name: str) -> None:
    verdict = troubled.verdict(name)
    assert (verdict.label, verdict.reason) == (ConfigClass.UNDECIDED, unusable()[name][1]), verdict
    assert verdict.detail
    assert {cell.difference for cell in troubled.cells if cell.config_id == name} == {None}


def test_bad_configs_do_not_take_the_others_down(troubled: ConfigComparison, world: ConfigComparison) -> None:
    """The others' classes and numbers are those of a comparison without the bad ones."""

    def numbers(found: ConfigComparison) -> list[Cell]:
        return [cell for cell in found.cells if cell.config_id in TRUTH]

    assert numbers(troubled) == numbers(world)
    assert {name: label for name, label in classes(troubled).items() if name in TRUTH} == TRUTH


def test_config_without_record_says_so() -> None:
    found = compare(record(books()), ids=["bad", "ghost"])
    assert found.verdict("ghost").reason is Doubt.NO_RECORD
    assert found.verdict("bad").label is ConfigClass.DOMINATED


def test_without_incumbent_everything_is_undecided() -> None:
    found = compare(record(books()), incumbent=None)
    assert {verdict.reason for verdict in found.verdicts} == {Doubt.NO_INCUMBENT}
    assert (found.cells, found.metric) == ((), None)


def test_incumbent_without_record_leaves_everything_undecided() -> None:
    found = compare(record(books()), incumbent="ghost")
    assert found.verdict("ghost").label is ConfigClass.INCUMBENT
    assert {found.verdict(name).reason for name in TRUTH} == {Doubt.INCUMBENT_UNUSABLE}


def test_incumbent_alone_is_reported() -> None:
    found = compare(record({"incumbent": books()["incumbent"]}))
    assert classes(found) == {"incumbent": ConfigClass.INCUMBENT}
    assert found.critical is None


def test_gaps_cost_and_hiding_bad_days_does_not_pay() -> None:
    """A missing date counts as a bad one, also when the worst 4 % beside the incumbent are left out."""
    rng = np.random.default_rng(2)
    held = books()
    honest = held["incumbent"] + rng.normal(0, 0.004, N)
    edge = honest - held["incumbent"]
    hidden = edge < np.quantile(edge, 0.04)
    gappy = {"cheat": np.where(hidden, np.nan, honest), "loose": np.where(rng.random(N) < 0.03, np.nan, honest)}
    found = compare(record({"incumbent": held["incumbent"], "honest": honest} | gappy))
    cheat, loose, fair = (found.cell(name, "overall").difference or 0.0 for name in ("cheat", "loose", "honest"))
    assert loose < fair and cheat < fair
    assert found.cell("cheat", "overall").coverage == pytest.approx(0.96)


def test_windows_are_calendar_years_of_the_policy(world: ConfigComparison) -> None:
    yearly = compare(record(books()), POLICY.model_copy(update={"window_years": 1}))
    assert [name for name in yearly.slices if name.startswith("window:")][:3] == [
        "window:2001",
        "window:2002",
        "window:2003",
    ]
    assert "window:2002-2003" in world.slices
    assert yearly.cell("bad", "window:2002").n == 261


def test_dimension_with_one_slice_is_left_out(world: ConfigComparison) -> None:
    """One market is the whole book again."""
    assert not any(name.startswith("market:") for name in world.slices)
    assert sum(name.startswith("regime:") for name in world.slices) == 4


def test_two_markets_are_two_slices() -> None:
    held = {name: books()[name] for name in ("incumbent", "bad")}
    etf = {name: values + np.random.default_rng(9).normal(0, 0.002, N) for name, values in held.items()}
    found = compare(pl.concat([record(held), record(etf, market="US_ETF")]))
    assert {"market:US_EQ", "market:US_ETF"} <= set(found.slices)
    assert found.verdict("bad").label is ConfigClass.DOMINATED


def test_scores_are_turned_so_that_positive_is_better() -> None:
    """An engine that only forecasts is compared by the first score its incumbent has; lower is better."""
    rng = np.random.default_rng(3)
    base = rng.uniform(0.1, 0.3, N)
    losses = {"incumbent": base, "better": base + rng.normal(-0.02, 0.02, N), "worse": base + rng.normal(0.02, 0.02, N)}
    found = compare(forecasts(losses))
    assert found.metric == "brier"
    assert found.cell("better", "overall").difference == pytest.approx(float((base - losses["better"]).mean()))
    assert found.verdict("better").label is ConfigClass.ROBUST
    assert found.verdict("worse").label is ConfigClass.DOMINATED
    assert found.margin == pytest.approx(POLICY.score_margin * float(base.mean()))


def test_constant_score_difference_has_no_error_to_judge_by() -> None:
    base = np.random.default_rng(3).uniform(0.1, 0.3, N)
    found = compare(forecasts({"incumbent": base, "shifted": base - 0.01}))
    assert found.verdict("shifted").reason is Doubt.ZERO_VARIANCE_DIFFERENCE


def forecasts(losses: dict[str, np.ndarray]) -> pl.DataFrame:
    """One scored forecast a day and no returns."""
    frame = record(losses, engine="REGIME", brier_sum=losses, forecast_n={name: np.ones(N) for name in losses})
    silent = [
        pl.lit(0).cast(frame.schema[name]).alias(name) for name in ("returns", "weight_returned", "weighted_return")
    ]
    return frame.with_columns(silent)


def test_overlapping_horizons_keep_their_annualisation() -> None:
    """Sums over five sessions: h = 5 has the factor A/h."""
    held = {name: np.convolve(values, np.ones(5), mode="valid") for name, values in books().items()}
    found = compare(record({name: held[name] for name in ("incumbent", "bad")}, horizon=5), horizon=5)
    cell = found.cell("bad", "overall")
    values = held["bad"]
    assert cell.value == pytest.approx(float(values.mean() / values.std(ddof=1) * np.sqrt(252 / 5)))
    assert found.block_length is not None and found.block_length >= 10
    assert found.verdict("bad").label is ConfigClass.DOMINATED


def test_reversed_period_is_refused() -> None:
    with pytest.raises(BadValue, match="end_date"):
        compare(record(books()), reverse=True)
