-- Regime labels by region; a region is an entity of type REGION.
SELECT
    'REGION' AS entity_type,
    region::text AS entity_id,
    as_of_date::date AS as_of_date,
    recorded_at::timestamptz AS recorded_at,
    regime_label::text AS regime,
    regime_label IS NOT NULL AND region IS NOT NULL AS usable
FROM regimes
