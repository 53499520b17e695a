"""A process gives way with all its threads, and never takes anything back; in a child, since that is for good."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, sys, threading
from pathlib import Path
from kronos.services.priority import lower_priority

over = threading.Event()
threading.Thread(target=over.wait).start()
for nice in sys.argv[1:]:
    lower_priority(int(nice))
threads = [int(one.name) for one in Path("/proc/self/task").iterdir()] if sys.platform == "linux" else [0]
print(*sorted({os.getpriority(os.PRIO_PROCESS, one) for one in threads}))
over.set()
"""


@pytest.mark.parametrize(("asked", "expected"), [(["13"], 13), (["13", "2"], 13), (["2", "19"], 19)])
def test_every_thread_has_the_highest_niceness_asked_for(asked: list[str], expected: int) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *asked], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(max(expected, os.nice(0)))]


def test_what_is_lower_already_stays_so() -> None:
    command = ["nice", "-n", "17", sys.executable, "-c", PROGRAM, "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(min(19, os.nice(0) + 17))]
