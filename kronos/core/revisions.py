"""Keep what was believed when a rebuild of the facts finds that upstream overwrote history.

Everything the cells count is a *claim* with a span [known_date, superseded_date): that a decision was made (horizon 0),
that an outcome was due, that an outcome was this. A source that keeps its revisions tells all spans itself. Where a
claim the lake holds has vanished from the source, the lake's own timeline stands up to the day that was seen, the
source's from then on.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import polars as pl

from kronos.core.facts import FactsBatch, horizons_in, long_facts, sort_revisions
from kronos.core.frames import FACT_HORIZON, OUTCOME_VALUES, REVISIONS, conform

LABELS: Final = ("region", "regime", "stability_bucket", "fragility_bucket", "soft_target_class")

_CLAIM: Final = ("decision_id", "horizon", "kind")
_IDENTITY: Final = (
    "as_of_date",
    "engine_name",
    "config_id",
    "market_id",
    "mode",
    "experiment_id",
    "weight",
    "probability",
    "classes",
    "class_probabilities",
    "label",
    *LABELS,
)
"""What the cells read of a decision; a change elsewhere (a score, a portfolio's name) restates nothing."""
_OUTCOME: Final = ("eval_date", "valid", *OUTCOME_VALUES)


def merge_revisions(previous: FactsBatch, new: FactsBatch, today: date, *, redefined: bool = False) -> FactsBatch:
    """The new facts, with claims of `previous` that the source no longer tells kept as superseded.

    previous: what the lake held for the same months; new: what the source tells now; today: when the difference is
    seen. A vanished claim ends today (or when it had ended before), what replaced it begins then. Equal content
    returns `new` unchanged but for known dates kept from earlier merges, so a rebuild is a no-op.
    redefined: the policy or the code that labels changed in between, so differing labels are no restatement.
    """
    if redefined:
        previous = _relabelled(previous, new.facts)
    touched = _touched(previous, new)
    if touched.is_empty():
        return new
    old, fresh = _claims(previous, touched), _claims(new, touched)
    cut = _cuts(old, fresh, today)
    if cut.is_empty():
        return new
    claims = _spliced(old, fresh, cut)
    ended = claims.filter(pl.col("superseded_date").is_not_null())
    untouched = new.superseded.join(touched, on="decision_id", how="anti")
    superseded = pl.concat([untouched, conform(ended, REVISIONS, "superseded_facts")])
    current = claims.filter(pl.col("superseded_date").is_null())
    return FactsBatch(_with_known_dates(new.facts, current), sort_revisions(superseded))


def first_seen_outcomes(previous: FactsBatch, new: FactsBatch, today: date) -> FactsBatch:
    """The new facts with outcomes known from the day the lake first held one of their decision and horizon.

    previous: what the lake held for the same months. An outcome that it did not hold is seen today.
    """
    facts = new.facts
    for horizon in horizons_in(facts):
        known, valid = f"known_date_h{horizon}", pl.col(f"valid_h{horizon}")
        held = previous.facts.lazy()
        if known in previous.facts.columns:
            held = held.filter(valid.is_not_null()).select("decision_id", pl.col(known).alias("_held"))
        else:
            held = held.select("decision_id", pl.lit(None, dtype=pl.Date).alias("_held"))
        first = pl.max_horizontal(known, pl.col("_held").fill_null(today))
        joined = facts.lazy().join(held, on="decision_id", how="left", maintain_order="left")
        facts = joined.with_columns(pl.when(valid.is_not_null()).then(first).alias(known)).drop("_held").collect()
    return FactsBatch(facts, new.superseded)


def decision_claims(facts: pl.LazyFrame) -> pl.LazyFrame:
    """That decisions were made: one row per decision at horizon 0, as frames.REVISIONS."""
    nothing = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in FACT_HORIZON.items() if name != "known_date"]
    return _as_claims(
        facts.with_columns(*nothing, known_date=pl.col("decision_known_date"), horizon=pl.lit(0, dtype=pl.Int32))
    )


def due_claims(long: pl.LazyFrame) -> pl.LazyFrame:
    """That outcomes were due: from the due date on, or later where the decision became known later."""
    nothing = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in FACT_HORIZON.items() if name != "due_date"]
    known = pl.max_horizontal("due_date", "decision_known_date")
    return _as_claims(long.with_columns(*nothing).with_columns(known_date=known))


def outcome_claims(long: pl.LazyFrame) -> pl.LazyFrame:
    """What came of decisions, invalid outcomes included."""
    return _as_claims(long.filter(pl.col("valid").is_not_null()).with_columns(due_date=pl.lit(None, dtype=pl.Date)))


def _as_claims(rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows.with_columns(superseded_date=pl.lit(None, dtype=pl.Date)).select(list(REVISIONS))


def _relabelled(batch: FactsBatch, facts: pl.DataFrame) -> FactsBatch:
    """The batch with the labels that `facts` gives the same decisions."""
    labels = facts.select("decision_id", *(pl.col(name).alias(f"new_{name}") for name in LABELS))

    def relabel(df: pl.DataFrame) -> pl.DataFrame:
        joined = df.join(labels, on="decision_id", how="left", maintain_order="left")
        return joined.with_columns(pl.coalesce(f"new_{name}", name).alias(name) for name in LABELS).select(df.columns)

    return FactsBatch(relabel(batch.facts), relabel(batch.superseded))


def _touched(previous: FactsBatch, new: FactsBatch) -> pl.DataFrame:
    """Decisions about which the lake claims something that the new facts may not: only these need a closer look."""
    shared = [c for c in _content(previous.facts) if c in new.facts.columns]
    gone = [c for c in _content(previous.facts) if c not in new.facts.columns]
    told = _digest(new.facts, shared)
    lost = pl.any_horizontal([pl.col(c).is_not_null() for c in gone]) if gone else pl.lit(value=False)
    extra = previous.facts.filter(lost).select("decision_id")
    changed = _digest(previous.facts, shared).join(told, on=["decision_id", "digest"], how="anti")
    parts = [changed.select("decision_id"), extra, previous.superseded.select("decision_id")]
    return pl.concat(parts).unique().sort("decision_id")


def _content(facts: pl.DataFrame) -> list[str]:
    per_horizon = [f"{name}_h{h}" for h in horizons_in(facts) for name in ("due_date", "known_date", *_OUTCOME)]
    return [*_IDENTITY, "decision_known_date", *per_horizon]


def _digest(df: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    return df.select("decision_id", digest=pl.struct(columns).hash())


def _claims(batch: FactsBatch, touched: pl.DataFrame) -> pl.DataFrame:
    """Every claim about the touched decisions, current (superseded_date null) and superseded, with its digest."""
    facts = batch.facts.join(touched, on="decision_id", how="semi").lazy()
    long = long_facts(facts)
    superseded = batch.superseded.join(touched, on="decision_id", how="semi").lazy()
    claims = pl.concat([decision_claims(facts), due_claims(long), outcome_claims(long), superseded])
    kind = pl.when(pl.col("horizon") == 0).then(0).when(pl.col("due_date").is_not_null()).then(1).otherwise(2)
    # the calendar is Kronos's own: a due date that moves restates nothing, and eval_date of a due claim is null
    return claims.with_columns(kind=kind.cast(pl.Int8), digest=pl.struct(*_IDENTITY, *_OUTCOME).hash()).collect()


def _cuts(old: pl.DataFrame, fresh: pl.DataFrame, today: date) -> pl.DataFrame:
    """Per claim key with a vanished version: the day from which the source's timeline is believed.

    A version of the lake is still told when the source says the same of the day from which it was known.
    """
    version = [*_CLAIM, "digest"]
    told = old.join(fresh, on=version, suffix="_told").filter(
        pl.col("known_date_told") <= pl.col("known_date"),
        (pl.col("superseded_date_told") > pl.col("known_date")).fill_null(value=True),
    )
    vanished = old.join(told, on=[*version, "known_date"], how="anti")
    return vanished.group_by(_CLAIM).agg(cut=pl.col("superseded_date").fill_null(today).max())


def _spliced(old: pl.DataFrame, fresh: pl.DataFrame, cut: pl.DataFrame) -> pl.DataFrame:
    """The lake's timeline before the cut and the source's after it; a claim that runs through the cut stays whole."""
    kept = old.join(cut, on=_CLAIM).filter(pl.col("known_date") < pl.col("cut"))
    kept = kept.with_columns(superseded_date=pl.min_horizontal("superseded_date", "cut"))
    later = fresh.join(cut, on=_CLAIM, how="left")
    ended = pl.col("superseded_date") <= pl.col("cut")
    later = later.filter(~ended.fill_null(value=False)).with_columns(known_date=pl.max_horizontal("known_date", "cut"))
    seam = [*_CLAIM, "digest"]
    begun = kept.filter(pl.col("superseded_date") == pl.col("cut")).select(*seam, "cut", begun="known_date")
    whole = later.join(begun, left_on=[*seam, "known_date"], right_on=[*seam, "cut"], how="left")
    joined = whole.filter(pl.col("begun").is_not_null()).select(*seam, superseded_date="cut")
    kept = kept.join(joined, on=[*seam, "superseded_date"], how="anti")
    whole = whole.with_columns(known_date=pl.coalesce("begun", "known_date"))
    return pl.concat([kept.select(list(REVISIONS)), whole.select(list(REVISIONS))])


def _with_known_dates(facts: pl.DataFrame, current: pl.DataFrame) -> pl.DataFrame:
    """Facts with the known dates of their current decision and outcome claims."""
    decided = current.filter(pl.col("horizon") == 0).select("decision_id", decision_known_date="known_date")
    facts = facts.update(decided, on="decision_id")
    outcomes = current.filter(pl.col("valid").is_not_null())
    for horizon in horizons_in(facts):
        known = outcomes.filter(pl.col("horizon") == horizon)
        facts = facts.update(
            known.select("decision_id", pl.col("known_date").alias(f"known_date_h{horizon}")), on="decision_id"
        )
    return facts
