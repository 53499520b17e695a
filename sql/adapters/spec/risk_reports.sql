-- Risk reports dated from $1 to $2 (null: without bound), all revisions, and undated ones, which no range holds.
-- Columns of a wrong JSON type are listed.
SELECT
    portfolio_id::text AS portfolio_id,
    as_of_date::date AS as_of_date,
    nullif(risk_metrics::jsonb, 'null')::text AS risk_metrics,
    nullif(exposures::jsonb, 'null')::text AS exposures,
    nullif(scenario_pnl::jsonb, 'null')::text AS scenario_pnl,
    model_id::text AS model_id,
    nullif(metadata::jsonb, 'null')::text AS metadata,
    recorded_at::timestamptz AS recorded_at,
    concat_ws(', ',
        CASE WHEN jsonb_typeof(risk_metrics::jsonb) NOT IN ('object', 'null') THEN 'risk_metrics' END,
        CASE WHEN jsonb_typeof(exposures::jsonb) NOT IN ('object', 'null') THEN 'exposures' END,
        CASE WHEN jsonb_typeof(scenario_pnl::jsonb) NOT IN ('object', 'null') THEN 'scenario_pnl' END,
        CASE WHEN jsonb_typeof(metadata::jsonb) NOT IN ('object', 'null') THEN 'metadata' END
    ) AS wrong_types
FROM portfolio_risk_reports
WHERE as_of_date BETWEEN coalesce($1::date, '-infinity') AND coalesce($2::date, 'infinity') OR as_of_date IS NULL
