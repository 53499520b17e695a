"""Bring the whole observe flow up to date on the real instance, as `kronos up` does. Imports Dagster only for work."""

from kronos.defs.resources import Progress
from kronos.services.changes import stale_months
from kronos.services.history import ReportWork, outdated_reports
from kronos.services.observatory import current_instant, open_pipeline
from kronos.services.source_state import engine_names
from kronos.settings import Settings
from kronos.store.database import Database


def materialise_history(settings: Settings, database: Database, progress: Progress | None = None) -> None:
    """Rebuild stale months in single runs, then write the window's outdated reports; record both as partitions.

    Upstream's tables are looked at on the way. What is fresh is left alone; a run that was killed is completed, and
    what it wrote but did not record is recorded.
    """
    say = progress or _silent
    stale, reports = _to_do(settings, database)
    unrecorded = settings.dagster_home / "unrecorded"
    if not stale and not reports and not unrecorded.exists():
        say("every month and report is fresh")
        return
    from kronos.defs.recorder import Recorder

    with Recorder.opened(settings, database, say) as recorder:
        # present while partitions may have been written that Dagster does not know of
        unrecorded.touch()
        recorder.observe_sources()
        if stale:
            recorder.observe(stale)
            _, reports = _to_do(settings, database)
        recorder.report(reports)
        recorder.reconcile()
        unrecorded.unlink()


def _to_do(settings: Settings, database: Database) -> tuple[list[str], list[ReportWork]]:
    """Stale months; where there are none, the outdated reports."""
    with open_pipeline(settings, database) as pipeline:
        now = current_instant(settings, database)
        stale = stale_months(pipeline, now.date())
        reports = [] if stale else outdated_reports(pipeline, settings, engine_names(pipeline), now)
    return stale, reports


def _silent(_: str) -> None: ...
