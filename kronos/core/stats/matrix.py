"""The fail-closed shell: series that met every precondition, with their direction in the type.

Nothing in this package computes on raw arrays of unknown origin. A `ReturnMatrix` (higher is better) or a `LossMatrix`
(lower is better) exists only if its values are finite, its columns vary and differ and its dates rise; whatever does
not qualify is an `Inconclusive` with a reason a researcher can act on. The two types share no public base, so a
function of one refuses the other both under the type checker and when it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from kronos.core.conventions import (
    DEFAULT_SESSIONS_PER_YEAR,
    MIN_ANNUALISED_OBSERVATIONS,
    MIN_INDEPENDENT_OBSERVATIONS,
)
from kronos.errors import BadValue

FloatArray: TypeAlias = npt.NDArray[np.float64]
DateArray: TypeAlias = npt.NDArray[np.datetime64]

RELATIVE_TOLERANCE: Final = 1e-12
"""Values closer than this, relative to the column's largest magnitude, are the same number."""


class Reason(StrEnum):
    """Why a statistic has no answer."""

    BAD_SHAPE = "BAD_SHAPE"
    NOT_FINITE = "NOT_FINITE"
    CONSTANT = "CONSTANT"
    IDENTICAL = "IDENTICAL"
    SCALED_COPY = "SCALED_COPY"
    DUPLICATE_NAME = "DUPLICATE_NAME"
    DATES_NOT_RISING = "DATES_NOT_RISING"
    DATES_DIFFER = "DATES_DIFFER"
    TOO_SHORT = "TOO_SHORT"
    TOO_FEW_BLOCKS = "TOO_FEW_BLOCKS"
    TOO_FEW_TRIALS = "TOO_FEW_TRIALS"
    NO_CANDIDATES = "NO_CANDIDATES"
    ZERO_VARIANCE_DIFFERENCE = "ZERO_VARIANCE_DIFFERENCE"
    NO_POSITIVE_EDGE = "NO_POSITIVE_EDGE"
    MONTE_CARLO_ERROR = "MONTE_CARLO_ERROR"


@dataclass(frozen=True, slots=True)
class Inconclusive:
    """No answer, and why. It has no truth value: `if result` and `result or ...` raise instead of guessing."""

    reason: Reason
    detail: str

    def __bool__(self) -> NoReturn:
        raise BadValue("truth of Inconclusive", str(self.reason), "a test with isinstance")


@dataclass(frozen=True, eq=False)
class _Matrix:
    """Series of several configs over the same sessions; refuses, by `BadValue`, what the module's checks refuse.

    values: float64 [n_sessions, n_configs], per observation (not annualised), read-only.
    names: one distinct name per column. dates: datetime64[D] [n_sessions], strictly rising.
    horizon: sessions each value spans; values of h > 1 overlap. sessions_per_year: annualisation base A; an
    annualised ratio uses the factor A/h.
    """

    values: FloatArray
    names: tuple[str, ...]
    dates: DateArray
    horizon: int = 1
    sessions_per_year: float = float(DEFAULT_SESSIONS_PER_YEAR)
    min_sessions: int = field(default=MIN_ANNUALISED_OBSERVATIONS, repr=False)

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        dates = np.array(self.dates, dtype="datetime64[D]")
        names = tuple(self.names)
        flaw = _first_flaw(values, names, dates, self.min_sessions)
        if flaw is not None:
            raise BadValue(type(self).__name__, flaw.detail, f"input free of {flaw.reason}")
        if self.horizon < 1 or not self.sessions_per_year > 0:
            raise BadValue("horizon, sessions_per_year", (self.horizon, self.sessions_per_year), "positive numbers")
        values.setflags(write=False)
        dates.setflags(write=False)
        for name, value in (("values", values), ("names", names), ("dates", dates)):
            object.__setattr__(self, name, value)

    @property
    def n_sessions(self) -> int:
        """Number of rows."""
        return int(self.values.shape[0])

    @property
    def n_configs(self) -> int:
        """Number of columns."""
        return int(self.values.shape[1])

    @property
    def annual_factor(self) -> float:
        """Observations a year without overlap, A/h: the square of what turns a ratio per observation annual."""
        return self.sessions_per_year / self.horizon

    def column(self, name: str) -> FloatArray:
        """One config's series [n_sessions]; an unknown name is a `BadValue`."""
        return self.values[:, self.index(name)]

    def index(self, name: str) -> int:
        """Position of a config; an unknown name is a `BadValue`."""
        if name not in self.names:
            raise BadValue("config", name, f"one of {', '.join(self.names)}")
        return self.names.index(name)


@dataclass(frozen=True, eq=False)
class ReturnMatrix(_Matrix):
    """Returns as fractions per observation, net of costs: higher is better."""

    _direction: Literal["higher is better"] = field(default="higher is better", init=False, repr=False)


@dataclass(frozen=True, eq=False)
class LossMatrix(_Matrix):
    """Losses such as a daily mean Brier score: lower is better. Not a `ReturnMatrix` and never converted silently."""

    _direction: Literal["lower is better"] = field(default="lower is better", init=False, repr=False)


@dataclass(frozen=True, slots=True)
class ScaledCopy:
    """`copy` = `factor` x `original` on every session: leverage (or inversion), not another strategy."""

    original: str
    copy: str
    factor: float


def return_matrix(
    values: npt.ArrayLike,
    names: Sequence[str],
    dates: npt.ArrayLike,
    *,
    horizon: int = 1,
    sessions_per_year: float = float(DEFAULT_SESSIONS_PER_YEAR),
    min_sessions: int = MIN_ANNUALISED_OBSERVATIONS,
) -> ReturnMatrix | Inconclusive:
    """Returns [n_sessions, n_configs] that meet every precondition, or the first reason why not.

    Parameters are those of `ReturnMatrix`; null must arrive as NaN and is refused (match the dates first).
    """
    array, days = _as_arrays(values, dates)
    flaw = _first_flaw(array, tuple(names), days, min_sessions)
    if flaw is not None:
        return flaw
    return ReturnMatrix(array, tuple(names), days, horizon, sessions_per_year, min_sessions)


def loss_matrix(
    values: npt.ArrayLike,
    names: Sequence[str],
    dates: npt.ArrayLike,
    *,
    horizon: int = 1,
    sessions_per_year: float = float(DEFAULT_SESSIONS_PER_YEAR),
    min_sessions: int = MIN_ANNUALISED_OBSERVATIONS,
) -> LossMatrix | Inconclusive:
    """Losses [n_sessions, n_configs] that meet every precondition, or the first reason why not."""
    array, days = _as_arrays(values, dates)
    flaw = _first_flaw(array, tuple(names), days, min_sessions)
    if flaw is not None:
        return flaw
    return LossMatrix(array, tuple(names), days, horizon, sessions_per_year, min_sessions)


def require_returns(matrix: object) -> ReturnMatrix:
    """The matrix itself if it holds returns; anything else, losses above all, is a `BadValue`."""
    if not isinstance(matrix, ReturnMatrix):
        raise BadValue("matrix", type(matrix).__name__, "a ReturnMatrix (higher is better)")
    return matrix


def higher_is_better(matrix: ReturnMatrix | LossMatrix) -> FloatArray:
    """Values [n_sessions, n_configs] oriented so that more is better: the one place where losses change sign.

    Only for statistics of mean differences; a ratio to the standard deviation of a loss means nothing.
    """
    if isinstance(matrix, LossMatrix):
        return -matrix.values
    return require_returns(matrix).values


def scaled_copies(matrix: ReturnMatrix | LossMatrix) -> tuple[ScaledCopy, ...]:
    """Pairs of columns that are multiples of each other, each copy listed once against its first original."""
    found: dict[int, ScaledCopy] = {}
    for first, second, factor in _proportional_pairs(matrix.values):
        if second not in found and first not in found:
            found[second] = ScaledCopy(matrix.names[first], matrix.names[second], factor)
    return tuple(found[key] for key in sorted(found))


def too_few_blocks(
    n_sessions: int, block_length: float, min_blocks: int = MIN_INDEPENDENT_OBSERVATIONS
) -> Inconclusive | None:
    """`TOO_FEW_BLOCKS` when fewer than `min_blocks` blocks of this length fit into the sessions, else None."""
    blocks = n_sessions / block_length
    if blocks >= min_blocks:
        return None
    return Inconclusive(
        Reason.TOO_FEW_BLOCKS,
        f"{n_sessions} sessions hold {blocks:.1f} blocks of {block_length:g}: {min_blocks} needed",
    )


def is_constant(values: FloatArray) -> npt.NDArray[np.bool_]:
    """Whether each column of [n_sessions, n_configs] varies by no more than rounding."""
    spread = values.max(axis=0) - values.min(axis=0)
    return np.asarray(spread <= RELATIVE_TOLERANCE * np.abs(values).max(axis=0))


def _as_arrays(values: npt.ArrayLike, dates: npt.ArrayLike) -> tuple[FloatArray, DateArray]:
    return np.array(values, dtype=np.float64), np.array(dates, dtype="datetime64[D]")


def _first_flaw(values: FloatArray, names: tuple[str, ...], dates: DateArray, min_sessions: int) -> Inconclusive | None:
    checks: tuple[Callable[[], Inconclusive | None], ...] = (
        lambda: _shape_flaw(values, names, dates),
        lambda: _label_flaw(names, dates),
        lambda: _length_flaw(values, min_sessions),
        lambda: _column_flaw(values, names),
        lambda: _identity_flaw(values, names),
    )
    found = (check() for check in checks)  # lazily: a later check relies on the earlier ones
    return next((flaw for flaw in found if flaw is not None), None)


def _shape_flaw(values: FloatArray, names: tuple[str, ...], dates: DateArray) -> Inconclusive | None:
    if values.ndim == 2 and values.shape[1] == 0:
        return Inconclusive(Reason.NO_CANDIDATES, "no columns")
    if values.ndim != 2 or dates.ndim != 1 or values.shape != (len(dates), len(names)):
        detail = f"values {values.shape} for {len(dates)} dates and {len(names)} names"
        return Inconclusive(Reason.BAD_SHAPE, detail)
    return None


def _label_flaw(names: tuple[str, ...], dates: DateArray) -> Inconclusive | None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        return Inconclusive(Reason.DUPLICATE_NAME, ", ".join(twice))
    if np.isnat(dates).any():
        return Inconclusive(Reason.DATES_NOT_RISING, "a date is missing")
    falls = np.flatnonzero(dates[1:] <= dates[:-1])
    if falls.size:
        return Inconclusive(Reason.DATES_NOT_RISING, f"{dates[falls[0] + 1]} follows {dates[falls[0]]}")
    return None


def _length_flaw(values: FloatArray, min_sessions: int) -> Inconclusive | None:
    if len(values) >= max(min_sessions, 2):
        return None
    return Inconclusive(Reason.TOO_SHORT, f"{len(values)} sessions: {max(min_sessions, 2)} needed")


def _column_flaw(values: FloatArray, names: tuple[str, ...]) -> Inconclusive | None:
    broken = np.asarray(~np.isfinite(values).all(axis=0))
    if broken.any():
        return Inconclusive(Reason.NOT_FINITE, _named(names, broken))
    constant = is_constant(values)
    return Inconclusive(Reason.CONSTANT, _named(names, constant)) if constant.any() else None


def _identity_flaw(values: FloatArray, names: tuple[str, ...]) -> Inconclusive | None:
    for first, second, factor in _proportional_pairs(values):
        if factor == 1.0:
            return Inconclusive(Reason.IDENTICAL, f"{names[first]} and {names[second]}")
    return None


def _named(names: tuple[str, ...], mask: npt.NDArray[np.bool_]) -> str:
    return ", ".join(name for name, hit in zip(names, mask, strict=True) if hit)


def _proportional_pairs(values: FloatArray) -> list[tuple[int, int, float]]:
    """(i, j, factor) with i < j and column j = factor x column i up to rounding; the factor is exactly 1 for copies."""
    unit = values / np.abs(values).max(axis=0)
    unit /= np.sqrt((unit**2).sum(axis=0))
    close = np.triu(np.abs(unit.T @ unit) > 1 - 1e-9, k=1)
    pairs = []
    for i, j in zip(*np.nonzero(close), strict=True):
        a, b = values[:, i], values[:, j]
        tolerance = RELATIVE_TOLERANCE * np.abs(b).max()
        factor = float(b[np.abs(a).argmax()] / a[np.abs(a).argmax()])
        if np.abs(a - b).max() <= tolerance:
            factor = 1.0
        if np.abs(factor * a - b).max() <= tolerance:
            pairs.append((int(i), int(j), factor))
    return pairs
