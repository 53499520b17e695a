"""Backtests by upstream itself, through its HTTP control API; their rows are then read from upstream's tables.

One job per task, subject and market, one after the other. `POST {url}/api/control/run_backtest` answers
`{"job_id": ...}`, `GET {url}/api/control/jobs/{job_id}` tells status, progress and logs. Each job has a key that is the
same whenever the same is asked for, so an answer that got lost, a worker that died or a server that restarted makes no
second job where upstream honours the key; where it does not, rows written twice are told apart by decision_id.
A job that ends as SKIPPED refuses what was asked for, for the reason in its logs; one that FAILED may be tried again.
The rows of a job stand under an experiment_id of its own: what other jobs of the experiment wrote, for a spec that has
changed since or before they were cancelled, never pools with them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr, ValidationError

from kronos.backtests.http_client import Answer, HttpClient, HttpConfig, Json, Seconds
from kronos.backtests.upstream_rows import EVERY_DAY, Expected, rows_of, what_lacks, written_twice
from kronos.backtests.waiting import Heard, by_deadline, pause, unheard
from kronos.core.backtests.runner import Ability, Produced, Watch
from kronos.core.backtests.spec import SEPARATOR, Subject, Task
from kronos.core.canonical import canonical_hash
from kronos.core.scenarios.battery import Scenario
from kronos.core.scheduling.policy import Retries
from kronos.errors import BacktestFailed, TaskRefused
from kronos.sources.reader import SourceBatch

Read = Callable[[date, date], SourceBatch]
"""What upstream's tables say of decisions dated from the first day to the last."""

_Model = TypeVar("_Model", bound=BaseModel)

_SUBMIT: Final = "/api/control/run_backtest"
_JOB: Final = "/api/control/jobs/{}"
_CANCEL: Final = "/api/control/jobs/{}/cancel"
_CANCEL_S: Final = 5.0
_UNDER_WAY: Final = ("PENDING", "RUNNING")
_SUCCESS: Final = "SUCCESS"
_SKIPPED: Final = "SKIPPED"
_CANCELLED: Final = "CANCELLED"
_ENDED: Final = (_SUCCESS, "FAILED", _SKIPPED, _CANCELLED)
_SHOWN_CHARACTERS: Final = 1_000
_ATTEMPTS: Final = Retries().attempts
_KEY_SHOWN: Final = 16
"""Characters of a job's key in the experiment_id of its rows."""


class PrometheusApiConfig(HttpConfig):
    """How backtests are asked for. The server's token is no part of it."""

    strategy_id: str | None = None
    """Of jobs whose config body names none; None: the config's id."""
    portfolio_id: str | None = None
    """Of jobs whose config body names none."""
    scenarios: bool = False
    """Whether upstream can play a scenario that is handed over as `kronos.scenario`."""
    poll_seconds: Seconds = 5.0
    deadline_seconds: Seconds = 86_400.0
    """For all jobs of a task and the reading of their rows."""
    settle_seconds: Seconds = 60.0
    """How long rows may keep us waiting after the last job's success."""
    longest_gap_days: Annotated[int, Field(ge=1)] = 14
    """Days in a row without a decision, from the task's start to its end, beyond which rows are taken to be missing."""


class _Submitted(BaseModel):
    job_id: Annotated[StrictStr, Field(min_length=1, max_length=256)]


class _Job(BaseModel):
    model_config = ConfigDict(extra="ignore")

    job_id: StrictStr | None = None
    status: StrictStr
    progress: StrictFloat | StrictInt | StrictStr | None = None
    logs: StrictStr | list[StrictStr] | None = None

    @property
    def said(self) -> str:
        """The end of the logs."""
        lines = self.logs if isinstance(self.logs, list) else [self.logs or ""]
        return "\n".join(lines)[-_SHOWN_CHARACTERS:].strip()


@dataclass(frozen=True)
class _Order:
    """One job to be asked for."""

    task: Task
    subject: Subject
    market: str

    @property
    def name(self) -> str:
        played = "" if self.task.scenario is None else f" under scenario {self.task.scenario.name!r}"
        return f"config {self.subject.config_id!r} in {self.market}{played}"

    def body(self, config: PrometheusApiConfig, number: int) -> Json:
        """The request."""
        task, overrides = self.task, self.subject.config_body
        kronos: dict[str, Any] = {
            "experiment_id": self.stream(number),
            "piece": task.piece,
            "engine_name": task.engine_name,
            "config_id": self.subject.config_id,
            "train_until": task.train_until.isoformat(),
            "data_until": task.data_until.isoformat(),
        }
        if task.scenario is not None:
            kronos |= {"scenario": task.scenario.model_dump(mode="json"), "scenario_seed": task.scenario_seed}
        return {
            "strategy_id": _text(overrides, "strategy_id") or config.strategy_id or self.subject.config_id,
            "portfolio_id": _text(overrides, "portfolio_id") or config.portfolio_id,
            "market_id": self.market,
            "start_date": task.start.isoformat(),
            "end_date": task.end.isoformat(),
            "config_overrides": overrides,
            "seed": task.seed,
            "idempotency_key": self.key(number),
            "kronos": kronos,
        }

    def key(self, number: int) -> str:
        """The same for the same order and number, whoever asks."""
        return canonical_hash(
            {
                "task": self.task.model_dump(mode="json"),
                "config_id": self.subject.config_id,
                "market": self.market,
                "number": number,
            }
        )

    def stream(self, number: int) -> str:
        """What is to stand in the experiment_id column of the job's rows, and of no other's."""
        return f"{self.task.experiment_id}{SEPARATOR}{self.key(number)[:_KEY_SHOWN]}"


def _text(config_body: Mapping[str, Any], key: str) -> str | None:
    value = config_body.get(key)
    return value if isinstance(value, str) else None


class PrometheusApiRunner:
    """Has upstream run the task; `read` sees upstream's tables, `token` goes into the Authorization header.

    expected: what rows have to be there once its jobs are over. attempts: failed jobs after which an order is given up,
    those cancelled with their runs not among them; as many as the scheduler lets a backtest fail, a run fails once.
    """

    def __init__(
        self,
        config: PrometheusApiConfig,
        read: Read,
        *,
        expected: Expected = EVERY_DAY,
        attempts: int = _ATTEMPTS,
        token: str | None = None,
        heard: Heard = unheard,
    ) -> None:
        self._config, self._read, self._expected, self._heard = config, read, expected, heard
        self._attempts = attempts
        self._client = HttpClient(config, token)

    def unsupported(self, scenario: Scenario) -> str | None:
        """Why upstream cannot play a scenario."""
        if self._config.scenarios:
            return None
        where = f"the control API at {self._config.url}"
        return f"{where} is not said to play scenarios: its `scenarios` is false, {scenario.name!r} is left out"

    def unable(self, ability: Ability) -> str | None:
        """Why upstream cannot be probed in a way."""
        if ability is Ability.REPEAT:
            return "upstream is asked for the same once: its job for a key that it knows is the one it had"
        return f"the control API at {self._config.url} knows no data but upstream's own"

    def run(self, task: Task, watch: Watch) -> Produced:
        """The rows upstream wrote for the task; raises `TaskRefused`, and `BacktestFailed` where some are missing."""
        timed = by_deadline(watch, self._config.deadline_seconds, f"{task.piece} at {self._config.url}")
        orders = [_Order(task, subject, market) for subject in task.subjects for market in task.markets]
        return self._collected(task, [self._finished(order, timed) for order in orders], timed)

    def close(self) -> None:
        """Nothing is kept open."""

    def _finished(self, order: _Order, watch: Watch) -> str:
        """Stream of a job of the order that ended well, skipping those that had ended badly before we came."""
        failed = number = 0
        while True:
            job = _FollowedJob(self._client, self._config, order, number, self._heard)
            job.follow(watch)
            if job.status == _SUCCESS:
                return order.stream(number)
            if job.status == _SKIPPED:
                raise TaskRefused(f"upstream refuses {order.name}: its {job.end}")
            # a cancelled job says nothing of the order: the deadline ends the walk past those
            failed += job.status != _CANCELLED
            if failed == self._attempts:
                raise BacktestFailed(f"{job.failure}; so did every one of {failed} jobs", final=True)
            if job.seen_under_way:
                raise BacktestFailed(job.failure)
            number += 1
            pause(self._config.wait_before(max(failed, 1), None), watch)

    def _collected(self, task: Task, streams: Sequence[str], watch: Watch) -> Produced:
        """The rows, once none is missing any more."""
        until = time.monotonic() + self._config.settle_seconds
        while True:
            watch()
            produced = rows_of(task, streams, self._read(task.start, task.end))
            if twin := written_twice(produced.decisions):
                raise BacktestFailed(
                    f"upstream wrote decision {twin!r} of {task.piece} twice, with two ids", final=True
                )
            lacking = what_lacks(task, produced, self._config.longest_gap_days, self._expected)
            if lacking is None:
                return produced
            if time.monotonic() > until:
                raise BacktestFailed(f"upstream's jobs for {task.piece} succeeded, but {lacking}")
            pause(self._config.poll_seconds, watch)


class _FollowedJob:
    """One job from its submission to its end."""

    def __init__(
        self, client: HttpClient, config: PrometheusApiConfig, order: _Order, number: int, heard: Heard
    ) -> None:
        self._client, self._config, self._order, self._heard = client, config, order, heard
        self._number = number
        self._job_id = ""
        self._said = ""
        self._told = ""
        self.status = ""
        self.seen_under_way = False

    @property
    def failure(self) -> str:
        return f"for {self._order.name} upstream's {self.end}"

    @property
    def end(self) -> str:
        words = f": {self._client.clean(self._said)}" if self._said else ", without a word"
        return f"job {self._job_id!r} ended as {self.status}{words}"

    def follow(self, watch: Watch) -> None:
        """Submit it and wait until it has ended; cancelled when the watch raises."""
        self._submit(watch)
        try:
            self._poll(watch)
        except BaseException:
            self._client.tell(_CANCEL.format(quote(self._job_id, safe="")), _CANCEL_S)
            raise

    def _submit(self, watch: Watch) -> None:
        body = self._order.body(self._config, self._number)
        headers = {"Idempotency-Key": self._order.key(self._number)}
        answer = self._client.ask("POST", _SUBMIT, watch, body=body, headers=headers)
        self._job_id = self._parsed(_Submitted, answer, "submission").job_id

    def _poll(self, watch: Watch) -> None:
        """Ask until it has ended; a server that does not know it (any more) is given it once again."""
        submitted_again = False
        while True:
            path = _JOB.format(quote(self._job_id, safe=""))
            answer = self._client.ask("GET", path, watch, absent_is_answer=True)
            if answer.status != 404:
                self._take(self._parsed(_Job, answer, f"job {self._job_id!r}"))
                if self.status in _ENDED:
                    return
                self.seen_under_way = True
                pause(self._config.poll_seconds, watch)
            elif submitted_again:
                raise BacktestFailed(f"upstream does not know its job {self._job_id!r} for {self._order.name}, twice")
            else:
                submitted_again = True
                self._submit(watch)

    def _take(self, job: _Job) -> None:
        if job.job_id not in (None, self._job_id):
            raise BacktestFailed(f"job asked for has value {job.job_id!r} in the answer: expected {self._job_id!r}")
        self.status = job.status.upper()
        if self.status not in (*_UNDER_WAY, *_ENDED):
            known = ", ".join((*_UNDER_WAY, *_ENDED))
            shown = self._client.clean(job.status)
            raise BacktestFailed(
                f"status of upstream's job {self._job_id!r} has value {shown!r}: expected {known}", final=True
            )
        self._said = job.said
        if job.progress is not None:
            self._tell(self._client.clean(f"{self._order.name}: {self.status} {job.progress}"))

    def _tell(self, progress: str) -> None:
        """Once, however often upstream is asked meanwhile."""
        if progress != self._told:
            self._told = progress
            self._heard(progress)

    def _parsed(self, model: type[_Model], answer: Answer, what: str) -> _Model:
        found = answer.json()
        if found is None:
            shown = self._client.clean(answer.body.decode(errors="replace"))
            raise BacktestFailed(f"upstream's answer about the {what} has value {shown!r}: expected a JSON object")
        try:
            return model.model_validate(found)
        except ValidationError as error:
            first = error.errors()[0]
            name, value = ".".join(map(str, first["loc"])), self._client.clean(repr(first["input"]))
            raise BacktestFailed(
                f"upstream's answer about the {what}: {name} has value {value}: expected {first['msg']}", final=True
            ) from None
