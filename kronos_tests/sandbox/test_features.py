"""Features of short histories."""

from __future__ import annotations

import numpy as np

from kronos.sandbox.features import momentum


def test_momentum_over_less_history_than_its_lookback_is_unknown() -> None:
    """A history shorter than the lookback gives NaN rows, not an error."""
    assert np.isnan(momentum(np.ones((82, 2)), 126, 0)).all()
