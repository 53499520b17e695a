-- The calibration cells of frames.CALIBRATION_CELLS from the claims.
-- claims: result of claims.sql; class_orders: (engine_name, class, rank) of engines with ordered classes.
WITH orders AS (
    SELECT engine_name, list(class ORDER BY rank) AS ordered FROM class_orders GROUP BY engine_name
),
forecasts AS (
    SELECT *, unnest(range(1, len(classes) + 1)) AS place
    FROM claims
    WHERE realised_class IS NOT NULL AND len(class_probabilities) > 0
),
thresholds AS (
    SELECT c.*, o.ordered, unnest(range(1, len(o.ordered))) AS place
    FROM claims AS c INNER JOIN orders AS o USING (engine_name)
    WHERE c.realised_class IS NOT NULL AND list_sort(c.classes) = list_sort(o.ordered)
),
targets AS (
    SELECT *, 'event' AS target, probability AS p, event AS y FROM claims
    WHERE probability IS NOT NULL AND event IS NOT NULL
    UNION ALL BY NAME
    SELECT * EXCLUDE (place), 'class:' || classes[place] AS target, class_probabilities[place] AS p,
        CASE WHEN realised_class = classes[place] THEN 1.0 ELSE 0.0 END AS y
    FROM forecasts
    UNION ALL BY NAME
    SELECT * EXCLUDE (place, ordered), 'threshold:' || ordered[place] AS target,
        -- left to right, so that a certain event lands in the last bin here as there
        least(1.0, list_reduce(
            list_transform(ordered[1:place], lambda name: class_probabilities[list_position(classes, name)]),
            lambda total, p: total + p
        )) AS p,
        CASE WHEN list_contains(ordered[1:place], realised_class) THEN 1.0 ELSE 0.0 END AS y
    FROM thresholds
)
SELECT
    as_of_date, eval_date, known_date, engine_name, config_id, market_id, horizon, mode, experiment_id, regime, target,
    CASE WHEN p <= 0 THEN 0 WHEN p >= 1 THEN 1023 ELSE 1 + least(floor(p * 1022), 1021) END AS bin,
    sum(sign) AS n,
    fsum(sign * p) AS sum_p,
    fsum(sign * p * p) AS sum_p2,
    fsum(sign * y) AS sum_y,
    fsum(sign * y * y) AS sum_y2
FROM targets
GROUP BY ALL;
