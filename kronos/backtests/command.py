"""Backtests by any command that speaks Dagster Pipes and writes two files.

The command finds `task`, as JSON, in its Pipes extras, and there `decisions_path` and `outcomes_path`, where it is to
leave DECISIONS and OUTCOMES as Arrow IPC or Parquet files. Its custom messages and logs tell how far it is; one of a
shape that `pipes` describes refuses a config or the scenario. That counts if the command then ends well, and there are
no files to write.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet
from dagster_pipes import DAGSTER_PIPES_CONTEXT_ENV_VAR, DAGSTER_PIPES_MESSAGES_ENV_VAR, PipesContextData, encode_param
from pydantic import BaseModel, ConfigDict, Field

from kronos.backtests.contract import held_to_task
from kronos.backtests.launcher import CANNOT_START
from kronos.backtests.pipes import Messages
from kronos.backtests.processes import Child, Limits, ending, start
from kronos.backtests.waiting import Heard, by_deadline, unheard
from kronos.core.backtests.runner import Ability, Produced, Watch
from kronos.core.backtests.spec import Task
from kronos.core.frames import DECISIONS, OUTCOMES, Schema, conform
from kronos.core.scenarios.battery import Scenario
from kronos.errors import BacktestFailed, BadValue, TaskRefused
from kronos.sources.connection import within_calendar
from kronos.sources.decisions import value_rules as decision_values
from kronos.sources.outcomes import value_rules as outcome_values
from kronos.sources.rules import Rule, on, plausible, required

_SHOWN_CHARACTERS: Final = 1_000
_LARGEST_FILE: Final = 4 << 30
_CLOCK_SLACK: Final = timedelta(days=1)
"""A decision on a session is stamped after its close, which may already be tomorrow in UTC."""


class CommandConfig(BaseModel):
    """A command with its arguments; None as deadline: as long as the scheduler lets it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: Annotated[tuple[str, ...], Field(min_length=1)]
    scenarios: bool = False
    """Whether it can play `task.scenario`."""
    alters: bool = False
    """Whether it can play `task.altered`."""
    deadline_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


class CommandRunner:
    """Runs the command once per task, in a temporary folder under `scratch` (None: the system's)."""

    def __init__(
        self,
        config: CommandConfig,
        limits: Limits,
        *,
        scratch: Path | None = None,
        heard: Heard = unheard,
    ) -> None:
        self._config, self._limits, self._scratch, self._heard = config, limits, scratch, heard

    def unsupported(self, scenario: Scenario) -> str | None:
        """Why the command cannot play a scenario."""
        if self._config.scenarios:
            return None
        return f"{self._name} is not said to play scenarios: its `scenarios` is false, {scenario.name!r} is left out"

    def unable(self, ability: Ability) -> str | None:
        """Why the command cannot be probed in a way."""
        if ability is Ability.REPEAT or self._config.alters:
            return None
        return f"{self._name} is not said to alter data: its `alters` is false"

    def run(self, task: Task, watch: Watch) -> Produced:
        """The command's rows, those that break the contract apart; raises `TaskRefused` and `BacktestFailed`."""
        with TemporaryDirectory(prefix="kronos-", dir=self._scratch, ignore_cleanup_errors=True) as made:
            folder = Path(made)
            paths = {"decisions_path": str(folder / "decisions"), "outcomes_path": str(folder / "outcomes")}
            self._play(task, paths, folder, watch)
            decisions = self._read(paths["decisions_path"], DECISIONS, "decisions")
            outcomes = self._read(paths["outcomes_path"], OUTCOMES, "outcomes")
        return held_to_files(task, decisions, outcomes)

    def close(self) -> None:
        """Nothing serves further tasks."""

    @property
    def _name(self) -> str:
        # arguments may hold what is nobody's business
        return f"command {self._config.command[0]!r}"

    def _play(self, task: Task, paths: dict[str, str], folder: Path, watch: Watch) -> None:
        """Run the command to its good end, or raise."""
        messages = Messages(folder / "messages", task, self._heard)
        with start(self._config.command, self._limits, environment=_environment(task, paths, folder)) as child:
            code = child.wait(self._watched(watch, messages))
        self._take(messages)
        self._refuse_bad_end(code, messages, child)
        if messages.refusal is not None:
            raise TaskRefused(f"{self._name} refuses {messages.refusal}")

    def _watched(self, watch: Watch, messages: Messages) -> Watch:
        timed = by_deadline(watch, self._config.deadline_seconds, self._name)

        def look() -> None:
            timed()
            self._take(messages)

        return look

    def _take(self, messages: Messages, *, to_end: bool = False) -> None:
        try:
            messages.read(to_end=to_end)
        except BadValue as error:
            raise BacktestFailed(f"{self._name}: {error}", final=True) from None

    def _refuse_bad_end(self, code: int, messages: Messages, child: Child) -> None:
        said = child.said.text()[-_SHOWN_CHARACTERS:]
        words = f"; the last it said: {said}" if said else "; it said nothing"
        if messages.exception:
            raise BacktestFailed(f"{self._name} failed: {messages.exception}")
        if code != 0:
            raise BacktestFailed(f"{self._name} ended with {ending(code)}{words}", final=code == CANNOT_START)
        self._take(messages, to_end=True)
        if missing := messages.missing:
            raise BacktestFailed(f"{self._name} ended without the Pipes message {missing!r}{words}", final=True)

    def _read(self, path: str, schema: Schema, name: str) -> pl.DataFrame:
        file = Path(path)
        try:
            return conform(_frame(file), schema, name)
        except FileNotFoundError:
            raise BacktestFailed(f"{self._name} wrote no file of {name} at {name}_path", final=True) from None
        except BadValue as error:
            raise BacktestFailed(f"{self._name} wrote {name} that break the contract: {error}", final=True) from None
        except (pa.ArrowException, OSError, pl.exceptions.PolarsError) as error:
            text = str(error).partition("\n")[0][:_SHOWN_CHARACTERS]
            raise BacktestFailed(
                f"{self._name} wrote a file of {name} that cannot be read: {text}", final=True
            ) from None


def held_to_files(task: Task, decisions: pl.DataFrame, outcomes: pl.DataFrame) -> Produced:
    """`held_to_task` by every rule there is: nobody has looked at rows from files before."""
    return held_to_task(
        task,
        decisions.with_columns(doubled=pl.col("decision_id").is_duplicated()),
        outcomes.with_columns(doubled=pl.struct("decision_id", "horizon", "recorded_at").is_duplicated()),
        decision_rules=_decision_rules(task),
        outcome_rules=_outcome_rules(),
    )


def _environment(task: Task, paths: dict[str, str], folder: Path) -> dict[str, str]:
    """What `dagster_pipes.open_dagster_pipes` looks for."""
    context: PipesContextData = {
        "asset_keys": None,
        "code_version_by_asset_key": None,
        "provenance_by_asset_key": None,
        "partition_key": None,
        "partition_key_range": None,
        "partition_time_window": None,
        "run_id": task.experiment_id,
        "job_name": task.piece,
        "retry_number": 0,
        "extras": {"task": task.model_dump(mode="json"), **paths},
    }
    # a task can be larger than the kernel lets an environment variable be
    told = folder / "context.json"
    told.write_text(json.dumps(context))
    return {
        DAGSTER_PIPES_CONTEXT_ENV_VAR: encode_param({"path": str(told)}),
        DAGSTER_PIPES_MESSAGES_ENV_VAR: encode_param({"path": str(folder / "messages")}),
    }


def _frame(path: Path) -> pl.DataFrame:
    """A file of either format, told apart by how it begins."""
    with path.open("rb") as file:
        begins = file.read(6)
    if path.stat().st_size > _LARGEST_FILE:
        raise BadValue("size of the file", path.stat().st_size, f"at most {_LARGEST_FILE} bytes")
    if begins[:4] == b"PAR1":
        table = pa.parquet.ParquetFile(path).read()
    elif begins == b"ARROW1":
        with pa.OSFile(str(path)) as file:
            table = pa.ipc.open_file(file).read_all()
    else:
        raise BadValue("beginning of the file", begins, "that of an Arrow IPC (ARROW1) or Parquet (PAR1) file")
    table.validate(full=True)
    return within_calendar(pl.DataFrame(pl.from_arrow(table)))


def _decision_rules(task: Task) -> Sequence[Rule]:
    decided_on = pl.col("decided_at").dt.date()
    return [
        *required("decision_id", "decided_at", "as_of_date"),
        on("decision_id", "DUPLICATE_DECISION", pl.col("doubled")),
        plausible("as_of_date"),
        on("decided_at", "DECIDED_BEFORE", decided_on < pl.col("as_of_date") - _CLOCK_SLACK),
        on("decided_at", "AFTER_DATA_UNTIL", decided_on > task.data_until + _CLOCK_SLACK),
        *decision_values(pl.lit(True)),
    ]


def _outcome_rules() -> Sequence[Rule]:
    return [
        *required("eval_date", "valid"),
        on("decision_id", "DUPLICATE_OUTCOME", pl.col("doubled")),
        *outcome_values(),
    ]
