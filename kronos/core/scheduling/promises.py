"""What the backtest scheduler promises, checked on simulated schedules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Final

import numpy as np

from kronos.core.scheduling.scenario import DAY, HOUR, Schedule
from kronos.core.scheduling.simulate import Outcome, Stay, can_finish

LONGEST_WAIT: Final = 42 * DAY
"""From arrival to result, runtime and all: the longest simulated backtest needs one whole weekend per thirty hours."""
MOST_FRUITLESS: Final = 16
"""Attempts without a new checkpoint: the limit, the troubles, and the doublings from a minute to a weekend."""
LEAST_UTILISATION: Final = 0.90
LEAST_WORK: Final = 2 * HOUR * 1000
"""Thousandths of a processor x seconds in a schedule below which a share says nothing: half a minute would decide."""


@dataclass(frozen=True)
class Tally:
    """What was seen in one schedule, or in many: counts add up, `longest_` and `most_` take the largest."""

    schedules: int = 0
    plans: int = 0
    experiments: int = 0
    finished: int = 0
    starved: int = 0
    """Experiments that fit and did not finish."""
    over_capacity: int = 0
    """Moments at which the runs on a node needed more than its quiet cap."""
    idle_schedules: int = 0
    """Schedules whose own utilisation is below `LEAST_UTILISATION`."""
    used: int = 0
    unused: int = 0
    unused_as_fluid: int = 0
    wasted: int = 0
    longest_overlap: int = 0
    """Seconds of a run inside a protected window."""
    longest_after_tier1: int = 0
    longest_wait: int = 0
    most_fruitless: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(
            **{
                each.name: (max if each.name.startswith(("longest_", "most_")) else _sum)(
                    getattr(self, each.name), getattr(other, each.name)
                )
                for each in fields(self)
            }
        )

    @property
    def utilisation(self) -> float:
        """Used share of what was used or could have been, runs being indivisible."""
        return self.used / (self.used + self.unused) if self.used else 1.0

    @property
    def utilisation_as_fluid(self) -> float:
        """Used share of min(demand, capacity x allowed time), as if runs could be cut into any pieces."""
        return self.used / (self.used + self.unused_as_fluid) if self.used else 1.0

    def to_json_dict(self) -> dict[str, int]:
        """A JSON-ready dict."""
        return asdict(self)


@dataclass(frozen=True)
class Promise:
    """One promise, what was seen of it, and its limit."""

    name: str
    seen: str
    limit: str
    holds: bool


def tally(outcome: Outcome) -> Tally:
    """What one simulated schedule shows."""
    schedule = outcome.schedule
    fitting = [job for job in schedule.jobs if can_finish(schedule, job)]
    done = [job for job in schedule.jobs if job.finished is not None]
    utilisation = Tally(used=outcome.used, unused=outcome.unused).utilisation
    return Tally(
        schedules=1,
        plans=outcome.plans,
        experiments=len(schedule.jobs),
        finished=len(done),
        starved=sum(job.finished is None for job in fitting),
        over_capacity=_over_capacity(schedule, outcome.stays),
        idle_schedules=int(utilisation < LEAST_UTILISATION and outcome.used + outcome.unused >= LEAST_WORK),
        used=outcome.used,
        unused=outcome.unused,
        unused_as_fluid=outcome.unused_as_fluid,
        wasted=outcome.wasted,
        longest_overlap=max((_overlap(schedule, stay) for stay in outcome.stays), default=0),
        longest_after_tier1=outcome.longest_after_tier1,
        longest_wait=max((job.finished - job.arrives for job in done if job.finished is not None), default=0),
        most_fruitless=max((job.fruitless for job in fitting), default=0),
    )


def promises(seen: Tally, grace: int) -> list[Promise]:
    """The promises with what was seen of them."""
    within = f"<= {grace} s grace"
    return [
        Promise(
            "longest overlap of a protected window", f"{seen.longest_overlap} s", within, seen.longest_overlap <= grace
        ),
        Promise(
            "longest stay after early tier 1 was seen",
            f"{seen.longest_after_tier1} s",
            within,
            seen.longest_after_tier1 <= grace,
        ),
        Promise("moments above a node's caps", str(seen.over_capacity), "0", seen.over_capacity == 0),
        Promise("starved: fits, but did not finish", str(seen.starved), "0", seen.starved == 0),
        Promise(
            "longest wait from arrival to result",
            f"{seen.longest_wait / DAY:.1f} days",
            f"<= {LONGEST_WAIT // DAY} days",
            seen.longest_wait <= LONGEST_WAIT,
        ),
        Promise(
            "livelock: most attempts without a new checkpoint",
            str(seen.most_fruitless),
            f"<= {MOST_FRUITLESS}",
            seen.most_fruitless <= MOST_FRUITLESS,
        ),
        Promise(
            "utilisation of min(demand, capacity x allowed time)",
            f"{seen.utilisation_as_fluid:.2%}",
            f">= {LEAST_UTILISATION:.0%}",
            seen.utilisation_as_fluid >= LEAST_UTILISATION,
        ),
        Promise(
            "the same with indivisible runs",
            f"{seen.utilisation:.2%}",
            f">= {LEAST_UTILISATION:.0%}",
            seen.utilisation >= LEAST_UTILISATION,
        ),
    ]


def combined(tallies: Iterable[Tally]) -> Tally:
    """All together."""
    return sum(tallies, Tally())


def _sum(one: int, other: int) -> int:
    return one + other


def _overlap(schedule: Schedule, stay: Stay) -> int:
    """Seconds of the last protected window a run reached into; it cannot outlast a whole one unseen."""
    starts, ends = schedule.windows.starts, schedule.windows.ends
    first, last = (int(np.searchsorted(edges, at)) for edges, at in ((ends, stay.start), (starts, stay.end)))
    reached = zip(starts[first:last].tolist(), ends[first:last].tolist(), strict=True)
    return max((min(stay.end, end) - max(stay.start, start) for start, end in reached), default=0)


def _over_capacity(schedule: Schedule, stays: list[Stay]) -> int:
    """Starts after which the processors given away on a node exceed its larger cap."""
    share = max(schedule.policy.caps.cpu, schedule.policy.quiet_caps.cpu)
    found = 0
    for stay in stays:
        together = [one.cpu for one in stays if one.node == stay.node and one.start <= stay.start < one.end]
        found += sum(together) > schedule.cpu[stay.node] * share
    return found
