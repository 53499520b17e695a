"""Signs, units and tolerances, stated once. Returns are fractions per horizon, net of costs, direction included."""

from __future__ import annotations

from datetime import date
from typing import Final

DECISION_HORIZON: Final = 0
"""Pseudo-horizon of the cells that count decisions themselves, before any outcome."""

DEFAULT_SESSIONS_PER_YEAR: Final = 252
STD_DDOF: Final = 1

FIXED_POINT_SCALE: Final = 2.0**60
"""Floats are summed as round(x * scale) in Int128: threaded sums then give the same bytes every time."""

LARGEST_MAGNITUDE: Final = 1e15
"""A larger number in a source row is quarantined: it could not be summed exactly."""

LARGEST_HORIZON: Final = 2520
"""Ten years of sessions; a longer horizon in a source row is quarantined."""

LONGEST_ID: Final = 200
"""Bytes of an engine, config, market or experiment id; a row with a longer one is quarantined: no index holds it."""

EARLIEST_DATE: Final = date(1900, 1, 1)
"""A source row dated before is a slip of the pen, and quarantined."""

CALIBRATION_BINS: Final = 1024
"""Probability grid: bin 0 holds p = 0, bin 1023 holds p = 1, bins 1..1022 cut (0, 1) equally, left-closed."""

LOG_LOSS_CLIP: Final = 1e-15
PROBABILITY_SUM_TOLERANCE: Final = 1e-6
RECOMPUTATION_TOLERANCE: Final = 1e-9
CONFIDENCE: Final = 0.95

MIN_ANNUALISED_OBSERVATIONS: Final = 60
MIN_INDEPENDENT_OBSERVATIONS: Final = 20
MIN_TAIL_OBSERVATIONS: Final = 100
MIN_COVERAGE: Final = 0.95
TAIL_LEVEL: Final = 0.05

ZERO_TOLERANCE: Final = 1e-12
"""A spread below this fraction of the largest absolute value is rounding noise: the variance is zero."""

ECE_BINS: Final = 10
"""Equal-width bins into which the calibration grid is merged for the expected calibration error."""

IMPROVEMENT_ALPHA: Final = 0.008
"""Family-wise level of the improvement test; simulated false accepts then stay below 1.3 % with 95 % confidence."""

STORED_DIGITS: Final = 12
"""Significant digits of a number that is kept in a verdict: the last ones of a double differ between machines."""
