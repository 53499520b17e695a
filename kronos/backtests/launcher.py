"""What a child process does before it becomes the command it was started for; run as a file, without our packages.

    python -I -S launcher.py LIFELINE NICE COMMAND...

LIFELINE is the reading end of a pipe whose writing end the parent holds. When that closes, which a SIGKILL of the
parent does too, a watchdog left behind in the group ends the group: no command outlives the one that started it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import NoReturn

CANNOT_START = 127
"""Exit code of a command that could not be started, as shells have it."""
GRACE_S = 5.0
"""Between the request to end and the kill."""


def main(lifeline: int, nice: int, command: list[str]) -> NoReturn:
    """Turn into the command: niced, watched, and the first to go when the machine has no memory left."""
    _leave_watchdog(lifeline)
    os.set_inheritable(lifeline, False)
    os.setpriority(os.PRIO_PROCESS, 0, max(nice, os.getpriority(os.PRIO_PROCESS, 0)))
    # Python ignores it, and what is ignored stays so in the command
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    _volunteer()
    try:
        os.execvp(command[0], command)  # noqa: S606 - a list, never through a shell
    except (OSError, ValueError) as error:
        os.write(2, f"{command[0]!r} cannot be started: {error}\n".encode())
    os._exit(CANNOT_START)


def _volunteer() -> None:
    """Tell the kernel, where it listens, to take this process before any other when memory runs out."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 - pathlib costs what else is not imported
            file.write("1000")
    except OSError:
        return


def _leave_watchdog(lifeline: int) -> None:
    """Leave the watchdog to init, so that the command has no child it did not start."""
    between = os.fork()
    if between == 0:
        if os.fork() == 0:
            _watch(lifeline)
        os._exit(0)
    os.waitpid(between, 0)


def _watch(lifeline: int) -> NoReturn:
    """Wait until the parent lets go, then end the group, this process included."""
    for asked in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(asked, signal.SIG_IGN)
    os.dup2(lifeline, 0)
    # an open end here would keep whoever reads the command's output waiting for more
    os.closerange(1, max(3, lifeline + 1))
    os.read(0, 1)
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_S)
    os.killpg(0, signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
