"""The quarantine table: whole batches replaced at once."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from kronos.core.frames import QUARANTINE, empty
from kronos.errors import BadValue
from kronos.sources.quarantine import (
    ORPHANS,
    quarantine_counts,
    quarantined,
    replace_months,
    replace_orphans,
)
from kronos.store.database import Database


def bad(rule: str, day: date | None) -> pl.DataFrame:
    """One quarantined decision."""
    return pl.DataFrame([("engine_decisions", "d1", rule, "mode=x", day)], schema=QUARANTINE, orient="row")


def test_rows_are_kept_under_the_month_of_their_day(database: Database) -> None:
    rows = pl.concat([bad("A", date(2020, 3, 2)), bad("A", date(2020, 3, 3)), bad("B", date(2020, 4, 1))])
    replace_months(database, ["2020-03", "2020-04"], rows)
    assert quarantine_counts(database).rows() == [
        ("2020-03", "engine_decisions", "A", 2),
        ("2020-04", "engine_decisions", "B", 1),
    ]
    assert quarantined(database, "2020-04").equals(bad("B", date(2020, 4, 1)))


def test_a_month_read_again_forgets_what_it_held(database: Database) -> None:
    rows = pl.concat([bad("A", date(2020, 3, 2)), bad("A", date(2020, 4, 1))])
    replace_months(database, ["2020-03", "2020-04"], rows)
    replace_months(database, ["2020-03"], empty(QUARANTINE))
    assert quarantine_counts(database)["batch"].to_list() == ["2020-04"]


def test_orphans_have_a_batch_of_their_own(database: Database) -> None:
    replace_orphans(database, pl.concat([bad("A", None), bad("A", date(2020, 3, 2))]))
    replace_months(database, ["2020-03"], empty(QUARANTINE))
    assert quarantine_counts(database).rows() == [(ORPHANS, "engine_decisions", "A", 2)]


def test_a_row_of_another_month_is_refused(database: Database) -> None:
    with pytest.raises(BadValue, match=r"as_of_date has value .*2020, 4, 1.*expected a day of 2020-03"):
        replace_months(database, ["2020-03"], bad("A", date(2020, 4, 1)))


def test_a_failed_replacement_leaves_the_batch_as_it_was(database: Database) -> None:
    replace_months(database, ["2020-03"], bad("A", date(2020, 3, 2)))
    broken = bad("B", date(2020, 3, 2)).with_columns(source_key=pl.lit(None, pl.String))
    with pytest.raises(Exception, match="source_key"):
        replace_months(database, ["2020-03"], broken)
    assert quarantine_counts(database)["rule"].to_list() == ["A"]
