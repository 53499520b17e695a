"""Commands that speak Dagster Pipes: what a good one gives, and what each bad one comes to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from kronos.backtests.command import CommandConfig, CommandRunner
from kronos.backtests.processes import Limits
from kronos.core.backtests.runner import Produced, Runner
from kronos.core.backtests.spec import Task
from kronos.core.frames import DECISIONS, OUTCOMES
from kronos.core.scenarios.battery import HistoricalWindow
from kronos.errors import BacktestFailed, TaskRefused
from kronos_tests.backtests.children import Stopped, StopsOnce, gone, nothing, until
from kronos_tests.backtests.tasks import TASK, decision, outcome
from kronos_tests.frames import frame

EXAMPLE = """
import datetime as dt
import polars as pl
from dagster_pipes import open_dagster_pipes
from kronos.core.frames import DECISIONS, OUTCOMES

with open_dagster_pipes() as pipes:
    task = pipes.get_extra("task")
    day = dt.date.fromisoformat(task["start"])
    ids = [f"{s['config_id']} {market}" for s in task["subjects"] for market in task["markets"]]
    decisions = pl.DataFrame({
        "decision_id": ids,
        "decided_at": dt.datetime(day.year, day.month, day.day, 21, tzinfo=dt.timezone.utc),
        "engine_name": task["engine_name"],
        "config_id": [one.split()[0] for one in ids],
        "as_of_date": day,
        "market_id": [one.split()[1] for one in ids],
        "mode": "BACKTEST",
        "experiment_id": task["experiment_id"],
        "weight": [float(s["config_body"]["lookback"]) for s in task["subjects"] for _ in task["markets"]],
    })
    outcomes = pl.DataFrame({"decision_id": ids, "horizon": 1, "eval_date": day + dt.timedelta(1), "valid": True})
    pipes.report_custom_message({"done": len(ids)})
    pipes.log.info("writing")
    for name, frame, schema in (("decisions", decisions, DECISIONS), ("outcomes", outcomes, OUTCOMES)):
        missing = [pl.lit(None, dtype).alias(c) for c, dtype in schema.items() if c not in frame.columns]
        whole = frame.with_columns(missing).select(pl.col(c).cast(dtype) for c, dtype in schema.items())
        write = whole.write_ipc if name == "decisions" else whole.write_parquet
        write(pipes.get_extra(f"{name}_path"))
"""
"""A whole command: decides once per config and market."""
PIPES = """
import os, shutil, signal, sys, time
from pathlib import Path
from dagster_pipes import open_dagster_pipes

decisions, outcomes = (Path(path) for path in sys.argv[1:3])
def leave(pipes):
    shutil.copy(decisions, pipes.get_extra("decisions_path"))
    shutil.copy(outcomes, pipes.get_extra("outcomes_path"))
"""
"""Beginning of commands that copy files made beforehand."""
MESSAGES = """
import base64, json, os, sys, zlib
path = json.loads(zlib.decompress(base64.b64decode(os.environ["DAGSTER_PIPES_MESSAGES"])))["path"]
def say(method, **params):
    write(json.dumps({"__dagster_pipes_version": "0.1", "method": method, "params": params}) + "\\n")
def write(text):
    with open(path, "a") as file: file.write(text)
"""
"""Beginning of commands that write their messages themselves."""


class Commands:
    """Runs programs as commands, with files of one good decision at hand."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.heard = folder, list[str]()
        self.decisions, self.outcomes = folder / "good_decisions", folder / "good_outcomes"
        frame(DECISIONS, [decision()]).write_parquet(self.decisions)
        frame(OUTCOMES, [outcome()]).write_parquet(self.outcomes)

    def runner(self, program: str, *words: str, deadline: float | None = None) -> Runner:
        """A runner whose command is the program with the paths of the good files and more words."""
        command = (sys.executable, "-c", program, str(self.decisions), str(self.outcomes), *words)
        config = CommandConfig(command=command, deadline_seconds=deadline)
        return CommandRunner(config, Limits(), scratch=self.folder, heard=self.heard.append)

    def run(self, program: str, task: Task = TASK) -> Produced:
        """What the program gives."""
        return self.runner(program).run(task, nothing)

    @contextmanager
    def failing(self, match: str, *, final: bool) -> Iterator[None]:
        """The block raises `BacktestFailed` that matches."""
        with pytest.raises(BacktestFailed, match=match) as raised:
            yield
        assert raised.value.final is final
        assert len(str(raised.value)) < 2_000


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    """Commands in a folder of the test's own."""
    return Commands(tmp_path)


def test_a_command_gets_the_task_and_its_rows_come_back(commands: Commands) -> None:
    produced = commands.run(EXAMPLE)
    found = produced.decisions.select("decision_id", "weight").rows()
    assert found == [("fast EU_EQ", 5.0), ("fast US_EQ", 5.0), ("new EU_EQ", 20.0), ("new US_EQ", 20.0)]
    assert produced.outcomes.height == 4 and produced.rejected.is_empty()
    assert commands.heard == ['{"done": 4}', "writing"]


def test_the_same_task_gives_the_same_rows_and_leaves_nothing_behind(commands: Commands) -> None:
    first, second = (commands.run(EXAMPLE) for _ in range(2))
    assert first.decisions.equals(second.decisions) and first.outcomes.equals(second.outcomes)
    assert {path.name for path in commands.folder.iterdir()} == {"good_decisions", "good_outcomes"}


def test_a_command_does_not_see_the_settings_of_kronos(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRONOS_DATABASE_URL", "postgresql://kronos:secret@db/kronos")
    with commands.failing(r"exit code 1; the last it said: \[\]", final=False):
        commands.run("import os, sys; print([n for n in os.environ if n.startswith('KRONOS')]); sys.exit(1)")


def test_rows_that_break_the_task_are_rejected_not_dropped(commands: Commands) -> None:
    bad = [decision(), decision("d2", date(2021, 1, 4)), decision("d3", config_id="other")]
    frame(DECISIONS, bad).write_ipc(commands.decisions)
    produced = commands.run(PIPES + "with open_dagster_pipes() as pipes: leave(pipes)")
    assert produced.decisions["decision_id"].to_list() == ["d1"]
    assert sorted(produced.rejected["rule"]) == ["AFTER_DATA_UNTIL", "OTHER_CONFIG", "OUTSIDE_TASK"]


@pytest.mark.parametrize(
    ("program", "match", "final"),
    [
        ("import sys; sys.exit('no licence')", "ended with exit code 1; the last it said: no licence", False),
        ("import os; os.kill(os.getpid(), 9)", "ended with signal SIGKILL; it said nothing", False),
        (MESSAGES + "write('{'); sys.exit('full disk')", "exit code 1; the last it said: full disk", False),
        ("pass", "ended without the Pipes message 'opened'", True),
        (MESSAGES + "say('opened')", "ended without the Pipes message 'closed'", True),
        (MESSAGES + "write('hello\\n')", "its messages has value 'hello': expected a message of Dagster Pipes", True),
        (MESSAGES + "write('[1]\\n')", r"has value '\[1\]'", True),
        (MESSAGES + "say('opend')", "opend", True),
        (MESSAGES + "say('opened'); write('{\"__dag')", "'{\"__dag'", True),
        (MESSAGES + "write('x' * (3 << 20))", "'x{100}'", True),
        (MESSAGES + "write('[' * 100_000 + '\\n')", "'\\[{100}'", True),
        (PIPES + "with open_dagster_pipes(): raise ValueError('bad')", "failed: ValueError: bad$", False),
        (PIPES + "with open_dagster_pipes() as pipes: pass", "wrote no file of decisions at decisions_path", True),
        (PIPES + "with open_dagster_pipes() as pipes: leave(pipes); os.remove(pipes.get_extra('outcomes_path'))",
         "wrote no file of outcomes", True),
    ],
)  # fmt: skip
def test_a_command_that_goes_wrong_is_a_failed_backtest(
    commands: Commands, program: str, match: str, final: bool
) -> None:
    with commands.failing(match, final=final):
        commands.run(program)


CRASH = HistoricalWindow(name="crash", about="", start=date(2020, 3, 2), end=date(2020, 3, 13))


def refusing(**payload: object) -> str:
    """A command that says it, twice, and ends well."""
    said = f"pipes.report_custom_message({payload!r})"
    return PIPES + f"with open_dagster_pipes() as pipes: {said}; {said}"


@pytest.mark.parametrize(
    ("named", "said"),
    [({"config_id": "fast"}, "config 'fast' of fold-001"), ({"scenario": "crash"}, "scenario 'crash' of fold-001")],
)
def test_a_command_can_refuse_a_config_or_the_scenario(commands: Commands, named: dict[str, str], said: str) -> None:
    program, task = refusing(kronos="refused", **named, why=" too wild "), TASK.model_copy(update={"scenario": CRASH})
    with pytest.raises(TaskRefused, match=f"command .* refuses {said}: too wild$"):
        commands.run(program, task)


@pytest.mark.parametrize(
    ("payload", "match"),
    [
        ({"kronos": "refuse"}, "'kronos' of a custom message has value 'refuse': expected 'refused'"),
        (
            {"kronos": "refused", "why": "x"},
            r"keys of a refusal has value \['kronos', 'why'\]: expected kronos, why, and",
        ),
        ({"kronos": "refused", "config_id": "fast", "scenario": "crash", "why": "x"}, "keys of a refusal"),
        ({"kronos": "refused", "config_id": "slow", "why": "x"}, "has value 'slow': expected one of .*: new, fast"),
        ({"kronos": "refused", "config_id": ["fast"], "why": "x"}, "config_id of a refusal"),
        ({"kronos": "refused", "scenario": "crash", "why": "x"}, "expected one of the task's: it has none"),
        ({"kronos": "refused", "config_id": "fast"}, "why of a refusal has value None: expected a reason in words"),
        ({"kronos": "refused", "config_id": "fast", "why": " "}, "why of a refusal"),
    ],
)
def test_a_refusal_that_says_nothing_is_a_failure(commands: Commands, payload: dict[str, object], match: str) -> None:
    with pytest.raises(BacktestFailed, match=match) as failed:
        commands.run(refusing(**payload))
    assert failed.value.final and not isinstance(failed.value, TaskRefused)


def test_a_command_that_refuses_and_then_breaks_has_failed(commands: Commands) -> None:
    program = refusing(kronos="refused", config_id="fast", why="too wild") + "; raise ValueError('bad')"
    with commands.failing("failed: ValueError: bad$", final=False):
        commands.run(program)


def test_other_custom_messages_are_progress(commands: Commands) -> None:
    commands.run(
        PIPES + "with open_dagster_pipes() as pipes: pipes.report_custom_message({'refused': 3}); leave(pipes)"
    )
    assert commands.heard == ['{"refused": 3}']


def test_a_command_that_cannot_be_started_is_not_tried_again(commands: Commands) -> None:
    runner = CommandRunner(CommandConfig(command=("/no/such/engine", "--token=secret")), Limits())
    with commands.failing("command '/no/such/engine' ended with exit code 127; .* No such file", final=True):
        runner.run(TASK, nothing)


@pytest.mark.parametrize("write", [pl.DataFrame.write_parquet, pl.DataFrame.write_ipc])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_file_that_was_cut_off_is_a_failed_backtest(commands: Commands, write: object, share: float) -> None:
    write(frame(DECISIONS, [decision(f"d{n}") for n in range(100)]), commands.decisions)  # type: ignore[operator]
    whole = commands.decisions.read_bytes()
    commands.decisions.write_bytes(whole[: int(len(whole) * share)])
    with commands.failing("a file of decisions that cannot be read|beginning of the file", final=True):
        commands.run(PIPES + "with open_dagster_pipes() as pipes: leave(pipes)")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda df: df.drop("market_id"), "frame decisions has value .* expected a column 'market_id'"),
        (lambda df: df.with_columns(pl.col("weight").cast(pl.Float32)), "frame decisions.weight .* expected Float64"),
        (lambda df: df.with_columns(pl.col("decided_at").dt.replace_time_zone(None)), "decisions.decided_at"),
        (lambda df: df.with_columns(pl.col("engine_name").cast(pl.Categorical)), "decisions.engine_name"),
    ],
)
def test_another_frame_than_the_contracts_is_refused_by_name(commands: Commands, change: object, match: str) -> None:
    change(frame(DECISIONS, [decision()])).write_ipc(commands.decisions)  # type: ignore[operator]
    with commands.failing(match, final=True):
        commands.run(PIPES + "with open_dagster_pipes() as pipes: leave(pipes)")


def test_watch_ends_the_command_and_passes(commands: Commands) -> None:
    note = commands.folder / "pid"
    program = "import os, sys, time; open(sys.argv[3], 'w').write(str(os.getpid())); time.sleep(600)"
    watch = StopsOnce(lambda: note.exists() and note.read_text() != "")
    with pytest.raises(Stopped):
        commands.runner(program, str(note)).run(TASK, watch)
    assert until(lambda: gone(int(note.read_text())))
    assert {path.name for path in commands.folder.iterdir()} == {"good_decisions", "good_outcomes", "pid"}


def test_a_command_beyond_its_deadline_is_ended(commands: Commands) -> None:
    runner = commands.runner("import time; time.sleep(600)", deadline=0.6)
    with commands.failing("did not end within its deadline of 0.6 seconds", final=False):
        runner.run(TASK, nothing)


def test_garbage_ends_a_command_that_goes_on(commands: Commands) -> None:
    with commands.failing("hello", final=True):
        commands.run(MESSAGES + "write('hello\\n')\nimport time; time.sleep(600)")


def test_a_command_says_whether_it_plays_scenarios() -> None:
    window = HistoricalWindow(name="crash", about="", start=date(2020, 3, 2), end=date(2020, 3, 13))
    one, other = (CommandRunner(CommandConfig(command=("x",), scenarios=plays), Limits()) for plays in (True, False))
    assert one.unsupported(window) is None
    assert other.unsupported(window) == (
        "command 'x' is not said to play scenarios: its `scenarios` is false, 'crash' is left out"
    )
