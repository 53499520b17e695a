"""The shell fails closed: whatever could be misread as evidence is refused, with its reason."""

from __future__ import annotations

import numpy as np
import pytest

from kronos.core.stats.matrix import (
    Inconclusive,
    LossMatrix,
    Reason,
    ReturnMatrix,
    higher_is_better,
    loss_matrix,
    require_returns,
    return_matrix,
    scaled_copies,
    too_few_blocks,
)
from kronos.errors import BadValue

N = 80
DATES = np.datetime64("2020-01-01") + np.arange(N)
VALUES = np.random.default_rng(1).normal(0.0, 0.01, (N, 3))
NAMES = ("a", "b", "c")


def reason(values: object = VALUES, names: tuple[str, ...] = NAMES, dates: object = DATES) -> Reason | None:
    """Why this input is refused, None when it is accepted; returns and losses must agree."""
    built = return_matrix(values, names, dates)
    twin = loss_matrix(values, names, dates)
    found = built.reason if isinstance(built, Inconclusive) else None
    assert found == (twin.reason if isinstance(twin, Inconclusive) else None)
    return found


def changed(column: int, values: object) -> np.ndarray:
    copy = VALUES.copy()
    copy[:, column] = values
    return copy


def test_clean_input_is_accepted() -> None:
    assert reason() is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_no_number_refuses_the_family(bad: float) -> None:
    values = VALUES.copy()
    values[-1, 1] = bad
    assert reason(values) is Reason.NOT_FINITE


@pytest.mark.parametrize("level", [0.0, 1e-4, 1e9])
def test_a_constant_column_is_refused_even_with_rounding_noise(level: float) -> None:
    assert reason(changed(0, level)) is Reason.CONSTANT
    assert reason(changed(0, level * (1 + 1e-15 * np.arange(N)))) is Reason.CONSTANT


def test_identical_columns_are_refused_even_with_rounding_noise() -> None:
    assert reason(changed(2, VALUES[:, 0])) is Reason.IDENTICAL
    assert reason(changed(2, VALUES[:, 0] * (1 + 1e-15))) is Reason.IDENTICAL


def test_a_levered_copy_is_accepted_and_reported() -> None:
    built = return_matrix(changed(2, -2.0 * VALUES[:, 0]), NAMES, DATES)
    assert isinstance(built, ReturnMatrix)
    assert [(c.original, c.copy, round(c.factor, 9)) for c in scaled_copies(built)] == [("a", "c", -2.0)]


def test_names_must_differ() -> None:
    assert reason(names=("a", "b", "a")) is Reason.DUPLICATE_NAME


def test_dates_must_rise() -> None:
    assert reason(dates=DATES[::-1]) is Reason.DATES_NOT_RISING
    assert reason(dates=np.r_[DATES[:-1], DATES[-2]]) is Reason.DATES_NOT_RISING
    assert reason(dates=np.r_[DATES[:-1], np.datetime64("NaT")]) is Reason.DATES_NOT_RISING


def test_short_empty_and_misshapen_input_is_refused() -> None:
    assert reason(VALUES[:59], dates=DATES[:59]) is Reason.TOO_SHORT
    assert reason(VALUES[:1], dates=DATES[:1]) is Reason.TOO_SHORT
    assert reason(VALUES[:, :0], names=()) is Reason.NO_CANDIDATES
    assert reason(VALUES[:, 0]) is Reason.BAD_SHAPE
    assert reason(VALUES[:, :2]) is Reason.BAD_SHAPE


def test_the_constructor_cannot_be_used_to_pass_by_the_checks() -> None:
    with pytest.raises(BadValue, match="NOT_FINITE"):
        ReturnMatrix(changed(0, np.nan), NAMES, DATES)
    with pytest.raises(BadValue, match="horizon"):
        ReturnMatrix(VALUES, NAMES, DATES, horizon=0)


def test_losses_are_no_returns() -> None:
    losses = LossMatrix(VALUES, NAMES, DATES)
    assert not isinstance(losses, ReturnMatrix)
    with pytest.raises(BadValue, match="higher is better"):
        require_returns(losses)
    with pytest.raises(BadValue, match="higher is better"):
        require_returns(VALUES)


def test_orientation_flips_losses_only() -> None:
    assert np.array_equal(higher_is_better(LossMatrix(VALUES, NAMES, DATES)), -VALUES)
    assert np.array_equal(higher_is_better(ReturnMatrix(VALUES, NAMES, DATES)), VALUES)


def test_no_answer_has_no_truth_value() -> None:
    with pytest.raises(BadValue, match="isinstance"):
        bool(Inconclusive(Reason.CONSTANT, "a"))


def test_a_matrix_does_not_change_with_the_array_it_came_from() -> None:
    source = VALUES.copy()
    built = ReturnMatrix(source, NAMES, DATES)
    source[:] = 0.0
    assert np.array_equal(built.values, VALUES)
    with pytest.raises(ValueError, match="read-only"):
        built.values[0, 0] = 1.0


def test_blocks_are_counted() -> None:
    assert too_few_blocks(100, 5) is None
    found = too_few_blocks(100, 5.5)
    assert found is not None
    assert found.reason is Reason.TOO_FEW_BLOCKS


def test_columns_are_found_by_name() -> None:
    built = ReturnMatrix(VALUES, NAMES, DATES, horizon=5)
    assert np.array_equal(built.column("b"), VALUES[:, 1])
    assert built.annual_factor == 252 / 5
    with pytest.raises(BadValue, match="one of a, b, c"):
        built.column("z")
