-- Stability scores: 0 unstable, 1 stable.
SELECT
    entity_type::text AS entity_type,
    entity_id::text AS entity_id,
    as_of_date::date AS as_of_date,
    recorded_at::timestamptz AS recorded_at,
    overall_score::float8 AS stability_score,
    overall_score BETWEEN 0 AND 1 AS usable
FROM stability_vectors
