-- name: register
-- Adds a config; true when it is new.
SELECT kronos.register_config(
    %(config_id)s, %(engine_name)s, %(version)s, %(body)s, %(created_by)s, %(created_at)s, %(family)s
);

-- name: import
-- Adds a config that upstream holds unless its id is held here: by which engine it was, and whether with this very body.
WITH held AS MATERIALIZED (
    SELECT engine_name, config_body = %(body)s::jsonb AS same
    FROM kronos.engine_configs WHERE config_id = %(config_id)s
), added AS MATERIALIZED (
    SELECT kronos.register_config(
        %(config_id)s, %(engine_name)s, %(version)s, %(body)s::jsonb, %(created_by)s, %(created_at)s
    ) WHERE NOT EXISTS (SELECT FROM held)
)
SELECT (SELECT engine_name FROM held), (SELECT same FROM held), (SELECT register_config FROM added);

-- name: bodiless
-- Configs of an engine that were observed but whose body nobody told.
SELECT DISTINCT trials.config_id
FROM kronos.trials
LEFT JOIN kronos.engine_configs AS registered USING (engine_name, config_id)
WHERE trials.engine_name = %(engine_name)s AND trials.canonical_hash IS NULL AND registered.config_id IS NULL
ORDER BY trials.config_id;

-- name: activate
-- Swaps the incumbent of an engine and scope for a config.
SELECT kronos.activate_config(
    %(engine_name)s, %(config_id)s, %(by)s, %(reason)s, %(at)s, %(expected_incumbent)s, %(scope)s
);

-- name: active_at
-- The activation that held for an engine and scope at an instant.
SELECT engine_name, scope, config_id, activated_at, deactivated_at, activated_by, reason
FROM kronos.config_activations
WHERE engine_name = %(engine_name)s AND scope = %(scope)s
    AND activated_at <= %(instant)s AND (deactivated_at IS NULL OR %(instant)s < deactivated_at);

-- name: earlier
-- The config that a rollback of an engine's incumbent within a scope returns to; no row when another one is the incumbent.
SELECT config_id FROM kronos.activation_before(%(engine_name)s, %(scope)s)
WHERE kronos.incumbent_of(%(engine_name)s, %(scope)s) = %(config_id)s;

-- name: activations
-- Every activation of an engine, oldest first.
SELECT engine_name, scope, config_id, activated_at, deactivated_at, activated_by, reason
FROM kronos.config_activations
WHERE engine_name = %(engine_name)s
ORDER BY scope, activated_at;

-- name: list
-- Registered configs of one engine or, for null, of all.
SELECT config_id, engine_name, version, config_body, created_at, created_by, status, family
FROM kronos.engine_configs
WHERE %(engine_name)s::text IS NULL OR engine_name = %(engine_name)s
ORDER BY engine_name, config_id;
