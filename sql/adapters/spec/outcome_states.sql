-- Per day of decisions: numbers that change with the rows of their outcomes; $1 is today.
SELECT
    d.as_of_date::date AS as_of_date,
    count(*) AS outcomes,
    count(*) FILTER (WHERE o.eval_date <= $1) AS past,
    (sum(hash_record_extended(
        ROW(o.decision_id, o.horizon_days, o.eval_date, o.recorded_at, o."return", o.pnl, o.drawdown, o.risk_metrics::jsonb), 0
    )) % 2305843009213693951)::bigint AS state
FROM decision_outcomes AS o
INNER JOIN engine_decisions AS d ON d.decision_id = o.decision_id
WHERE d.as_of_date IS NOT NULL
GROUP BY d.as_of_date
