"""One text for one config, however it was written: key order, spaces and 1 or 1.0 make no difference.

`kronos.canonical_json` and `kronos.canonical_hash` in the database are the same definition in SQL; a test holds the two
together.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256

from kronos.errors import BadValue


def canonical_json(value: object) -> str:
    """JSON with keys in code-point order, no spaces, and numbers as plain decimals without trailing zeros.

    value: None, bool, int, finite float, Decimal, str, list, tuple, or a mapping with text keys, nested at will. A key
    with null is not the same as no key; 0.1 + 0.2 is not 0.3; true is not 1. Raises `BadValue` for anything else, for
    NaN, infinity and numbers beyond the largest double, and for text that Postgres cannot hold (NUL, lone surrogates).
    """
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float | Decimal):
        return _number(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_text(key)}:{canonical_json(value[key])}" for key in sorted(value, key=_key)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(canonical_json(member) for member in value) + "]"
    raise BadValue("config", value, "what JSON can hold")


def canonical_hash(config: Mapping[str, object]) -> str:
    """SHA-256 of the canonical JSON, 64 hex digits: equal for equal configs. Names, ids and versions are not part."""
    return sha256(canonical_json(config).encode()).hexdigest()


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise BadValue("config key", key, "text")
    return key


def _text(value: str) -> str:
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value):
        raise BadValue("config text", value, "text without NUL and lone surrogates")
    return json.dumps(value, ensure_ascii=False)


def _number(value: int | float | Decimal) -> str:
    """Plain decimal digits; repr of a float is the shortest text that reads back as the same float."""
    if not _held(value):
        raise BadValue("config number", value, "a finite number that a double holds")
    digits = format(Decimal(repr(value)) if isinstance(value, float) else Decimal(value), "f")
    whole, _, fraction = digits.partition(".")
    fraction = fraction.rstrip("0")
    plain = f"{whole}.{fraction}" if fraction else whole
    return "0" if plain == "-0" else plain


def _held(value: int | float | Decimal) -> bool:
    try:
        return math.isfinite(value)
    except (OverflowError, ValueError):  # a whole number that is too large, a signalling NaN
        return False
