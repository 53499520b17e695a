"""Whether a sensor asks for a run again whose earlier ones, under the same key, did not bring what they were to."""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import dagster as dg

ATTEMPTS: Final = 3
"""What failed so often waits for a person, or for a state, and with it a key, of another kind."""
PAUSE: Final = timedelta(minutes=5)
"""After the first run; after the second twice as long."""
IN_FLIGHT: Final = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def why_wait(earlier: Sequence[dg.RunRecord]) -> str | None:
    """Why nothing is asked for now, after these runs: one is not over, they were too many, or it was a moment ago."""
    if any(not record.dagster_run.is_finished for record in earlier):
        return "its run is not over"
    if len(earlier) >= ATTEMPTS:
        return f"tried {len(earlier)} times: see its runs"
    now = time.time()
    ended = max((record.end_time or now for record in earlier), default=0.0)
    left = PAUSE.total_seconds() * len(earlier) - (now - ended)
    return f"tried a moment ago, again in {left:.0f} s" if earlier and left > 0 else None
