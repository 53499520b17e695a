"""Upstream's configs are Kronos's own once observed: under their ids, once, and never changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from kronos.core.changes.request import EngineDates, ExperimentRequest
from kronos.core.policy import ObservationPolicy
from kronos.core.vocabulary import TrialFamily
from kronos.errors import BadValue, NotFound
from kronos.lake.tables import Lake
from kronos.services.experiments import create_experiment
from kronos.services.pipeline import Pipeline
from kronos.services.proposals import create_proposal
from kronos.services.refresh import refresh_facts
from kronos.services.self_proposals import propose_by_kronos
from kronos.services.workplace import Workplace, any_config
from kronos.settings import Dialect, RecordedBy
from kronos.sources.quarantine import ORPHANS, quarantined
from kronos.sources.reader import SourceReader
from kronos.store.database import Database, Role
from kronos.store.engine_configs import EngineConfig, list_configs
from kronos.store.trials import count_trials
from kronos_tests.builders import decision, insert, outcome

TODAY = date(2020, 6, 1)
SEEN = datetime(2020, 6, 1, 12, tzinfo=UTC)
MADE = datetime(2019, 1, 1, tzinfo=UTC)
LONGER = ExperimentRequest(
    engine_name="PORTFOLIO", base_config_id="fast", proposed_config={"lookback": 70}, description="longer"
)
LONG = "".join(f"{n:x}" for n in range(6000))
"""More than an index of Postgres holds, however it is compressed: the quarantine tells it cut."""
_REGISTRY = """
CREATE TABLE source.engine_configs (
    config_id text, engine_name text, version text, config_body json, created_at timestamptz, created_by text
)
"""


@pytest.fixture
def pipeline(database: Database, tmp_path: Path) -> Iterator[Pipeline]:
    """A source with a registry and one decision of PORTFOLIO's `fast`."""
    policy = ObservationPolicy()
    with database.connect(Role.OWNER) as session:
        session.execute(_REGISTRY)
    made = decision()
    insert(database, engine_decisions=[made], decision_outcomes=[outcome(made)])
    with SourceReader(database.url, Dialect.SPEC, RecordedBy.RECORDED, policy) as source:
        yield Pipeline(source, Lake(str(tmp_path / "lake")), database, policy, RecordedBy.RECORDED)


@pytest.fixture
def workplace(pipeline: Pipeline) -> Workplace:
    """Whoever proposes over that source."""
    dates = (date(2020, 3, 2), TODAY)
    return Workplace(pipeline.database, pipeline.policy, lambda _: EngineDates(dates, dates), any_config)


def tell(pipeline: Pipeline, body: str | None, config_id: str = "fast", engine: str = "PORTFOLIO") -> None:
    """Upstream registers a config, and says nothing else of it."""
    row = [config_id, engine, body]
    with pipeline.database.connect(Role.OWNER) as session:
        session.execute(
            "INSERT INTO source.engine_configs (config_id, engine_name, config_body) VALUES (%s,%s,%s)", row
        )


def observe(pipeline: Pipeline) -> dict[str, EngineConfig]:
    """Bring the month up to date; the registered configs."""
    refresh_facts(pipeline, ["2020-03"], today=TODAY, seen_at=SEEN)
    with pipeline.database.connect(Role.READER) as session:
        return {one.config_id: one for one in list_configs(session)}


def told(pipeline: Pipeline) -> list[tuple[str, str, str]]:
    """Key, rule and value of the configs in quarantine."""
    rows = quarantined(pipeline.database, ORPHANS).filter(source_table="engine_configs")
    return rows.select("source_key", "rule", "value").rows()


def trials(pipeline: Pipeline) -> int:
    """Trials of PORTFOLIO."""
    with pipeline.database.connect(Role.READER) as session:
        return count_trials(session, "PORTFOLIO").real


def test_a_config_keeps_what_upstream_says_of_it(pipeline: Pipeline) -> None:
    with pipeline.database.connect(Role.OWNER) as session:
        session.execute(
            "INSERT INTO source.engine_configs VALUES ('fast', 'PORTFOLIO', '3', '{\"a\": 1}', '2019-01-01Z', 'ann')"
        )
    found = observe(pipeline)["fast"]
    assert (found.engine_name, found.version, found.config_body) == ("PORTFOLIO", "3", {"a": 1})
    assert (found.created_by, found.created_at, found.status) == ("ann", MADE, "REGISTERED")


def test_what_upstream_does_not_say_has_a_stand_in(pipeline: Pipeline) -> None:
    tell(pipeline, '{"a": 1}')
    found = observe(pipeline)["fast"]
    assert (found.version, found.created_by, found.created_at) == ("unversioned", "source", SEEN)


def test_observing_again_changes_nothing(pipeline: Pipeline) -> None:
    tell(pipeline, '{"a": 1}')
    assert observe(pipeline) == observe(pipeline)
    assert told(pipeline) == []


def test_a_body_changed_under_its_id_stays_as_registered_and_is_told(pipeline: Pipeline) -> None:
    tell(pipeline, '{"a": 1}')
    observe(pipeline)
    with pipeline.database.connect(Role.OWNER) as session:
        session.execute("UPDATE source.engine_configs SET config_body = '{\"a\": 2}'")
    assert observe(pipeline)["fast"].config_body == {"a": 1}
    assert told(pipeline) == [("PORTFOLIO/fast", "CONFIG_CHANGED", 'config_body={"a": 2}')]


def test_one_id_of_two_engines_is_the_first_ones(pipeline: Pipeline) -> None:
    tell(pipeline, '{"a": 1}', engine="REGIME")
    tell(pipeline, '{"a": 1}')
    assert observe(pipeline)["fast"].engine_name == "PORTFOLIO"
    assert told(pipeline) == [("REGIME/fast", "CONFIG_ID_TAKEN", "config_id=fast is registered for PORTFOLIO")]


DEEP = '{"a": ' * 800 + "1" + "}" * 800


@pytest.mark.parametrize("body", ["[1]", "3", '"a"', '{"a": "\\u0000"}', '{"a": 1e999999}', '{"a": 1e400}', DEEP])
def test_a_body_that_cannot_be_held_is_told(pipeline: Pipeline, body: str) -> None:
    tell(pipeline, body)
    assert observe(pipeline) == {}
    assert [row[:2] for row in told(pipeline)] == [("PORTFOLIO/fast", "WRONG_JSON_TYPE")]


def test_an_id_longer_than_any_index_holds_is_told_and_stops_nothing(pipeline: Pipeline) -> None:
    tell(pipeline, '{"a": 1}', LONG)
    tell(pipeline, '{"a": 1}', "sound")
    assert list(observe(pipeline)) == ["sound"]
    assert told(pipeline) == [(f"PORTFOLIO/{LONG}", "TOO_LONG", f"config_id={LONG}"[:200])]


@pytest.mark.parametrize("key", ["engine_name", "config_id", "market_id", "experiment_id"])
def test_decisions_with_such_ids_stop_nothing(pipeline: Pipeline, key: str) -> None:
    bad = decision("bad", **{key: LONG})
    insert(pipeline.database, engine_decisions=[bad], decision_outcomes=[outcome(bad)])
    observe(pipeline)
    assert trials(pipeline) == 1
    found = quarantined(pipeline.database, "2020-03").filter(source_table="engine_decisions")
    assert found.select("rule", "value").rows() == [("TOO_LONG", f"{key}={LONG}"[:200])]


def test_numbers_that_no_float_holds_stop_nobody_who_reads_the_configs(pipeline: Pipeline) -> None:
    """What is registered stays for ever: Kronos looks at every config before it proposes one."""
    tell(pipeline, '{"a": 1e400}')
    assert observe(pipeline) == {}
    workplace = Workplace(pipeline.database, pipeline.policy, lambda: (date(2020, 3, 2), TODAY), any_config)
    assert propose_by_kronos(workplace, pipeline.lake, SEEN).proposed == ()


@pytest.mark.parametrize("body", [None, "null"])
def test_no_body_is_invented(pipeline: Pipeline, body: str | None) -> None:
    tell(pipeline, body)
    assert observe(pipeline) == {}
    assert told(pipeline) == []


def test_numbers_keep_every_digit(pipeline: Pipeline) -> None:
    tell(pipeline, '{"a": 0.12345678901234567890123}')
    observe(pipeline)
    with pipeline.database.connect(Role.READER) as session:
        held = session.execute("SELECT config_body ->> 'a' FROM kronos.engine_configs").fetchone()
    assert held == ("0.12345678901234567890123",)


def test_the_key_that_is_reserved_for_controls_is_upstreams_to_use(pipeline: Pipeline) -> None:
    tell(pipeline, '{"control": {"kind": "inverted_signal"}}')
    assert observe(pipeline)["fast"].family == TrialFamily.REAL


def test_a_config_is_one_trial_whenever_its_body_is_told(pipeline: Pipeline) -> None:
    observe(pipeline)
    assert trials(pipeline) == 1
    tell(pipeline, '{"a": 1}')
    observe(pipeline)
    assert trials(pipeline) == 1


def test_a_registry_of_another_shape_is_told_and_stops_nothing(pipeline: Pipeline) -> None:
    with pipeline.database.connect(Role.OWNER) as session:
        session.execute("ALTER TABLE source.engine_configs DROP COLUMN version")
    assert observe(pipeline) == {}
    assert [row[1] for row in told(pipeline)] == ["UNREADABLE"]
    assert trials(pipeline) == 1


def test_an_experiment_starts_from_an_imported_config(pipeline: Pipeline, workplace: Workplace) -> None:
    tell(pipeline, '{"lookback": 63}')
    observe(pipeline)
    assert create_experiment(workplace, LONGER, "ann").base_config_id == "fast"


def test_a_config_without_a_body_is_no_base(pipeline: Pipeline, workplace: Workplace) -> None:
    observe(pipeline)
    words = "config of PORTFOLIO has value 'fast': expected one whose parameters are known"
    with pytest.raises(BadValue, match=words):
        create_experiment(workplace, LONGER, "ann")
    with pytest.raises(BadValue, match=words):
        create_proposal(workplace, "PORTFOLIO", "fast", {"lookback": 70}, "longer", "ann")
    with pytest.raises(NotFound, match="config of PORTFOLIO 'slow' does not exist"):
        create_proposal(workplace, "PORTFOLIO", "slow", {"lookback": 70}, "longer", "ann")
