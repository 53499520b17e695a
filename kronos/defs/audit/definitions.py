"""The audit domain: the change log's daily root."""

import dagster as dg

from kronos.defs.audit.schedules import seal_change_log, seal_daily

definitions = dg.Definitions(jobs=[seal_change_log], schedules=[seal_daily])
