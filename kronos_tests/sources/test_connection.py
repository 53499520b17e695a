"""Threads that share a session on the source."""

from __future__ import annotations

from threading import Event, Thread

from kronos.sources.connection import SourceConnection
from kronos.store.database import Database

FETCHES, LONGEST_S = 200, 60


def test_threads_that_share_a_session_all_get_their_rows(database: Database) -> None:
    """Without turns, two statements at once can wait for each other for ever."""
    found: list[int] = []
    with SourceConnection(database.url) as source:

        def read(number: int) -> None:
            found.extend(source.fetch(f"SELECT {number} AS n")["n"].item() for _ in range(FETCHES))

        readers = [Thread(target=read, args=[number], daemon=True) for number in range(3)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(LONGEST_S)
        assert not any(reader.is_alive() for reader in readers)
    assert sorted(found) == [number for number in range(3) for _ in range(FETCHES)]


def test_nobody_reads_inside_anothers_snapshot(database: Database) -> None:
    with SourceConnection(database.url) as source:
        done = Event()

        def read() -> None:
            source.fetch("SELECT 1 AS n")
            done.set()

        reader = Thread(target=read, daemon=True)
        with source.snapshot():
            reader.start()
            assert source.fetch("SELECT 1 AS n").height == 1
            assert not done.wait(0.2)
        assert done.wait(LONGEST_S)
        reader.join(LONGEST_S)
