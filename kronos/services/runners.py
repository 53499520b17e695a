"""Which runner backtests an engine, and in which markets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from functools import partial
from typing import Annotated, Any, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from kronos.backtests.command import CommandConfig, CommandRunner
from kronos.backtests.isolated import Isolated
from kronos.backtests.processes import Limits
from kronos.backtests.prometheus_api import PrometheusApiConfig, PrometheusApiRunner
from kronos.backtests.upstream_rows import Expected
from kronos.backtests.waiting import Heard
from kronos.core.backtests.runner import ChosenRunner
from kronos.core.canonical import canonical_hash
from kronos.core.changes.model import Experiment
from kronos.core.policy import ObservationPolicy
from kronos.errors import BacktestFailed, BadValue
from kronos.services.markets import markets_in_use, told_markets
from kronos.services.observatory import current_instant
from kronos.services.pipeline import Pipeline
from kronos.services.sessions import market_sessions
from kronos.settings import Settings
from kronos.sources.reader import SourceBatch

SANDBOX: Final = "sandbox"
EVERY_ENGINE: Final = "*"
_SANDBOX_FUNCTION: Final = "kronos.sandbox.backtest:produce"

_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s]+@")
_PATIENCE: Final = {
    "timeout_seconds",
    "tries",
    "first_wait_seconds",
    "longest_wait_seconds",
    "poll_seconds",
    "deadline_seconds",
    "settle_seconds",
}
"""Keys of a runner that decide when it is given up, and none of its rows."""

_Markets = Annotated[tuple[str, ...], Field(description="where the engine decides; none named: where it lately did")]


class ApiChoice(PrometheusApiConfig):
    """Upstream's control API."""

    kind: Literal["prometheus_api"]
    markets: _Markets = ()


class CommandChoice(CommandConfig):
    """A command that speaks Dagster Pipes."""

    kind: Literal["command"]
    markets: _Markets = ()


Choice = Annotated[ApiChoice | CommandChoice, Field(discriminator="kind")]
_CHOICES: Final[TypeAdapter[ApiChoice | CommandChoice]] = TypeAdapter(Choice)


def parsed_runners(runners: Mapping[str, Mapping[str, Any]]) -> dict[str, ApiChoice | CommandChoice]:
    """The policy's runners by engine; `BadValue` names the engine, the key and what is expected."""
    found = {}
    for engine, raw in runners.items():
        try:
            found[engine] = _CHOICES.validate_python(dict(raw))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(["backtests.runners", engine, *(str(part) for part in first["loc"])])
            raise BadValue(f"policy {where}", first["input"], first["msg"]) from error
    return found


def alters_data(policy: ObservationPolicy, engine: str) -> bool:
    """Whether the engine's runner can be asked what it would have decided on other data, as the sandbox's can."""
    choice = _named(policy, engine)
    return choice is None or (isinstance(choice, CommandChoice) and choice.alters)


def _named(policy: ObservationPolicy, engine: str) -> ApiChoice | CommandChoice | None:
    named = parsed_runners(policy.backtests.runners)
    return named.get(engine) or named.get(EVERY_ENGINE)


def choose_runner(
    settings: Settings, pipeline: Pipeline, experiment: Experiment, now: datetime, heard: Heard
) -> ChosenRunner:
    """The runner of an experiment's engine; `BacktestFailed`, finally, when there is none.

    now: in the data's time. heard: is told what upstream or a command says while it runs.
    """
    policy, engine = pipeline.policy, experiment.engine_name
    need = policy.scheduler.need(engine, experiment.resource_class)
    limits = Limits(policy.backtests.nice, need.memory_mb)
    choice = _named(policy, engine)
    if choice is not None:
        markets = choice.markets or tuple(told_markets(markets_in_use(pipeline, now.date(), engine)))
        return _chosen(settings, pipeline, engine, choice, limits, markets, heard)
    if settings.sandbox:
        # only who backtests loads the prices
        from kronos.sandbox.engines import ENGINES
        from kronos.sandbox.markets import load_markets

        if engine in ENGINES:
            return ChosenRunner(SANDBOX, lambda: Isolated(_SANDBOX_FUNCTION, limits), tuple(load_markets()))
    raise BacktestFailed(f"engine {engine!r} has no runner: name one in KRONOS_POLICY, backtests.runners", final=True)


def _chosen(
    settings: Settings,
    pipeline: Pipeline,
    engine: str,
    choice: ApiChoice | CommandChoice,
    limits: Limits,
    markets: tuple[str, ...],
    heard: Heard,
) -> ChosenRunner:
    if not markets:
        raise BacktestFailed("no market is known to test in: name them beside the runner in KRONOS_POLICY", final=True)
    if isinstance(choice, CommandChoice):
        return ChosenRunner(choice.kind, lambda: CommandRunner(choice, limits, heard=heard), markets, identity(choice))
    token = settings.control_token.get_secret_value() if settings.control_token else None

    def read(start: date, end: date) -> SourceBatch:
        # what upstream stamps while its jobs run is later than our beginning, and no future
        return pipeline.source.read(start, end, today=current_instant(settings, pipeline.database).date())

    expected = Expected(pipeline.policy.horizon_of(engine), partial(_has_session, pipeline.policy))
    attempts = pipeline.policy.scheduler.retries.attempts
    return ChosenRunner(
        choice.kind,
        lambda: PrometheusApiRunner(choice, read, expected=expected, attempts=attempts, token=token, heard=heard),
        markets,
        identity(choice),
    )


def identity(choice: ApiChoice | CommandChoice) -> str:
    """Digest of what a runner is told to be, but for its markets, its patience and credentials inside addresses."""
    told = choice.model_dump(mode="json", exclude={"markets", *_PATIENCE})
    if isinstance(choice, CommandChoice):
        told["command"] = [_CREDENTIALS.sub("", one) for one in choice.command]
    return canonical_hash(told)


def _has_session(policy: ObservationPolicy, market: str, first: date, last: date) -> bool:
    sessions = market_sessions(policy, [market], first, last)["session"]
    return bool(sessions.is_between(first, last).any())
