"""What an experiment's backtest gave: reports over its cells, written once, with the move to AWAITING_REVIEW."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from kronos.core.backtests.attempts import AttemptOutcome
from kronos.core.backtests.results import beside_numbers, figures
from kronos.core.backtests.spec import REPLAY, BacktestSpec, stream_of
from kronos.core.changes.model import Experiment
from kronos.core.changes.request import KRONOS
from kronos.core.reports.model import EnginePerformanceReport
from kronos.core.scenarios.battery import HistoricalWindow, Scenario, describe
from kronos.core.vocabulary import ExperimentStatus, Mode
from kronos.errors import NotFound, NothingObserved
from kronos.lake.backtests import BacktestRecord
from kronos.services.backtest import Bench, Worked
from kronos.services.experiments import changing, find_experiment
from kronos.services.performance import Performance
from kronos.store.backtests import PieceRecord, end_attempt
from kronos.store.experiments import move_experiment, record_result

NO_DECISIONS = "no decisions: the config decides nothing on these dates"


@dataclass(frozen=True)
class _Period:
    start: date
    end: date
    report: EnginePerformanceReport
    detail: Mapping[str, Any]


def conclude(bench: Bench, experiment_id: UUID, attempt: int, worked: Worked) -> Experiment:
    """Write the results of a backtest whose pieces all stand, and hand the experiment to its reviewers.

    One transaction: `ChangeRefused`, and nothing written, when the attempt no longer holds the experiment.
    """
    experiment = find_experiment(bench.workplace.database, experiment_id)
    marks = newest_marks(worked.pieces.values())
    record = BacktestRecord(bench.pipeline.lake, str(experiment_id), marks)
    read = _Reports(
        Performance(record, bench.pipeline.policy, bench.pipeline.recorded_by),
        worked.spec,
        _roles(worked.spec, experiment),
    )
    whole = read.whole(worked.refused)
    folds = [] if len(worked.spec.folds) == 1 else [read.fold(fold.start, fold.end) for fold in worked.spec.folds]
    provenance = _provenance(bench, worked, marks)
    with changing(bench.workplace, KRONOS, "every piece of the backtest was made") as session:
        for period in (whole, *folds):
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
        return move_experiment(
            session,
            experiment_id,
            [ExperimentStatus.RUNNING_BACKTESTS],
            ExperimentStatus.AWAITING_REVIEW,
            attempt=attempt,
        )


def newest_marks(pieces: Iterable[PieceRecord]) -> dict[str, str]:
    """Per table the newest version any piece was written in: it holds the rows of all."""
    newest: dict[str, str] = {}
    for piece in pieces:
        for table, mark in piece.lake.items():
            if table not in newest or _number(mark) > _number(newest[table]):
                newest[table] = mark
    return dict(sorted(newest.items()))


@dataclass(frozen=True)
class _Reports:
    """Reports over one experiment's record. roles: what each config is in the backtest, the proposed one first."""

    performance: Performance
    spec: BacktestSpec
    roles: Mapping[str, str]

    def whole(self, refused: Mapping[str, str]) -> _Period:
        """The whole replay, and every scenario."""
        scenarios = {one.name: self._scenario(one, refused.get(one.name)) for one in self.spec.battery.scenarios}
        period = self.fold(self.spec.start, self.spec.end)
        return _Period(period.start, period.end, period.report, {**period.detail, "scenarios": scenarios})

    def fold(self, start: date, end: date) -> _Period:
        """The proposed config over some dates of the replay, the others beside it."""
        proposed, *others = self.roles
        report = self._report(proposed, start, end)
        beside = {one: self._figures(one, start, end) | {"role": self.roles[one]} for one in others}
        return _Period(start, end, report, {**beside_numbers(report), "beside": beside})

    def _scenario(self, scenario: Scenario, refused: str | None) -> dict[str, Any]:
        said: dict[str, Any] = {"kind": scenario.kind, "about": scenario.about, "what": describe(scenario)}
        if refused is not None:
            return said | {"refused": refused}
        if isinstance(scenario, HistoricalWindow):
            start, end, stream = scenario.start, scenario.end, REPLAY
        else:
            start, end, stream = self.spec.start, self.spec.end, scenario.name
        return said | {"configs": {one: self._figures(one, start, end, stream) for one in self.roles}}

    def _figures(self, config_id: str, start: date, end: date, scenario: str = REPLAY) -> dict[str, Any]:
        try:
            return figures(self._report(config_id, start, end, scenario).overall)
        except (NotFound, NothingObserved):
            return {"refused": NO_DECISIONS}

    def _report(self, config_id: str, start: date, end: date, scenario: str = REPLAY) -> EnginePerformanceReport:
        return self.performance.engine_performance(
            self.spec.engine_name,
            config_id,
            start,
            end,
            mode=Mode.BACKTEST,
            experiment_id=stream_of(self.spec.experiment_id, scenario),
        )


def _roles(spec: BacktestSpec, experiment: Experiment) -> dict[str, str]:
    """What each config is, the proposed one first; the base is usually the incumbent too."""
    named = {
        experiment.proposed_config_id: ["proposed"],
        experiment.base_config_id: ["base"],
    }
    if spec.incumbent is not None:
        named.setdefault(spec.incumbent, []).append("incumbent")
    return {subject.config_id: " and ".join(named[subject.config_id]) for subject in spec.subjects}


def _provenance(bench: Bench, worked: Worked, marks: Mapping[str, str]) -> dict[str, Any]:
    spec = worked.spec
    rejected: dict[str, int] = {}
    for piece in worked.pieces.values():
        for name, count in piece.counts.items():
            if name.startswith("rejected "):
                rejected[name.removeprefix("rejected ")] = rejected.get(name.removeprefix("rejected "), 0) + count
    return {
        "spec": spec.digest,
        "runner": spec.runner,
        "seed": spec.seed,
        "battery_seed": spec.battery.seed,
        "code_version": bench.workplace.code_version,
        "lake": dict(marks),
        "data": [spec.start.isoformat(), spec.end.isoformat()],
        "markets": list(spec.markets),
        "decisions": sum(piece.counts["decisions"] for piece in worked.pieces.values()),
        "rejected": rejected,
    }


def _number(mark: str) -> int:
    return int(mark.rpartition(":")[2])
