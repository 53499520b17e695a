"""The promotion domain."""

import dagster as dg

from kronos.defs.promotion.sensors import promotions_due

definitions = dg.Definitions(sensors=[promotions_due])
