-- Horizons from 1 to $1 at which a config has any outcome.
SELECT DISTINCT
    d.engine_name::text AS engine_name,
    d.config_id::text AS config_id,
    o.horizon_days::integer AS horizon
FROM decision_outcomes AS o
INNER JOIN engine_decisions AS d ON d.decision_id = o.decision_id
WHERE o.horizon_days BETWEEN 1 AND $1 AND d.engine_name IS NOT NULL AND d.config_id IS NOT NULL
