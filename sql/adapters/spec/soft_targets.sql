-- Soft-target classes by entity.
SELECT
    entity_type::text AS entity_type,
    entity_id::text AS entity_id,
    as_of_date::date AS as_of_date,
    recorded_at::timestamptz AS recorded_at,
    soft_target_class::text AS soft_target_class,
    soft_target_class IS NOT NULL AS usable
FROM soft_target_classes
