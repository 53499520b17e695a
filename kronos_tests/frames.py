"""Contract frames for tests of pure code: one row per dict, columns left out are null."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl

from kronos.core import frames
from kronos.core.facts import FactsBatch, build_facts
from kronos.core.frames import Contexts, Schema
from kronos.core.policy import ObservationPolicy

POLICY = ObservationPolicy(ordered_classes={"ASSESSMENT": ["DOWN", "FLAT", "UP"]})
FIRST = date(2020, 3, 2)
HORIZONS = (1, 3)
Row = dict[str, Any]


def at(day: date, hour: int = 21) -> datetime:
    """An instant of the day, in UTC."""
    return datetime.combine(day, time(hour), UTC)


def frame(schema: Schema, rows: Iterable[Row]) -> pl.DataFrame:
    """A contract frame of rows that leave out what is null."""
    listed = list(rows)
    return pl.DataFrame({name: [row.get(name) for row in listed] for name in schema}, schema=schema, strict=True)


def decision(name: str = "d1", day: date = FIRST, **changes: Any) -> Row:
    """A LIVE decision of PORTFOLIO config `fast` in US_EQ, decided that evening."""
    row = {
        "decision_id": name,
        "decided_at": at(day),
        "engine_name": "PORTFOLIO",
        "config_id": "fast",
        "as_of_date": day,
        "market_id": "US_EQ",
        "mode": "LIVE",
        "experiment_id": "",
    }
    return row | changes


def outcome(name: str = "d1", day: date | None = FIRST + timedelta(days=1), horizon: int = 1, **changes: Any) -> Row:
    """A valid outcome of one per cent, recorded on its evaluation date."""
    row = {
        "decision_id": name,
        "horizon": horizon,
        "eval_date": day,
        "recorded_at": day and at(day, 22),
        "valid": True,
        "return": 0.01,
    }
    return row | changes


def contexts(
    regimes: Sequence[Row] = (),
    stability: Sequence[Row] = (),
    fragility: Sequence[Row] = (),
    soft_targets: Sequence[Row] = (),
) -> Contexts:
    """Context frames of rows."""
    return Contexts(
        frame(frames.REGIMES, regimes),
        frame(frames.STABILITY, stability),
        frame(frames.FRAGILITY, fragility),
        frame(frames.SOFT_TARGETS, soft_targets),
    )


def weekdays(markets: Iterable[str] = ("US_EQ", "EU_EQ"), first: date = FIRST, days: int = 60) -> pl.DataFrame:
    """frames.SESSIONS of markets that trade on weekdays."""
    dates = [first + timedelta(days=n) for n in range(days)]
    rows = [{"market_id": m, "session": d} for m in markets for d in dates if d.weekday() < 5]
    return frame(frames.SESSIONS, rows)


def horizons(decisions: pl.DataFrame, days: Sequence[int] = HORIZONS) -> pl.DataFrame:
    """Every config of the decisions due at every horizon."""
    configs = decisions.select("engine_name", "config_id").unique()
    return configs.join(pl.DataFrame({"horizon": pl.Series(days, dtype=pl.Int32)}), how="cross")


def facts(
    decisions: Iterable[Row],
    outcomes: Iterable[Row] = (),
    around: Contexts | None = None,
    *,
    recorded: bool = True,
    due: Sequence[int] = HORIZONS,
) -> FactsBatch:
    """Facts of rows, on weekday sessions, with every config due at `due`."""
    made = frame(frames.DECISIONS, decisions)
    came = frame(frames.OUTCOMES, outcomes)
    return build_facts(made, came, around or contexts(), weekdays(), horizons(made, due), POLICY, recorded=recorded)


class History:
    """A small dirty history drawn from a seed: late, restated, invalid and missing outcomes, late labels."""

    def __init__(self, seed: int, decisions: int = 24, *, restated: bool = True) -> None:
        self._rng = random.Random(seed)
        self._restated = restated
        self.decisions = [self._decision(n) for n in range(decisions)]
        self.outcomes = [row for made in self.decisions for h in HORIZONS for row in self._outcomes(made, h)]
        self.contexts = contexts(*self._contexts())

    def facts(self, *, outcomes: Sequence[Row] | None = None, recorded: bool = True) -> FactsBatch:
        """Facts of the history, or of only these outcomes of it."""
        came = self.outcomes if outcomes is None else outcomes
        return facts(self.decisions, came, self.contexts, recorded=recorded)

    def _decision(self, n: int) -> Row:
        rng = self._rng
        day = FIRST + timedelta(days=rng.randrange(12))
        engine = rng.choice(["PORTFOLIO", "ASSESSMENT"])
        row = decision(
            f"d{n}",
            day,
            engine_name=engine,
            config_id=rng.choice(["fast", "slow"]),
            market_id=rng.choice(["US_EQ", "EU_EQ"]),
            mode=rng.choice(["LIVE", "SHADOW"]),
            decided_at=at(day + timedelta(days=rng.choice([0, 0, 0, 2])), rng.randrange(24)),
            entity_type="INSTRUMENT",
            entity_id=rng.choice(["AAA", "BBB", None]),
            portfolio_id=rng.choice(["core", None]),
            weight=rng.choice([None, 0.5, rng.random()]),
        )
        return row | self._forecast(engine)

    def _forecast(self, engine: str) -> Row:
        rng = self._rng
        if engine == "PORTFOLIO":
            return {"probability": rng.choice([None, 0.0, 1.0, rng.random()])}
        up, down = sorted([rng.random(), rng.random()])
        classes = rng.choice([["DOWN", "FLAT", "UP"], ["UP", "FLAT", "DOWN"], ["UP", "OTHER", "DOWN"]])
        return {
            "classes": classes,
            "class_probabilities": [up, down - up, 1 - down],
            "label": rng.choice([None, "UP"]),
        }

    def _outcomes(self, made: Row, horizon: int) -> list[Row]:
        rng = self._rng
        count = rng.choice([0, 1, 1, 1, 2, 3] if self._restated else [0, 1])
        day = made["as_of_date"] + timedelta(days=horizon + rng.choice([0, 0, 1]))
        recorded = sorted(at(day, 1) + timedelta(hours=rng.randrange(200), minutes=n) for n in range(count))
        return [self._outcome(made, horizon, rng.choice([day, day, None]), instant) for instant in recorded]

    def _outcome(self, made: Row, horizon: int, day: date | None, instant: datetime) -> Row:
        rng = self._rng
        if rng.random() < 0.15:
            return outcome(made["decision_id"], day, horizon, recorded_at=instant, valid=False, **{"return": None})
        maybe = {
            "return": rng.gauss(0, 0.01),
            "pnl": rng.gauss(0, 1e5),
            "event": rng.choice([0.0, 1.0, 0.5]),
            "realised_class": rng.choice(["DOWN", "UP", "ELSEWHERE"]),
            "hit": rng.choice([0.0, 0.5, 1.0]),
            "hard_violations": rng.randrange(3),
            "soft_violations": rng.randrange(3),
            "turnover": rng.random(),
            "cost": rng.random() * 1e-3,
            "loss": rng.random(),
        }
        values = {name: value for name, value in maybe.items() if rng.random() < 0.7}
        return outcome(made["decision_id"], day, horizon, recorded_at=instant) | {"return": None} | values

    def _contexts(self) -> tuple[list[Row], ...]:
        rng = self._rng
        regimes = [self._said(region=r, regime=rng.choice(["CALM", "STORM"])) for r in ("US", "EU") for _ in range(8)]
        entities = [("INSTRUMENT", "AAA"), ("PORTFOLIO", "core"), ("MARKET", "US_EQ"), ("MARKET", "EU_EQ")]
        keyed = [{"entity_type": t, "entity_id": i} for t, i in entities for _ in range(6)]
        stability = [self._said(**k, stability_score=rng.choice([0.25, rng.random()])) for k in keyed]
        fragility = [self._said(**k, fragility_score=rng.choice([0.75, None, rng.random()])) for k in keyed]
        targets = [self._said(**k, soft_target_class=rng.choice(["SOFT", "FIRM"])) for k in keyed]
        return regimes, stability, fragility, targets

    def _said(self, **values: Any) -> Row:
        day = FIRST + timedelta(days=self._rng.randrange(-3, 14))
        late = timedelta(days=self._rng.choice([-1, 0, 0, 3]), minutes=self._rng.randrange(100000) / 100)
        return {"as_of_date": day, "recorded_at": at(day, 6) + late, **values}
