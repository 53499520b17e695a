"""What self-proposals are mined from, read back from the rows of the lake: a stored comparison, and alarms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from statistics import NormalDist
from typing import Any, Final

import polars as pl

from kronos.core.frames import COMPARISON_ROWS, MONITOR_ROWS, conform
from kronos.core.monitoring.model import MonitorState
from kronos.core.reports.comparison_model import OVERALL_SLICE, Cell, ConfigClass, Doubt
from kronos.core.stats.selection import holm
from kronos.core.vocabulary import POOLED

_CELL: Final = (
    "n", "coverage", "value", "incumbent_value", "difference", "standard_error", "low", "high", "p_value",
    "confidence_p", "minimum_detectable", "eligible",
)  # fmt: skip


@dataclass(frozen=True)
class Rival:
    """A config beside the incumbent, as a comparison stored it: its class and its differences by slice.

    p_better: one-sided p-value that its overall difference is not positive, Holm over every trial of the engine but
    the incumbent; None without statistics, or when nobody knows how many trials there were.
    """

    config_id: str
    label: ConfigClass
    niches: tuple[str, ...]
    cells: Mapping[str, Cell]
    p_better: float | None = None

    @property
    def overall(self) -> Cell:
        """The whole book."""
        return self.cells[OVERALL_SLICE]


@dataclass(frozen=True)
class StoredComparison:
    """An engine's comparison as of a month's end. metric: what differences are of; tests: how many p_better counts.

    trials: of the engine's ledger as of then; None when it was not known.
    """

    engine_name: str
    month: str
    period_start: date
    period_end: date
    as_of: date
    mode: str
    horizon: int
    incumbent: str | None
    metric: str | None
    trials: int | None
    tests: int
    label: str
    rivals: tuple[Rival, ...]

    @property
    def mined_until(self) -> date:
        """Nothing up to this day can confirm what the comparison suggested."""
        return max(self.period_end, self.as_of)


@dataclass(frozen=True)
class Alarm:
    """A metric of the active config that the monitor says is degrading, as of the day `seen_on`."""

    config_id: str
    metric: str
    seen_on: date
    alarm_on: date
    monitored_from: date
    largest_e: float
    threshold: float
    monitored_n: int
    monitored_mean: float | None
    reference_n: int
    reference_mean: float | None


def stored_comparisons(rows: pl.DataFrame) -> dict[str, StoredComparison]:
    """By engine, what the rows of one month say (frames.COMPARISON_ROWS)."""
    held = conform(rows, COMPARISON_ROWS, "stored comparison").sort("engine_name", "config_id", "slice")
    return {engine: _stored(of_engine) for (engine,), of_engine in _grouped(held, "engine_name")}


def alarms(rows: pl.DataFrame) -> dict[str, tuple[Alarm, ...]]:
    """By engine, what degrades everywhere, from the rows of one day (frames.MONITOR_ROWS).

    A market with a config of its own is left out: comparisons are with the config that is active everywhere else.
    """
    held = conform(rows, MONITOR_ROWS, "monitoring")
    raised = held.filter(state=MonitorState.DEGRADING.value, scope=POOLED).sort("engine_name", "metric")
    return {
        engine: tuple(_alarm(row) for row in of_engine.iter_rows(named=True))
        for (engine,), of_engine in _grouped(raised, "engine_name")
    }


def _stored(rows: pl.DataFrame) -> StoredComparison:
    first = rows.row(0, named=True)
    others = rows.filter(pl.col("class") != ConfigClass.INCUMBENT.value)
    rivals = [_rival(config_id, of_config) for (config_id,), of_config in _grouped(others, "config_id")]
    told = sum(statistic_of(one.overall) is not None for one in rivals)
    tests = 0 if first["trials"] is None else max(told, first["trials"] - 1)
    return StoredComparison(
        engine_name=first["engine_name"],
        month=first["period"],
        period_start=first["period_start"],
        period_end=first["period_end"],
        as_of=first["as_of"],
        mode=first["mode"],
        horizon=first["horizon"],
        incumbent=first["incumbent"],
        metric=first["metric"],
        trials=first["trials"],
        tests=tests,
        label=first["label"],
        rivals=_with_p_values(rivals, tests),
    )


def _rival(config_id: str, rows: pl.DataFrame) -> Rival:
    first = rows.row(0, named=True)
    return Rival(
        config_id=config_id,
        label=ConfigClass(first["class"]),
        niches=tuple(name for name in first["niches"].split(", ") if name),
        cells={row["slice"]: _cell(row) for row in rows.iter_rows(named=True)},
    )


def _cell(row: Mapping[str, Any]) -> Cell:
    numbers = {name: row[name] for name in _CELL}
    return Cell(row["config_id"], row["slice"], reason=Doubt(row["undefined"]) if row["undefined"] else None, **numbers)


def _with_p_values(rivals: list[Rival], tests: int) -> tuple[Rival, ...]:
    """Trials without a difference count as tests that failed."""
    if not tests:
        return tuple(rivals)
    single = {
        one.config_id: NormalDist().cdf(-statistic)
        for one in rivals
        if (statistic := statistic_of(one.overall)) is not None
    }
    adjusted = holm([*single.values(), *[1.0] * (tests - len(single))]) if single else []
    p_values = dict(zip(single, adjusted, strict=False))
    return tuple(replace(one, p_better=p_values.get(one.config_id)) for one in rivals)


def statistic_of(cell: Cell) -> float | None:
    """Standard errors by which the config is better in the slice; None without a difference."""
    if cell.difference is None or not cell.standard_error:
        return None
    return cell.difference / cell.standard_error


def _alarm(row: Mapping[str, Any]) -> Alarm:
    names = ("config_id", "metric", "alarm_on", "monitored_from", "largest_e", "threshold")
    parts = ("monitored_n", "monitored_mean", "reference_n", "reference_mean")
    return Alarm(seen_on=date.fromisoformat(row["period"]), **{name: row[name] for name in (*names, *parts)})


def _grouped(df: pl.DataFrame, by: str) -> Iterator[tuple[tuple[Any, ...], pl.DataFrame]]:
    return iter(df.group_by(by, maintain_order=True))
