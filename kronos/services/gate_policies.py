"""The gate policy in force, and new versions of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kronos.core.changes.request import text
from kronos.core.gates.policy import GatePolicy, parse_gate_policy
from kronos.services.refused import refusals_logged
from kronos.services.workplace import Workplace
from kronos.store.database import Database, Role
from kronos.store.gate_policies import GatePolicyVersion, begin_policy, policy_history, policy_in_force, set_policy


@dataclass(frozen=True)
class PolicyInForce:
    """A policy, parsed, and the version it is."""

    policy: GatePolicy
    version: GatePolicyVersion


def gate_policy(database: Database, engine_name: str) -> PolicyInForce:
    """What an engine is judged by now; at first use the defaults become version 1 for all engines."""
    with database.connect(Role.READER) as session:
        version = policy_in_force(session, engine_name)
    if version is None:
        with database.connect(Role.ORCHESTRATOR) as session:
            begin_policy(session, GatePolicy().model_dump(mode="json"))
            version = policy_in_force(session, engine_name)
    assert version is not None
    return PolicyInForce(parse_gate_policy(version.body), version)


def policy_versions(database: Database, engine_name: str | None = None) -> list[GatePolicyVersion]:
    """Every version, newest first."""
    with database.connect(Role.READER) as session:
        return policy_history(session, engine_name)


def change_gate_policy(
    workplace: Workplace, engine_name: str, body: Mapping[str, Any], reason: str, expected: int
) -> int:
    """Number of the new version of an engine's policy, or of everyone's (`*`), by whose token the workplace holds.

    The body is parsed first: `BadValue` for unknown keys, wrong types and contradictions. `ChangeRefused` unless it
    replaces the expected version (0: the first one).
    """
    parsed, why = parse_gate_policy(body), text("reason", reason)
    with (
        refusals_logged(workplace, "set the gate policy of", engine_name),
        workplace.database.connect(Role.CHANGE_MANAGER) as session,
    ):
        return set_policy(
            session,
            workplace.token,
            engine_name,
            parsed.model_dump(mode="json"),
            expected,
            reason=why,
            code_version=workplace.code_version,
        )
