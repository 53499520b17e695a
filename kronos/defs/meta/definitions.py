"""The meta domain: the three jobs and the barriers in front of them."""

import dagster as dg

from kronos.core.scheduling.periods import Cadence
from kronos.defs.meta.jobs import engines_job, meta_jobs
from kronos.defs.meta.sensors import meta_barrier
from kronos.defs.partitions import Calendar


def definitions(calendar: Calendar) -> dg.Definitions:
    """Definitions over the calendar's first live day."""
    jobs, engines = meta_jobs(), engines_job()
    halves = {cadence: [job, engines] if cadence is Cadence.MONTHLY else [job] for cadence, job in jobs.items()}
    return dg.Definitions(
        jobs=[*jobs.values(), engines],
        sensors=[meta_barrier(cadence, half, calendar) for cadence, half in halves.items()],
    )
