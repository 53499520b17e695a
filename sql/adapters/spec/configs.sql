-- Upstream's registry of configs.
SELECT
    engine_name::text AS engine_name,
    config_id::text AS config_id,
    version::text AS version,
    config_body::text AS config_body,
    created_at::timestamptz AS created_at,
    created_by::text AS created_by
FROM engine_configs
ORDER BY engine_name, config_id
