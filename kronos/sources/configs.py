"""Configs as the source has them -> those with a body that can be registered, and what breaks the contract."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Final

import polars as pl

from kronos.core.canonical import canonical_json
from kronos.core.frames import QUARANTINE
from kronos.errors import BadValue
from kronos.sources.rules import Rule, breaches, broken_by_any, ids, on, required, stamped_by
from kronos.sources.tables import Checked
from kronos.store.engine_configs import Misfit

CONFIGS_TABLE: Final = "engine_configs"
"""What the quarantine calls upstream's registry, whatever a dialect keeps bodies in."""
_KEY: Final = ["engine_name", "config_id"]
_BODY: Final = pl.col("config_body")


def checked_configs(raw: pl.DataFrame, today: date) -> Checked:
    """Split the configs that have a body, oldest first of one id; one without (JSON's null is none) is no breach."""
    told = raw.filter(_BODY.str.strip_chars() != "null").with_columns(
        is_object=_BODY.map_elements(_is_object, return_dtype=pl.Boolean), as_of_date=pl.lit(None, pl.Date)
    )
    rules = [
        *required(*_KEY),
        *ids(*_KEY),
        on("config_body", "WRONG_JSON_TYPE", ~pl.col("is_object")),
        stamped_by("created_at", today),
    ]
    sound = told.filter(~broken_by_any(rules)).sort(*_KEY, "created_at", "version", "config_body", nulls_last=True)
    return Checked(sound.select(raw.columns), _breaches(told, rules))


def unregistered(told: pl.DataFrame) -> pl.DataFrame:
    """QUARANTINE rows of configs that could not be registered: engine_name, config_id, and the rule they broke."""
    rules = [Rule(rule.value, pl.col("rule") == rule.value, pl.col("value")) for rule in Misfit]
    return _breaches(told.with_columns(as_of_date=pl.lit(None, pl.Date)), rules)


def unreadable(why: str) -> pl.DataFrame:
    """The QUARANTINE row of a registry that is not what the dialect promises: configs are then known by their ids."""
    row = {"source_table": CONFIGS_TABLE, "source_key": "", "rule": "UNREADABLE", "value": why, "as_of_date": None}
    return pl.DataFrame([row], QUARANTINE)


def _is_object(body: str) -> bool:
    """Whether the text is an object with a canonical form: what has none, such as 1e400, could be read by nobody."""
    try:
        found = json.loads(body)
        return isinstance(found, dict) and canonical_json(found) != ""
    except (BadValue, ValueError, RecursionError):
        return False


def _breaches(told: pl.DataFrame, rules: Sequence[Rule]) -> pl.DataFrame:
    return breaches(told, rules, CONFIGS_TABLE, pl.concat_str(_KEY, separator="/", ignore_nulls=True))
