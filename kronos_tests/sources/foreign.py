"""An upstream database in the `prometheus_v2` dialect, made by hand as upstream's migrations leave it.

None of Kronos's code creates it. It is read through a login that may only SELECT.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit, urlunsplit

from psycopg import sql

from kronos.settings import Dialect
from kronos.store.database import Database, Role
from kronos_tests.builders import Row, at, changed, insert_rows

_TABLES = """
CREATE TABLE engine_decisions (
    decision_id varchar(64) PRIMARY KEY,
    engine_name varchar(64) NOT NULL,
    run_id varchar(64),
    strategy_id varchar(64),
    market_id varchar(32),
    as_of_date date NOT NULL,
    config_id varchar(64),
    input_refs jsonb,
    output_refs jsonb,
    metadata jsonb,
    created_at timestamptz NOT NULL
);
CREATE TABLE decision_outcomes (
    outcome_id bigserial PRIMARY KEY,
    decision_id varchar(64) NOT NULL REFERENCES engine_decisions (decision_id),
    horizon_days integer NOT NULL,
    realized_return double precision,
    realized_pnl double precision,
    realized_drawdown double precision,
    realized_vol double precision,
    metadata jsonb,
    created_at timestamptz NOT NULL
);
CREATE TABLE regimes (
    regime_record_id varchar(64) PRIMARY KEY,
    as_of_date date NOT NULL,
    region varchar(32) NOT NULL,
    regime_label varchar(32) NOT NULL,
    regime_embedding bytea,
    embedding_ref text,
    confidence double precision,
    metadata jsonb,
    created_at timestamptz
);
CREATE TABLE stability_vectors (
    stability_id varchar(64) PRIMARY KEY,
    entity_type varchar(32) NOT NULL,
    entity_id varchar(64) NOT NULL,
    as_of_date date NOT NULL,
    vector_components jsonb,
    overall_score double precision,
    metadata jsonb,
    created_at timestamptz
);
CREATE TABLE fragility_measures (
    fragility_id varchar(64) PRIMARY KEY,
    entity_type varchar(32) NOT NULL,
    entity_id varchar(64) NOT NULL,
    as_of_date date NOT NULL,
    fragility_score double precision,
    scenario_losses jsonb,
    metadata jsonb,
    created_at timestamptz
);
CREATE TABLE soft_target_classes (
    soft_target_id varchar(64) PRIMARY KEY,
    entity_type varchar(32) NOT NULL,
    entity_id varchar(64) NOT NULL,
    as_of_date date NOT NULL,
    soft_target_class varchar(32),
    soft_target_score double precision,
    weak_profile boolean,
    instability double precision,
    high_fragility double precision,
    complacent_pricing double precision,
    metadata jsonb,
    created_at timestamptz
);
CREATE TABLE portfolio_risk_reports (
    report_id varchar(64) PRIMARY KEY,
    portfolio_id varchar(64) NOT NULL,
    as_of_date date NOT NULL,
    portfolio_value double precision,
    cash double precision,
    net_exposure double precision,
    gross_exposure double precision,
    leverage double precision,
    risk_metrics jsonb,
    scenario_pnl jsonb,
    exposures_by_sector jsonb,
    exposures_by_factor jsonb,
    metadata jsonb,
    created_at timestamptz
);
CREATE TABLE engine_runs (
    run_id varchar(64) PRIMARY KEY,
    as_of_date date NOT NULL,
    region varchar(32) NOT NULL,
    phase varchar(32) NOT NULL,
    error jsonb,
    phase_started_at timestamptz,
    phase_completed_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (as_of_date, region)
);
CREATE TABLE job_executions (
    execution_id varchar(64) PRIMARY KEY,
    job_id varchar(128) NOT NULL,
    job_type varchar(64) NOT NULL,
    dag_id varchar(128),
    market_id varchar(32),
    as_of_date date,
    status varchar(32) NOT NULL,
    started_at timestamp,
    completed_at timestamp,
    attempt_number integer NOT NULL
);
CREATE TABLE strategy_configs (strategy_id varchar(64) PRIMARY KEY, config_json jsonb NOT NULL, updated_at timestamptz);
CREATE TABLE backtest_runs (
    run_id varchar(64) PRIMARY KEY,
    strategy_id varchar(64) NOT NULL,
    config_json jsonb NOT NULL,
    start_date date,
    end_date date,
    universe_id varchar(64),
    metrics_json jsonb,
    created_at timestamptz
);
"""
_WATCHER = """
CREATE ROLE {role} LOGIN PASSWORD 'watch';
GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};
"""
_GONE = "GRANT {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}"


@dataclass(frozen=True)
class Foreign:
    """The database as upstream's owner writes it, and the address of the login that may only read it."""

    owner: Database
    url: str
    dialect: Dialect = Dialect.PROMETHEUS_V2

    def insert(self, **tables: Sequence[Row]) -> None:
        """Write rows as upstream would: `insert(engine_decisions=[...])`."""
        insert_rows(self.owner, Role.OWNER, "public", tables)

    def execute(self, statement: str) -> None:
        """Change something as upstream's owner."""
        with self.owner.connect(Role.OWNER) as connection:
            connection.execute(statement)


@contextmanager
def foreign_database(empty: Database) -> Iterator[Foreign]:
    """Turn an empty database into an upstream's; its login goes when the block ends."""
    role = f"watcher_{uuid.uuid4().hex[:12]}"
    with empty.connect(Role.OWNER) as connection:
        connection.execute(_TABLES)
        connection.execute(sql.SQL(_WATCHER).format(role=sql.Identifier(role)))
    parts = urlsplit(empty.url)
    address = parts.netloc.rpartition("@")[2]
    yield Foreign(empty, urlunsplit(parts._replace(netloc=f"{role}:watch@{address}")))
    with empty.connect(Role.OWNER) as connection:
        connection.execute(sql.SQL(_GONE).format(role=sql.Identifier(role)))


def foreign_decision(name: str = "d1", day: date = date(2020, 3, 2), **changes: object) -> Row:
    """A decision of PORTFOLIO config `fast` in US_EQ, inserted a month later; unknown keys go into output_refs."""
    row: Row = {
        "decision_id": name,
        "engine_name": "PORTFOLIO",
        "run_id": None,
        "strategy_id": "core",
        "market_id": "US_EQ",
        "as_of_date": day,
        "config_id": "fast",
        "output_refs": None,
        "created_at": at(day + timedelta(days=30)),
    }
    return changed(row, changes, "output_refs")


def foreign_outcome(of: Row, horizon: int = 1, *, created_at: datetime | None = None, **changes: object) -> Row:
    """An outcome earning one per cent; unknown keys go into metadata."""
    row: Row = {
        "decision_id": of["decision_id"],
        "horizon_days": horizon,
        "realized_return": 0.01,
        "realized_pnl": 10.0,
        "realized_drawdown": -0.002,
        "realized_vol": None,
        "metadata": None,
        "created_at": created_at or of["created_at"],
    }
    return changed(row, changes, "metadata")


def foreign_score(table_key: str, day: date, *, entity: tuple[str, str] = ("MARKET", "US_EQ"), **values: object) -> Row:
    """A row of a table keyed `table_key` about an entity."""
    own = {table_key: uuid.uuid4().hex, "entity_type": entity[0], "entity_id": entity[1], "as_of_date": day}
    return {**own, "created_at": at(day, 6), **values}


def foreign_regime(day: date, label: str = "CALM", region: str = "US") -> Row:
    """A regime label; upstream left its creation time empty."""
    return {"regime_record_id": uuid.uuid4().hex, "as_of_date": day, "region": region, "regime_label": label}
