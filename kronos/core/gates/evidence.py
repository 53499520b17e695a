"""What the gates look at: the evidence pack of one experiment, as plain data with a digest of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Any

import numpy as np

from kronos.core.canonical import canonical_json
from kronos.core.gates.model import stored
from kronos.core.reports.comparison_gaps import Daily
from kronos.core.reports.comparison_pairs import Slices


@dataclass(frozen=True, slots=True)
class Probe:
    """Decisions that a probe compared, and how many differed; `first`: the earliest date that did.

    refused: of each date on which it could not be asked, why not. markets: rows and how many of them differed, by
    market.
    """

    rows: int
    differing: int
    method: str = ""
    first: date | None = None
    refused: tuple[str, ...] = ()
    markets: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScenarioLoss:
    """What a scenario did to the config and the incumbent: maximum drawdown as a positive share, or the mean score.

    refused: why there is no number of one of them. Without it incumbent None is one that had not yet begun to decide.
    thin: why the numbers there are rest on too little.
    """

    name: str
    about: str
    proposed: float | None
    incumbent: float | None
    refused: str = ""
    thin: str = ""


@dataclass(frozen=True, slots=True)
class Breach:
    """One hard limit over all decisions: how often it was broken, the worst value beside the limit, and where."""

    rule: str
    market: str
    count: int
    worst: float
    limit: float
    where: str = ""


@dataclass(frozen=True, slots=True)
class Actions:
    """What the decisions themselves say about hard limits.

    decisions: number of them; breaches: limits that were recomputed, broken or not. reported: hard violations per
    decision that outcomes report, of the config and the incumbent; None where none report any.
    """

    decisions: int
    breaches: tuple[Breach, ...]
    reported: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True, slots=True)
class Search:
    """What the config was chosen from, and how often it was looked at.

    trials: what the ledger counts for the engine, this config among it. look: which look at fresh evidence this is,
    from 1. spent: expected false promotions that earlier looks were allowed: at this experiment, and within the year at
    the engine's others.
    mined_until: last date that Kronos looked at before it proposed the config by itself.
    """

    trials: int
    look: int = 1
    spent: float = 0.0
    mined_until: date | None = None


@dataclass(frozen=True, eq=False)
class GateEvidence:
    """Everything that is judged; nothing in it says whether the experiment is a control, or who asked for it.

    metric: `sharpe` (series hold returns) or a score's id (series hold losses). series: by config and slice, of the
    proposed config, the incumbent, its neighbours and further trials. factors: observations a year in each slice of the
    incumbent. data_until: when the outcomes of the last date on which both have a value were known. wealth: returns of
    one session, by config and slice. costs: cost of each date, by config that reports it. scores: mean scores of each
    date, of engines that earn and forecast. turnovers: mean turnover a session, by config that reports it. live: the
    incumbent's LIVE series. neighbours: those that were run to the end; neighbours_refused: those that the engine does
    not take, neighbours_failed: those that could not be run, each with the reason. earns: whether any outcome of the
    proposed config has a return; by what metric the two are compared depends on the incumbent.
    """

    engine_name: str
    proposed: str
    incumbent: str | None
    metric: str
    horizon: int
    series: Mapping[str, Slices]
    factors: Mapping[str, float]
    search: Search
    data_until: date
    data_now: date
    seed: int
    wealth: Mapping[str, Slices] = field(default_factory=dict)
    costs: Mapping[str, Daily] = field(default_factory=dict)
    scores: Mapping[str, Daily] = field(default_factory=dict)
    score_metric: str = ""
    turnovers: Mapping[str, float] = field(default_factory=dict)
    live: Daily | None = None
    neighbours: tuple[str, ...] = ()
    neighbours_refused: Mapping[str, str] = field(default_factory=dict)
    neighbours_failed: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    probes: Mapping[str, Probe] = field(default_factory=dict)
    duplicates: tuple[str, ...] = ()
    scenarios: tuple[ScenarioLoss, ...] = ()
    actions: Actions | None = None
    earns: bool = True

    @property
    def rival(self) -> str:
        """The incumbent's id; nothing has the empty one."""
        return self.incumbent or ""

    @property
    def digest(self) -> str:
        """SHA-256 over every number and word in it: equal for equal evidence."""
        return sha256(canonical_json(_plain(vars(self))).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """What canonical JSON holds; series as hashes of their exact bytes."""
    if isinstance(value, Daily):
        return [_hash(value.days.astype("datetime64[D]").astype(np.int64)), _hash(value.values)]
    if isinstance(value, Mapping):
        return {str(name): _plain(member) for name, member in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(member) for member in value]
    if isinstance(value, float):
        return stored(value)
    if isinstance(value, date):
        return value.isoformat()
    if hasattr(value, "__slots__") and not isinstance(value, str | int | bool) and value is not None:
        return {name: _plain(getattr(value, name)) for name in value.__slots__}
    return value


def _hash(values: Any) -> str:
    return sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
