-- Configs that decisions name, with a body where strategy_configs holds one that is beyond doubt theirs: under the
-- config's own id, or under the only strategy the config was used with when that strategy used no other config.
WITH used AS (
    SELECT engine_name, config_id, min(strategy_id) AS strategy_id, min(as_of_date) AS first_day,
        min(strategy_id) = max(strategy_id) AND count(strategy_id) = count(*) AS one_strategy
    FROM engine_decisions
    WHERE engine_name IS NOT NULL AND config_id IS NOT NULL
    GROUP BY engine_name, config_id
), sole AS (
    SELECT strategy_id FROM engine_decisions GROUP BY strategy_id HAVING count(DISTINCT (engine_name, config_id)) = 1
)
SELECT
    used.engine_name::text AS engine_name,
    used.config_id::text AS config_id,
    NULL::text AS version,
    coalesce(own.config_json, theirs.config_json)::text AS config_body,
    used.first_day::timestamptz AS created_at,
    NULL::text AS created_by
FROM used
LEFT JOIN strategy_configs AS own ON own.strategy_id = used.config_id
LEFT JOIN sole ON used.one_strategy AND sole.strategy_id = used.strategy_id
LEFT JOIN strategy_configs AS theirs ON theirs.strategy_id = sole.strategy_id
ORDER BY used.engine_name, used.config_id
