-- The cells of frames.CELLS from the claims, written apart from the Polars ones and summed as floating point.
-- claims: result of claims.sql; class_orders: (engine_name, class, rank) of engines with ordered classes.
WITH named AS (
    SELECT claim, engine_name, classes, class_probabilities, realised_class,
        coalesce(class_probabilities[list_position(classes, realised_class)], 0.0) AS p_realised
    FROM claims
    WHERE realised_class IS NOT NULL AND len(class_probabilities) > 0
),
orders AS (
    SELECT engine_name, list(class ORDER BY rank) AS ordered FROM class_orders GROUP BY engine_name
),
ordered_claims AS (
    SELECT n.*, o.ordered, list_position(o.ordered, n.realised_class) AS realised_rank
    FROM named AS n INNER JOIN orders AS o USING (engine_name)
    WHERE list_sort(n.classes) = list_sort(o.ordered) AND len(o.ordered) > 1
        AND list_contains(o.ordered, n.realised_class)
),
steps AS (
    SELECT claim, realised_rank, len(ordered) AS k, c.class AS class, c.rank AS rank,
        class_probabilities[list_position(classes, c.class)] AS p
    FROM ordered_claims INNER JOIN class_orders AS c USING (engine_name)
),
cumulated AS (
    SELECT claim, k, rank, CASE WHEN realised_rank <= rank THEN 1.0 ELSE 0.0 END AS y,
        sum(p) OVER (PARTITION BY claim ORDER BY rank) AS f
    FROM steps
),
ranked AS (
    SELECT claim, sum((f - y) * (f - y)) / (max(k) - 1) AS rps FROM cumulated WHERE rank < k GROUP BY claim
),
class_scored AS (
    SELECT n.claim,
        list_sum(list_transform(n.class_probabilities, lambda p: p * p)) - 2 * n.p_realised + 1 AS class_brier,
        -ln(greatest(n.p_realised, 1e-15)) AS class_log_loss,
        CASE WHEN n.p_realised < 1e-15 THEN 1 ELSE 0 END AS class_clip,
        r.rps
    FROM named AS n LEFT JOIN ranked AS r USING (claim)
),
scored AS (
    SELECT c.*, s.class_brier, s.class_log_loss, s.class_clip, s.rps,
        CASE
            WHEN c.hit IS NOT NULL THEN c.hit
            WHEN c.event > 0 AND c.event < 1 THEN 0.5
            WHEN c."return" > 0 THEN 1.0
            WHEN c."return" < 0 THEN 0.0
            WHEN c."return" = 0 THEN 0.5
        END AS judged,
        greatest(1e-15, least(1 - 1e-15, c.probability)) AS p
    FROM claims AS c LEFT JOIN class_scored AS s USING (claim)
),
cubes AS (
    SELECT scored.*, cube,
        CASE cube WHEN 'regime' THEN regime WHEN 'stability' THEN stability_bucket ELSE fragility_bucket END AS slice
    FROM scored CROSS JOIN (VALUES ('regime'), ('stability'), ('fragility')) AS cube_names (cube)
)
SELECT
    cube, as_of_date, eval_date, known_date, engine_name, config_id, market_id, horizon, mode, experiment_id, slice,
    sum(sign * decisions) AS decisions,
    sum(sign * due) AS due,
    sum(sign * valid) AS valid,
    fsum(sign * due * weight) AS weight_due,
    sum(sign) FILTER ("return" IS NOT NULL) AS returns,
    fsum(sign * weight) FILTER ("return" IS NOT NULL) AS weight_returned,
    fsum(sign * weight * "return") AS weighted_return,
    fsum(sign * pnl) AS pnl,
    fsum(sign * abs(pnl)) AS pnl_abs,
    sum(sign) FILTER (pnl IS NOT NULL) AS pnl_n,
    sum(sign) FILTER (judged = 1) AS hits,
    sum(sign) FILTER (judged > 0 AND judged < 1) AS hit_ties,
    sum(sign) FILTER (judged IN (0, 1)) AS hit_eligible,
    sum(sign * hard_violations) AS hard_violations,
    sum(sign * soft_violations) AS soft_violations,
    sum(sign) FILTER (hard_violations IS NOT NULL OR soft_violations IS NOT NULL) AS violations_n,
    fsum(sign * cost) AS cost,
    fsum(sign * turnover) AS turnover,
    fsum(sign * (probability - event) * (probability - event)) AS brier_sum,
    fsum(-sign * (event * ln(p) + (1 - event) * ln(1 - p))) FILTER (probability IS NOT NULL) AS log_loss_sum,
    sum(sign) FILTER (probability IS NOT NULL AND event IS NOT NULL) AS forecast_n,
    sum(sign) FILTER (event IS NOT NULL AND (probability < 1e-15 OR probability > 1 - 1e-15)) AS clip_n,
    fsum(sign * class_brier) AS class_brier_sum,
    fsum(sign * class_log_loss) AS class_log_loss_sum,
    sum(sign) FILTER (class_brier IS NOT NULL) AS class_n,
    sum(sign * class_clip) AS class_clip_n,
    fsum(sign * rps) AS rps_sum,
    sum(sign) FILTER (rps IS NOT NULL) AS rps_n,
    fsum(sign * loss) AS loss_sum,
    sum(sign) FILTER (loss IS NOT NULL) AS loss_n
FROM cubes
GROUP BY ALL;
