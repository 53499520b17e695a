-- Every proposed config is run beside its neighbours, and their numbers are in its verdict. Who proposes one of those
-- next has chosen it among all of them: from then on each counts as a trial.

ALTER TABLE kronos.trials DROP CONSTRAINT trials_first_source_check;
ALTER TABLE kronos.trials ADD CONSTRAINT trials_first_source_check CHECK (
    first_source IN ('REGISTERED', 'OBSERVED', 'EXPERIMENT', 'PROPOSAL', 'MINED_SLICE', 'NEIGHBOUR')
);

-- Canonical hashes of the neighbours in a backtest's spec.
CREATE FUNCTION kronos.neighbour_hashes(spec jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(kronos.canonical_hash(subject -> 'config_body')), '{}')
    FROM jsonb_array_elements(spec -> 'subjects') AS subject
    WHERE subject -> 'roles' @> '["neighbour"]'
$$;

-- who writes a spec writes its entry of the index
GRANT EXECUTE ON FUNCTION kronos.neighbour_hashes(jsonb) TO kronos_orchestrator;

CREATE INDEX backtest_specs_neighbours ON kronos.backtest_specs USING gin (kronos.neighbour_hashes(spec));

-- True when the trial is new. A config without a body here takes the body it was registered with, if it was.
CREATE OR REPLACE FUNCTION kronos.enter_trial(
    engine text, within text, of_family text, body jsonb, config text, source text, at timestamptz,
    at_horizon integer DEFAULT NULL, in_slice text DEFAULT NULL
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hash text;
    is_new boolean;
BEGIN
    IF body IS NULL THEN
        SELECT config_body INTO body FROM kronos.engine_configs WHERE engine_name = engine AND config_id = config;
    END IF;
    hash := kronos.canonical_hash(body);
    INSERT INTO kronos.trials (
        engine_name, scope, family, canonical_hash, config_id, first_seen, first_source, horizon, slice
    ) VALUES (engine, within, of_family, hash, config, at, source, at_horizon, in_slice)
    ON CONFLICT ON CONSTRAINT trials_distinct DO NOTHING;
    is_new := FOUND;
    -- neighbours of controls have the control laid over them: nobody sees what they are without it
    IF of_family = 'REAL' AND hash IS NOT NULL THEN
        INSERT INTO kronos.trials (engine_name, scope, family, canonical_hash, first_seen, first_source)
        SELECT DISTINCT engine, '*', 'REAL', near, at, 'NEIGHBOUR'
        FROM kronos.backtest_specs AS seen
        JOIN kronos.experiments AS experiment ON experiment.experiment_id = seen.experiment_id
        CROSS JOIN LATERAL unnest(kronos.neighbour_hashes(seen.spec)) AS near
        WHERE kronos.neighbour_hashes(seen.spec) @> ARRAY[hash]
            AND experiment.engine_name = engine
            AND experiment.expected_outcome NOT IN ('NEGATIVE_CONTROL', 'POSITIVE_CONTROL')
        ORDER BY near
        ON CONFLICT ON CONSTRAINT trials_distinct DO NOTHING;
    END IF;
    RETURN is_new;
END
$$;
