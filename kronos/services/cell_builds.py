"""Cells of a chunk of months, added up and written here, or by a process that waits for nobody's interpreter lock."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Final

import polars as pl

from kronos.core.cells import build_cells
from kronos.core.contributions import columns_needed
from kronos.core.policy import ObservationPolicy
from kronos.errors import WorkerDied
from kronos.lake.tables import Lake
from kronos.services.held_facts import HeldFacts
from kronos.services.pipeline import CELL_TABLES
from kronos.store.month_builds import MonthBuild

MANY_DECISIONS: Final = 1_000_000
"""Decisions from which on processes are worth their start: a second's work."""
MOST_WORKERS: Final = 4
"""Each holds a chunk of cells in memory."""


@dataclass(frozen=True)
class WrittenCells:
    """Rows and marks of the tables of cells that were written."""

    rows: Mapping[str, int]
    marks: Mapping[str, str]


BuildCells = Callable[[Sequence[MonthBuild]], WrittenCells]
"""Writes the cells of these builds of facts."""


def write_cells(lake: Lake, policy: ObservationPolicy, facts: Sequence[MonthBuild]) -> WrittenCells:
    """Add up these builds of facts, and replace the cells of their months."""
    tables = sum_months(lake, policy, facts)
    months = [record.month for record in facts]
    marks = {table: lake.write_months(table, df, months) for table, df in tables.items()}
    return WrittenCells({table: df.height for table, df in tables.items()}, marks)


def sum_months(lake: Lake, policy: ObservationPolicy, facts: Sequence[MonthBuild]) -> dict[str, pl.DataFrame]:
    """Cells of months, a batch of months at a time."""
    held = HeldFacts(lake)
    batches = [build_cells(held.read(records, columns_needed), policy) for records in held.batches(facts)]
    tables = ([batch.cells, batch.calibration, batch.confusion] for batch in batches)
    return dict(zip(CELL_TABLES, map(pl.concat, zip(*tables, strict=True)), strict=True))


@dataclass(frozen=True)
class CellBuilder:
    """Builds so many chunks at a time."""

    build: BuildCells
    at_once: int = 1


@contextmanager
def cell_builder(lake: Lake, policy: ObservationPolicy, decisions: int) -> Iterator[CellBuilder]:
    """For so many decisions in all: this process, or processes of its own that end with the `with` block."""
    at_once = workers()
    if at_once == 1 or decisions < MANY_DECISIONS:
        yield CellBuilder(partial(write_cells, lake, policy))
        return
    with worker_processes(at_once) as processes:

        def build(facts: Sequence[MonthBuild]) -> WrittenCells:
            try:
                return processes.submit(write_cells, lake, policy, facts).result()
            except BrokenProcessPool as error:
                raise WorkerDied([record.month for record in facts]) from error

        yield CellBuilder(build, at_once)


def workers() -> int:
    """How many processes this machine has room for."""
    return min(os.cpu_count() or 1, MOST_WORKERS)


def worker_processes(count: int) -> ProcessPoolExecutor:
    """Processes that end with this one, however it ends."""
    # spawned: a fork of a process with threads can hang
    return ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_follow_parent)


def _follow_parent() -> None:
    """Leave Ctrl-C to the parent, and end when it ends, killed or not."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None  # as this is a child
    parent.join()
    os._exit(1)
