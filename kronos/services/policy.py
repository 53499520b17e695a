"""Load the observation policy."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from kronos.core.policy import ObservationPolicy
from kronos.errors import BadValue


def load_policy(path: Path | None) -> ObservationPolicy:
    """Parse the JSON policy file at `path`; None gives the defaults. Unknown keys are refused."""
    if path is None:
        return ObservationPolicy()
    try:
        policy = ObservationPolicy.model_validate_json(path.read_text())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise BadValue(f"KRONOS_POLICY {path}: {where}", first["input"], first["msg"]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadValue("KRONOS_POLICY", str(path), f"a readable policy file ({error})") from error
    if policy.backtests.runners:
        # only who names runners loads them
        from kronos.services.runners import parsed_runners

        parsed_runners(policy.backtests.runners)
    return policy
