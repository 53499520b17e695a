-- Stability scores, turned round: upstream says 0 stable .. 100 fragile, the contract 0 unstable .. 1 stable.
SELECT
    entity_type::text AS entity_type,
    entity_id::text AS entity_id,
    as_of_date::date AS as_of_date,
    created_at::timestamptz AS recorded_at,
    (100 - overall_score::float8) / 100 AS stability_score,
    overall_score BETWEEN 0 AND 100 AS usable
FROM stability_vectors
