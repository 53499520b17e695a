"""The chain alone: any edit, removal, insertion or new order of any log is found, and a cut end against a root."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronos.core.changes.chain import GENESIS, Damage, Entry, Root, digest, verify

T0 = datetime(2020, 1, 1, tzinfo=UTC)
TEXT = st.text(max_size=5)
MAYBE = st.none() | TEXT


def chain(contents: list[tuple[str, str | None]]) -> list[Entry]:
    """A sound log with these authors and runs."""
    found: list[Entry] = []
    for number, (author, run) in enumerate(contents, 1):
        previous = found[-1].hash if found else GENESIS
        at = T0 + timedelta(microseconds=number)
        bare = Entry(
            number, "experiment", "id", None, "PENDING", author, "kronos_orchestrator", at, None, run, None, "1", "{}",
            previous, "",
        )  # fmt: skip
        found.append(replace(bare, hash=digest(bare)))
    return found


LOGS = st.lists(st.tuples(TEXT, MAYBE), min_size=1, max_size=8).map(chain)


@given(LOGS)
def test_a_sound_log_holds(log: list[Entry]) -> None:
    verified = verify(log, [Root(entry.entry_id, entry.hash) for entry in log])
    assert (verified.broken, verified.entries, verified.root.hash) == (None, len(log), log[-1].hash)


@given(LOGS, st.data())
def test_any_edited_field_is_found(log: list[Entry], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(log) - 1))
    texts = [one.name for one in fields(Entry) if one.name not in {"entry_id", "logged_at", "hash", "previous_hash"}]
    name = data.draw(st.sampled_from(texts))
    edited = replace(log[place], **{name: data.draw(MAYBE.filter(lambda new: new != getattr(log[place], name)))})
    broken = verify([*log[:place], edited, *log[place + 1 :]]).broken
    assert broken and (broken.damage, broken.entry_id) == (Damage.EDITED, place + 1)


def test_a_shifted_time_is_found() -> None:
    log = chain([("ann", None)])
    broken = verify([replace(log[0], logged_at=log[0].logged_at + timedelta(microseconds=1))]).broken
    assert broken and broken.damage is Damage.EDITED


@given(LOGS, st.data())
def test_a_removed_entry_is_found_unless_it_is_the_end(log: list[Entry], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(log) - 1))
    broken = verify(log[:place] + log[place + 1 :]).broken
    if place == len(log) - 1:
        assert broken is None
    else:
        assert broken and (broken.damage, broken.entry_id) == (Damage.MISSING, place + 1)


@given(LOGS, st.data())
def test_two_swapped_entries_are_found(log: list[Entry], data: st.DataObject) -> None:
    if len(log) < 2:
        return
    first, second = sorted(data.draw(st.lists(st.integers(0, len(log) - 1), min_size=2, max_size=2, unique=True)))
    swapped = [*log]
    swapped[first] = replace(log[second], entry_id=first + 1)
    swapped[second] = replace(log[first], entry_id=second + 1)
    broken = verify(swapped).broken
    assert broken and (broken.damage, broken.entry_id) == (Damage.INSERTED, first + 1)


@given(LOGS, st.data())
def test_an_inserted_entry_is_found(log: list[Entry], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(log)))
    previous = log[place - 1].hash if place else GENESIS
    forged = replace(log[0], entry_id=place + 1, previous_hash=previous, author="eve, who was never here")
    after = [replace(entry, entry_id=entry.entry_id + 1) for entry in log[place:]]
    found = [*log[:place], replace(forged, hash=digest(forged)), *after]
    broken = verify(found, [Root(log[-1].entry_id, log[-1].hash)]).broken
    # appended, it breaks no link: an entry more is what a log is for
    assert broken is None if place == len(log) else broken is not None


@given(LOGS, st.data())
def test_a_cut_end_is_found_against_a_root(log: list[Entry], data: st.DataObject) -> None:
    kept = data.draw(st.integers(0, len(log) - 1))
    broken = verify(log[:kept], [Root(log[-1].entry_id, log[-1].hash)]).broken
    assert broken and (broken.damage, broken.entry_id) == (Damage.TRUNCATED, kept + 1)


def test_a_chain_made_anew_is_found_against_a_root() -> None:
    root = verify(chain([("ann", None), ("ben", None)])).root
    broken = verify(chain([("eve", None), ("ben", None)]), [root]).broken
    assert broken and (broken.damage, broken.entry_id) == (Damage.REWRITTEN, 2)


def test_roots_that_contradict_each_other_are_found() -> None:
    log = chain([("ann", None)])
    broken = verify(log, [Root(1, log[0].hash), Root(1, "f" * 64)]).broken
    assert broken and broken.damage is Damage.REWRITTEN


def test_an_empty_log_is_whole_unless_a_root_remembers_entries() -> None:
    assert verify([]).broken is None
    broken = verify([], [Root(1, "f" * 64)]).broken
    assert broken and broken.damage is Damage.TRUNCATED


@pytest.mark.parametrize(
    ("one", "other"), [(("a", "b"), ("ab", "")), (("", None), (" ", None)), (("1:a", "b"), ("1:a,1:b", None))]
)
def test_fields_cannot_be_shifted_into_each_other(one: tuple[str, str | None], other: tuple[str, str | None]) -> None:
    assert chain([one])[0].hash != chain([other])[0].hash
