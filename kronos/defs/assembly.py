"""Merge the domains and bind what they work with."""

import dagster as dg

from kronos.defs.audit import definitions as audit
from kronos.defs.experiments import definitions as experiments
from kronos.defs.facts import definitions as facts
from kronos.defs.gates import definitions as gates
from kronos.defs.meta import definitions as meta
from kronos.defs.monitoring import definitions as monitoring
from kronos.defs.partitions import Calendar
from kronos.defs.promotion import definitions as promotion
from kronos.defs.proposals import definitions as proposals
from kronos.defs.reports import definitions as reports
from kronos.defs.resources import Kronos
from kronos.defs.sources import definitions as sources


def assemble(kronos: Kronos) -> dg.Definitions:
    """All definitions under the resource's settings; steps run in their run's process."""
    calendar = Calendar(kronos.settings)
    return dg.Definitions.merge(
        sources.definitions,
        facts.definitions(calendar),
        reports.definitions(calendar),
        monitoring.definitions(calendar),
        meta.definitions(calendar),
        proposals.definitions,
        promotion.definitions,
        audit.definitions,
        experiments.definitions(kronos.settings),
        gates.definitions(calendar),
        dg.Definitions(resources={"kronos": kronos}, executor=dg.in_process_executor),
    )
