"""The evidence pack of an experiment: everything the gates look at, read from the database and the lake.

Nothing in it says whether the experiment is a control: not its description, author, expectation or metadata. The
database alone knows, and gives a control no looks but its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from typing import Any, TypeVar

import polars as pl

from kronos.core.backtests.again import missing
from kronos.core.backtests.neighbours import LeftOut
from kronos.core.backtests.probes import NOTHING_COMPARED, added
from kronos.core.backtests.spec import BacktestSpec
from kronos.core.changes.model import Experiment, PeriodResult
from kronos.core.gates.constraints import recomputed
from kronos.core.gates.evidence import Actions, GateEvidence, Probe, ScenarioLoss, Search
from kronos.core.gates.policy import GatePolicy
from kronos.core.gates.reported import REPORTED, reporting
from kronos.core.gates.scenario_figures import judged_figures, loss_in, too_thin
from kronos.core.gates.series import GateSeries, first_due, turnover_a_session
from kronos.core.reports.comparison_gaps import Daily
from kronos.core.reports.comparison_model import OVERALL_SLICE
from kronos.core.reports.comparison_series import SHARPE
from kronos.core.scenarios.battery import HistoricalWindow, windows
from kronos.core.vocabulary import Mode
from kronos.errors import BadValue, NotFound, NothingObserved
from kronos.lake.backtests import BacktestRecord
from kronos.lake.pinned import PinnedRecord, marks_now
from kronos.lake.tables import Lake
from kronos.services.performance import Performance
from kronos.services.pipeline import CELL_TABLES, Pipeline
from kronos.services.sessions import market_sessions
from kronos.store import verdicts as store
from kronos.store.backtests import PieceRecord, pieces_of, specs_of
from kronos.store.database import Database, Role
from kronos.store.experiments import results_of
from kronos.store.trials import count_trials

FACTS = "decision_facts"
_Number = TypeVar("_Number", float, Daily)
PROBES = ("repeat", "future", "fresh")


@dataclass(frozen=True)
class Backtest:
    """What was run: the experiment, its spec and pieces, and the result of the whole period."""

    experiment: Experiment
    spec: BacktestSpec
    pieces: Sequence[PieceRecord]
    whole: PeriodResult

    @property
    def marks(self) -> Mapping[str, str]:
        """Per lake table the version that holds the rows."""
        return dict(self.whole.provenance["lake"])

    def record(self, lake: Lake) -> BacktestRecord:
        """The rows behind the result."""
        return BacktestRecord(lake, self.spec.experiment_id, self.marks, self.whole.provenance.get("build"))


def read_backtest(database: Database, experiment: Experiment) -> Backtest:
    """The backtest whose results stand; `NotFound` before there are any."""
    with database.connect(Role.READER) as session:
        results = results_of(session, experiment.experiment_id)
        whole = max(results, key=lambda one: (one.period_end - one.period_start, one.period_end), default=None)
        if whole is None:
            raise NotFound("result of experiment", str(experiment.experiment_id))
        digest, code = whole.provenance["spec"], whole.provenance["code_version"]
        spec = next(one for one in specs_of(session, experiment.experiment_id) if one.digest == digest)
        pieces = pieces_of(session, experiment.experiment_id, digest, code).values()
    # what a later attempt tries again is no part of this result
    return Backtest(experiment, spec, tuple(one for one in pieces if one.attempt <= whole.attempt), whole)


def observed_now(lake: Lake) -> dict[str, str]:
    """Per lake table of the LIVE record the version that evidence read now is of."""
    return marks_now(lake, CELL_TABLES)


def gate_evidence(
    pipeline: Pipeline, backtest: Backtest, policy: GatePolicy, today: date, observed: Mapping[str, str]
) -> GateEvidence:
    """The evidence of an experiment's last backtest; today: in the data's own time.

    observed: per lake table the version in which the LIVE record is read, as `observed_now` or a verdict's `lake` says.
    """
    experiment, spec = backtest.experiment, backtest.spec
    compared = _compared(pipeline, backtest)
    metric = SHARPE if compared is None else compared.metric
    found: dict[str, Any] = {} if compared is None else _of_series(compared)
    horizon = pipeline.policy.horizon_of(experiment.engine_name) if compared is None else compared.horizon
    series, incumbent = found.get("series", {}), spec.incumbent or ""
    told, earns = _told(pipeline, backtest, horizon, policy), _earns(pipeline, backtest)
    near = tuple(one.config_id for one in spec.subjects if one.is_neighbour)
    left = missing(spec, backtest.pieces)
    refused, failed = (
        {name: one.why for name, one in left.items() if one.kind is kind} for kind in (LeftOut.REFUSED, LeftOut.FAILED)
    )
    known = {experiment.proposed_config_id, spec.incumbent, *near}
    with pipeline.database.connect(Role.READER) as session:
        duplicates = store.duplicates_of(session, experiment.experiment_id, spec.incumbent)
        search = _search(session, backtest, policy)
    return GateEvidence(
        engine_name=experiment.engine_name,
        proposed=experiment.proposed_config_id,
        incumbent=spec.incumbent,
        metric=metric,
        horizon=horizon,
        **{"series": {}, "factors": {}, **found},
        search=search,
        # where nothing can be judged it is as old as it can be
        data_until=(compared and compared.judged_until(experiment.proposed_config_id, incumbent)) or spec.start,
        data_now=today,
        seed=spec.seed,
        costs={} if compared is None else _only(compared.costs, told["cost"]),
        turnovers=_only(_turnovers(backtest, compared), told["turnover"]),
        live=None if compared is None else _live(pipeline, backtest, metric, observed),
        # what was begun of one that is left out is no run of it
        neighbours=tuple(one for one in near if one not in refused and one not in failed),
        neighbours_refused=spec.left_out | refused,
        neighbours_failed=failed,
        others=tuple(one.config_id for one in spec.subjects if one.config_id not in known),
        probes=_probes(backtest.pieces, experiment.proposed_config_id),
        duplicates=duplicates,
        scenarios=_scenarios(pipeline, backtest, policy, metric, first_due(series, incumbent)),
        actions=_actions(pipeline, backtest, policy, earns=earns or metric == SHARPE),
        earns=earns,
    )


def _compared(pipeline: Pipeline, backtest: Backtest) -> GateSeries | None:
    spec = backtest.spec
    if spec.incumbent is None:
        return None
    record = backtest.record(pipeline.lake)
    performance = Performance(record, pipeline.policy, pipeline.recorded_by)
    try:
        return performance.gate_series(
            spec.engine_name,
            spec.incumbent,
            spec.start,
            spec.end,
            mode=Mode.BACKTEST,
            experiment_id=spec.experiment_id,
        )
    except (NotFound, NothingObserved):
        return None  # nothing was decided at all: the gates say so


def _of_series(compared: GateSeries) -> dict[str, Any]:
    names = ("series", "factors", "wealth", "scores", "score_metric")
    return {name: getattr(compared, name) for name in names}


def _live(pipeline: Pipeline, backtest: Backtest, metric: str, observed: Mapping[str, str]) -> Daily | None:
    """The incumbent's LIVE series over the backtest's dates, in its markets: a replay has no others."""
    spec = backtest.spec
    if spec.incumbent is None:
        return None
    performance = Performance(PinnedRecord(pipeline.lake, observed), pipeline.policy, pipeline.recorded_by)
    try:
        found = performance.gate_series(
            spec.engine_name, spec.incumbent, spec.start, spec.end, config_id=spec.incumbent, markets=spec.markets
        )
    except (NotFound, NothingObserved, BadValue):
        return None
    if found is None or found.metric != metric:
        return None
    return found.series.get(spec.incumbent, {}).get(OVERALL_SLICE)


def _search(session: store.Session, backtest: Backtest, policy: GatePolicy) -> Search:
    """N, the look, and what the engine's other experiments of the year may have cost.

    A control is judged among the real trials and its own, those it says it was chosen from: other controls are no part
    of anyone's search, and counting them would make the suite kinder than the gates are to a candidate. The year's
    budget is the candidates': what they spent says nothing of a control, which can promote nothing.
    """
    experiment = backtest.experiment
    counted = count_trials(session, experiment.engine_name)
    control = next(one.control for one in backtest.spec.subjects if one.config_id == experiment.proposed_config_id)
    declared = 0 if control is None else getattr(control, "trials", 1)
    looks = store.looks_at(session, experiment.engine_name, experiment.experiment_id)
    this = (experiment.experiment_id, experiment.attempt)
    earlier = [one for one in looks if (one.experiment_id, one.attempt) != this]
    return Search(
        trials=max(counted.real + declared, 1),
        look=1 + sum(one.experiment_id == experiment.experiment_id for one in earlier),
        spent=sum(policy.improvement.level_of(one.look) for one in earlier),
        mined_until=store.mined_until(session, experiment.experiment_id),
    )


def _told(pipeline: Pipeline, backtest: Backtest, horizon: int, policy: GatePolicy) -> dict[str, frozenset[str]]:
    """Which of the two configs' outcomes report costs and turnover.

    All of the proposed one's have to, as a sum takes what is missing for none. Of the incumbent's nearly all: less of
    either only makes it harder to beat.
    """
    spec = backtest.spec
    least = {spec.incumbent or "": policy.integrity.least_coverage, backtest.experiment.proposed_config_id: 1.0}
    record = backtest.record(pipeline.lake)
    chosen = record.scan(FACTS).filter(pl.col("config_id").is_in(list(least)), experiment_id=spec.experiment_id)
    names = [f"{name}_h{horizon}" for name in ("return", *REPORTED)]
    facts = chosen.select("config_id", pl.col(f"^({'|'.join(names)})$")).collect()
    return reporting(facts, horizon, least)


def _earns(pipeline: Pipeline, backtest: Backtest) -> bool:
    """Whether any outcome of the proposed config has a return, at whatever horizon: its own facts say so."""
    record = backtest.record(pipeline.lake)
    proposed = backtest.experiment.proposed_config_id
    chosen = record.scan(FACTS).filter(config_id=proposed, experiment_id=backtest.spec.experiment_id)
    returns = chosen.select(pl.col("^return_h[0-9]+$").count()).collect()
    return bool(returns.height) and sum(returns.row(0)) > 0


def _only(numbers: Mapping[str, _Number], configs: frozenset[str]) -> dict[str, _Number]:
    return {name: found for name, found in numbers.items() if name in configs}


def _turnovers(backtest: Backtest, compared: GateSeries | None) -> dict[str, float]:
    if compared is None:
        return {}
    return turnover_a_session(compared, backtest.experiment.proposed_config_id, backtest.spec.incumbent or "")


def _metrics(backtest: Backtest) -> dict[str, Mapping[str, float]]:
    """Numbers of the whole replay: of the proposed config and those run beside it."""
    beside = {
        name: found["metrics"] for name, found in backtest.whole.detail.get("beside", {}).items() if "metrics" in found
    }
    return {backtest.experiment.proposed_config_id: backtest.whole.metrics, **beside}


def _probes(pieces: Iterable[PieceRecord], config_id: str) -> dict[str, Probe]:
    """What the probes of one config found, over all probe dates."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for piece in pieces:
        for name, seen in (piece.found or {}).get(config_id, {}).items():
            if name in PROBES and isinstance(seen, Mapping):
                found.setdefault(name, []).append(seen)
    return {name: _probe(answers) for name, answers in sorted(found.items())}


def _probe(answers: Sequence[Mapping[str, Any]]) -> Probe:
    refused = tuple(why for why in map(_not_asked, answers) if why is not None)
    counted = [one for one in answers if _not_asked(one) is None]
    total = reduce(added, counted, NOTHING_COMPARED)
    return Probe(
        rows=total["rows"],
        differing=total["differing"],
        method=counted[-1].get("method", "") if counted else "",
        first=None if total["first"] is None else date.fromisoformat(total["first"]),
        refused=refused,
        markets={market: (rows, differing) for market, (rows, differing) in total["markets"].items()},
    )


def _not_asked(answer: Mapping[str, Any]) -> str | None:
    """Why an answer of a probe has no counts that can be used; None: it has."""
    if "refused" in answer:
        return str(answer["refused"])
    return None if "markets" in answer else "it ran by code that did not tell markets apart"


def _scenarios(
    pipeline: Pipeline, backtest: Backtest, policy: GatePolicy, metric: str, began: date | None
) -> tuple[ScenarioLoss, ...]:
    """What the scenarios did to both, but for windows of history that no decision of either has to do with.

    Such a window is over before the incumbent decides for the first time (began): its signals take so long to be warm.
    Of a config that decides there already the loss counts, with nothing beside it.
    """
    held = windows(backtest.spec.battery)
    before = {one.name for one in held if began is not None and one.end < began}
    lengths = {one.name: _sessions_in(pipeline, backtest.spec, one) for one in held}
    found = []
    for name, one in sorted(backtest.whole.detail.get("scenarios", {}).items()):
        figures = _figures_in(backtest, one, metric)
        mine, theirs = (loss_in(seen, metric) for seen in figures.values())
        alone = name in before and theirs is None and "refused" not in one
        if alone and mine is None and "refused" not in figures["the config"]:
            continue
        why = one.get("refused", "")
        if not why and (mine is None or (theirs is None and not alone)):
            told = [f"{whose}: {seen['refused']}" for whose, seen in figures.items() if "refused" in seen]
            why = "; ".join(told) or "one of the two has no number there"
        thin = {whose: too_thin(seen, metric, policy, lengths.get(name)) for whose, seen in figures.items()}
        said = "; ".join(f"{whose}: {what}" for whose, what in thin.items() if what)
        found.append(ScenarioLoss(name, one["about"], mine, theirs, why, said))
    return tuple(found)


def _figures_in(backtest: Backtest, scenario: Mapping[str, Any], metric: str) -> dict[str, Mapping[str, Any]]:
    """What is judged of the config and the incumbent in a scenario; empty for who decided nothing there."""
    horizon, configs = int(backtest.whole.detail["horizon"]), scenario.get("configs", {})
    both = {"the config": backtest.experiment.proposed_config_id, "the incumbent": backtest.spec.incumbent or ""}
    return {whose: judged_figures(configs.get(config, {}), metric, horizon) for whose, config in both.items()}


def _sessions_in(pipeline: Pipeline, spec: BacktestSpec, window: HistoricalWindow) -> int:
    """Sessions of the market that has the fewest there."""
    sessions = market_sessions(pipeline.policy, spec.markets, window.start, window.end)
    inside = sessions.filter(pl.col("session").is_between(window.start, window.end))
    return min(inside.filter(market_id=market).height for market in spec.markets)


def _actions(pipeline: Pipeline, backtest: Backtest, policy: GatePolicy, *, earns: bool) -> Actions:
    spec, proposed = backtest.spec, backtest.experiment.proposed_config_id
    record = backtest.record(pipeline.lake)
    chosen = record.scan(FACTS).filter(config_id=proposed, experiment_id=spec.experiment_id)
    facts = chosen.select("market_id", "entity_id", "as_of_date", "weight").collect()
    facts = facts.sort("market_id", "as_of_date", "entity_id", pl.col("weight"))
    numbers = _metrics(backtest)
    reported = [
        None if (found := numbers.get(name, {}).get("violations_hard_per_1000")) is None else found / 1000.0
        for name in (proposed, spec.incumbent or "")
    ]
    breaches = recomputed(facts, spec.engine_name, policy.constraints, earns=earns)
    return Actions(facts.height, breaches, (reported[0], reported[1]))
