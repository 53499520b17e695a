"""A comparison as stored rows, and the rows that must not be stored."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from kronos.core.frames import COMPARISON_ROWS, conform
from kronos.core.reports.comparison_model import ConfigComparison
from kronos.core.reports.comparison_rows import comparison_rows, unjudged_configs, unsound_comparisons
from kronos.core.reports.comparison_trials import Ledger
from kronos.core.scheduling.periods import Cadence, period_of
from kronos_tests.core.reports.comparison_worlds import books, compare, record

MONTH = period_of(Cadence.MONTHLY, date(2010, 12, 1))
CONFIGS = ("incumbent", "shifted", "bad", "copy")


@pytest.fixture(scope="module")
def found() -> ConfigComparison:
    return compare(record({name: books()[name] for name in CONFIGS}), ledger=Ledger(9, {}))


@pytest.fixture(scope="module")
def rows(found: ConfigComparison) -> pl.DataFrame:
    return conform(comparison_rows(found, MONTH, "READY"), COMPARISON_ROWS, "rows")


def decided(*configs: str) -> pl.DataFrame:
    names = {"config_id": list(configs), "period": [MONTH.key] * len(configs)}
    return pl.DataFrame(names).select("period", pl.lit("PORTFOLIO").alias("engine_name"), "config_id")


def test_rows_say_what_the_comparison_says(found: ConfigComparison, rows: pl.DataFrame) -> None:
    for cell in found.cells:
        (row,) = rows.filter(config_id=cell.config_id, slice=cell.slice).to_dicts()
        verdict = found.verdict(cell.config_id)
        assert (row["difference"], row["low"], row["n"], row["eligible"]) == (
            cell.difference, cell.low, cell.n, cell.eligible,
        )  # fmt: skip
        assert (row["class"], row["undefined"]) == (verdict.label, cell.reason)
        assert (row["trials"], row["label"], row["month"]) == (9, "READY", "2010-12")


def test_every_config_has_an_overall_row(rows: pl.DataFrame) -> None:
    assert sorted(rows.filter(slice="overall")["config_id"]) == sorted(CONFIGS)
    assert rows.filter(config_id="incumbent")["class"].to_list() == ["INCUMBENT"]


def test_without_an_incumbent_there_are_rows_too() -> None:
    nobody = comparison_rows(compare(record(books()), incumbent=None), MONTH, "READY")
    assert nobody.select("slice", "undefined", "incumbent").unique().rows() == [("overall", "NO_INCUMBENT", None)]
    assert unsound_comparisons(nobody.lazy()).passed
    assert unjudged_configs(nobody.lazy(), decided(*books())).passed


def test_stored_comparisons_are_sound_and_complete(rows: pl.DataFrame) -> None:
    assert unsound_comparisons(rows.lazy()).passed and unsound_comparisons(rows.lazy()).checked == 4
    assert unjudged_configs(rows.lazy(), decided(*CONFIGS)).passed


FLAWS = {
    "row twice": lambda rows: pl.concat([rows, rows.filter(config_id="bad").head(1)]),
    "several classes": lambda rows: changed(rows, "class", pl.lit("ROBUST"), pl.col("slice") != "overall"),
    "unknown class": lambda rows: changed(rows, "class", pl.lit("GOOD"), pl.lit(True)),
    "no overall row": lambda rows: rows.filter(pl.col("slice") != "overall"),
    "neither difference nor reason": lambda rows: changed(rows, "difference", None, pl.col("slice") == "overall"),
    "undecided without a reason": lambda rows: changed(rows, "reason", None, pl.lit(True)),
}


def changed(rows: pl.DataFrame, name: str, value: pl.Expr | None, where: pl.Expr) -> pl.DataFrame:
    return rows.with_columns(pl.when(where).then(value).otherwise(name).alias(name))


@pytest.mark.parametrize("flaw", FLAWS)
def test_rows_that_contradict_each_other_are_found(rows: pl.DataFrame, flaw: str) -> None:
    broken = unsound_comparisons(FLAWS[flaw](rows).lazy()).broken
    assert flaw in set(broken["flaws"].explode())


@pytest.mark.parametrize(
    ("configs", "flaw"),
    [
        ((*CONFIGS, "forgotten"), "decided, and has no class"),
        (("incumbent", "shifted", "bad"), "has a class, and never decided"),
    ],
)
def test_who_was_left_out_or_made_up_is_found(rows: pl.DataFrame, configs: tuple[str, ...], flaw: str) -> None:
    assert unjudged_configs(rows.lazy(), decided(*configs)).broken["flaw"].to_list() == [flaw]


def test_an_engine_without_its_incumbents_row_is_found(rows: pl.DataFrame) -> None:
    broken = unjudged_configs(rows.filter(pl.col("class") != "INCUMBENT").lazy(), decided(*CONFIGS)).broken
    assert "not one incumbent" in set(broken["flaw"])
