-- Which meta job was requested for which period, and which reports the lake holds: the first guards against launching
-- a period twice, the second tells what a rebuilt month makes outdated.

CREATE TABLE kronos.meta_runs (
    cadence text NOT NULL CHECK (cadence IN ('daily', 'weekly', 'monthly')),
    period text NOT NULL,
    missing text[] NOT NULL,
    request_key text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    run_id text,
    started_at timestamptz,
    PRIMARY KEY (cadence, period, missing),
    CONSTRAINT meta_runs_start_names_its_run CHECK ((run_id IS NULL) = (started_at IS NULL))
);
CREATE INDEX meta_runs_by_request ON kronos.meta_runs (request_key);

COMMENT ON TABLE kronos.meta_runs IS
    'One row per cadence, period and set of missing regions: a period is requested again only when fewer are missing.';
COMMENT ON COLUMN kronos.meta_runs.missing IS 'Regions without a COMPLETED run, sorted; empty is READY.';
COMMENT ON COLUMN kronos.meta_runs.request_key IS 'The run request that covers the row, Dagster''s run key.';

CREATE TABLE kronos.report_builds (
    report text NOT NULL,
    period text NOT NULL,
    engine_name text NOT NULL DEFAULT '',
    label text NOT NULL,
    inputs text NOT NULL,
    built_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (report, period, engine_name)
);

COMMENT ON TABLE kronos.report_builds IS 'One row per report, period and, where the report is partitioned so, engine in the lake.';
COMMENT ON COLUMN kronos.report_builds.label IS 'READY or PARTIAL(missing regions), as in the rows themselves.';
COMMENT ON COLUMN kronos.report_builds.inputs IS 'Digest of the months'' cells it was computed from.';

GRANT INSERT ON kronos.meta_runs, kronos.report_builds TO kronos_orchestrator;
GRANT UPDATE (requested_at, run_id, started_at) ON kronos.meta_runs TO kronos_orchestrator;
GRANT UPDATE (label, inputs, built_at) ON kronos.report_builds TO kronos_orchestrator;
