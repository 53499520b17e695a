-- What Kronos proposes by itself: never the same twice, and only so much on a day of the data. The change log's lock
-- makes writers take turns, so the counts hold for two daemons as for one.

-- config_proposals holds it too, whoever writes: one in review for an engine, base and set of parameters.
CREATE UNIQUE INDEX config_proposals_one_by_kronos
    ON kronos.config_proposals (engine_name, base_config_id, kronos.canonical_hash(proposed_config_body))
    WHERE created_by = 'Kronos' AND status = 'PENDING_REVIEW';

-- open: whatever is not settled for good, so that a status added later counts as open too
CREATE VIEW kronos.tried_configs AS
    SELECT
        proposals.engine_name,
        proposals.base_config_id,
        kronos.canonical_hash(proposals.proposed_config_body) AS canonical_hash,
        proposals.created_by,
        proposals.metadata ->> 'as_of' AS as_of,
        proposals.metadata ->> 'mined_until' AS mined_until,
        coalesce(experiments.status, proposals.status) NOT IN ('DISCARDED', 'APPROVED', 'REJECTED') AS is_open
    FROM kronos.config_proposals AS proposals
    LEFT JOIN kronos.experiments USING (proposal_id)
    UNION ALL
    SELECT
        experiments.engine_name,
        experiments.base_config_id,
        kronos.canonical_hash(configs.config_body),
        experiments.created_by,
        NULL,
        NULL,
        experiments.status NOT IN ('APPROVED', 'REJECTED')
    FROM kronos.experiments
    JOIN kronos.engine_configs AS configs ON configs.config_id = experiments.proposed_config_id
    WHERE experiments.proposal_id IS NULL AND experiments.evidence <> 'CONTROL';
COMMENT ON VIEW kronos.tried_configs IS
    'One row per proposal, and per experiment that came from none: parameters tried against a base. Controls are none.';
COMMENT ON COLUMN kronos.tried_configs.as_of IS 'ISO date in the data on which Kronos proposed it.';
COMMENT ON COLUMN kronos.tried_configs.mined_until IS 'ISO date up to which Kronos had looked at the data.';

-- propose_config for Kronos itself. about holds the ISO dates as_of and mined_until. Refused, by constraint name:
-- self_proposals_once when the parameters are under test against that base, or were decided on evidence that reaches
-- less than new_evidence days short of the present one's; self_proposals_bounded beyond the day's or the engine's number.
CREATE FUNCTION kronos.propose_by_kronos(
    engine text, base text, body jsonb, why text, about jsonb, new_evidence integer, most_per_day integer,
    most_per_engine integer, code text
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    today text := ((about ->> 'as_of')::date)::text;
    since text := ((about ->> 'mined_until')::date - new_evidence)::text;
    made_today bigint;
    made_for_engine bigint;
BEGIN
    IF today IS NULL OR since IS NULL THEN
        RAISE EXCEPTION 'a proposal by Kronos says on which day and until when it was mined: as_of % and mined_until %',
            about ->> 'as_of', about ->> 'mined_until'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'self_proposals_dated';
    END IF;
    -- the lock first: what is counted below cannot grow before this transaction ends
    PERFORM kronos.begin_change('Kronos', why, code => code);
    IF EXISTS (
        SELECT FROM kronos.tried_configs
        WHERE engine_name = engine AND base_config_id = base AND canonical_hash = kronos.canonical_hash(body)
            AND (is_open OR (created_by = 'Kronos' AND mined_until COLLATE "C" > since))
    ) THEN
        RAISE EXCEPTION 'these parameters are under test against % of %, or were decided on this evidence', base, engine
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'self_proposals_once';
    END IF;
    SELECT count(*), count(*) FILTER (WHERE engine_name = engine) INTO made_today, made_for_engine
        FROM kronos.tried_configs WHERE created_by = 'Kronos' AND as_of = today;
    IF made_today >= most_per_day OR made_for_engine >= most_per_engine THEN
        RAISE EXCEPTION 'Kronos has made % proposals on %, % of them for %: at most % a day and % an engine',
            made_today, today, made_for_engine, engine, most_per_day, most_per_engine
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'self_proposals_bounded';
    END IF;
    RETURN kronos.propose_config(engine, base, body, 'Kronos', why, about, code);
END
$$;

GRANT EXECUTE ON FUNCTION kronos.propose_by_kronos(text, text, jsonb, text, jsonb, integer, integer, integer, text)
    TO kronos_orchestrator;
