-- name: register
-- Adds a config; true when it is new.
SELECT kronos.register_config(
    %(config_id)s, %(engine_name)s, %(version)s, %(body)s, %(created_by)s, %(created_at)s, %(family)s
);

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
