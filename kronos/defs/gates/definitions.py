"""The gates domain: suites of controls, their checks, and who may be promoted behind them."""

import dagster as dg

from kronos.defs.gates.assets import control_suite, promotion_candidates
from kronos.defs.gates.checks import CHECKS
from kronos.defs.gates.sensors import candidates_job, control_suites, gates_job, start_job
from kronos.defs.partitions import Calendar


def definitions(calendar: Calendar) -> dg.Definitions:
    """Definitions over the calendar's weeks."""
    return dg.Definitions(
        assets=[control_suite(calendar), promotion_candidates],
        asset_checks=CHECKS,
        jobs=[start_job, gates_job, candidates_job],
        sensors=[control_suites],
    )
