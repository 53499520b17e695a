"""The three meta jobs."""

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from kronos.core.scheduling.periods import Cadence
from kronos.services.config_comparisons import CONFIG_COMPARISON
from kronos.services.monitoring import ASSET as MONITOR
from kronos.services.summaries import REPORTS, Report

TAGS = {"kronos/tier": "2"}
START = "Starts when every regional engine run is complete, or without those missing past their deadline."

_ABOUT = {
    Cadence.DAILY: "The session's decisions and outcomes, each config's recent record, and what is degrading.",
    Cadence.WEEKLY: "The week by regime, stability and market.",
    Cadence.MONTHLY: "The month by regime, stability and market, and every config against the active one.",
}
_BESIDE = {Cadence.DAILY: [MONITOR], Cadence.WEEKLY: [], Cadence.MONTHLY: [CONFIG_COMPARISON.name]}
"""What runs with the reports of a cadence."""


def reports_of(cadence: Cadence, *, by_engine: bool) -> list[Report]:
    """Reports of a cadence that are partitioned by time alone, or by engine and time."""
    return [report for report in REPORTS if report.cadence is cadence and report.by_engine is by_engine]


def meta_jobs() -> dict[Cadence, UnresolvedAssetJobDefinition]:
    """meta_daily, meta_weekly and meta_monthly."""
    return {cadence: _job(f"meta_{cadence}", _assets_of(cadence), _ABOUT[cadence]) for cadence in Cadence}


def engines_job() -> UnresolvedAssetJobDefinition:
    """The part of meta_monthly that is partitioned by engine too: Dagster wants one partitioning per job."""
    names = [report.name for report in reports_of(Cadence.MONTHLY, by_engine=True)]
    return _job("meta_monthly_engines", names, "The month by engine, over every dimension: meta_monthly's other half.")


def _assets_of(cadence: Cadence) -> list[str]:
    """Everything of a cadence that is partitioned by time alone."""
    return [*(report.name for report in reports_of(cadence, by_engine=False)), *_BESIDE[cadence]]


def _job(name: str, assets: Sequence[str], about: str) -> UnresolvedAssetJobDefinition:
    selection = dg.AssetSelection.assets(*assets)
    return dg.define_asset_job(name, selection=selection, description=f"{about} {START}", tags=TAGS)
