"""Config bodies of any shape that JSON and Postgres can hold."""

from __future__ import annotations

from hypothesis import strategies as st

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
_NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(_TEXT, _VALUES, max_size=4)
