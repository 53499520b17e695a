"""Performance of engines from the lake's cells: load, call core, remember what was loaded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from kronos.core.changes.request import EngineDates
from kronos.core.conventions import DECISION_HORIZON
from kronos.core.frames import SESSIONS, empty
from kronos.core.gates.series import GateSeries, gate_series
from kronos.core.monitoring.model import EngineMonitoring, Watched
from kronos.core.monitoring.monitor import monitor_engine
from kronos.core.policy import ObservationPolicy
from kronos.core.reports.attribution import DEFAULT_CUTS, DEFAULT_WINDOWS, attribution
from kronos.core.reports.attribution_model import Attribution, By
from kronos.core.reports.axis import Window
from kronos.core.reports.breakdown import BREAKDOWN, breakdown
from kronos.core.reports.comparison import comparison
from kronos.core.reports.comparison_model import ConfigComparison
from kronos.core.reports.comparison_trials import Ledger
from kronos.core.reports.evidence import Evidence, evidence, newest_date
from kronos.core.reports.model import EnginePerformanceReport, MetricSet
from kronos.core.reports.performance import overall_metrics, performance_report, performance_reports
from kronos.core.reports.periods import PERIOD_SUMMARY, Every, period_summary
from kronos.core.vocabulary import Cube, Dimension, Mode
from kronos.errors import BadValue, NotFound, NothingObserved
from kronos.lake.backtests import Record
from kronos.lake.tables import Lake
from kronos.services.attribution import read_claims
from kronos.services.policy import load_policy
from kronos.services.sessions import market_sessions
from kronos.settings import RecordedBy, Settings
from kronos.store.promotions import LiveRecord

SURVIVORS_NOTE = "sandbox: the stocks are today's survivors, so every return here is flattered"

HELD_BYTES = 512 * 2**20
"""Cells that stay in memory: one config over 30 years in three markets takes about 30 MB."""

_TABLES = ("cells", "calibration_cells", "confusion_cells")


@dataclass(frozen=True)
class Wanted:
    """One record of decisions; None for the config or the markets means all of them."""

    engine_name: str
    config_id: str | None
    horizon: int
    mode: str
    experiment_id: str = ""
    markets: tuple[str, ...] | None = None


Versions = tuple[int | None, ...]


@dataclass(frozen=True)
class Directory:
    """What the cells hold: engines, configs, modes and horizons, with their first and last dates."""

    entries: pl.DataFrame
    newest: date | None

    def configs(self, engine_name: str) -> list[str]:
        """Config ids of an engine, sorted."""
        return sorted(self.entries.filter(engine_name=engine_name)["config_id"].unique())

    def engines(self) -> list[str]:
        """Engine names, sorted."""
        return sorted(self.entries["engine_name"].unique())

    def require(self, engine_name: str, config_ids: Sequence[str]) -> None:
        """Raise `NotFound` for an engine, or a config of it, that the cells do not hold."""
        if self.entries.is_empty():
            raise NothingObserved
        if engine_name not in self.engines():
            raise NotFound("engine", engine_name, self.engines())
        known = self.configs(engine_name)
        for config_id in config_ids:
            if config_id not in known:
                raise NotFound(f"config of {engine_name}", config_id, known)


class Performance:
    """Reports over a record. Cells are kept in memory until its version moves."""

    def __init__(
        self,
        lake: Record,
        policy: ObservationPolicy,
        recorded_by: RecordedBy,
        notes: tuple[str, ...] = (),
    ) -> None:
        self._lake, self._policy = lake, policy
        self._recorded_by, self._notes = recorded_by, notes
        self._held: OrderedDict[tuple[Versions, Wanted], Evidence] = OrderedDict()
        self._seen: tuple[Versions, Directory] | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Performance:
        """Over the lake, policy and source that the settings name."""
        notes = (SURVIVORS_NOTE,) if settings.sandbox else ()
        return cls(Lake(settings.lake), load_policy(settings.policy), settings.recorded_by, notes)

    def engine_performance(
        self,
        engine_name: str,
        config_id: str | None,
        start: date,
        end: date,
        *,
        horizon: int | None = None,
        mode: str = Mode.LIVE,
        as_of: date | None = None,
        experiment_id: str = "",
    ) -> EnginePerformanceReport:
        """Report of one config (None: all pooled) over decisions of [start, end]; `NotFound` for unknown names."""
        versions = self._versions()
        directory = self._directory(versions)
        wanted = self._wanted(directory, engine_name, config_id, horizon, mode, experiment_id)
        return performance_report(
            self._load(wanted, directory, versions),
            self._policy,
            Window(start, end, as_of),
            config_id=config_id,
            recorded_by=self._recorded_by,
            notes=self._notes,
        )

    def overall(
        self,
        engine_name: str,
        config_id: str,
        start: date,
        end: date,
        *,
        horizon: int | None = None,
        mode: str = Mode.LIVE,
        experiment_id: str = "",
    ) -> MetricSet:
        """What a report of the config has as `overall`, for a fraction of its work; raises as `engine_performance`.

        The record is read with all its configs, for who asks of one after the other.
        """
        versions = self._versions()
        directory = self._directory(versions)
        wanted = self._wanted(directory, engine_name, config_id, horizon, mode, experiment_id)
        held = self._load(replace(wanted, config_id=None), directory, versions)
        return overall_metrics(held, self._policy, Window(start, end), config_id)

    def all_performance(
        self,
        start: date,
        end: date,
        *,
        mode: str = Mode.LIVE,
        as_of: date | None = None,
        engine_name: str | None = None,
    ) -> list[EnginePerformanceReport]:
        """Reports of every config of every engine (or of one), by engine and config."""
        found: list[EnginePerformanceReport] = []
        for held in self._all(engine_name, mode):
            window = Window(start, end, as_of)
            found += performance_reports(held, self._policy, window, recorded_by=self._recorded_by, notes=self._notes)
        return found

    def period_summary(
        self,
        every: Every,
        start: date,
        end: date,
        *,
        engine_name: str | None = None,
        mode: str = Mode.LIVE,
        as_of: date | None = None,
    ) -> pl.DataFrame:
        """One row per engine, config, market (`*`: the whole book) and day, week or month of decisions."""
        window = Window(start, end, as_of)
        frames = [period_summary(held, self._policy, window, every) for held in self._all(engine_name, mode)]
        return pl.concat(frames) if frames else empty(PERIOD_SUMMARY)

    def breakdown(
        self,
        dimension: Dimension,
        start: date,
        end: date,
        *,
        engine_name: str | None = None,
        mode: str = Mode.LIVE,
        as_of: date | None = None,
    ) -> pl.DataFrame:
        """One row per engine, config, slice and metric, of all configs."""
        return self.breakdowns([dimension], [Window(start, end, as_of)], engine_name=engine_name, mode=mode)[0]

    def breakdowns(
        self,
        dimensions: Sequence[Dimension],
        windows: Sequence[Window],
        *,
        engine_name: str | None = None,
        mode: str = Mode.LIVE,
    ) -> list[pl.DataFrame]:
        """`breakdown` by several dimensions, for each window: what they share is read and measured once."""
        records = list(self._all(engine_name, mode))
        return [
            pl.concat([empty(BREAKDOWN), *(breakdown(held, self._policy, window, *dimensions) for held in records)])
            for window in windows
        ]

    def comparison(
        self,
        engine_name: str,
        config_ids: Sequence[str],
        start: date,
        end: date,
        *,
        incumbent: str | None,
        horizon: int | None = None,
        mode: str = Mode.LIVE,
        as_of: date | None = None,
        ledger: Ledger | None = None,
        notes: tuple[str, ...] = (),
    ) -> ConfigComparison:
        """Configs (none named: all of the engine) against the incumbent; `NotFound` for a config without record."""
        versions = self._versions()
        directory = self._directory(versions)
        wanted = self._wanted(directory, engine_name, None, horizon, mode, "")
        directory.require(engine_name, config_ids)
        return comparison(
            self._load(wanted, directory, versions),
            self._policy,
            Window(start, end, as_of),
            incumbent=incumbent,
            config_ids=config_ids or directory.configs(engine_name),
            ledger=ledger,
            notes=(*notes, *self._notes),
        )

    def gate_series(
        self,
        engine_name: str,
        incumbent: str,
        start: date,
        end: date,
        *,
        config_id: str | None = None,
        mode: str = Mode.LIVE,
        experiment_id: str = "",
        markets: tuple[str, ...] | None = None,
    ) -> GateSeries | None:
        """Series of a record's configs (or of one) as the gates compare them; None where the incumbent has none.

        markets: the book of these alone, with the whole capital; None: of all of them.
        """
        versions = self._versions()
        directory = self._directory(versions)
        wanted = [
            self._wanted(directory, engine_name, config_id, horizon, mode, experiment_id) for horizon in (None, 1)
        ]
        records = [self._load(replace(one, markets=markets), directory, versions) for one in wanted]
        return gate_series(records[0], records[1], self._policy, Window(start, end), incumbent)

    def attribution(
        self,
        engine_name: str,
        config_id: str | None,
        start: date,
        end: date,
        *,
        cuts: Sequence[By] = DEFAULT_CUTS,
        windows: int = DEFAULT_WINDOWS,
        horizon: int | None = None,
        mode: str = Mode.LIVE,
        as_of: date | None = None,
    ) -> Attribution:
        """Why one config (None: all pooled) earned or lost what it did over decisions of [start, end]."""
        versions = self._versions()
        directory = self._directory(versions)
        wanted = self._wanted(directory, engine_name, config_id, horizon, mode, "")
        held, window = self._load(wanted, directory, versions), Window(start, end, as_of)
        return attribution(
            held,
            read_claims(self._lake, held, window, config_id),
            self._policy,
            window,
            config_id=config_id,
            recorded_by=self._recorded_by,
            cuts=cuts,
            windows=windows,
            notes=self._notes,
        )

    def monitoring(self, engine_name: str, watched: Sequence[Watched], as_of: date) -> EngineMonitoring:
        """Whether what was active is degrading beside its own record; an engine without LIVE cells has none."""
        versions = self._versions()
        directory = self._directory(versions)
        held = None
        if not directory.entries.filter(engine_name=engine_name, mode=Mode.LIVE.value).is_empty():
            held = self._load(self._wanted(directory, engine_name, None, None, Mode.LIVE, ""), directory, versions)
        return monitor_engine(held, self._policy, engine_name, watched, as_of, notes=self._notes)

    def directory(self) -> Directory:
        """What the cells hold now."""
        return self._directory(self._versions())

    def period(self) -> tuple[date, date]:
        """First and last decision date of the whole record, whoever's and in whatever mode.

        Bounds of a report; an experiment's are `engine_dates`. Raises `NothingObserved` before the first decision.
        """
        found = _span(self.directory().entries.filter(horizon=DECISION_HORIZON))
        if found is None:
            raise NothingObserved
        return found

    def engine_dates(self, engine_name: str) -> EngineDates:
        """Of all data, on which the engine may be played, and of its LIVE decisions outside experiments.

        Raises as `period` does.
        """
        entries = self.directory().entries.filter(
            engine_name=engine_name, horizon=DECISION_HORIZON, mode=Mode.LIVE, experiment_id=""
        )
        return EngineDates(self.period(), _span(entries))

    def live_record(self, engine_name: str, config_id: str) -> LiveRecord:
        """When a config decided LIVE outside experiments; raises `NothingObserved` before the first decision."""
        _, data_until = self.period()
        of_config = self.directory().entries.filter(
            engine_name=engine_name, config_id=config_id, horizon=DECISION_HORIZON, mode=Mode.LIVE, experiment_id=""
        )
        first, last = _span(of_config) or (None, None)
        return LiveRecord(first, last, data_until)

    def _directory(self, versions: Versions) -> Directory:
        if self._seen is None or self._seen[0] != versions:
            self._seen = (versions, _directory(self._lake.scan("cells")))
        return self._seen[1]

    def _wanted(
        self,
        directory: Directory,
        engine_name: str,
        config_id: str | None,
        horizon: int | None,
        mode: str,
        experiment_id: str,
    ) -> Wanted:
        directory.require(engine_name, [] if config_id is None else [config_id])
        if mode not in set(Mode):
            raise BadValue("mode", mode, f"one of {', '.join(Mode)}")
        if horizon is not None and horizon < 1:
            raise BadValue("horizon", horizon, "at least 1 session")
        return Wanted(engine_name, config_id, horizon or self._policy.horizon_of(engine_name), mode, experiment_id)

    def _all(self, engine_name: str | None, mode: str) -> Iterator[Evidence]:
        """The evidence of each engine, or of one, over all its configs."""
        versions = self._versions()
        directory = self._directory(versions)
        for name in directory.engines() if engine_name is None else [engine_name]:
            held = self._load(self._wanted(directory, name, None, None, mode, ""), directory, versions)
            if any(frame.height for frame in held.decisions.values()):
                yield held

    def _versions(self) -> Versions:
        return tuple(self._lake.version(table) for table in _TABLES)

    def _load(self, wanted: Wanted, directory: Directory, versions: Versions) -> Evidence:
        """The evidence of a record, from memory while the lake stands still."""
        key = (versions, wanted)
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        held = self._read(wanted, directory.newest)
        self._held[key] = held
        while len(self._held) > 1 and sum(one.size_bytes for one in self._held.values()) > HELD_BYTES:
            self._held.popitem(last=False)
        return held

    def _read(self, wanted: Wanted, newest: date | None) -> Evidence:
        frames = pl.collect_all([_rows(self._lake.scan(table), wanted) for table in _TABLES])
        cells, calibration, confusion = frames
        sessions = self._sessions(cells, newest, wanted.horizon)
        held = evidence(
            cells, sessions, horizon=wanted.horizon, calibration=calibration, confusion=confusion, newest=newest
        )
        return replace(held, engine_name=wanted.engine_name, mode=wanted.mode)

    def _sessions(self, cells: pl.DataFrame, newest: date | None, horizon: int) -> pl.DataFrame:
        if cells.is_empty() or newest is None:
            return empty(SESSIONS)
        markets = cells["market_id"].unique().sort().to_list()
        first = cells.select(pl.col("as_of_date").min()).item()
        return market_sessions(self._policy, markets, first, newest, horizon)


def _span(entries: pl.DataFrame) -> tuple[date, date] | None:
    """First and last decision date of entries of a directory."""
    first, last = entries.select(pl.col("first").min(), pl.col("last").max()).row(0)
    return None if first is None else (first, last)


def _rows(lf: pl.LazyFrame, wanted: Wanted) -> pl.LazyFrame:
    horizons = [DECISION_HORIZON, wanted.horizon]
    chosen = lf.filter(
        pl.col("engine_name") == wanted.engine_name,
        pl.col("mode") == wanted.mode,
        pl.col("experiment_id") == wanted.experiment_id,
        pl.col("horizon").is_in(horizons),
    )
    if wanted.markets is not None:
        chosen = chosen.filter(pl.col("market_id").is_in(wanted.markets))
    return chosen if wanted.config_id is None else chosen.filter(pl.col("config_id") == wanted.config_id)


def _directory(cells: pl.LazyFrame) -> Directory:
    regime = cells.filter(pl.col("cube") == Cube.REGIME.value)
    keys = ("engine_name", "config_id", "mode", "experiment_id", "horizon")
    dates = pl.col("as_of_date")
    entries = regime.group_by(keys).agg(first=dates.min(), last=dates.max()).sort(keys)
    found, reached = pl.collect_all([entries, regime.select("as_of_date", "eval_date", "decisions", "valid")])
    return Directory(found, newest_date(reached))
