"""MetaOrchestrator: the public face of Kronos. Each method is one service call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from kronos.core.changes.model import Experiment, ExperimentResult
from kronos.core.changes.request import ExperimentRequest
from kronos.core.controls.outcomes import Suite
from kronos.core.controls.report import EngineGates
from kronos.core.controls.standing import Candidate
from kronos.core.monitoring.model import EngineMonitoring
from kronos.core.reports.attribution import DEFAULT_CUTS, DEFAULT_WINDOWS
from kronos.core.reports.attribution_model import Attribution, By
from kronos.core.reports.comparison_model import ConfigComparison
from kronos.core.reports.model import EnginePerformanceReport
from kronos.core.vocabulary import Mode, ResourceClass
from kronos.services import controls, experiments, gate_standing, promotion
from kronos.services.comparison import BackgroundOf, compare, no_background, recorded_background
from kronos.services.monitoring import StandingOf, monitor, nothing_active, recorded_standing
from kronos.services.performance import Performance
from kronos.services.principals import author_of
from kronos.services.workplace import OpenWorkplace, no_workplace, workplace_of
from kronos.settings import Settings, load
from kronos.store.engine_configs import EVERYWHERE
from kronos.store.promotions import ActiveConfig, Approval, Promotion


class MetaOrchestrator:
    """Performance of engines and their configs, from the cells in the lake, and experiments with new configs."""

    def __init__(
        self,
        performance: Performance,
        background_of: BackgroundOf = no_background,
        standing_of: StandingOf = nothing_active,
        open_workplace: OpenWorkplace = no_workplace,
    ) -> None:
        self._performance, self._background_of, self._standing_of = performance, background_of, standing_of
        self._open_workplace = open_workplace

    @classmethod
    def from_settings(cls, settings: Settings | None = None) -> MetaOrchestrator:
        """An orchestrator over the lake, policy and source that the environment names."""
        chosen = settings or load()
        return cls(
            Performance.from_settings(chosen),
            recorded_background(chosen),
            recorded_standing(chosen),
            workplace_of(chosen),
        )

    def engine_performance(
        self,
        engine_name: str,
        config_id: str | None,
        start_date: date,
        end_date: date,
        *,
        horizon: int | None = None,
        mode: str = Mode.LIVE,
        as_of: date | None = None,
    ) -> EnginePerformanceReport:
        """Performance of a config (None: all pooled, as `*`) over the decisions of [start_date, end_date].

        horizon: sessions, the engine's primary one by default. as_of: use only outcomes evaluated, and where known
        recorded, by then; by default everything the lake holds. Raises `NotFound` for an unknown engine or config and
        `BadValue` for dates in the wrong order.
        """
        return self._performance.engine_performance(
            engine_name, config_id, start_date, end_date, horizon=horizon, mode=mode, as_of=as_of
        )

    def compare_configs(
        self, engine_name: str, config_ids: Sequence[str], start_date: date, end_date: date
    ) -> dict[str, EnginePerformanceReport]:
        """The report of each config, over the same dates."""
        return {
            config_id: self.engine_performance(engine_name, config_id, start_date, end_date) for config_id in config_ids
        }

    def comparison(
        self,
        engine_name: str,
        config_ids: Sequence[str] = (),
        start_date: date | None = None,
        end_date: date | None = None,
        *,
        incumbent: str | None = None,
        horizon: int | None = None,
        mode: str = Mode.LIVE,
        as_of: date | None = None,
    ) -> ConfigComparison:
        """Configs against the incumbent: the matrix of differences and each config's class with its evidence.

        config_ids: the family compared, all configs of the engine if none is named. Dates: those of the record by
        default. incumbent: the config active as of the date by default; when none is known, every config is UNDECIDED.
        """
        return compare(
            self._performance,
            self._background_of,
            engine_name,
            config_ids,
            (start_date, end_date),
            incumbent=incumbent,
            horizon=horizon,
            mode=mode,
            as_of=as_of,
        )

    def attribution(
        self,
        engine_name: str,
        config_id: str | None,
        start_date: date,
        end_date: date,
        *,
        by: Sequence[By] = DEFAULT_CUTS,
        windows: int = DEFAULT_WINDOWS,
        horizon: int | None = None,
        mode: str = Mode.LIVE,
        as_of: date | None = None,
    ) -> Attribution:
        """Why a config (None: all pooled) earned or lost what it did over the decisions of [start_date, end_date].

        P&L and compounded return at one horizon, cut into parts that add up, for the period and for its deepest
        drawdowns. Defaults and errors as in `engine_performance`.
        """
        return self._performance.attribution(
            engine_name,
            config_id,
            start_date,
            end_date,
            cuts=by,
            windows=windows,
            horizon=horizon,
            mode=mode,
            as_of=as_of,
        )

    def monitoring(self, engine_name: str, as_of: date | None = None) -> EngineMonitoring:
        """Whether the engine's active config is degrading beside its own record from before it was watched.

        as_of: judge by what was known and active on that date, today by default. Reads only: alerts are raised by the
        daily run. Raises `NotFound` for an engine that neither decided nor has an active config.
        """
        return monitor(self._performance, self._standing_of, engine_name, as_of)[0]

    def all_monitoring(self, as_of: date | None = None) -> list[EngineMonitoring]:
        """The same for every engine that ever decided, by name."""
        return monitor(self._performance, self._standing_of, None, as_of)

    def create_experiment(
        self,
        engine_name: str,
        base_config_id: str,
        proposed_config: Mapping[str, Any],
        description: str,
        *,
        start_date: date | None = None,
        end_date: date | None = None,
        priority: int | None = None,
        resource_class: str = ResourceClass.CPU_HEAVY,
        hoped_ratio: float | None = None,
        author: str | None = None,
    ) -> Experiment:
        """Register a config and create its experiment, PENDING; what it can find is in its metadata as `power`.

        Dates: those of the data by default. hoped_ratio: annual information ratio of the improvement hoped for. author:
        by default the principal of KRONOS_TOKEN, else the account this process runs as. Raises `NotFound` for an
        unknown engine or base config, `BadValue` for a value that cannot be, `NotAllowed` for an author who is another
        than the token's; then nothing is created.
        """
        request = ExperimentRequest(
            engine_name=engine_name,
            base_config_id=base_config_id,
            proposed_config=proposed_config,
            description=description,
            start_date=start_date,
            end_date=end_date,
            priority=priority,
            resource_class=resource_class,
            hoped_ratio=hoped_ratio,
        )
        with self._open_workplace() as workplace:
            return experiments.create_experiment(workplace, request, author_of(workplace, author))

    def list_experiments(self) -> list[Experiment]:
        """All experiments, active and historical, oldest first."""
        with self._open_workplace() as workplace:
            return experiments.list_experiments(workplace.database)

    def experiment_results(self, experiment_id: str) -> ExperimentResult:
        """An experiment and what its backtests gave, by period; `NotFound` for an unknown id."""
        with self._open_workplace() as workplace:
            return experiments.experiment_results(workplace.database, experiment_id)

    def approve(self, experiment_id: str, digest: str, reason: str) -> Approval:
        """Approve what has the digest that was shown, as the principal of KRONOS_TOKEN.

        Raises `NotAllowed` without the token of a person who may, `ChangeRefused` for who brought the experiment about,
        for another digest, or when the verdict in force is not a fresh PASS; a refusal is logged and changes nothing.
        """
        with self._open_workplace() as workplace:
            return promotion.approve(workplace, experiment_id, digest, reason)

    def reject(self, experiment_id: str, reason: str) -> Experiment:
        """Reject an experiment that awaits review or is approved, as the principal of KRONOS_TOKEN."""
        with self._open_workplace() as workplace:
            return promotion.reject(workplace, experiment_id, reason)

    def promote(self, experiment_id: str, reason: str, *, at: datetime | None = None) -> Promotion:
        """Make an approved config the incumbent of its engine, at once or at a time to come; errors as in `approve`."""
        with self._open_workplace() as workplace:
            return promotion.promote(workplace, experiment_id, reason, at)

    def rollback(self, engine_name: str, expected: str, reason: str, *, scope: str = EVERYWHERE) -> Promotion:
        """Return an engine to the config that was active before the expected one; errors as in `approve`.

        expected: the config that was seen to be bad. `ChangeRefused` when another is active by now.
        """
        with self._open_workplace() as workplace:
            return promotion.roll_back(workplace, engine_name, expected, reason, scope)

    def adopt_config(self, engine_name: str, config_id: str, reason: str) -> ActiveConfig:
        """Make what trades upstream already the engine's first active config, as the principal of KRONOS_TOKEN.

        `NotAllowed` and `ChangeRefused` as in `approve`: also for an engine that ever had an active config and for a
        config that did not decide LIVE in the last 31 days of the data.
        """
        live = self._performance.live_record(engine_name, config_id)
        with self._open_workplace() as workplace:
            return promotion.adopt(workplace, live, engine_name, config_id, reason)

    def configs(self, engine_name: str | None = None, at: datetime | None = None) -> list[ActiveConfig]:
        """What is active, or was at a time, of an engine or of all, since when, by whom and why."""
        with self._open_workplace() as workplace:
            return promotion.active_configs(workplace.database, engine_name, at)

    def control_suites(self, engine_name: str | None = None) -> list[Suite]:
        """Recorded suites of controls, of one engine or of all, by completion: what the gates said of each control."""
        with self._open_workplace() as workplace:
            return controls.recorded_suites(workplace.database, engine_name)

    def gate_report(self, engine_name: str | None = None) -> tuple[EngineGates, ...]:
        """How often the gates are wrong on controls, with exact intervals: all engines as `*` first, then each."""
        with self._open_workplace() as workplace:
            return gate_standing.gates_on_controls(workplace.database, engine_name)

    def promotion_candidates(self) -> tuple[Candidate, ...]:
        """Open experiments that were judged, each promotable or with every reason against it."""
        with self._open_workplace() as workplace:
            return gate_standing.promotion_candidates(workplace.database)

    def all_performance(
        self, start_date: date, end_date: date, *, mode: str = Mode.LIVE, as_of: date | None = None
    ) -> list[EnginePerformanceReport]:
        """The reports of every config of every engine."""
        return self._performance.all_performance(start_date, end_date, mode=mode, as_of=as_of)

    def period(self) -> tuple[date, date]:
        """First and last decision date in the lake."""
        return self._performance.period()
