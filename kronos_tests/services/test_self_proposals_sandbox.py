"""What Kronos proposes of the sandbox, whose PORTFOLIO incumbent is knowingly handicapped."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from kronos.core.policy import ObservationPolicy
from kronos.core.scheduling.periods import Cadence, period_of
from kronos.core.vocabulary import ExperimentStatus
from kronos.lake.tables import Lake
from kronos.sandbox.configs import HANDICAPPED_INCUMBENT
from kronos.sandbox.load import load_history
from kronos.services.config_comparisons import compare_months
from kronos.services.performance import Performance
from kronos.services.pipeline import Pipeline
from kronos.services.refresh import refresh_cells, refresh_facts
from kronos.services.self_proposals import propose_by_kronos
from kronos.services.staleness import stale_cell_months, stale_fact_months
from kronos.services.workplace import Workplace, check_sandbox_config, sandbox_dates
from kronos.settings import Dialect, RecordedBy
from kronos.sources.reader import SourceReader
from kronos.store.clock import sandbox_now
from kronos.store.database import Database

START, UNTIL = date(2010, 1, 4), date(2013, 12, 31)
"""Years in which the handicap is plain. Over 1990 to 2017 it is significant by the test that proposes (p 0.03), while
the interval over all configs and slices includes zero, which the proposal then says."""
OTHERS = ("ASSESSMENT", "REGIME", "STABILITY", "UNIVERSE")


def observed(database: Database, lake: Lake, policy: ObservationPolicy) -> None:
    """Four years of the sandbox, and the comparison of the last month."""
    load_history(database, UNTIL, start=START)
    with SourceReader(database.url, Dialect.SPEC, RecordedBy.RECORDED, policy) as source:
        pipeline = Pipeline(source, lake, database, policy, RecordedBy.RECORDED)
        refresh_facts(pipeline, stale_fact_months(pipeline, UNTIL), today=UNTIL)
        refresh_cells(pipeline, stale_cell_months(pipeline))
        performance = Performance(lake, policy, RecordedBy.RECORDED)
        compare_months(pipeline, performance, [period_of(Cadence.MONTHLY, UNTIL)], sandbox_now(database))


def test_the_handicapped_incumbent_is_proposed_to_be_replaced_and_the_others_are_not(
    database: Database, tmp_path: Path
) -> None:
    """By a config that beats it in every sense: also the interval over all configs and slices excludes zero."""
    policy, lake = ObservationPolicy(), Lake(str(tmp_path / "lake"))
    observed(database, lake, policy)
    workplace = Workplace(database, policy, lambda _: sandbox_dates(database), check_sandbox_config)
    found = propose_by_kronos(workplace, lake, sandbox_now(database))
    (one,) = found.proposed
    assert (one.wanted.engine_name, one.wanted.base_config_id) == ("PORTFOLIO", HANDICAPPED_INCUMBENT)
    assert (one.wanted.config.config_id, one.wanted.ground) == ("portfolio-inverse-volatility", "DOMINATED_INCUMBENT")
    assert one.wanted.cell.low is not None and one.wanted.cell.low > 0.0
    assert one.experiment is not None and one.experiment.status is ExperimentStatus.QUEUED_FOR_BACKTEST
    silent = {(one.engine_name, one.reason.value) for one in found.declined if one.engine_name != "PORTFOLIO"}
    assert silent == {(engine, "NOTHING_BETTER") for engine in OTHERS}
