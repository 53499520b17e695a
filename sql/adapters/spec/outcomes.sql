-- Every revision of every outcome of the decisions dated from $1 to $2.
SELECT
    o.decision_id::text AS decision_id,
    o.horizon_days::bigint AS horizon,
    o.eval_date::date AS eval_date,
    o.recorded_at::timestamptz AS recorded_at,
    NULL::bigint AS outcome_id,
    o."return"::float8 AS "return",
    o.pnl::float8 AS pnl,
    o.drawdown::float8 AS drawdown,
    m.event #>> '{}' AS event,
    m.realised_class #>> '{}' AS realised_class,
    m.hit #>> '{}' AS hit,
    m.hard_violations #>> '{}' AS hard_violations,
    m.soft_violations #>> '{}' AS soft_violations,
    m.turnover #>> '{}' AS turnover,
    m.cost #>> '{}' AS cost,
    m.benchmark_return #>> '{}' AS benchmark_return,
    m.realised_vol #>> '{}' AS realised_vol,
    m.loss #>> '{}' AS loss,
    concat_ws(', ',
        CASE WHEN jsonb_typeof(o.measures) NOT IN ('object', 'null') THEN 'risk_metrics' END,
        CASE WHEN jsonb_typeof(m.realised_class) <> 'string' THEN 'realised_class' END,
        CASE WHEN jsonb_typeof(m.turnover) <> 'number' THEN 'turnover' END,
        CASE WHEN jsonb_typeof(m.cost) <> 'number' THEN 'cost' END,
        CASE WHEN jsonb_typeof(m.benchmark_return) <> 'number' THEN 'benchmark_return' END,
        CASE WHEN jsonb_typeof(m.realised_vol) <> 'number' THEN 'realised_vol' END,
        CASE WHEN jsonb_typeof(m.loss) <> 'number' THEN 'loss' END,
        CASE WHEN jsonb_typeof(m.hard_violations) <> 'number' THEN 'hard_violations' END,
        CASE WHEN jsonb_typeof(m.soft_violations) <> 'number' THEN 'soft_violations' END,
        CASE WHEN jsonb_typeof(m.event) NOT IN ('boolean', 'number') THEN 'event' END,
        CASE WHEN jsonb_typeof(m.hit) NOT IN ('boolean', 'number') THEN 'hit' END
    ) AS wrong_types
FROM (
    SELECT outcome.*, outcome.risk_metrics::jsonb AS measures FROM decision_outcomes AS outcome
    WHERE outcome.decision_id IN (SELECT decision_id FROM engine_decisions WHERE as_of_date BETWEEN $1 AND $2)
) AS o
CROSS JOIN LATERAL jsonb_to_record(CASE WHEN jsonb_typeof(o.measures) = 'object' THEN o.measures ELSE '{}' END) AS m (
    event jsonb, realised_class jsonb, hit jsonb, hard_violations jsonb, soft_violations jsonb, turnover jsonb,
    cost jsonb, benchmark_return jsonb, realised_vol jsonb, loss jsonb
)
