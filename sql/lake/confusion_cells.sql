-- The confusion cells of frames.CONFUSION_CELLS from the claims (result of claims.sql).
WITH named AS (
    SELECT *,
        coalesce(label, classes[list_position(class_probabilities, list_max(class_probabilities))]) AS predicted
    FROM claims
    WHERE realised_class IS NOT NULL
)
SELECT
    as_of_date, eval_date, known_date, engine_name, config_id, market_id, horizon, mode, experiment_id, regime,
    predicted, realised_class AS realised,
    sum(sign) AS n
FROM named
WHERE predicted IS NOT NULL
GROUP BY ALL;
