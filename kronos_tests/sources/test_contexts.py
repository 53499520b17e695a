"""Context rows: which can matter to a range of decisions, and what bad ones come to."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from kronos.core import frames
from kronos.core.policy import ObservationPolicy
from kronos.settings import Dialect, RecordedBy
from kronos.sources.reader import SourceReader
from kronos.store.database import Database
from kronos_tests.builders import Row, at, decision, fragility, insert, regime, soft_target, stability
from kronos_tests.sources.reading import DAY, TODAY, read_year, reasons

MARCH = (date(2020, 3, 1), date(2020, 3, 31))


def labels(reader: SourceReader) -> list[str]:
    """Regime labels that can matter in March."""
    return reader.contexts(*MARCH).regimes["regime"].to_list()


def test_an_empty_database_gives_empty_frames_of_the_contract(reader: SourceReader) -> None:
    contexts = reader.contexts(*MARCH)
    assert contexts.regimes.schema == frames.REGIMES
    assert contexts.stability.schema == frames.STABILITY
    assert contexts.fragility.schema == frames.FRAGILITY
    assert contexts.soft_targets.schema == frames.SOFT_TARGETS


def test_rows_of_the_range_and_the_last_before_it_are_read(database: Database, reader: SourceReader) -> None:
    days = [date(2019, 1, 2), date(2019, 7, 1), date(2020, 3, 1), DAY, date(2020, 4, 1)]
    rows = [regime(day, str(number)) for number, day in enumerate(days)]
    insert(database, engine_decisions=[decision()], regimes=[*rows, regime(days[0], "old EU", region="EU")])
    assert labels(reader) == ["old EU", "1", "2", "3"]


def test_every_kind_of_context_is_read_for_its_entity(database: Database, reader: SourceReader) -> None:
    insert(
        database,
        engine_decisions=[decision()],
        stability_vectors=[stability(DAY, 0.75, entity=("ISSUER", "E1"))],
        fragility_measures=[fragility(DAY, 0.0)],
        soft_target_classes=[soft_target(DAY, "TARGETABLE")],
    )
    contexts = reader.contexts(*MARCH)
    assert contexts.stability.row(0) == ("ISSUER", "E1", DAY, at(DAY, 6), 0.75)
    assert contexts.fragility["fragility_score"].to_list() == [0.0]
    assert contexts.soft_targets["soft_target_class"].to_list() == ["TARGETABLE"]


def test_before_the_range_what_was_recorded_late_does_not_hide_what_was_known(
    database: Database, reader: SourceReader
) -> None:
    rows = [
        regime(date(2020, 2, 26), "hidden by the 27th"),
        regime(date(2020, 2, 27), "known"),
        regime(date(2020, 2, 28), "late", recorded_at=at(date(2020, 6, 1))),
    ]
    insert(database, engine_decisions=[decision()], regimes=rows)
    assert labels(reader) == ["known", "late"]


def test_before_the_range_a_restatement_comes_with_what_it_replaced(database: Database, reader: SourceReader) -> None:
    last = date(2020, 2, 28)
    rows = [regime(last, "first"), regime(last, "restated", recorded_at=at(date(2020, 6, 1)))]
    insert(database, engine_decisions=[decision()], regimes=rows)
    assert labels(reader) == ["first", "restated"]


def test_a_decision_stamped_before_all_time_does_not_widen_what_is_read(
    database: Database, reader: SourceReader
) -> None:
    rows = [regime(date(2020, 2, 27), "known"), regime(date(2020, 2, 28), "late", recorded_at=at(date(2020, 6, 1)))]
    insert(database, engine_decisions=[decision(), decision("old") | {"timestamp": "-infinity"}], regimes=rows)
    assert labels(reader) == ["known", "late"]


def test_by_as_of_date_alone_the_last_day_before_the_range_counts(database: Database) -> None:
    rows = [regime(date(2020, 2, 27), "a"), regime(date(2020, 2, 28), "b", recorded_at=at(date(2020, 6, 1)))]
    insert(database, engine_decisions=[decision()], regimes=rows)
    with SourceReader(database.url, Dialect.SPEC, RecordedBy.AS_OF_DATE, ObservationPolicy()) as reader:
        assert labels(reader) == ["b"]


def test_a_bad_row_before_the_range_does_not_hide_a_good_one(database: Database, reader: SourceReader) -> None:
    rows = [stability(date(2020, 2, 27), 0.5), stability(date(2020, 2, 28), float("nan"))]
    insert(database, engine_decisions=[decision()], stability_vectors=rows)
    assert reader.contexts(*MARCH).stability["stability_score"].to_list() == [0.5]


@pytest.mark.parametrize(
    ("table", "row", "expected"),
    [
        ("stability_vectors", stability(DAY, 1.01), ("SCORE_RANGE", "stability_score=1.01")),
        ("stability_vectors", stability(DAY, None), ("MISSING_FIELD", "stability_score=null")),
        ("fragility_measures", fragility(DAY, -0.1), ("SCORE_RANGE", "fragility_score=-0.1")),
        ("fragility_measures", fragility(DAY, float("nan")), ("NOT_FINITE", "fragility_score=NaN")),
        ("soft_target_classes", soft_target(DAY, ""), ("MISSING_FIELD", "soft_target_class=")),
        ("regimes", regime(DAY, None), ("MISSING_FIELD", "regime=null")),
        ("regimes", regime(DAY, region=""), ("MISSING_FIELD", "entity_id=")),
    ],
)
def test_a_bad_context_row_is_quarantined_and_not_used(
    database: Database, reader: SourceReader, table: str, row: Row, expected: tuple[str, str]
) -> None:
    insert(database, engine_decisions=[decision()], **{table: [row]})
    batch, contexts = read_year(reader), reader.contexts(*MARCH)
    assert reasons(batch) == [expected]
    assert batch.quarantine["source_table"].to_list() == [table]
    every = (contexts.regimes, contexts.stability, contexts.fragility, contexts.soft_targets)
    assert all(df.is_empty() for df in every)


def test_context_after_today_is_reported(database: Database, reader: SourceReader) -> None:
    insert(database, regimes=[regime(date(2020, 12, 31)), regime(date(2021, 2, 1))])
    assert reader.orphans(TODAY).select("source_table", "source_key", "rule").rows() == [
        ("regimes", "REGION/US/2021-02-01", "FUTURE_DATE")
    ]


def test_contexts_are_sorted_by_entity_day_and_recording(database: Database, reader: SourceReader) -> None:
    rows = [regime(DAY, "late", recorded_at=at(DAY, 9)), regime(DAY, "early"), regime(DAY, region="EU")]
    insert(database, engine_decisions=[decision()], regimes=rows)
    regimes = reader.contexts(*MARCH).regimes
    assert regimes.equals(regimes.sort("region", "as_of_date", "recorded_at"))
    assert regimes.filter(pl.col("region") == "US")["regime"].to_list() == ["early", "late"]
