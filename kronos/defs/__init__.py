"""Dagster definitions, one folder per domain."""

import warnings

# dagster announces its own beta parameters on every import
warnings.filterwarnings("ignore", message=r".*is currently in (beta|preview)")
