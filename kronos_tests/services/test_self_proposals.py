"""Kronos proposes from stored evidence: the proposal, its experiment and the trials, once, whoever looks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kronos.core.changes.request import KRONOS, EngineDates
from kronos.core.frames import MONITOR_ROWS
from kronos.core.policy import ObservationPolicy, SelfProposalPolicy
from kronos.core.scheduling.periods import Cadence, period_of
from kronos.core.vocabulary import ExperimentStatus, ProposalStatus, TrialSource
from kronos.errors import BadValue, NotFound
from kronos.lake.tables import Lake
from kronos.services.audit import change_entries
from kronos.services.config_comparisons import CONFIG_COMPARISON
from kronos.services.experiments import list_experiments
from kronos.services.pipeline import Pipeline
from kronos.services.proposals import create_proposal, list_proposals
from kronos.services.self_evidence import evidence_mark, repeated
from kronos.services.self_proposals import SelfProposed, propose_by_kronos
from kronos.services.summaries import report_inputs
from kronos.services.workplace import Workplace, any_config
from kronos.settings import RecordedBy
from kronos.store.alerts import close, raise_alert
from kronos.store.database import Database, Role
from kronos.store.engine_configs import activate, register
from kronos.store.trials import count_trials, list_trials
from kronos_tests.core.changes.self_views import NICHES, POLICY, frame, row

NOW = datetime(2020, 7, 10, 22, tzinfo=UTC)
DATA = (date(2001, 1, 1), date(2020, 7, 9))
SPRING = datetime(2019, 1, 1, tzinfo=UTC)
BETTER = [row("new", 4.0), row("new", 0.5, NICHES[0]), row("other", 0.3)]


def workplace_of(database: Database, **proposals: Any) -> Workplace:
    policy = POLICY.model_copy(update={"proposals": SelfProposalPolicy(**proposals)})
    return Workplace(database, policy, lambda _: EngineDates(DATA, DATA), any_config)


def begin(database: Database, engine: str = "PORTFOLIO") -> None:
    """The engine's `old` is active, `new` and `other` are registered."""
    with database.connect(Role.ORCHESTRATOR) as session:
        for name in ("old", "new", "other"):
            words = {"config_id": name, "engine_name": engine, "version": "1", "created_by": "t"}
            register(session, **words, config_body={"name": name}, created_at=SPRING)  # type: ignore[arg-type]
    with database.connect(Role.CHANGE_MANAGER) as session:
        activate(session, engine_name=engine, config_id="old", by="t", reason="t", at=SPRING, expected_incumbent=None)


@pytest.fixture
def workplace(database: Database) -> Workplace:
    begin(database)
    return workplace_of(database)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    yield Lake(str(tmp_path / "lake"))


def stored(lake: Lake, *rows: dict[str, Any], month: str = "2020-06", engine: str = "PORTFOLIO") -> Lake:
    """The lake with this comparison."""
    named = frame(*rows).with_columns(month=pl.lit(month), period=pl.lit(month), engine_name=pl.lit(engine))
    lake.write_months("config_comparison", named, [month])
    return lake


def degrading(lake: Lake, day: date = date(2020, 7, 9)) -> Lake:
    """The lake with a monitor that says the active config degrades."""
    values = {
        "month": day.isoformat()[:7], "period": day.isoformat(), "engine_name": "PORTFOLIO", "scope": "*",
        "config_id": "old", "metric": "return", "state": "DEGRADING", "monitored_from": date(2019, 1, 2),
        "monitored_n": 370, "reference_n": 2000, "largest_e": 30.0, "threshold": 25.0, "alarm_on": date(2020, 5, 4),
    }  # fmt: skip
    rows = pl.DataFrame([{name: values.get(name) for name in MONITOR_ROWS}], schema=MONITOR_ROWS)
    lake.write_months("monitoring", rows, [values["month"]])
    return lake


def reasons(found: SelfProposed) -> list[tuple[str, str | None, str]]:
    return [(one.engine_name, one.config_id, one.reason.value) for one in found.declined]


def test_a_proposal_comes_with_its_queued_experiment(workplace: Workplace, lake: Lake) -> None:
    (one,) = propose_by_kronos(workplace, stored(lake, *BETTER), NOW).proposed
    (proposal,), (experiment,) = list_proposals(workplace.database), list_experiments(workplace.database)
    assert (one.proposal, one.experiment) == (proposal, experiment)
    assert (proposal.created_by, proposal.status) == (KRONOS, ProposalStatus.CONVERTED_TO_EXPERIMENT)
    assert (experiment.status, experiment.priority) == (ExperimentStatus.QUEUED_FOR_BACKTEST, 3)
    assert (experiment.auto_generated, experiment.evidence, experiment.created_by) == (True, "AUTO_PRESCREEN", KRONOS)
    assert experiment.description == one.rationale == proposal.metadata["rationale"]


def test_the_evidence_stays_with_the_proposal(workplace: Workplace, lake: Lake) -> None:
    propose_by_kronos(workplace, stored(lake, *BETTER), NOW)
    (proposal,) = list_proposals(workplace.database)
    held = proposal.metadata
    assert (held["as_of"], held["mined_from"], held["mined_until"]) == ("2020-07-10", "2001-01-01", "2020-06-30")
    assert held["lake"] == {"config_comparison": lake.mark("config_comparison")}
    assert held["evidence"]["difference"]["difference"] == pytest.approx(0.4)


def test_the_log_tells_who_and_why(workplace: Workplace, lake: Lake) -> None:
    (one,) = propose_by_kronos(workplace, stored(lake, *BETTER), NOW).proposed
    log = [entry for entry in change_entries(workplace.database, 10) if entry.subject != "activation"]
    assert [(entry.subject, entry.to_status, entry.author) for entry in log] == [
        ("proposal", "PENDING_REVIEW", KRONOS), ("proposal", "CONVERTED_TO_EXPERIMENT", KRONOS),
        ("experiment", "PENDING", KRONOS), ("experiment", "QUEUED_FOR_BACKTEST", KRONOS),
    ]  # fmt: skip
    assert one.rationale in log[0].detail and "converted by policy" in log[1].detail


def test_policy_may_leave_the_conversion_to_a_person(workplace: Workplace, lake: Lake) -> None:
    (one,) = propose_by_kronos(workplace_of(workplace.database, convert=False), stored(lake, *BETTER), NOW).proposed
    assert one.proposal is not None and one.proposal.status is ProposalStatus.PENDING_REVIEW
    assert (one.experiment, list_experiments(workplace.database)) == (None, [])


def test_looking_again_proposes_nothing_more(workplace: Workplace, lake: Lake) -> None:
    stored(lake, *BETTER)
    first, again = (propose_by_kronos(workplace, lake, NOW) for _ in range(2))
    assert (len(first.proposed), again.proposed) == (1, ())
    assert reasons(again) == [("PORTFOLIO", "new", "UNDER_TEST")]
    assert (first.counted, again.counted) == (1, 0)


def test_a_dry_run_tells_the_same_and_leaves_nothing(workplace: Workplace, lake: Lake) -> None:
    stored(lake, *BETTER)
    with workplace.database.connect(Role.READER) as session:
        before = list_trials(session)
    log = change_entries(workplace.database, 9)
    found = propose_by_kronos(workplace, lake, NOW, dry_run=True)
    assert [one.wanted.config.config_id for one in found.proposed] == ["new"]
    assert (list_proposals(workplace.database), change_entries(workplace.database, 9)) == ([], log)
    with workplace.database.connect(Role.READER) as session:
        assert list_trials(session) == before
    assert propose_by_kronos(workplace, lake, NOW).proposed[0].rationale == found.proposed[0].rationale


def test_slices_looked_at_are_trials_whatever_is_proposed(workplace: Workplace, lake: Lake) -> None:
    """In the data's own time, so that a later comparison counts them."""
    stored(lake, row("new", 0.1), row("new", 0.5, NICHES[0]), row("ghost", 0.2), row("ghost", 0.5, NICHES[1]))
    found = propose_by_kronos(workplace, lake, NOW)
    assert (found.proposed, found.counted) == ((), 2)
    with workplace.database.connect(Role.READER) as session:
        last = list_trials(session, "PORTFOLIO")[-2:]
        assert [count_trials(session, "PORTFOLIO", as_of=at).real for at in (SPRING, NOW)] == [3, 5]
    assert [(one.config_id, one.slice, one.first_source) for one in last] == [
        ("ghost", NICHES[1], TrialSource.MINED_SLICE), ("new", NICHES[0], TrialSource.MINED_SLICE),
    ]  # fmt: skip


def test_two_daemons_at_once_make_one_proposal(workplace: Workplace, lake: Lake) -> None:
    stored(lake, *BETTER)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: propose_by_kronos(workplace, lake, NOW), range(4)))
    assert sum(len(one.proposed) for one in found) == 1
    assert {one.reason.value for each in found for one in each.declined} == {"UNDER_TEST"}
    assert (len(list_proposals(workplace.database)), len(list_experiments(workplace.database))) == (1, 1)


def test_the_number_a_day_holds_over_looks(workplace: Workplace, lake: Lake) -> None:
    stored(lake, row("new", 4.0), row("other", 3.5))
    first, again = (propose_by_kronos(workplace, lake, NOW) for _ in range(2))
    tomorrow = propose_by_kronos(workplace, lake, NOW.replace(day=11))
    named = [[one.wanted.config.config_id for one in each.proposed] for each in (first, again, tomorrow)]
    assert named == [["new"], [], ["other"]]
    assert ("PORTFOLIO", "other", "BOUND_REACHED") in reasons(again)


def test_a_proposal_whose_experiment_cannot_be_made_is_none(workplace: Workplace, lake: Lake) -> None:
    """One transaction: the proposal goes with it; a reason stays, and other engines' turns come."""
    broken = Workplace(workplace.database, POLICY, lambda _: EngineDates(DATA, DATA[::-1]), any_config)
    found = propose_by_kronos(broken, stored(lake, *BETTER), NOW)
    assert reasons(found) == [("PORTFOLIO", "new", "NO_EXPERIMENT")] and "end date" in found.declined[0].detail
    assert list_proposals(workplace.database) == []


def test_parameters_the_engine_refuses_are_a_reason_and_stop_nobody_else(workplace: Workplace, lake: Lake) -> None:
    def check(engine_name: str, body: Any) -> None:
        if body == {"name": "new"}:
            raise BadValue("PORTFOLIO.name", "new", "another")

    policy = POLICY.model_copy(update={"proposals": SelfProposalPolicy(most_per_engine=2)})
    strict = Workplace(workplace.database, policy, lambda _: EngineDates(DATA, DATA), check)
    found = propose_by_kronos(strict, stored(lake, row("new", 4.0), row("other", 3.5)), NOW)
    assert [one.wanted.config.config_id for one in found.proposed] == ["other"]
    assert reasons(found) == [("PORTFOLIO", "new", "REFUSED_BY_ENGINE")]


def test_an_alarm_brings_the_best_alternative_until_a_person_closes_it(workplace: Workplace, lake: Lake) -> None:
    degrading(stored(lake, row("new", 0.4), row("other", 0.3)))
    found = propose_by_kronos(workplace, lake, NOW, dry_run=True)
    assert [(one.wanted.config.config_id, one.wanted.ground) for one in found.proposed] == [
        ("new", "DEGRADED_INCUMBENT"),
    ]  # fmt: skip
    with workplace.database.connect(Role.ORCHESTRATOR) as session:
        number = raise_alert(
            session, engine_name="PORTFOLIO", scope="*", config_id="old", metric="return",
            monitored_from=date(2019, 1, 2), raised_on=date(2020, 7, 9), evidence={},
        )  # fmt: skip
    assert number is not None and propose_by_kronos(workplace, lake, NOW, dry_run=True) == found
    close(workplace.database, number, by="ann", reason="a data error")
    assert reasons(propose_by_kronos(workplace, lake, NOW)) == [("PORTFOLIO", None, "NOTHING_BETTER")]


def test_what_is_later_than_the_day_is_not_looked_at(workplace: Workplace, lake: Lake) -> None:
    stored(stored(lake, *BETTER, month="2020-08"), row("new", 0.0), month="2020-06")
    degrading(lake, date(2020, 7, 20))
    assert reasons(propose_by_kronos(workplace, lake, NOW)) == [("PORTFOLIO", None, "NOTHING_BETTER")]


def test_without_any_evidence_every_engine_has_a_reason(workplace: Workplace, lake: Lake) -> None:
    assert reasons(propose_by_kronos(workplace, lake, NOW)) == [("PORTFOLIO", None, "NO_COMPARISON")]
    assert evidence_mark(lake) is None
    stored(lake, *BETTER)
    before = evidence_mark(lake)
    degrading(lake)
    assert before is not None and evidence_mark(lake) not in (None, before)


def test_what_is_open_twice_would_be_found(workplace: Workplace, lake: Lake) -> None:
    propose_by_kronos(workplace, stored(lake, *BETTER), NOW)
    found = repeated(workplace.database)
    assert (found.checked, found.passed) == (1, True)
    create_proposal(workplace, "PORTFOLIO", "old", {"name": "new"}, "past the guard", KRONOS)
    assert repeated(workplace.database).broken["rows"].to_list() == [2]


def test_an_unknown_engine_is_refused(workplace: Workplace, lake: Lake) -> None:
    with pytest.raises(NotFound, match=r"engine 'NONE'.*PORTFOLIO"):
        propose_by_kronos(workplace, lake, NOW, "NONE")


def test_settings_of_proposals_do_not_outdate_reports(database: Database, lake: Lake) -> None:
    month = period_of(Cadence.MONTHLY, NOW.date())

    def inputs(**changes: Any) -> dict[str, str]:
        policy = ObservationPolicy(**changes)
        pipeline = Pipeline(None, lake, database, policy, RecordedBy.RECORDED)  # type: ignore[arg-type]  # not asked
        return report_inputs(pipeline, CONFIG_COMPARISON, [month])

    assert inputs(proposals={"most_per_day": 1}, shadow={"least_sessions": 5}) == inputs()
    assert inputs(comparison={"seed": 1}) != inputs()
