"""Facts to cells against merely scanning the columns needed, and against the same sums in DuckDB.

    python -m benchmarks.cells [--decisions N]

Ratios only: each is measured in a process of its own, on facts generated once into a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

from kronos.core.facts import facts_schema
from kronos.core.frames import REVISIONS, empty, month_of
from kronos.core.policy import ObservationPolicy
from kronos.lake.tables import Lake
from kronos.services.cell_builds import sum_months, worker_processes, workers
from kronos.services.pipeline import FACT_TABLES
from kronos.services.refresh import CHUNK_MONTHS
from kronos.store.month_builds import MonthBuild

ROUNDS = 3
HORIZONS = (1, 5, 21)
YEARS = 10
FIRST = date(2010, 1, 4)
CONFIGS = [
    (engine, f"{engine.lower()}-{n:02d}") for engine in ("ASSESSMENT", "PORTFOLIO", "UNIVERSE") for n in range(5)
]
FORECASTERS = 3
"""The first so many configs give probabilities."""
COVERAGE = 0.98
KEYS = ("as_of_date", "engine_name", "config_id", "market_id", "mode", "experiment_id", "decision_known_date")
OF_DECISION = ("weight", "probability", "regime", "stability_bucket", "fragility_bucket")
OF_HORIZON = (
    *("due_date", "eval_date", "known_date", "valid"),
    *("return", "pnl", "event", "hit", "cost", "turnover"),
)
NEEDED = (*KEYS, *OF_DECISION, *(f"{name}_h{h}" for h in HORIZONS for name in OF_HORIZON))
"""Columns of the generated facts that hold anything the cells read."""


def run(decisions: int = 10_000_000) -> dict[str, float]:
    """Seconds, peak memory and ratios for this many decisions."""
    with tempfile.TemporaryDirectory(prefix="kronos-bench-") as folder:
        generate(Path(folder), decisions)
        measured = _measure(Path(folder))
    seconds = {what: took for what, (took, _) in measured.items()}
    return {
        "decisions": decisions,
        **{f"{what}_seconds": took for what, took in seconds.items()},
        "cells_peak_gb": measured["cells"][1],
        "cells_to_scan": seconds["cells"] / seconds["scan"],
        "cells_to_duckdb": seconds["cells"] / seconds["duckdb"],
    }


def generate(folder: Path, decisions: int) -> None:
    """Ten years of wide facts in the lake's layout."""
    lake, rng = Lake(str(folder)), np.random.default_rng(7)
    days = pl.date_range(FIRST, FIRST.replace(year=FIRST.year + YEARS), eager=True)
    days = days.filter(days.dt.weekday() < 6)
    lake.write_months("superseded_facts", empty(REVISIONS), [f"{FIRST:%Y-%m}"])
    for (month,), part in days.to_frame("as_of_date").group_by(month_of().alias("month"), maintain_order=True):
        facts = _facts(part["as_of_date"], decisions // len(days), rng)
        lake.write_months("decision_facts", facts, [str(month)])


def _facts(days: pl.Series, per_day: int, rng: np.random.Generator) -> pl.DataFrame:
    """Facts of all configs on these days, sorted as the lake sorts them."""
    count = len(days) * per_day
    config = np.sort(rng.integers(0, len(CONFIGS), (len(days), per_day)), axis=1).ravel()
    buckets = pl.Series(["VERY_LOW", "LOW", "MEDIUM", "HIGH", "UNKNOWN"])
    names = pl.DataFrame(CONFIGS, schema=["engine_name", "config_id"], orient="row")[config]
    frame = names.with_columns(
        as_of_date=days.gather(np.repeat(np.arange(len(days)), per_day)),
        weight=rng.random(count),
        probability=np.where(config < FORECASTERS, rng.random(count), np.nan),
        stability_bucket=buckets.gather(rng.integers(0, 5, count)),
        fragility_bucket=buckets.gather(rng.integers(0, 5, count)),
        market_id=pl.lit("US_EQ"),
        mode=pl.lit("LIVE"),
        experiment_id=pl.lit(""),
    )
    frame = frame.with_columns(
        month=month_of(),
        decision_known_date=pl.col("as_of_date"),
        regime=pl.format("R{}", pl.col("as_of_date").dt.ordinal_day() // 40 % 4),
        decision_id=pl.format("{}-{}", "as_of_date", pl.int_range(pl.len()) + 10_000_000),
    )
    frame = frame.with_columns(column for h in HORIZONS for column in _outcomes(h, config, rng))
    schema = facts_schema(HORIZONS)
    missing = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in schema.items() if name not in frame.columns]
    frame = frame.with_columns(pl.col(pl.Float64).fill_nan(None), *missing)
    return frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())


def _outcomes(h: int, config: np.ndarray, rng: np.random.Generator) -> list[pl.Expr]:
    count = len(config)
    valid = rng.random(count) < COVERAGE
    earned = np.where(valid, rng.normal(0, 0.01, count), np.nan)
    due = pl.col("as_of_date") + pl.duration(days=h)
    came = pl.when(pl.lit(pl.Series(valid))).then(due)
    values = {
        "return": earned,
        "pnl": earned * 1e6,
        "event": np.where(valid & (config < FORECASTERS), earned > 0, np.nan),
        "hit": np.where(valid, earned > 0, np.nan),
        "cost": np.where(valid, 1e-4, np.nan),
        "turnover": np.where(valid, rng.random(count), np.nan),
        "valid": valid,
    }
    dates = {"due_date": due, "eval_date": came, "known_date": came}
    columns = dates | {name: pl.lit(pl.Series(value)) for name, value in values.items()}
    return [column.alias(f"{name}_h{h}") for name, column in columns.items()]


def scan(folder: Path) -> float:
    """Decode the needed columns, a month at a time, and drop them."""
    for file in sorted(folder.glob("decision_facts/month=*/*.parquet")):
        pl.read_parquet(file, columns=list(NEEDED))
    return 0.0


def cells(folder: Path) -> float:
    """What a refresh does between the lake's facts and its writing of cells, calibration and confusion included.

    Returns the gigabytes that its processes held at most, all together.
    """
    lake = Lake(str(folder))
    marks = {table: lake.mark(table) or "" for table in FACT_TABLES}
    builds = [MonthBuild(month, "", "", marks) for month in lake.months("decision_facts")]
    chunks = [builds[n : n + CHUNK_MONTHS] for n in range(0, len(builds), CHUNK_MONTHS)]
    with worker_processes(workers()) as processes:
        return sum(dict(processes.map(partial(_sum_up, lake), chunks)).values())


def _sum_up(lake: Lake, chunk: Sequence[MonthBuild]) -> tuple[int, float]:
    """The process that adds up writes, so cells do not leave it: its number and its peak so far."""
    sum_months(lake, ObservationPolicy(), chunk)
    return os.getpid(), _peak_gb()


LABELS = ("regime", "stability_bucket", "fragility_bucket")
SQL_KEYS = ", ".join([*KEYS, *(f"due_date_h{h}" for h in HORIZONS)])


def duckdb_sums(folder: Path) -> float:
    """The same measures of the same three cubes over the same files, in the fastest SQL found.

    One pass over all horizons by book and all labels, rolled up into each cube: a statement per horizon and cube, or
    grouping sets, take longer.
    """
    connection = duckdb.connect()
    files = f"read_parquet('{folder}/decision_facts/month=*/*.parquet')"
    for h in HORIZONS:
        connection.sql(_duckdb_calibration(files, h)).pl()
    sums = {f"{name}_h{h}": value for h in HORIZONS for name, value in _duckdb_measures(h).items()}
    added = ", ".join(f"{value} AS {name}" for name, value in sums.items())
    connection.sql(
        f"CREATE TEMP TABLE joint AS SELECT {SQL_KEYS}, {', '.join(LABELS)}, {added} FROM {files} GROUP BY ALL"
    )
    rolled = ", ".join(f"sum({name}) AS {name}" for name in sums)
    for label in LABELS:
        connection.sql(f"SELECT {SQL_KEYS}, {label}, {rolled} FROM joint GROUP BY ALL").pl()
    return 0.0


def _duckdb_measures(h: int) -> dict[str, str]:
    """Due and valid rows fall together in the generated facts, which spares DuckDB the second grouping."""
    p, forecast = (
        "greatest(1e-15, least(1 - 1e-15, probability))",
        f"probability IS NOT NULL AND event_h{h} IS NOT NULL",
    )
    return {
        "due": f"count(due_date_h{h})",
        "valid": f"count(*) FILTER (valid_h{h})",
        "weight_due": f"sum(weight) FILTER (due_date_h{h} IS NOT NULL)",
        "returns": f"count(return_h{h})",
        "weight_returned": f"sum(weight) FILTER (return_h{h} IS NOT NULL)",
        "weighted_return": f"sum(weight * return_h{h})",
        "pnl": f"sum(pnl_h{h})",
        "pnl_abs": f"sum(abs(pnl_h{h}))",
        "pnl_n": f"count(pnl_h{h})",
        "hits": f"count(*) FILTER (hit_h{h} = 1)",
        "ties": f"count(*) FILTER (hit_h{h} > 0 AND hit_h{h} < 1)",
        "eligible": f"count(*) FILTER (hit_h{h} IN (0, 1))",
        "cost": f"sum(cost_h{h})",
        "turnover": f"sum(turnover_h{h})",
        "brier": f"sum((probability - event_h{h}) ** 2)",
        "log_loss": f"sum(-(event_h{h} * ln({p}) + (1 - event_h{h}) * ln(1 - {p}))) FILTER ({forecast})",
        "forecasts": f"count(*) FILTER ({forecast})",
    }


def _duckdb_calibration(files: str, h: int) -> str:
    return f"""
        SELECT as_of_date, due_date_h{h}, greatest(due_date_h{h}, decision_known_date) AS known_date,
            engine_name, config_id, market_id, mode, experiment_id, regime,
            CASE WHEN probability <= 0 THEN 0 WHEN probability >= 1 THEN 1023
                ELSE 1 + least(floor(probability * 1022), 1021) END AS bin,
            count(*) AS n, sum(probability) AS sum_p, sum(probability ** 2) AS sum_p2,
            sum(event_h{h}) AS sum_y, sum(event_h{h} ** 2) AS sum_y2
        FROM {files} WHERE probability IS NOT NULL AND event_h{h} IS NOT NULL GROUP BY ALL
    """


WORK: dict[str, Callable[[Path], float]] = {"scan": scan, "cells": cells, "duckdb": duckdb_sums}


def _measure(folder: Path) -> dict[str, tuple[float, float]]:
    """Seconds (the best of several rounds) and peak gigabytes of each kind of work, a fresh process each.

    Rounds, so that whatever else the machine does meets all kinds of work alike.
    """
    rounds = [{what: _child(what, folder) for what in WORK} for _ in range(ROUNDS)]
    return {what: (min(done[what][0] for done in rounds), max(done[what][1] for done in rounds)) for what in WORK}


def _child(what: str, folder: Path) -> tuple[float, float]:
    command = [sys.executable, "-m", "benchmarks.cells", "--work", what, "--folder", str(folder)]
    took, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(took), float(peak)


def _work(what: str, folder: Path) -> None:
    began = time.perf_counter()
    beside = WORK[what](folder)
    took = time.perf_counter() - began
    print(took, _peak_gb() + beside)


def _peak_gb() -> float:
    """Of this process; getrusage would tell its starter's where that was larger."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**20


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=10_000_000)
    parser.add_argument("--work", choices=sorted(WORK), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        _work(arguments.work, arguments.folder)
        return
    for name, value in run(arguments.decisions).items():
        print(f"{name:20s} {value:12.3f}")


if __name__ == "__main__":
    main()
