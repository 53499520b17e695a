"""What an approval is of: its content and the digest that binds it.

The database decides by its own definition (`kronos.approval_content` and `kronos.approval_digest` of
sql/migrations/0018); this is the same in Python, so that a digest can be recomputed from what it is said to be of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kronos.core.canonical import canonical_hash, canonical_json


@dataclass(frozen=True, kw_only=True)
class ApprovalSubject:
    """One verdict beside what is in force: everything that must still be so when the config goes live.

    incumbent None: nothing is active yet, and every parameter counts as changed. evidence_digest: of what was judged.
    policy_digest: of the gate policy in force, None while there is none.
    """

    experiment_id: str
    engine_name: str
    scope: str
    proposed_config_id: str
    proposed_body: Mapping[str, Any]
    incumbent: str | None
    incumbent_body: Mapping[str, Any] | None
    evidence_digest: str
    policy_digest: str | None


def config_changes(base: Mapping[str, Any], proposed: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The differing parameters as `{"path": [...], "base": ..., "proposed": ...}`, in the order of their paths.

    Objects are compared member by member, lists as a whole, both by canonical JSON. `base` or `proposed` is left out
    where that body lacks the parameter: not the same as null. Empty for equal bodies.
    """
    return sorted(_differing([], base, proposed), key=lambda one: canonical_json(one["path"]))


def approval_content(subject: ApprovalSubject) -> dict[str, Any]:
    """What the approver is shown and the digest is of."""
    return {
        "experiment_id": subject.experiment_id,
        "engine_name": subject.engine_name,
        "scope": subject.scope,
        "proposed_config_id": subject.proposed_config_id,
        "proposed_hash": canonical_hash(subject.proposed_body),
        "incumbent": subject.incumbent,
        "changes": config_changes(subject.incumbent_body or {}, subject.proposed_body),
        "evidence_digest": subject.evidence_digest,
        "policy_digest": subject.policy_digest,
    }


def approval_digest(subject: ApprovalSubject) -> str:
    """SHA-256 of the content's canonical JSON, 64 hex digits."""
    return canonical_hash(approval_content(subject))


def _differing(path: list[str], base: Any, proposed: Any) -> Iterator[dict[str, Any]]:
    for key in base.keys() | proposed.keys():
        inner = [*path, key]
        if isinstance(base.get(key), Mapping) and isinstance(proposed.get(key), Mapping):
            yield from _differing(inner, base[key], proposed[key])
            continue
        sides = {"base": base, "proposed": proposed}
        held = {name: side[key] for name, side in sides.items() if key in side}
        if len(held) < 2 or canonical_json(held["base"]) != canonical_json(held["proposed"]):
            yield {"path": inner, **held}
