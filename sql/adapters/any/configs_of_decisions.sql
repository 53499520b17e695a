-- Configs that decisions name, for sources that keep no config bodies.
SELECT
    engine_name::text AS engine_name,
    config_id::text AS config_id,
    NULL::text AS version,
    NULL::text AS config_body,
    min(as_of_date)::timestamptz AS created_at,
    NULL::text AS created_by
FROM engine_decisions
WHERE engine_name IS NOT NULL AND config_id IS NOT NULL
GROUP BY engine_name, config_id
ORDER BY engine_name, config_id
