"""Load the observation policy."""

from __future__ import annotations

from pathlib import Path

from kronos.core.policy import ObservationPolicy
from kronos.errors import BadValue


def load_policy(path: Path | None) -> ObservationPolicy:
    """Parse the JSON policy file at `path`; None gives the defaults. Unknown keys are refused."""
    if path is None:
        return ObservationPolicy()
    try:
        return ObservationPolicy.model_validate_json(path.read_text())
    except (OSError, ValueError) as error:
        raise BadValue("KRONOS_POLICY", str(path), f"a readable policy file ({error})") from error
