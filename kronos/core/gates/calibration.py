"""How often the gates accept what they should not, and what they should: the judge over simulated worlds.

A world has an incumbent and candidates; the candidate that looks best is put before the judge with the evidence a real
experiment would have: regimes, costs, neighbours, probes and a LIVE record, all without fault, so that what is measured
is how the gates decide on returns alone. Nothing else can make a config without an edge pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from kronos.core.conventions import CONFIDENCE
from kronos.core.gates.contest import pair_up
from kronos.core.gates.evidence import Actions, Breach, GateEvidence, Probe, ScenarioLoss, Search
from kronos.core.gates.improvement import tested_improvement
from kronos.core.gates.judge import judge
from kronos.core.gates.model import Gate, Judged
from kronos.core.gates.policy import GatePolicy
from kronos.core.gates.worlds import YEAR, Truth, worlds
from kronos.core.reports.comparison_gaps import Daily
from kronos.core.reports.comparison_model import OVERALL_SLICE
from kronos.core.reports.comparison_series import SHARPE
from kronos.core.stats.bootstrap import Drawing, Draws, GivenDraws
from kronos.core.stats.matrix import DateArray, FloatArray
from kronos.core.stats.paired import Improvement
from kronos.core.stats.sharpe import sharpe_influences, sharpe_ratios

FIRST_RESAMPLES: Final = 1_000
"""Looked at first: they refuse most worlds in which nothing is better, and no later resample could change that."""
RE_TEST_SESSIONS: Final = 63
"""Sessions that pass between two looks."""
_FIRST_DAY: Final = np.datetime64("2010-01-04")
_REGIMES: Final = ("CALM", "NORMAL", "STRESS")
_REGIME_LENGTH: Final = 42
_COST: Final = 0.00002
"""A session, of every config: what a monthly rebalance costs."""
_NEIGHBOURS: Final = 4
_NEIGHBOUR_NOISE: Final = 0.1
"""Standard deviation of a neighbour's difference, beside the config's own."""


@dataclass(frozen=True)
class Case:
    """What is simulated. leverage: the config submitted is the incumbent times this; looks: re-tests as dates pass."""

    name: str
    truth: Truth
    leverage: float = 0.0
    looks: int = 1


@dataclass(frozen=True)
class Tally:
    """Counts over worlds: accepted, accepted though another than the planted config, refusals by gate."""

    worlds: int
    accepted: int
    wrong: int
    refused_by: Mapping[str, int]
    only_refuser: Mapping[str, int]

    @property
    def right(self) -> int:
        """Accepts but for the wrong ones: with an edge planted those of the config that has it, without one all."""
        return self.accepted - self.wrong

    def rate(self) -> float:
        """Share of worlds with a right accept: accepting another config than the planted one finds nothing."""
        return self.right / self.worlds

    def bounds(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Exact one-sided bounds of the rate, lower and upper (Clopper and Pearson 1934, Biometrika 26)."""
        missed = self.worlds - self.right
        low = float(beta.ppf(1.0 - confidence, self.right, missed + 1)) if self.right else 0.0
        high = float(beta.ppf(confidence, self.right + 1, missed)) if missed else 1.0
        return low, high

    def to_json_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**vars(self), "refused_by": dict(self.refused_by), "only_refuser": dict(self.only_refuser)}


def combined(parts: Iterable[Tally]) -> Tally:
    """Several parts as one."""
    every = list(parts)
    refused, only = Counter[str](), Counter[str]()
    for part in every:
        refused.update(part.refused_by)
        only.update(part.only_refuser)
    return Tally(
        sum(part.worlds for part in every),
        sum(part.accepted for part in every),
        sum(part.wrong for part in every),
        dict(sorted(refused.items())),
        dict(sorted(only.items())),
    )


Judge = Callable[[GateEvidence, GatePolicy, Drawing], Judged]


def calibrate(
    case: Case, count: int, policy: GatePolicy, rng: np.random.Generator, draw_for: Drawing, judged: Judge = judge
) -> Tally:
    """The judge over `count` worlds of a case. draw_for: resamples that all its worlds share.

    At each look the worlds whose improvement the first resamples refuse already count as refused by that gate, without
    being judged in whole: no later resample could let them pass.
    """
    truth = replace(case.truth, sessions=case.truth.sessions + RE_TEST_SESSIONS * (case.looks - 1))
    open_worlds = dict(enumerate(worlds(truth, count, rng)))
    submitted = {number: _submitted(case, values[: case.truth.sessions]) for number, values in open_worlds.items()}
    seen: list[tuple[Gate, ...]] = []
    for look in range(1, case.looks + 1):
        for number in list(open_worlds):
            dates = open_worlds[number][: case.truth.sessions + RE_TEST_SESSIONS * (look - 1)]
            evidence = world_evidence(dates, submitted[number], rng, look=look, leverage=case.leverage)
            refused = _refused_by(evidence, policy, draw_for, judged)
            if refused:
                seen.append(refused)
            else:
                del open_worlds[number]
    accepted = set(submitted) - set(open_worlds)
    wrong = sum(truth.active_ratio > 0.0 and submitted[number] != "c1" for number in accepted)
    only = Counter(gates[0].value for gates in seen if len(gates) == 1)
    refusing = Counter(gate.value for gates in seen for gate in gates)
    return Tally(count, len(accepted), wrong, dict(refusing), dict(only))


def _refused_by(evidence: GateEvidence, policy: GatePolicy, draw_for: Drawing, judged: Judge) -> tuple[Gate, ...]:
    early = tested_improvement(evidence, pair_up(evidence, policy), policy, first_of(draw_for))
    if isinstance(early, Improvement):
        least = early.p_value.value * (FIRST_RESAMPLES + 1) / (policy.improvement.resamples + 1)
        if least > policy.improvement.level_of(evidence.search.look):
            return (Gate.IMPROVEMENT,)
    return judged(evidence, policy, draw_for).refused_by


def world_evidence(
    values: FloatArray, submitted: str, rng: np.random.Generator, *, look: int = 1, leverage: float = 0.0
) -> GateEvidence:
    """Evidence of one config of a world. values: [sessions, 1 + candidates], incumbent first; submitted: `c1`, ..."""
    days = _FIRST_DAY + np.arange(len(values))
    named = {"incumbent": values[:, 0]} | {f"c{i}": values[:, i] for i in range(1, values.shape[1])}
    if leverage:
        named = {"incumbent": values[:, 0], submitted: leverage * values[:, 0]}
    mine = named[submitted]
    near = {
        f"{submitted}~{i}": mine + _NEIGHBOUR_NOISE * mine.std() * rng.standard_normal(len(mine))
        for i in range(_NEIGHBOURS)
    }
    series = {name: _slices(days, column) for name, column in {**named, **near}.items()}
    costs = Daily(days, np.full(len(days), _COST))
    last: date = days[-1].item()
    kept = Breach("gross weight", "SIM", 0, 1.0, 1.5, "")
    return GateEvidence(
        engine_name="SIMULATED",
        proposed=submitted,
        incumbent="incumbent",
        metric=SHARPE,
        horizon=1,
        series=series,
        factors=dict.fromkeys(series["incumbent"], float(YEAR)),
        search=Search(trials=values.shape[1] - 1, look=look),
        data_until=last,
        data_now=last + timedelta(days=1),
        seed=0,
        wealth=series,
        costs={"incumbent": costs, submitted: costs},
        turnovers={"incumbent": 0.05, submitted: 0.05},
        live=series["incumbent"][OVERALL_SLICE],
        neighbours=tuple(near),
        others=tuple(name for name in named if name not in ("incumbent", submitted)),
        probes={"repeat": Probe(100, 0), "future": Probe(100, 0, "ALTERED"), "fresh": Probe(100, 50)},
        scenarios=(ScenarioLoss("calm", "", 0.0, 0.0),),
        actions=Actions(len(days), (kept,), (None, None)),
    )


def first_of(draw_for: Drawing) -> Drawing:
    """The first resamples of what another drawing gives."""

    def first(n_sessions: int, block_length: float) -> Draws:
        rows: list[npt.NDArray[np.float32]] = []
        missing = FIRST_RESAMPLES
        for chunk in draw_for(n_sessions, block_length).chunks():
            rows.append(chunk[:missing].astype(np.float32, copy=False))
            missing -= len(rows[-1])
            if not missing:
                break
        return GivenDraws(np.concatenate(rows), block_length)

    return first


def _submitted(case: Case, values: FloatArray) -> str:
    """The candidate that looks best beside the incumbent, in its own standard errors: what a search would submit."""
    if case.leverage:
        return "levered"
    ratios, influences = sharpe_ratios(values), sharpe_influences(values)
    errors = (influences[:, 1:] - influences[:, :1]).std(axis=0)
    return f"c{1 + int(((ratios[1:] - ratios[0]) / errors).argmax())}"


def _slices(days: DateArray, column: FloatArray) -> dict[str, Daily]:
    """The whole, and regimes that take turns."""
    turn = np.arange(len(days)) // _REGIME_LENGTH % len(_REGIMES)
    regimes = {f"regime:{name}": Daily(days[turn == i], column[turn == i]) for i, name in enumerate(_REGIMES)}
    return {OVERALL_SLICE: Daily(days, column), **regimes}


def cases(ratios: Sequence[float]) -> Iterator[Case]:
    """The cases of a calibration: boundary nulls, leverage, re-tests, and planted edges of these active ratios."""
    rough = Truth(tails=5.0, clustering=(0.08, 0.90), unequal=True)
    yield Case("boundary nulls", Truth())
    yield Case("boundary nulls, rough", rough)
    yield Case("incumbent levered twice", Truth(candidates=1), leverage=2.0)
    yield Case("eight re-tests of nulls", Truth(), looks=8)
    for ratio in ratios:
        yield Case(f"planted active ratio {ratio:g}", Truth(active_ratio=ratio))
