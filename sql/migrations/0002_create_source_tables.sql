-- The tables of the `spec` dialect, for Kronos running stand-alone: upstream's side, written only by kronos_upstream.
--
-- Real tables are dirty, and finding dirt is the contract check's work: no foreign keys, no value constraints, and no
-- unique decision_id. Only the keys that make restatements new rows are held.

CREATE TABLE source.engine_decisions (
    decision_id uuid NOT NULL,
    "timestamp" timestamptz,
    engine_name text,
    config_id text,
    context_id text,
    as_of_date date,
    input_refs jsonb,
    raw_input_summary jsonb,
    proposed_action jsonb
);
CREATE INDEX engine_decisions_by_id ON source.engine_decisions (decision_id);
CREATE INDEX engine_decisions_by_date ON source.engine_decisions (as_of_date);

CREATE TABLE source.decision_outcomes (
    decision_id uuid NOT NULL,
    horizon_days integer NOT NULL,
    eval_date date,
    pnl double precision,
    "return" double precision,
    drawdown double precision,
    risk_metrics jsonb,
    label text,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (decision_id, horizon_days, recorded_at)
);

CREATE TABLE source.models (
    model_id text PRIMARY KEY,
    engine_name text,
    type text,
    artifact_ref text,
    training_data_spec jsonb,
    metrics jsonb,
    created_at timestamptz,
    created_by text
);

CREATE TABLE source.regimes (
    region text NOT NULL,
    as_of_date date NOT NULL,
    regime_label text,
    model_id text,
    embedding_vector_ref text,
    confidence double precision,
    metadata jsonb,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (region, as_of_date, recorded_at)
);

CREATE TABLE source.stability_vectors (
    entity_type text NOT NULL,
    entity_id text NOT NULL,
    as_of_date date NOT NULL,
    vector_components jsonb,
    overall_score double precision,
    metadata jsonb,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (entity_type, entity_id, as_of_date, recorded_at)
);
CREATE INDEX stability_vectors_by_date ON source.stability_vectors (as_of_date);

CREATE TABLE source.fragility_measures (
    entity_type text NOT NULL,
    entity_id text NOT NULL,
    as_of_date date NOT NULL,
    fragility_score double precision,
    scenario_losses jsonb,
    metadata jsonb,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (entity_type, entity_id, as_of_date, recorded_at)
);
CREATE INDEX fragility_measures_by_date ON source.fragility_measures (as_of_date);

CREATE TABLE source.soft_target_classes (
    entity_type text NOT NULL,
    entity_id text NOT NULL,
    as_of_date date NOT NULL,
    soft_target_class text,
    soft_target_score double precision,
    metadata jsonb,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (entity_type, entity_id, as_of_date, recorded_at)
);
CREATE INDEX soft_target_classes_by_date ON source.soft_target_classes (as_of_date);

CREATE TABLE source.portfolio_risk_reports (
    portfolio_id text NOT NULL,
    as_of_date date NOT NULL,
    risk_metrics jsonb,
    exposures jsonb,
    scenario_pnl jsonb,
    model_id text,
    metadata jsonb,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (portfolio_id, as_of_date, recorded_at)
);

CREATE TABLE source.engine_runs (
    run_id text PRIMARY KEY,
    as_of_date date NOT NULL,
    region text NOT NULL,
    phase text NOT NULL,
    error jsonb,
    created_at timestamptz,
    updated_at timestamptz
);
CREATE INDEX engine_runs_by_date ON source.engine_runs (as_of_date, region);

CREATE TABLE source.job_executions (
    execution_id text PRIMARY KEY,
    job_id text,
    job_type text,
    dag_id text,
    market_id text,
    as_of_date date,
    status text,
    started_at timestamptz,
    completed_at timestamptz,
    attempt_number integer
);

GRANT SELECT ON ALL TABLES IN SCHEMA source TO kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA source TO kronos_upstream;
