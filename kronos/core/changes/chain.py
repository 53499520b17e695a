"""The change log's hash chain: recompute it, and say where it first breaks.

The database writes each entry's hash (sql/migrations/0010); this is the same definition, read from the rows alone, so
that whoever can write the table cannot also vouch for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final

GENESIS: Final = "0" * 64
"""What the first entry holds as the hash before it."""


@dataclass(frozen=True)
class Entry:
    """One transition as the log holds it; lake_version and detail are JSON, as the database's own text.

    logged_at: UTC, to the microsecond. from_status None: the subject came into being. acted_as: the database role.
    """

    entry_id: int
    subject: str
    subject_id: str
    from_status: str | None
    to_status: str
    author: str
    acted_as: str
    logged_at: datetime
    evidence: str | None
    run_id: str | None
    lake_version: str | None
    code_version: str | None
    detail: str
    previous_hash: str
    hash: str


@dataclass(frozen=True)
class Root:
    """The chain's end at some time, kept outside the database: what was logged by then can no longer be taken back."""

    entry_id: int
    hash: str


class Damage(StrEnum):
    """What a broken link shows."""

    EDITED = "EDITED"  # an entry's content does not give its hash
    MISSING = "MISSING"  # numbers are left out: entries were removed
    INSERTED = "INSERTED"  # an entry or its place does not follow the one before: inserted, repeated or reordered
    TRUNCATED = "TRUNCATED"  # the log ends before a root
    REWRITTEN = "REWRITTEN"  # the chain holds together, but not with a root


@dataclass(frozen=True)
class BrokenLink:
    """The first entry at which the log is not what was written."""

    damage: Damage
    entry_id: int
    detail: str


@dataclass(frozen=True)
class Verified:
    """What verification found: the number of entries that hold, the last one's root, and the first broken link."""

    entries: int
    root: Root
    broken: BrokenLink | None


def digest(entry: Entry) -> str:
    """SHA-256 of the entry and the hash before it, 64 hex digits."""
    return sha256(_chain_text(_fields(entry)).encode()).hexdigest()


def verify(entries: Iterable[Entry], roots: Sequence[Root] = ()) -> Verified:
    """Follow the chain from its first entry; entries in the order of their numbers, roots in any order.

    An empty log is whole unless a root says that it was not empty.
    """
    expected = {root.entry_id: root.hash for root in roots}
    count, head = 0, Root(0, GENESIS)
    broken: BrokenLink | None = _contradictory(roots)
    for entry in () if broken else entries:
        broken = _broken_at(entry, head) or _against_root(entry, expected)
        if broken:
            break
        count, head = count + 1, Root(entry.entry_id, entry.hash)
    return Verified(count, head, broken or _truncated(head, expected))


def _broken_at(entry: Entry, head: Root) -> BrokenLink | None:
    following = head.entry_id + 1
    if entry.entry_id > following:
        missing = f"entries {following} to {entry.entry_id - 1} are not there"
        return BrokenLink(Damage.MISSING, following, missing)
    if entry.entry_id < following or entry.previous_hash != head.hash:
        return BrokenLink(Damage.INSERTED, entry.entry_id, f"it does not follow entry {head.entry_id}")
    if digest(entry) != entry.hash:
        return BrokenLink(Damage.EDITED, entry.entry_id, "its content does not give its hash")
    return None


def _against_root(entry: Entry, expected: dict[int, str]) -> BrokenLink | None:
    root = expected.get(entry.entry_id, entry.hash)
    if root == entry.hash:
        return None
    return BrokenLink(Damage.REWRITTEN, entry.entry_id, f"its hash is {entry.hash[:12]}, the root kept {root[:12]}")


def _truncated(head: Root, expected: dict[int, str]) -> BrokenLink | None:
    last = max(expected, default=0)
    if last <= head.entry_id:
        return None
    return BrokenLink(Damage.TRUNCATED, head.entry_id + 1, f"the log ends here, a root was taken at entry {last}")


def _contradictory(roots: Sequence[Root]) -> BrokenLink | None:
    seen: dict[int, str] = {}
    for root in roots:
        if seen.setdefault(root.entry_id, root.hash) != root.hash:
            return BrokenLink(Damage.REWRITTEN, root.entry_id, "two roots of this entry differ")
    return None


def _fields(entry: Entry) -> tuple[str | None, ...]:
    return (
        entry.previous_hash,
        str(entry.entry_id),
        entry.subject,
        entry.subject_id,
        entry.from_status,
        entry.to_status,
        entry.author,
        entry.acted_as,
        f"{entry.logged_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z",
        entry.evidence,
        entry.run_id,
        entry.lake_version,
        entry.code_version,
        entry.detail,
    )


def _chain_text(fields: Iterable[str | None]) -> str:
    """Each field with its length in bytes before it ('-' for none), so that no two entries have the same text."""
    return ",".join("-" if field is None else f"{len(field.encode())}:{field}" for field in fields)
