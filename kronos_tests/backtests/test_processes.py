"""Child processes: limits, waiting, and that nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kronos.backtests.launcher import CANNOT_START
from kronos.backtests.processes import Limits, ending, start
from kronos.errors import BacktestFailed
from kronos_tests.backtests.children import Stopped, StopsOnce, gone, nothing, python, until

GENTLE = Limits(nice=11)
FAMILY = """
import os, signal, sys, time
from pathlib import Path
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(sys.argv[1]).write_text(f"{os.getppid()} {os.getpid()}")
time.sleep(600)
"""
"""Writes its own process id and that of a child that does not want to end."""
PARENT = """
import sys, time
from pathlib import Path
from kronos.backtests.processes import Limits, start
start(sys.argv[1:], Limits())
time.sleep(600)
"""


def family(note: Path) -> list[str]:
    """The command of FAMILY with the file it writes to."""
    return [*python(FAMILY), str(note)]


def pids(note: Path) -> list[int]:
    """What FAMILY wrote, once it is there."""
    assert until(lambda: note.exists() and len(note.read_text().split()) == 2)
    return [int(word) for word in note.read_text().split()]


def test_a_command_runs_to_its_exit_code_and_its_words_are_kept() -> None:
    program = "import sys; print('to stdout', flush=True); print('to stderr', file=sys.stderr); sys.exit(3)"
    with start(python(program), GENTLE) as child:
        assert child.wait(nothing) == 3
    assert child.said.text() == "to stdout\nto stderr"


def test_only_the_end_of_what_a_noisy_command_says_is_kept() -> None:
    with start(python("for n in range(200_000): print(n)"), GENTLE) as child:
        assert child.wait(nothing) == 0
    assert child.said.text().endswith("199998\n199999") and len(child.said.text()) <= 4_000


def test_a_command_leads_a_session_of_its_own_niced_without_stdin() -> None:
    program = "import os, sys; print(os.getsid(0) == os.getpgrp() == os.getpid(), os.nice(0), repr(sys.stdin.read()))"
    with start(python(program), GENTLE) as child:
        child.wait(nothing)
    assert child.said.text() == f"True {max(11, os.nice(0))} ''"


def test_a_command_has_no_child_it_did_not_start_and_no_descriptor_of_ours() -> None:
    program = """
import os
try: os.waitpid(-1, 0)
except ChildProcessError: print('no child')
for number in range(3, 100):
    try: os.fstat(number)
    except OSError: continue
    print('open:', number)
"""
    with start(python(program), GENTLE) as child:
        child.wait(nothing)
    assert child.said.text() == "no child"


def test_a_command_that_holds_more_than_it_may_is_ended_and_told_so() -> None:
    program = "held = b'x' * (400 << 20); import time; time.sleep(60)"
    with start(python(program), Limits(memory_mb=200)) as child, pytest.raises(BacktestFailed, match="at most 200 MB"):
        child.wait(nothing)
    assert child.process.returncode is not None


def test_memory_that_is_reserved_and_never_touched_does_not_count() -> None:
    program = "import mmap; held = mmap.mmap(-1, 4 << 30); import time; time.sleep(1)"
    with start(python(program), Limits(memory_mb=200)) as child:
        assert child.wait(nothing) == 0


def test_a_command_is_the_first_to_go_when_memory_runs_out() -> None:
    with start(python("print(open('/proc/self/oom_score_adj').read())"), GENTLE) as child:
        child.wait(nothing)
    assert child.said.text() == "1000"


def test_a_command_that_does_not_exist_says_so() -> None:
    with start(["/no/such/command"], GENTLE) as child:
        assert child.wait(nothing) == CANNOT_START
    assert "'/no/such/command' cannot be started" in child.said.text()


def test_environment_and_folder_are_added(tmp_path: Path) -> None:
    program = "import os; print(os.environ['NEW'], os.getcwd(), 'PATH' in os.environ)"
    with start(python(program), GENTLE, environment={"NEW": "here"}, folder=tmp_path) as child:
        child.wait(nothing)
    assert child.said.text() == f"here {tmp_path} True"


def test_a_command_started_to_talk_is_talked_with() -> None:
    program = "import sys; [print(line.strip()[::-1], flush=True) for line in sys.stdin]; print('bye', file=sys.stderr)"
    with start(python(program), GENTLE, talks=True) as child:
        assert child.process.stdin is not None and child.process.stdout is not None
        child.process.stdin.write(b"abc\n")
        child.process.stdin.flush()
        assert child.process.stdout.readline() == b"cba\n"
        child.process.stdin.close()
        assert child.wait(nothing) == 0
    assert child.said.text() == "bye"


def test_watch_is_asked_while_a_command_runs_and_its_exception_ends_the_whole_group(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    watch = StopsOnce(lambda: watch.asked > 1 and note.exists())
    with pytest.raises(Stopped), start(family(note), GENTLE) as child:
        child.wait(watch)
    assert all(until(lambda pid=pid: gone(pid)) for pid in pids(note))


def test_what_a_command_left_running_ends_with_it(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    with start(family(note), GENTLE) as child:
        leader, left = pids(note)
        os.kill(leader, signal.SIGKILL)
        assert child.wait(nothing) == -signal.SIGKILL
        assert not gone(left)
    assert until(lambda: gone(left))


def test_ending_twice_is_ending_once() -> None:
    child = start(python("import time; time.sleep(600)"), GENTLE)
    child.end()
    child.end()
    assert child.process.returncode == -signal.SIGTERM


def test_a_command_does_not_outlive_a_parent_that_was_killed(tmp_path: Path) -> None:
    """SIGKILL runs no finally: the group notices by itself."""
    note = tmp_path / "pids"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, *family(note)])
    everyone = pids(note)
    parent.kill()
    parent.wait()
    assert all(until(lambda pid=pid: gone(pid)) for pid in everyone)


@pytest.mark.parametrize(
    ("code", "words"), [(0, "exit code 0"), (3, "exit code 3"), (-9, "signal SIGKILL"), (-99, "signal 99")]
)
def test_a_return_code_has_words(code: int, words: str) -> None:
    assert ending(code) == words
