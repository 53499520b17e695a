"""How backtests are cut, watched and run, as strictly parsed data."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from kronos.core.scenarios.battery import Battery
from kronos.core.scheduling.policy import Duration


class BacktestPolicy(BaseModel):
    """What a backtest of this installation is like; the scheduler's own policy says when it may run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fold_months: Annotated[int, Field(ge=1)] = 24
    """Calendar months of decisions per fold: what a preempted or crashed backtest loses at most."""
    embargo_days: Annotated[int, Field(ge=0)] = 31
    """Days between what an engine is fitted on and the fold it decides in: no shorter than the longest horizon."""
    seed: Annotated[int, Field(ge=0)] = 20_240_613
    probes: Annotated[int, Field(ge=0, le=100)] = 3
    """Dates on which it is tried what a config's decisions look at: none of the future, and something of the newest."""
    freshness_sessions: Annotated[int, Field(ge=1, le=504)] = 42
    """A config whose decision nothing of so many newest sessions can change decides on stale data."""
    neighbours: Annotated[int, Field(ge=0, le=20)] = 4
    """Configs run beside the proposed one in the replay, each with one number in it a tenth higher or lower."""
    battery: Battery | None = None
    """Scenarios of every experiment; None: the built-in ones."""
    runners: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Engine, or `*` for all, -> its runner: `kind` prometheus_api or command, with that one's own keys. The sandbox's
    engines need none."""
    nice: Annotated[int, Field(ge=0, le=19)] = 10
    """Least niceness of whatever computes, the run as well as its runner; what has a higher one keeps it."""
    heartbeat: Duration = timedelta(seconds=2)
    """How often a worker prolongs its lease and hears what is wanted."""
    lease: Duration = timedelta(seconds=90)
    """A worker that says nothing for so long has lost its experiment."""
    launch_lease: Duration = timedelta(minutes=5)
    """The same for a run that has not begun yet."""
    leave: Duration = timedelta(seconds=30)
    """Time a run takes to be gone once told to leave: a piece that is not done by then is lost."""

    @model_validator(mode="after")
    def _beats_within_the_lease(self) -> Self:
        if self.heartbeat * 3 > self.lease:
            raise ValueError(f"lease has value {self.lease}: expected three heartbeats of {self.heartbeat} or more")
        return self
