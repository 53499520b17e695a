"""The change log's own check, and the roots that are kept outside the database so that its end cannot be cut off."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kronos.core.changes.chain import GENESIS, Entry, Root, Verified, verify
from kronos.errors import BadValue
from kronos.services.identifiers import by_prefix
from kronos.store.change_log import entries, newest_entries, subjects
from kronos.store.database import Database, Role

ROOTS = "roots.jsonl"


@dataclass(frozen=True)
class Audit:
    """A verification, the roots it was held against, and whether its end was kept as a new root."""

    verified: Verified
    roots: int
    sealed: bool

    @property
    def proven(self) -> bool:
        """Not where there are entries and no root: whoever owns the database could have rewritten all of them."""
        return self.verified.broken is None and (self.roots > 0 or self.verified.entries == 0)


def audit_folder(home: Path) -> Path:
    """Where the roots lie: beside the database, not in it. Copy it elsewhere to be safe from whoever owns the home."""
    return home / "audit"


def verify_log(database: Database, folder: Path) -> Audit:
    """Follow the whole chain and hold it against every root kept so far."""
    roots = kept_roots(folder)
    with database.connect(Role.READER) as session:
        return Audit(verify(entries(session), roots), len(roots), sealed=False)


def seal_log(database: Database, folder: Path) -> Audit:
    """Verify, and keep the end of the chain as a root if it holds and has grown since the last root."""
    audit = verify_log(database, folder)
    root = audit.verified.root
    if audit.verified.broken or root.hash == GENESIS or root in kept_roots(folder):
        return audit
    _keep(folder, root)
    return Audit(audit.verified, audit.roots + 1, sealed=True)


def keep_end(database: Database, folder: Path) -> bool:
    """Keep the newest entry as a root if it is not the last root; whether it was kept.

    Held against the last root alone, not the whole chain: cheap enough for every minute, so that what was decided
    cannot be cut off unseen for longer. `BadValue` when the log does not hold that root, as after its end was cut off:
    another log's end is no root of this one.
    """
    kept = kept_roots(folder)
    with database.connect(Role.READER) as session:
        newest = newest_entries(session, 1)
        since = newest[0].entry_id - kept[-1].entry_id if newest and kept else 0
        held = newest_entries(session, since + 1) if since > 0 else newest
    ends = [Root(one.entry_id, one.hash) for one in held]
    if kept and ends[:1] != kept[-1:]:
        raise BadValue("entry of the change log", kept[-1].entry_id, f"hash {kept[-1].hash}: kronos audit verify")
    if not ends or ends[-1] in kept[-1:]:
        return False
    _keep(folder, ends[-1])
    return True


def kept_roots(folder: Path) -> list[Root]:
    """The roots kept so far, oldest first."""
    path = folder / ROOTS
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_root(f"{path} line {number}", line) for number, line in enumerate(lines, 1)]


def change_entries(database: Database, count: int, subject: str | None = None) -> list[Entry]:
    """The last entries of the log, of one subject (an id, or how it begins) or of all, oldest first."""
    if count < 1:
        raise BadValue("number of entries", count, "at least 1")
    with database.connect(Role.READER) as session:
        if subject is None:
            return newest_entries(session, count)
        return newest_entries(session, count, by_prefix("subject", subject, lambda prefix: subjects(session, prefix)))


def _keep(folder: Path, root: Root) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    line = {"entry_id": root.entry_id, "hash": root.hash, "kept_at": datetime.now(UTC).isoformat()}
    with (folder / ROOTS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _root(where: str, line: str) -> Root:
    try:
        held = json.loads(line)
        return Root(int(held["entry_id"]), str(held["hash"]))
    except (ValueError, KeyError, TypeError) as error:
        raise BadValue(where, line, "a JSON object with entry_id and hash") from error
