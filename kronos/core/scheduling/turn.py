"""Whose turn is first, for one experiment at a time; `candidates` has the same order in columns, for whole queues."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeAlias

from kronos.core.changes.model import Experiment

Turn: TypeAlias = tuple[int, bool, datetime, str]


def turn(experiment: Experiment, queued_at: datetime, now: datetime, ageing_step: timedelta) -> Turn:
    """Sorts first what goes first: by priority lifted by age, generated ones, arrival, id."""
    lifted = experiment.priority - (now - queued_at) // ageing_step
    return lifted, not experiment.auto_generated, queued_at, str(experiment.experiment_id)
