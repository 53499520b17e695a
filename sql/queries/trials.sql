-- name: enter
-- Counts a trial; true when it is new.
SELECT kronos.enter_trial(
    %(engine_name)s, %(scope)s, %(family)s, %(config_body)s, %(config_id)s, %(first_source)s, %(first_seen)s,
    %(horizon)s, %(slice)s
);

-- name: count
-- Distinct trials of an engine by family, known by an instant (null: ever). A market's are its own and those made
-- everywhere; those of '*' are all of the engine's. A config first seen without a body counts as the body it got later.
WITH known AS (
    SELECT trials.family, trials.horizon, trials.slice,
        coalesce('sha256:' || kronos.canonical_hash(registered.config_body), trials.identity) AS identity
    FROM kronos.trials
    LEFT JOIN kronos.engine_configs AS registered
        ON trials.canonical_hash IS NULL
        AND registered.engine_name = trials.engine_name AND registered.config_id = trials.config_id
        AND registered.family = trials.family
        AND (%(as_of)s::timestamptz IS NULL OR registered.created_at <= %(as_of)s)
    WHERE trials.engine_name = %(engine_name)s
        AND (trials.scope = %(scope)s OR '*' IN (%(scope)s, trials.scope))
        AND (%(as_of)s::timestamptz IS NULL OR trials.first_seen <= %(as_of)s)
), distinct_trials AS (
    SELECT DISTINCT family, identity, horizon, slice FROM known
)
SELECT count(*) FILTER (WHERE family = 'REAL') AS real, count(*) FILTER (WHERE family = 'CONTROL') AS control
FROM distinct_trials;

-- name: list
-- The trials of one family, of one engine or, for null, of all, in the order in which they were entered.
SELECT engine_name, scope, family, canonical_hash, config_id, horizon, slice, first_seen, first_source
FROM kronos.trials
WHERE family = %(family)s AND (%(engine_name)s::text IS NULL OR engine_name = %(engine_name)s)
ORDER BY trial_id;

-- name: enter_observed
-- Counts configs seen in decisions; those registered here for a control stay in the controls' family.
SELECT kronos.enter_trial(
    observed.engine_name, '*', coalesce(registered.family, 'REAL'), NULL, observed.config_id, 'OBSERVED',
    observed.first_seen
)
FROM unnest(%(engine_names)s::text[], %(config_ids)s::text[], %(first_seen)s::timestamptz[])
    AS observed (engine_name, config_id, first_seen)
LEFT JOIN kronos.engine_configs AS registered USING (engine_name, config_id)
ORDER BY observed.engine_name, observed.config_id;

-- name: identities
-- Which trial each registered config of an engine is.
SELECT config_id, 'sha256:' || kronos.canonical_hash(config_body)
FROM kronos.engine_configs
WHERE engine_name = %(engine_name)s;
