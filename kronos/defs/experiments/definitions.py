"""The experiments domain: backtests as assets, and the scheduler that starts them."""

import dagster as dg

from kronos.core.scheduling.policy import seconds
from kronos.defs.experiments.assets import experiment
from kronos.defs.experiments.checks import CHECKS
from kronos.defs.experiments.sensors import experiment_job, scheduler_sensor
from kronos.defs.experiments.verdicts import experiment_verdict, judge_job, unjudged
from kronos.services.policy import load_policy
from kronos.settings import Settings


def definitions(settings: Settings) -> dg.Definitions:
    """Definitions with the policy's time between two plans."""
    between = seconds(load_policy(settings.policy).scheduler.tick)
    return dg.Definitions(
        assets=[experiment, experiment_verdict],
        asset_checks=CHECKS,
        jobs=[experiment_job, judge_job],
        sensors=[scheduler_sensor(between), unjudged],
    )
