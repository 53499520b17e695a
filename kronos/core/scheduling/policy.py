"""What the backtest scheduler may be told: service levels, caps, needs, ageing, preemption and retries, as data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time, timedelta
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from kronos.core.vocabulary import ResourceClass

CLASSES: Final = tuple(ResourceClass)
"""Resource classes in the order of their codes in a snapshot's columns."""
CLASS_LIMITS: Final = {ResourceClass.CPU_HEAVY: 3, ResourceClass.GPU_HEAVY: 1, ResourceClass.MIXED: 2}
MOST_BACKTESTS: Final = 4
"""Backtests at once, by class and in all: the run queue's tag limits in dagster.yaml are the same."""
NO_LIMITS: Final[Mapping[ResourceClass, None]] = dict.fromkeys(CLASSES)
"""For a simulation or a machine park without a run queue: any number of runs of each class."""


def seconds(duration: timedelta) -> int:
    """Whole seconds of a duration, rounded up."""
    return -int(-duration.total_seconds() // 1)


def _positive(duration: timedelta) -> timedelta:
    if duration <= timedelta(0):
        raise ValueError(f"{duration} is no duration: expected more than zero")
    return duration


Duration = Annotated[timedelta, AfterValidator(_positive)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServiceLevels(_Strict):
    """Times after a market's session close by which tier 1 must be through."""

    data: Duration = timedelta(hours=3)
    engines: Duration = timedelta(hours=4)
    """The end of the protected window."""
    decision_logs: Duration = timedelta(hours=4, minutes=15)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.data <= self.engines <= self.decision_logs:
            raise ValueError(f"service levels have value {self}: expected data <= engines <= decision_logs")
        return self


class Caps(_Strict):
    """Shares of a node that backtests, together with whatever else runs there, may fill."""

    cpu: Annotated[float, Field(ge=0.0, le=100.0)]
    """Above 1 for niced backtests that may use what others leave, even where these use everything."""
    gpu: Share
    memory: Share
    io: Share
    """Share of the time in which every task with work to do waits for a disk."""


class Need(_Strict):
    """What one backtest takes from a node while it runs."""

    cpu: Annotated[float, Field(gt=0.0)] = 1.0
    gpu: Annotated[float, Field(ge=0.0)] = 0.0
    memory_mb: Annotated[int, Field(ge=1)] = 2_048
    io: Share = 0.02

    @property
    def units(self) -> tuple[int, int, int, int]:
        """Thousandths of a processor and of a GPU, megabytes, thousandths of the disk's time: sums are exact."""
        return round(self.cpu * 1000), round(self.gpu * 1000), self.memory_mb, round(self.io * 1000)


class RuntimePrior(_Strict):
    """What is believed of a runtime while there is too little history."""

    median: Duration = timedelta(minutes=30)
    p95: Duration = timedelta(hours=2)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.p95 < self.median:
            raise ValueError(f"p95 has value {self.p95}: expected the median {self.median} or more")
        return self


class QuietHours(_Strict):
    """Nights and weekends, in which the higher caps hold outside protected windows."""

    zone: str = "America/New_York"
    night_start: time = time(22)
    night_end: time = time(6)
    weekends: bool = True

    @model_validator(mode="after")
    def _known_zone(self) -> Self:
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"zone has value {self.zone!r}: expected a time zone such as 'Europe/Berlin'") from error
        return self


class Retries(_Strict):
    """How a backtest that crashed comes back."""

    first_after: Duration = timedelta(minutes=1)
    factor: Annotated[float, Field(ge=1.0, allow_inf_nan=False)] = 2.0
    longest: Duration = timedelta(hours=1)
    attempts: Count = 5
    """Crashes after which an experiment is given up; preemptions do not count."""

    def after(self, crashes: int) -> timedelta:
        """Pause after so many crashes in a row."""
        try:
            return min(self.first_after * self.factor ** max(crashes - 1, 0), self.longest)
        except OverflowError:  # more than any number or duration holds
            return self.longest


def _with_defaults(limits: Mapping[ResourceClass, int | None]) -> dict[ResourceClass, int | None]:
    return {**CLASS_LIMITS, **limits}


def _default_needs() -> dict[ResourceClass, Need]:
    return {
        ResourceClass.CPU_HEAVY: Need(),
        ResourceClass.GPU_HEAVY: Need(gpu=1.0, memory_mb=4_096),
        ResourceClass.MIXED: Need(cpu=2.0, memory_mb=4_096, io=0.05),
    }


class SchedulerPolicy(_Strict):
    """Everything `plan` may be told; the defaults are DESIGN section 6's."""

    service_levels: ServiceLevels = ServiceLevels()
    quiet_hours: QuietHours = QuietHours()
    caps: Caps = Caps(cpu=0.5, gpu=1.0, memory=0.6, io=0.3)
    quiet_caps: Caps = Caps(cpu=0.9, gpu=1.0, memory=0.8, io=0.6)
    needs: dict[ResourceClass, Need] = Field(default_factory=_default_needs)
    engine_needs: dict[str, dict[ResourceClass, Need]] = Field(default_factory=dict)
    """Exceptions by engine."""
    limits: Annotated[Mapping[ResourceClass, Annotated[int, Field(ge=0)] | None], AfterValidator(_with_defaults)] = (
        CLASS_LIMITS
    )
    """Runs of a class at once, over all nodes; None: any number. A class that is not named keeps its default. Keep them
    equal to the run queue's tag limits."""
    most_running: Annotated[int, Field(ge=0)] | None = MOST_BACKTESTS
    """Backtests at once, over all nodes and classes; None: any number."""

    quiet_lead: Duration = timedelta(minutes=30)
    """So long before quiet hours end the normal caps hold again for what is admitted."""

    grace: Duration = timedelta(minutes=5)
    """A run told to leave is gone after this at the latest."""
    tick: Duration = timedelta(seconds=30)
    """Time between two plans."""
    window_margin: Duration = timedelta(minutes=1)
    """A run that cannot be resumed has its P95 end this long before the next protected window."""
    kill_time: Duration = timedelta(seconds=10)
    """Time a killed run takes to be gone."""
    lower_tiers: tuple[Annotated[str, Field(min_length=1)], ...] = (
        "meta_daily",
        "meta_weekly",
        "meta_monthly",
        "backtest",
        "run_backtest",
    )
    """Types of upstream's jobs that are not tier 1, in small or capital letters. Any other type, or none, is tier 1.
    Backtests that upstream runs for Kronos have to be among them: they would hold up their own experiment."""
    tier1_longest: Duration = timedelta(hours=24)
    """A tier-1 job or engine run that is said to be at work for longer has died without saying so; a time further
    ahead than this is no time."""
    tier1_settle: Duration = timedelta(minutes=2)
    """Nothing is admitted so soon after tier 1 stopped working."""
    telemetry_age: Duration = timedelta(minutes=2)
    """Older readings of a node or of tier 1 say nothing."""
    clock_tolerance: timedelta = timedelta(seconds=5)
    """A clock behind the last plan's, or a reading ahead of ours, by more than this is wrong."""

    ageing_step: Duration = timedelta(hours=6)
    """Each step waited lifts an experiment by one priority, without end: whatever was enqueued ten steps later, or
    more, never goes before it."""
    cooldown: Duration = timedelta(minutes=5)
    """Pause of an experiment after a preemption."""
    preemption_limit: Annotated[int, Field(ge=0)] = 3
    """Preemptions in a row without a new checkpoint, after which an experiment goes only where it surely gets on."""
    launches_per_node: Count = 2
    """Runs started on a node by one plan: starting one costs processor seconds that no reading shows yet."""
    least_disk_free_mb: Annotated[int, Field(ge=0)] = 1_024
    """Nothing is admitted to a node with less free on the disk of its Kronos home."""
    retries: Retries = Retries()

    control_batch: Count = 8
    """Controls that share a run, ..."""
    control_batch_longest: Duration = timedelta(hours=1)
    """... as many as fit into this together, ..."""
    control_batch_wait: Duration = timedelta(hours=6)
    """... and no longer waited for than this."""

    quantile: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    """A predicted end holds with at least this probability."""
    overrun_growth: Annotated[float, Field(gt=1.0)] = 2.0
    """A run longer than history knows is expected to take this many times what it has taken."""
    prior: RuntimePrior = RuntimePrior()
    engine_priors: dict[str, RuntimePrior] = Field(default_factory=dict)
    history_length: Count = 500
    """Newest completed runs that count, per engine and class."""
    gap_share: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.9
    """What is longer than any gap between protected windows starts when this share of the longest lies ahead."""
    horizon: Duration = timedelta(days=14)
    """Calendars are looked ahead so far."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        missing = [name.value for name in CLASSES if name not in self.needs]
        if missing:
            raise ValueError(f"needs has no entry for {', '.join(missing)}: expected one for every resource class")
        if self.kill_time + self.tick > self.grace:
            raise ValueError(f"grace has value {self.grace}: expected a tick and a kill to fit into it")
        return self

    def need(self, engine: str, resource_class: ResourceClass) -> Need:
        """What a backtest of the engine and class takes."""
        exceptions: Mapping[ResourceClass, Need] = self.engine_needs.get(engine, {})
        return exceptions.get(resource_class) or self.needs[resource_class]
