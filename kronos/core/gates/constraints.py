"""Gate 7, hard constraints: none is ever violated, by the decisions themselves rather than by what they say of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import polars as pl

from kronos.core.gates.evidence import Actions, Breach, GateEvidence
from kronos.core.gates.model import Finding, failed, invalid, passed
from kronos.core.gates.policy import ConstraintTerms, GatePolicy

TOLERANCE = 1e-9
"""Weights are sums of rounded numbers: this much over a limit is on it."""

BLACKLISTED: Final = "blacklisted names"
LIQUIDITY: Final = "weight beside liquidity"


def constraints(evidence: GateEvidence, policy: GatePolicy) -> Iterator[Finding]:
    """A breach of any limit FAILs; INVALID without decisions to recompute it from."""
    actions = evidence.actions
    if actions is None or actions.decisions == 0:
        yield invalid("hard limits", "NO_DECISIONS", "no decision to recompute anything from")
        return
    for breach in actions.breaches:
        yield _kept(breach)
    yield _reported(actions, policy.constraints)


def _kept(breach: Breach) -> Finding:
    unit = "decisions" if breach.rule == BLACKLISTED else "share of capital"
    numbers = {
        "value": breach.worst, "threshold": breach.limit, "requires": "<=", "unit": unit,
        "slice": f"market:{breach.market}",
    }  # fmt: skip
    if breach.count:
        said = f"{breach.rule} broken {breach.count} times, worst {breach.worst:.4g} ({breach.where})"
        return failed(breach.rule, "VIOLATED", f"{said}: at most {breach.limit:.4g}", **numbers)
    return passed(breach.rule, "KEPT", f"at most {breach.worst:.4g}, {breach.limit:.4g} allowed", **numbers)


def _reported(actions: Actions, terms: ConstraintTerms) -> Finding:
    """What outcomes report is upstream's word: held against the incumbent's, whose reports have the same author."""
    mine, theirs = actions.reported
    if mine is None and theirs is not None:
        said = f"outcomes report no violations, not even none, where the incumbent's report {theirs:.4g} a decision"
        return invalid("reported violations", "NOT_REPORTED", said, unit="a decision")
    if mine is None or mine == 0.0:
        return passed(
            "reported violations", "NONE_REPORTED", "outcomes report no hard violation", value=mine, unit="a decision"
        )
    allowed = terms.most_reported_ratio * (theirs or 0.0)
    numbers = {"value": mine, "threshold": allowed, "requires": "<=", "unit": "a decision"}
    said = f"outcomes report {mine:.4g} hard violations a decision, the incumbent's {theirs or 0.0:.4g}"
    if mine <= allowed * (1.0 + TOLERANCE):
        return passed("reported violations", "AS_INCUMBENT", said, **numbers)
    return failed("reported violations", "MORE_THAN_INCUMBENT", said, **numbers)


def recomputed(facts: pl.DataFrame, engine_name: str, terms: ConstraintTerms, *, earns: bool) -> tuple[Breach, ...]:
    """Every limit over one config's decisions, broken or not.

    facts: market_id, entity_id, as_of_date, weight of each decision. Rules: weight of an entity and gross weight of the
    book, per market and date, where decisions hold positions (earns), and there of each entity whose liquidity has a
    limit; names on the blacklist. A weight that is missing or not finite breaks its limit.
    """
    found = []
    for (market,), part in facts.partition_by("market_id", as_dict=True, maintain_order=True).items():
        limits, name = terms.of(engine_name, str(market)), str(market)
        found.append(_blacklisted(name, part, terms.blacklist))
        if not earns:
            continue
        held = part.group_by("as_of_date", "entity_id").agg(pl.col("weight").abs().sum(), _unknown())
        gross = part.group_by("as_of_date").agg(pl.col("weight").abs().sum(), _unknown())
        found += [
            _breach("weight of one name", name, held, limits.most_weight, "entity_id"),
            _breach("gross weight", name, gross, limits.most_gross, None),
            _illiquid(name, held, terms.liquidity),
        ]
    return tuple(sorted(found, key=lambda one: (one.rule, one.market)))


def _unknown() -> pl.Expr:
    return (~pl.col("weight").is_finite().fill_null(False)).any().alias("unknown")


def _illiquid(market: str, held: pl.DataFrame, liquidity: Mapping[str, float]) -> Breach:
    """The entity that is held furthest beyond its liquidity, or nearest to it, speaks for all."""
    found = [
        _breach(LIQUIDITY, market, held.filter(entity_id=entity), limit, "entity_id")
        for entity, limit in sorted(liquidity.items())
        if entity in held["entity_id"]
    ]
    if not found:
        return Breach(LIQUIDITY, market, 0, 0.0, min(liquidity.values()), "")
    worst = max(found, key=lambda one: one.worst / one.limit)
    return replace(worst, count=sum(one.count for one in found))


def _breach(rule: str, market: str, sums: pl.DataFrame, limit: float, name: str | None) -> Breach:
    values = sums.with_columns(pl.when("unknown").then(math.inf).otherwise("weight").alias("weight"))
    worst = values.sort("weight", "as_of_date", descending=[True, False]).row(0, named=True)
    count = values.filter(pl.col("weight") > limit * (1.0 + TOLERANCE)).height
    where = f"{worst['as_of_date']}" if name is None else f"{worst[name]} on {worst['as_of_date']}"
    return Breach(rule, market, count, min(worst["weight"], 1e9), limit, where)


def _blacklisted(market: str, facts: pl.DataFrame, blacklist: tuple[str, ...]) -> Breach:
    held = facts.filter(pl.col("entity_id").is_in(list(blacklist))).sort("as_of_date")
    where = "" if held.is_empty() else f"{held['entity_id'][0]} on {held['as_of_date'][0]}"
    return Breach(BLACKLISTED, market, held.height, float(held.height), 0.0, where)
