-- Rows that no month from the day $1 to the month of $2 (today) holds: outcomes without a decision, decisions without
-- a date or dated outside.
SELECT
    'decision_outcomes' AS source_table,
    concat_ws('/', o.decision_id, o.horizon_days, o.created_at, '#' || o.outcome_id) AS source_key,
    'ORPHAN_OUTCOME' AS rule,
    'decision_id=' || coalesce(o.decision_id::text, 'null') AS value,
    NULL::date AS as_of_date
FROM decision_outcomes AS o
WHERE NOT EXISTS (SELECT FROM engine_decisions AS d WHERE d.decision_id = o.decision_id)
UNION ALL
SELECT
    'engine_decisions',
    coalesce(d.decision_id::text, ''),
    CASE WHEN d.as_of_date IS NULL THEN 'MISSING_FIELD' WHEN d.as_of_date < $1 THEN 'IMPLAUSIBLE_DATE' ELSE 'FUTURE_DATE' END,
    'as_of_date=' || coalesce(d.as_of_date::text, 'null'),
    d.as_of_date::date
FROM engine_decisions AS d
WHERE d.as_of_date IS NULL OR d.as_of_date < $1 OR d.as_of_date >= date_trunc('month', $2::date) + INTERVAL '1 month'
