"""When the change log is verified and its end kept outside the database."""

import dagster as dg

from kronos.defs.resources import Kronos
from kronos.services.audit import audit_folder, seal_log
from kronos.store.open import open_database


@dg.op(description="Follows the hash chain of the change log and keeps its end as a root in the home's audit folder.")
def keep_root(context: dg.OpExecutionContext, kronos: dg.ResourceParam[Kronos]) -> None:
    """Fails, and so alerts, when the log is not what was written."""
    with open_database(kronos.settings) as database:
        audit = seal_log(database, audit_folder(kronos.settings.home))
    broken = audit.verified.broken
    if broken is not None:
        raise dg.Failure(f"the change log is broken at entry {broken.entry_id}: {broken.damage}, {broken.detail}")
    context.log.info(f"{audit.verified.entries} entries hold, against {audit.roots} roots")


@dg.job(
    description="The change log verified, its end kept outside the database.",
    tags={"kronos/tier": "2"},
)
def seal_change_log() -> None:
    """One step."""
    keep_root()


seal_daily = dg.ScheduleDefinition(
    name="seal_change_log_daily",
    job=seal_change_log,
    cron_schedule="45 23 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Before the UTC day ends: what was logged by then cannot be cut off unseen.",
)
