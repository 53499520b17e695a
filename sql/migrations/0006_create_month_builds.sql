-- What each month of the lake was last built from: written after the lake, so a build that died is built again.

CREATE TABLE kronos.month_builds (
    stage text NOT NULL CHECK (stage IN ('facts', 'cells')),
    month text NOT NULL CHECK (month ~ '^\d{4}-\d{2}$'),
    fingerprint text NOT NULL,
    definition text NOT NULL,
    lake jsonb NOT NULL,
    horizons jsonb NOT NULL,
    built_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stage, month)
);

COMMENT ON COLUMN kronos.month_builds.fingerprint IS 'The source''s state for the month; for cells the facts they were added up from.';
COMMENT ON COLUMN kronos.month_builds.definition IS 'Code version and policy that gave the numbers their meaning.';
COMMENT ON COLUMN kronos.month_builds.lake IS 'Per lake table the version in which the month was written.';
COMMENT ON COLUMN kronos.month_builds.horizons IS 'Horizons that were due for each config of the month.';

GRANT INSERT, UPDATE ON kronos.month_builds TO kronos_orchestrator;
