"""What an experiment's backtest gave: reports over its cells, written once, with the move to AWAITING_REVIEW."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from kronos.core.backtests.again import missing, newest_scenarios
from kronos.core.backtests.attempts import AttemptOutcome
from kronos.core.backtests.results import beside_numbers, figures
from kronos.core.backtests.spec import REPLAY, BacktestSpec, Subject, build_of, stream_of
from kronos.core.changes.model import Experiment
from kronos.core.changes.request import KRONOS
from kronos.core.gates.scenario_figures import DRAWDOWN
from kronos.core.reports.model import EnginePerformanceReport, MetricSet
from kronos.core.scenarios.battery import HistoricalWindow, Scenario, describe, windows_left_out
from kronos.core.vocabulary import ExperimentStatus, Mode
from kronos.errors import BacktestFailed, NotFound, NothingObserved
from kronos.lake.backtests import BacktestRecord
from kronos.lake.tables import version_of
from kronos.services.attempts import Bench
from kronos.services.experiments import changing
from kronos.services.performance import Performance
from kronos.store.backtests import PieceRecord, end_attempt
from kronos.store.experiments import move_experiment, record_result

NO_DECISIONS = "no decisions: the config decides nothing on these dates"

NO_SINGLE_SESSIONS = "no outcome of a single session is due: how far it fell from its peak is not known"


@dataclass(frozen=True)
class _Period:
    start: date
    end: date
    report: EnginePerformanceReport
    detail: Mapping[str, Any]


def conclude(
    bench: Bench,
    experiment: Experiment,
    attempt: int,
    spec: BacktestSpec,
    pieces: Sequence[PieceRecord],
    heartbeat: Callable[[], None],
) -> Experiment:
    """Write the results of a backtest whose pieces all stand, and hand the experiment to its reviewers.

    One transaction: `ChangeRefused`, and nothing written, when the attempt no longer holds the experiment;
    `BacktestFailed`, finally, when the proposed config decided nothing.
    """
    experiment_id = experiment.experiment_id
    marks, build = newest_marks(pieces), build_of(spec.digest, bench.workplace.code_version)
    record = BacktestRecord(bench.pipeline.lake, str(experiment_id), marks, build)
    performance = Performance(record, bench.pipeline.policy, bench.pipeline.recorded_by)
    horizon = bench.pipeline.policy.horizon_of(spec.engine_name)
    read = _Reports(performance, spec, horizon, heartbeat)
    periods = read.periods(_refused(pieces), _neighbours_left_out(spec, pieces))
    provenance = _provenance(bench, spec, pieces, marks)
    with changing(bench.workplace, KRONOS, "every piece of the backtest was made") as session:
        for period in periods:
            record_result(
                session,
                experiment_id,
                (period.start, period.end),
                attempt=attempt,
                metrics=period.report.metrics,
                by_regime=period.report.by_regime,
                by_market=period.report.by_market,
                by_stability_bucket=period.report.by_stability_bucket,
                detail=period.detail,
                provenance=provenance,
            )
        end_attempt(session, experiment_id, AttemptOutcome.COMPLETED, attempt=attempt)
        running, review = ExperimentStatus.RUNNING_BACKTESTS, ExperimentStatus.AWAITING_REVIEW
        return move_experiment(session, experiment_id, [running], review, attempt=attempt)


def newest_marks(pieces: Iterable[PieceRecord]) -> dict[str, str]:
    """Per table the newest version any piece was written in: it holds the rows of all, which only their own build
    writes again, and then the same."""
    newest: dict[str, str] = {}
    for piece in pieces:
        for table, mark in piece.lake.items():
            if table not in newest or version_of(mark) > version_of(newest[table]):
                newest[table] = mark
    return dict(sorted(newest.items()))


@dataclass(frozen=True)
class _Reports:
    """Reports over one experiment's record. horizon: the engine's own."""

    performance: Performance
    spec: BacktestSpec
    horizon: int
    heartbeat: Callable[[], None]

    def periods(self, refused: Mapping[str, str], missing: Mapping[str, str]) -> list[_Period]:
        """The whole replay with neighbours and every scenario, and its folds where there are several.

        refused: scenarios, missing: neighbours, that could not be run, and why.
        """
        scenarios = {one.name: self._scenario(one, refused.get(one.name)) for one in self.spec.battery.scenarios}
        whole = self._period(self.spec.start, self.spec.end)
        near = {
            one.config_id: self._figures(one.config_id, whole.start, whole.end) | {"role": one.role}
            for one in self.spec.subjects
            if one.is_neighbour and one.config_id not in missing
        }
        beside = {**whole.detail["beside"], **near}
        said = {"beside": beside, "scenarios": scenarios, "neighbours_left_out": dict(missing)}
        outside = windows_left_out(self.spec.battery, self.spec.start, self.spec.end)
        said["windows_left_out"] = {one.name: f"{one.start} to {one.end}" for one in outside}
        whole = replace(whole, detail={**whole.detail, **said})
        folds = self.spec.folds if len(self.spec.folds) > 1 else ()
        return [whole, *(self._period(fold.start, fold.end) for fold in folds)]

    def _period(self, start: date, end: date) -> _Period:
        """The proposed config over some dates of the replay, the others beside it.

        `BacktestFailed`, finally, when the proposed config decided nothing: there is no result to review.
        """
        proposed, *others = self._compared
        try:
            report = self._report(proposed.config_id, start, end)
        except (NotFound, NothingObserved) as error:
            raise BacktestFailed(f"{proposed.config_id} from {start} to {end}: {NO_DECISIONS}", final=True) from error
        beside = {one.config_id: self._figures(one.config_id, start, end) | {"role": one.role} for one in others}
        return _Period(start, end, report, {**beside_numbers(report), "beside": beside})

    def _scenario(self, scenario: Scenario, refused: str | None) -> dict[str, Any]:
        said: dict[str, Any] = {"kind": scenario.kind, "about": scenario.about, "what": describe(scenario)}
        if refused is not None:
            return said | {"refused": refused}
        if isinstance(scenario, HistoricalWindow):
            if not scenario.lies_within(self.spec.start, self.spec.end):
                return said | {"refused": f"not within the dates {self.spec.start} to {self.spec.end}"}
            start, end, stream = scenario.start, scenario.end, REPLAY
        else:
            start, end, stream = self.spec.start, self.spec.end, scenario.name
        configs = [one.config_id for one in self._compared]
        return said | {"configs": {one: self._lost(one, start, end, stream) for one in configs}}

    @property
    def _compared(self) -> list[Subject]:
        """The proposed config and those it is compared with."""
        return [one for one in self.spec.subjects if not one.is_neighbour]

    def _figures(self, config_id: str, start: date, end: date) -> dict[str, Any]:
        try:
            return figures(self._overall(config_id, start, end))
        except (NotFound, NothingObserved):
            return {"refused": NO_DECISIONS}

    def _lost(self, config_id: str, start: date, end: date, scenario: str) -> dict[str, Any]:
        """Figures in a scenario; as `wealth` those of single sessions, where the engine's own are of more."""
        try:
            held = figures(self._overall(config_id, start, end, scenario))
            if self.horizon == 1 or DRAWDOWN not in held["metrics"]:
                return held
            single = self._overall(config_id, start, end, scenario, horizon=1)
        except (NotFound, NothingObserved):
            return {"refused": NO_DECISIONS}
        return held | {"wealth": figures(single) if single.coverage.due else {"refused": NO_SINGLE_SESSIONS}}

    def _report(self, config_id: str, start: date, end: date) -> EnginePerformanceReport:
        self.heartbeat()
        stream = stream_of(self.spec.experiment_id, REPLAY)
        return self.performance.engine_performance(
            self.spec.engine_name, config_id, start, end, mode=Mode.BACKTEST, experiment_id=stream
        )

    def _overall(
        self, config_id: str, start: date, end: date, scenario: str = REPLAY, horizon: int | None = None
    ) -> MetricSet:
        self.heartbeat()
        return self.performance.overall(
            self.spec.engine_name,
            config_id,
            start,
            end,
            horizon=horizon,
            mode=Mode.BACKTEST,
            experiment_id=stream_of(self.spec.experiment_id, scenario),
        )


def _refused(pieces: Iterable[PieceRecord]) -> dict[str, str]:
    """Why scenarios could not be played, by name."""
    played = newest_scenarios(pieces)
    return {name: piece.refused for name, piece in played.items() if piece.refused is not None}


def _neighbours_left_out(spec: BacktestSpec, pieces: Iterable[PieceRecord]) -> dict[str, str]:
    """Why neighbours were not run, or not to the end, by config id."""
    return spec.left_out | {name: one.why for name, one in missing(spec, pieces).items()}


def _provenance(
    bench: Bench, spec: BacktestSpec, pieces: Sequence[PieceRecord], marks: Mapping[str, str]
) -> dict[str, Any]:
    counted: Counter[str] = Counter()
    for piece in pieces:
        counted.update(piece.counts)
    return {
        "spec": spec.digest,
        "runner": spec.runner,
        "seed": spec.seed,
        "battery_seed": spec.battery.seed,
        "code_version": bench.workplace.code_version,
        "lake": dict(marks),
        "build": build_of(spec.digest, bench.workplace.code_version),
        "data": [spec.start.isoformat(), spec.end.isoformat()],
        "markets": list(spec.markets),
        "rows": dict(sorted(counted.items())),
    }
