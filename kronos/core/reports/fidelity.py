"""Fidelity and safety of a config's SHADOW decisions beside the replay of its backtest.

Where one side says something and the other does not, they disagree: silence is never agreement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import polars as pl

from kronos.core.frames import FACT_HORIZON, conform
from kronos.core.policy import ShadowPolicy
from kronos.core.reports.fidelity_matching import SESSION, Matched, matched, side, stream
from kronos.core.reports.fidelity_model import (
    Condition,
    Fidelity,
    Gap,
    Measure,
    Safety,
    ShadowEvidence,
    Stream,
)
from kronos.core.scheduling.expectation import CLOSES
from kronos.core.vocabulary import Mode

LATENCIES: Final = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_max": 1.0}
"""Quantiles told, by id."""
_LARGEST: Final = 1.0
"""Difference of a probability that only one side gives."""
_SIGNED: Final = ("score", "expected_return")
"""What has a sign, the first that either side gives."""
_WORDS: Final = {
    Gap.NO_SHADOW: Fidelity.NO_SHADOW,
    Gap.NO_REPLAY: Fidelity.NO_REPLAY,
    Gap.NO_OVERLAP: Fidelity.NO_OVERLAP,
}

Measures = dict[str, Measure]


@dataclass(frozen=True)
class Question:
    """Of which config, as of when, at which horizon outcomes count, and how soon after the close it should decide."""

    engine_name: str
    config_id: str
    as_of: date
    horizon: int
    service_level: timedelta


def shadow_fidelity(
    shadow: pl.DataFrame, replay: pl.DataFrame, closes: pl.DataFrame, asked: Question, policy: ShadowPolicy
) -> ShadowEvidence:
    """Compare the decisions of a shadow with those of a replay of the same config.

    shadow, replay: wide facts (frames.FACT_KEYS and columns by horizon) of one config each, modes SHADOW and BACKTEST,
    in any order; empty is an answer. closes: frame CLOSES of the shadow's markets and dates. Agreement is told of
    sessions on which both decided; violations, latency and outcomes of the whole shadow.
    """
    one, other = side(shadow, Mode.SHADOW, asked.as_of), side(replay, Mode.BACKTEST, asked.as_of)
    sides, found = (stream(one), stream(other)), matched(one, other)
    measures = {
        **_sessions(found),
        **_agreement(found),
        **_duplicates(sides),
        **_violations(one, asked.horizon, Gap.NO_SHADOW),
        **_violations(_inside(other, found), asked.horizon, Gap.NO_REPLAY, "replay_"),
        **_latency(one, conform(closes, CLOSES, "closes"), asked.service_level),
        **_outcomes(one, asked),
    }
    about_fidelity, about_safety = _fidelity_conditions(measures, policy, sides), _safety_conditions(measures, policy)
    return ShadowEvidence(
        engine_name=asked.engine_name,
        config_id=asked.config_id,
        as_of=asked.as_of,
        horizon=asked.horizon,
        fidelity=_fidelity(found, about_fidelity, policy),
        safety=_safety(found, about_safety),
        window=found.window,
        shadow=sides[0],
        replay=sides[1],
        measures=measures,
        fidelity_conditions=about_fidelity,
        safety_conditions=about_safety,
    )


def _inside(replay: pl.DataFrame, found: Matched) -> pl.DataFrame:
    """The replay's decisions inside the common window."""
    first, last = found.window or (date.max, date.min)
    return replay.filter(pl.col("as_of_date").is_between(first, last))


def _sessions(found: Matched) -> Measures:
    """Market sessions of the window by who decided on them."""
    both = found.count(in_shadow=True, in_replay=True)
    missing = found.count(in_shadow=False, in_replay=True)
    extra = found.count(in_shadow=True, in_replay=False)
    gap = found.gap if not found.sessions.height else None
    return {
        "sessions_both": _counted(both, both + missing + extra, gap),
        "sessions_missing": _counted(missing, both + missing, gap),
        "sessions_extra": _counted(extra, both + extra, gap),
        "session_coverage": _share(both, both + missing, gap or Gap.NO_OVERLAP),
        "extra_share": _share(extra, both + extra, gap or Gap.NO_OVERLAP),
    }


def _agreement(found: Matched) -> Measures:
    """What both said of the same decisions."""
    gap = found.gap or Gap.NOTHING_MATCHES
    both = found.both
    label = _either("label", pl.col("label").eq_missing(pl.col("label_replay")))
    signs = [_either(name, pl.col(name).sign().eq_missing(pl.col(f"{name}_replay").sign())) for name in _SIGNED]
    said = both.select(label=label, sign=pl.coalesce(signs))
    apart = _probability_differences(both)
    books = found.pairs.group_by(SESSION, maintain_order=True).agg(
        difference=(pl.col("weight").fill_null(0.0) - pl.col("weight_replay").fill_null(0.0)).abs().sum()
    )["difference"]
    return {
        "matched": _share(both.height, found.pairs.height, gap),
        "weight_difference_mean": _statistic(books.mean(), books.len(), gap),
        "weight_difference_max": _statistic(books.max(), books.len(), gap),
        "label_agreement": _mean(said["label"], both, gap),
        "sign_agreement": _mean(said["sign"], both, gap),
        "probability_difference_mean": _mean(apart, both, gap),
        "probability_difference_max": _largest(apart, both, gap),
    }


def _either(name: str, agree: pl.Expr) -> pl.Expr:
    """Agreement where either side gives the value; null where neither does."""
    given = pl.col(name).is_not_null() | pl.col(f"{name}_replay").is_not_null()
    return pl.when(given).then(agree)


def _probability_differences(both: pl.DataFrame) -> pl.Series:
    """Per decision the largest difference of a probability, of the event or a class; null where neither has any."""
    numbered = both.with_row_index("_row")
    event = (pl.col("probability") - pl.col("probability_replay")).abs().fill_null(_LARGEST)
    classes = _class_differences(numbered)
    given = pl.col("class_probabilities").is_not_null() | pl.col("class_probabilities_replay").is_not_null()
    joined = numbered.join(classes, on="_row", how="left", maintain_order="left")
    return joined.select(
        pl.max_horizontal(_either("probability", event), pl.when(given).then(pl.col("apart").fill_null(_LARGEST)))
    ).to_series()


def _class_differences(numbered: pl.DataFrame) -> pl.DataFrame:
    """_row, apart: the largest difference of a class's probability, a class that one side lacks has 0 there."""
    names = [("classes", "class_probabilities"), ("classes_replay", "class_probabilities_replay")]
    told = numbered.filter(pl.all_horizontal(pl.col(name).is_not_null() for pair in names for name in pair))
    long = [
        told.select("_row", name=pl.col(classes), p=pl.col(values)).explode("name", "p") for classes, values in names
    ]
    full = long[0].join(long[1], on=["_row", "name"], how="full", coalesce=True, suffix="_replay")
    apart = (pl.col("p").fill_null(0.0) - pl.col("p_replay").fill_null(0.0)).abs().max()
    return full.group_by("_row", maintain_order=True).agg(apart=apart)


def _duplicates(sides: tuple[Stream, Stream]) -> Measures:
    one, other = sides
    return {
        "duplicates": _counted(one.duplicates, one.decisions, None if one.decisions else Gap.NO_SHADOW),
        "replay_duplicates": _counted(other.duplicates, other.decisions, None if other.decisions else Gap.NO_REPLAY),
    }


def _violations(rows: pl.DataFrame, horizon: int, none: Gap, prefix: str = "") -> Measures:
    """Violations that outcomes report; n: outcomes that report any number of them."""
    found = {}
    for kind in ("hard_violations", "soft_violations"):
        column = _at(rows, kind, horizon)
        n = column.len() - column.null_count()
        gap = none if rows.is_empty() else Gap.NOT_REPORTED
        found[f"{prefix}{kind}"] = Measure(float(column.sum()), n) if n else Measure(None, 0, gap)
    return found


def _latency(rows: pl.DataFrame, closes: pl.DataFrame, service_level: timedelta) -> Measures:
    """Minutes from the session's close to the decision."""
    known = rows.join(closes, left_on=SESSION, right_on=["market_id", "session"], how="inner", suffix="_close")
    after = known.select((pl.col("decided_at") - pl.col("closes_at")).dt.total_seconds() / 60.0).to_series()
    n, gap = after.len(), Gap.NO_SHADOW if rows.is_empty() else Gap.NO_CLOSE
    on_time = int((after <= service_level.total_seconds() / 60.0).sum())
    return {
        **{name: _statistic(after.quantile(q, "linear"), n, gap) for name, q in LATENCIES.items()},
        "on_time": _share(on_time, n, gap),
        "before_close": _counted(int((after < 0.0).sum()), n, None if n else gap),
        "without_close": _counted(rows.height - n, rows.height, None if rows.height else Gap.NO_SHADOW),
    }


def _outcomes(rows: pl.DataFrame, asked: Question) -> Measures:
    """Outcomes that are due by the date, and whether they came."""
    due = _at(rows, "due_date", asked.horizon) <= asked.as_of
    came = _at(rows, "valid", asked.horizon).fill_null(value=False)
    n, held = int(due.sum()), int((due & came).sum())
    gap = Gap.NO_SHADOW if rows.is_empty() else Gap.NOT_DUE
    return {
        "outcomes_missing": _counted(n - held, n, None if n else gap),
        "outcome_coverage": _share(held, n, gap),
    }


def _at(rows: pl.DataFrame, name: str, horizon: int) -> pl.Series:
    """A column of the horizon; all null where the facts never had that horizon."""
    column = f"{name}_h{horizon}"
    return rows[column] if column in rows.columns else pl.Series(column, [None] * rows.height, FACT_HORIZON[name])


def _fidelity_conditions(
    measures: Mapping[str, Measure], policy: ShadowPolicy, sides: tuple[Stream, Stream]
) -> tuple[Condition, ...]:
    return (
        _least(measures, "matched", policy.least_matched),
        _most(measures, "extra_share", 1.0 - policy.least_matched),
        _most(measures, "weight_difference_max", policy.most_weight_difference),
        _least(measures, "label_agreement", policy.least_agreement),
        _least(measures, "sign_agreement", policy.least_agreement),
        _most(measures, "probability_difference_max", policy.most_probability_difference),
        # what the replay decides twice may be meant
        _most(measures, "duplicates", float(sides[1].duplicates)),
    )


def _safety_conditions(measures: Mapping[str, Measure], policy: ShadowPolicy) -> tuple[Condition, ...]:
    return (
        _most(measures, "hard_violations", 0.0),
        _least(measures, "session_coverage", policy.least_coverage),
        _least(measures, "outcome_coverage", policy.least_coverage),
        _least(measures, "on_time", policy.on_time),
    )


def _fidelity(found: Matched, conditions: Iterable[Condition], policy: ShadowPolicy) -> Fidelity:
    if found.gap is not None:
        return _WORDS[found.gap]
    if found.count(in_shadow=True, in_replay=True) < policy.least_sessions:
        return Fidelity.TOO_FEW
    differs = any(one.met is False or (one.met is None and one.reason is not Gap.NOT_GIVEN) for one in conditions)
    return Fidelity.DIFFERS if differs else Fidelity.MATCHES


def _safety(found: Matched, conditions: Iterable[Condition]) -> Safety:
    if found.gap is Gap.NO_SHADOW:
        return Safety.NO_SHADOW
    met = {one.measure: one.met for one in conditions}
    words = {
        Safety.VIOLATES: [met["hard_violations"]],
        Safety.INCOMPLETE: [met["session_coverage"], met["outcome_coverage"]],
        Safety.LATE: [met["on_time"]],
    }
    broken = [word for word, answers in words.items() if False in answers]
    return broken[0] if broken else Safety.UNKNOWN if None in met.values() else Safety.CLEAN


def _least(measures: Mapping[str, Measure], name: str, threshold: float) -> Condition:
    return _condition(name, measures[name], threshold, at_least=True)


def _most(measures: Mapping[str, Measure], name: str, threshold: float) -> Condition:
    return _condition(name, measures[name], threshold, at_least=False)


def _condition(name: str, one: Measure, threshold: float, *, at_least: bool) -> Condition:
    met = None if one.value is None else one.value >= threshold if at_least else one.value <= threshold
    return Condition(name, one.value, one.n, threshold, at_least, met, one.reason)


def _share(part: int, whole: int, gap: Gap) -> Measure:
    return Measure(part / whole, whole) if whole else Measure(None, 0, gap)


def _counted(count: int, of: int, gap: Gap | None) -> Measure:
    return Measure(float(count), of) if gap is None else Measure(None, 0, gap)


def _mean(values: pl.Series, both: pl.DataFrame, gap: Gap) -> Measure:
    given = values.drop_nulls().cast(pl.Float64)
    return _statistic(given.mean(), given.len(), Gap.NOT_GIVEN if both.height else gap)


def _largest(values: pl.Series, both: pl.DataFrame, gap: Gap) -> Measure:
    given = values.drop_nulls()
    return _statistic(given.max(), given.len(), Gap.NOT_GIVEN if both.height else gap)


def _statistic(value: object, n: int, gap: Gap) -> Measure:
    return Measure(float(value), n) if isinstance(value, int | float) and n else Measure(None, 0, gap)
