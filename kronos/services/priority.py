"""How much of the processors this process claims against others."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_THREADS: Final = Path("/proc/self/task")


def lower_priority(nice: int) -> None:
    """Give this process at least this niceness, 0 to 19, for the rest of its life; one that has more keeps it.

    Linux keeps a niceness per thread: those that are there already would go on as before.
    """
    for thread in [int(one.name) for one in _THREADS.glob("*")] or [0]:
        # a thread may end meanwhile
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, thread, max(nice, os.getpriority(os.PRIO_PROCESS, thread)))
