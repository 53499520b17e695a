-- Fragility scores: 0 robust, 1 fragile.
SELECT
    entity_type::text AS entity_type,
    entity_id::text AS entity_id,
    as_of_date::date AS as_of_date,
    created_at::timestamptz AS recorded_at,
    fragility_score::float8 AS fragility_score,
    fragility_score BETWEEN 0 AND 1 AS usable
FROM fragility_measures
