"""Config comparison: every config against the incumbent, slice by slice, and what that makes it (DESIGN section 4).

One bad config never takes the others down: what cannot be compared is left out of the family and reported with its
reason. The order in which configs are named changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from kronos.core.frames import conform
from kronos.core.policy import ComparisonPolicy, ObservationPolicy
from kronos.core.reports.axis import Window
from kronos.core.reports.comparison_classes import Bench, judge
from kronos.core.reports.comparison_family import Family, build_family, with_enough_blocks
from kronos.core.reports.comparison_model import (
    OVERALL_SLICE,
    Cell,
    ConfigClass,
    ConfigComparison,
    DeflatedSharpe,
    Doubt,
    TrialsCounted,
    Verdict,
)
from kronos.core.reports.comparison_pairs import (
    Pair,
    Paired,
    Slices,
    Unpaired,
    daily_slices,
    not_finite,
)
from kronos.core.reports.comparison_series import COMPARED, SHARPE, ComparedSeries, compared_series
from kronos.core.reports.comparison_statistics import Key, Statistics, joint_statistics, plan_draws
from kronos.core.reports.comparison_trials import Ledger, trial_evidence
from kronos.core.reports.evidence import Evidence
from kronos.core.stats.matrix import Inconclusive
from kronos.core.stats.power import minimum_detectable_mean
from kronos.core.stats.selection import PValue
from kronos.errors import BadValue


@dataclass(frozen=True)
class Judgement:
    """The part of a `ConfigComparison` that the series decide."""

    verdicts: tuple[Verdict, ...]
    metric: str | None = None
    slices: tuple[str, ...] = ()
    cells: tuple[Cell, ...] = ()
    margin: float | None = None
    detectable: float | None = None
    block_length: float | None = None
    critical: float | None = None
    trials: TrialsCounted | None = None
    deflated: tuple[DeflatedSharpe, ...] = ()


def comparison(
    held: Evidence,
    policy: ObservationPolicy,
    window: Window,
    *,
    incumbent: str | None,
    config_ids: Sequence[str],
    ledger: Ledger | None = None,
    notes: tuple[str, ...] = (),
) -> ConfigComparison:
    """Compare configs with the incumbent over the decisions of the window.

    config_ids: the family asked; statistics are corrected for it. incumbent: None when no activation is known; then,
    as when it has no record in the window, every config is UNDECIDED for that reason. ledger: the engine's trials; None
    when they are not known, and then no Sharpe ratio is deflated.
    """
    if window.end < window.start:
        raise BadValue("end_date", window.end.isoformat(), f"a date not before start_date {window.start.isoformat()}")
    compared = None if incumbent is None else compared_series(held, policy, window, incumbent)
    if incumbent is None:
        judged = undecided(None, config_ids, Doubt.NO_INCUMBENT, "no activation is known for this engine")
    elif compared is None:
        judged = undecided(incumbent, config_ids, Doubt.INCUMBENT_UNUSABLE, "no record in this period")
    else:
        judged = compare_series(compared, incumbent, config_ids, policy.comparison, ledger)
    return ConfigComparison(
        engine_name=held.engine_name,
        incumbent=incumbent,
        period_start=window.start,
        period_end=window.end,
        as_of=window.as_of or held.newest,
        mode=held.mode,
        horizon=held.horizon,
        level=policy.comparison.level,
        resamples=policy.comparison.resamples,
        seed=policy.comparison.seed,
        notes=notes,
        **vars(judged),
    )


def compare_series(
    compared: ComparedSeries,
    incumbent: str,
    config_ids: Iterable[str],
    policy: ComparisonPolicy,
    ledger: Ledger | None = None,
) -> Judgement:
    """The matrix and the classes from the series alone; the incumbent must have an overall series.

    Series of configs that are not asked only count as trials.
    """
    rows = conform(compared.rows, COMPARED, "comparison series")
    names = sorted({*config_ids} - {incumbent})
    wild = not_finite(rows)
    if incumbent in wild:
        return undecided(incumbent, names, Doubt.INCUMBENT_UNUSABLE, "NaN or infinity in its series")
    series = daily_slices(rows.filter(~pl.col("config_id").is_in(wild)))
    family = build_family(names, incumbent, series, wild, compared, policy)
    yardstick = _yardstick(compared, series[incumbent], policy)
    tried = trial_evidence(compared, series, sorted([*names, incumbent]), ledger)
    judged = _judged(family, incumbent, yardstick, compared, policy)
    return replace(judged, trials=tried.trials, deflated=tried.deflated)


def undecided(incumbent: str | None, config_ids: Iterable[str], reason: Doubt, detail: str) -> Judgement:
    """Every config UNDECIDED for one reason; the incumbent is named if known."""
    names = sorted({*config_ids} | ({incumbent} if incumbent else set()))
    return Judgement(
        tuple(
            Verdict(name, ConfigClass.INCUMBENT)
            if name == incumbent
            else Verdict(name, ConfigClass.UNDECIDED, reason, detail)
            for name in names
        )
    )


@dataclass(frozen=True)
class _Yardstick:
    """Margin and difference to be detectable, in the unit of the differences."""

    margin: float
    detectable: float


def _yardstick(compared: ComparedSeries, incumbent: Slices, policy: ComparisonPolicy) -> _Yardstick:
    if compared.metric == SHARPE:
        return _Yardstick(policy.sharpe_margin, policy.detectable_sharpe)
    values = incumbent[OVERALL_SLICE].values
    level = abs(float(np.nanmean(values))) if not np.isnan(values).all() else 0.0
    return _Yardstick(policy.score_margin * level, policy.detectable_score * level)


def _judged(
    family: Family, incumbent: str, yardstick: _Yardstick, compared: ComparedSeries, policy: ComparisonPolicy
) -> Judgement:
    family, statistics = _measured(family, compared.horizon, policy)
    cells = _matrix(family, statistics, yardstick, policy)
    return Judgement(
        verdicts=_verdicts(family, incumbent, cells, statistics, yardstick, compared.metric, policy),
        metric=compared.metric,
        slices=tuple(family.slices),
        cells=tuple(cells),
        margin=yardstick.margin,
        detectable=yardstick.detectable,
        block_length=None if statistics is None else statistics.block_length,
        critical=None if statistics is None else statistics.critical(policy.level),
    )


def _measured(family: Family, horizon: int, policy: ComparisonPolicy) -> tuple[Family, Statistics | None]:
    """Statistics of what has enough blocks, and the family without the rest."""
    usable = family.usable()
    if not usable:
        return family, None
    timeline = np.unique(np.concatenate([pair.days for pair in usable.values()]))
    overall = [pair for (_, one), pair in usable.items() if one == OVERALL_SLICE]
    draws = plan_draws(overall, timeline, horizon, policy)
    if isinstance(draws, Inconclusive):
        short = Unpaired(Doubt.TOO_FEW_BLOCKS, draws.detail)
        return replace(family, kept=[], left_out=family.left_out | dict.fromkeys(family.kept, short)), None
    family = with_enough_blocks(family, draws.block_length)
    usable = family.usable()
    return family, joint_statistics(usable, timeline, horizon, draws) if usable else None


def _matrix(
    family: Family, statistics: Statistics | None, yardstick: _Yardstick, policy: ComparisonPolicy
) -> list[Cell]:
    """One cell per config and slice, in that order."""
    inside = {} if statistics is None else _confidence(family.slices, statistics)
    cells = []
    for key, pair in family.pairs.items():
        usable = family.left_out.get(key[0], pair)
        if isinstance(usable, Unpaired):
            cells.append(_empty_cell(key, usable, pair))
        elif statistics is not None:
            cells.append(_cell(key, usable, statistics, inside[key], yardstick, len(family.kept), policy))
    return cells


def _empty_cell(key: Key, why: Unpaired, pair: Pair) -> Cell:
    n = pair.n if isinstance(pair, Unpaired) else pair.days.size
    return Cell(*key, n=n, coverage=pair.coverage, reason=why.reason, detail=why.detail)


def _cell(
    key: Key,
    pair: Paired,
    statistics: Statistics,
    inside: PValue,
    yardstick: _Yardstick,
    candidates: int,
    policy: ComparisonPolicy,
) -> Cell:
    column = statistics.at(key)
    difference, error = float(statistics.difference[column]), float(statistics.error[column])
    reach = statistics.critical(policy.level) * error
    corrected = statistics.corrected(difference / error)
    detectable = minimum_detectable_mean(error, alpha=policy.level, n_trials=candidates, power=policy.power)
    return Cell(
        *key,
        n=pair.days.size,
        coverage=pair.coverage,
        value=pair.values[0],
        incumbent_value=pair.values[1],
        difference=difference,
        standard_error=error,
        low=difference - reach,
        high=difference + reach,
        p_value=corrected.value,
        p_error=corrected.error,
        confidence_p=inside.value,
        minimum_detectable=detectable,
        eligible=detectable <= yardstick.detectable,
    )


def _confidence(slices: list[str], statistics: Statistics) -> dict[Key, PValue]:
    """Each config's p-value of belonging to the best of each slice, the incumbent among them."""
    found: dict[Key, PValue] = {}
    for one in slices:
        columns = [column for column, key in enumerate(statistics.keys) if key[1] == one]
        p_values = statistics.confidence_set(columns)[1:]
        found |= {statistics.keys[column]: p for column, p in zip(columns, p_values, strict=True)}
    return found


def _verdicts(
    family: Family,
    incumbent: str,
    cells: list[Cell],
    statistics: Statistics | None,
    yardstick: _Yardstick,
    metric: str,
    policy: ComparisonPolicy,
) -> tuple[Verdict, ...]:
    verdicts = [Verdict(incumbent, ConfigClass.INCUMBENT)]
    for name, why in family.left_out.items():
        verdicts.append(Verdict(name, ConfigClass.UNDECIDED, why.reason, why.detail))
    if statistics is not None:
        bench = Bench(statistics, policy, metric, yardstick.margin, _niches(statistics, policy))
        verdicts += [judge(name, [cell for cell in cells if cell.config_id == name], bench) for name in family.kept]
    return tuple(sorted(verdicts, key=lambda verdict: verdict.config_id))


def _niches(statistics: Statistics, policy: ComparisonPolicy) -> dict[Key, PValue]:
    """StepM p-values over all configs in all pre-declared slices."""
    columns = [column for column, key in enumerate(statistics.keys) if key[1] in policy.niche_slices]
    if not columns:
        return {}
    return {statistics.keys[column]: p for column, p in zip(columns, statistics.stepwise(columns), strict=True)}
