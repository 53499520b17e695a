"""Runs jobs in this process on the real instance, and sees that its record is complete."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg

from kronos.core.scheduling.periods import Cadence, period_from_key, runs_of_neighbours
from kronos.defs.again import IN_FLIGHT
from kronos.defs.assembly import assemble
from kronos.defs.facts.sensors import observe_job
from kronos.defs.meta.jobs import engines_job, meta_jobs
from kronos.defs.partitions import engine_month, engine_month_range, range_tags, register_engines
from kronos.defs.resources import Kronos, Progress
from kronos.defs.sources.schedules import observe_job as observe_sources_job
from kronos.services.config_comparisons import CONFIG_COMPARISON
from kronos.services.dagster_home import prepare_dagster_home
from kronos.services.history import ReportWork, claim_history
from kronos.services.monitoring import ASSET as MONITOR
from kronos.services.observatory import current_instant, open_pipeline
from kronos.services.source_state import engine_names
from kronos.services.summaries import ALL_ENGINES, REPORTS
from kronos.settings import Settings
from kronos.store.database import Database, Role
from kronos.store.meta_runs import report_builds
from kronos.store.month_builds import Stage, builds

LAUNCHER = {"kronos/launcher": "up"}
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_POOL = {"statement_timeout": 600_000, "pool_recycle": 3600, "max_overflow": 4}


@dataclass(frozen=True)
class Recorder:
    """Executes jobs over partition ranges and records what they materialise."""

    settings: Settings
    database: Database
    instance: dg.DagsterInstance
    definitions: dg.Definitions
    say: Progress

    @classmethod
    @contextmanager
    def opened(cls, settings: Settings, database: Database, say: Progress) -> Iterator["Recorder"]:
        """A recorder on the instance of the settings' DAGSTER_HOME; runs that a killed launcher left are closed."""
        os.environ.update(prepare_dagster_home(settings, database))
        with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
            # a connection for every event would make recording ten times slower
            instance.optimize_for_webserver(**_POOL)
            recorder = cls(settings, database, instance, assemble(Kronos(settings, say)), say)
            recorder._close_interrupted()
            yield recorder

    def observe_sources(self) -> None:
        """Row counts and newest days of upstream's tables: the hourly schedule's first look, before its hour comes."""
        self._run(observe_sources_job.name, {})

    def observe(self, months: Sequence[str]) -> None:
        """Facts and cells of the months, one run for each range without a gap; the engines become partitions."""
        for group in runs_of_neighbours([period_from_key(Cadence.MONTHLY, month) for month in months]):
            self.say(f"facts and cells of {group[0].key} to {group[-1].key}")
            self._run(observe_job.name, range_tags(group[0].key, group[-1].key))

    def report(self, work: Iterable[ReportWork]) -> None:
        """The periods of each piece of work in one run."""
        with open_pipeline(self.settings, self.database) as pipeline:
            engines = engine_names(pipeline)
            register_engines(self.instance, engines)
            claim_history(pipeline, self.settings, current_instant(self.settings, self.database))
        jobs = {cadence: job.name for cadence, job in meta_jobs().items()}
        for piece in work:
            first, last = piece.periods[0].key, piece.periods[-1].key
            self.say(f"{_described(piece)} of {first} to {last}")
            if piece.by_engine:
                self._run(engines_job().name, engine_month_range(engines, first, last), piece.reports)
            else:
                self._run(jobs[piece.cadence], range_tags(first, last), piece.reports)

    def reconcile(self) -> None:
        """Record what the lake holds and Dagster does not know: a launcher was killed between the two."""
        for name, keys in self._held().items():
            asset = dg.AssetKey(name)
            for key in sorted(keys - set(self.instance.get_materialized_partitions(asset))):
                note = {"recorded": "after its run was interrupted"}
                self.instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=key, metadata=note))

    def _run(self, job: str, tags: Mapping[str, str], assets: Sequence[str] = ()) -> None:
        """The job, or these assets of it."""
        definition = self.definitions.resolve_job_def(job)
        chosen = [dg.AssetKey(name) for name in assets] or None
        definition.execute_in_process(
            instance=self.instance, run_config=_QUIET, tags={**tags, **LAUNCHER}, asset_selection=chosen
        )

    def _close_interrupted(self) -> None:
        for run in self.instance.get_runs(dg.RunsFilter(tags=LAUNCHER, statuses=IN_FLIGHT)):
            self.instance.report_run_failed(run, "the process that ran it was stopped")

    def _held(self) -> dict[str, set[str]]:
        with self.database.connect(Role.READER) as session:
            held = {
                "decision_facts": set(builds(session, Stage.FACTS)),
                "cells": set(builds(session, Stage.CELLS)),
            }
        for name in [*(report.name for report in (*REPORTS, CONFIG_COMPARISON)), MONITOR]:
            held[name] = {
                build.period if build.engine_name == ALL_ENGINES else engine_month(build.engine_name, build.period)
                for build in report_builds(self.database, name)
            }
        return held


def _described(piece: ReportWork) -> str:
    if piece.reports in ((CONFIG_COMPARISON.name,), (MONITOR,)):
        return piece.reports[0].replace("_", " ")
    return f"{piece.cadence} reports{' by engine' if piece.by_engine else ''}"
