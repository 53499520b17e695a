"""Advisory file locks: the kernel drops them with the process, so a killed holder never blocks anyone."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kronos.errors import DatabaseUnavailable

_POLL_S = 0.02


def try_lock(path: Path) -> int | None:
    """Descriptor holding the lock on a file (created if missing), or None while someone else holds it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DatabaseUnavailable(f"the lock {path} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock."""
    descriptor = try_lock(path)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


@contextmanager
def closing_fd(descriptor: int) -> Iterator[None]:
    """Close the descriptor after the block, which gives up its lock."""
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def exclusive(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold the lock for the block, waiting for other holders up to the timeout."""
    deadline = time.monotonic() + timeout_s
    while (descriptor := try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise DatabaseUnavailable(f"another process has held {path} for {timeout_s:.0f} s: is it stuck?")
        time.sleep(_POLL_S)
    with closing_fd(descriptor):
        yield
