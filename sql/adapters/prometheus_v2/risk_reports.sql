-- Risk reports dated from $1 to $2 (null: without bound), and undated ones, which no range holds.
-- Value, cash and leverage join risk_metrics; net, gross and the exposures by sector and factor make up exposures. A
-- column wins over a key of its name. Columns of a wrong JSON type are listed; NaN and infinity are no JSON numbers.
SELECT
    portfolio_id::text AS portfolio_id,
    as_of_date::date AS as_of_date,
    nullif(
        coalesce(nullif(risk_metrics::jsonb, 'null'), '{}') || jsonb_strip_nulls(
            jsonb_build_object('portfolio_value', portfolio_value, 'cash', cash, 'leverage', leverage)
        ), '{}'
    )::text AS risk_metrics,
    nullif(
        jsonb_strip_nulls(jsonb_build_object('net_exposure', net_exposure, 'gross_exposure', gross_exposure))
        || CASE WHEN jsonb_typeof(exposures_by_sector::jsonb) = 'object'
            THEN jsonb_build_object('by_sector', exposures_by_sector) ELSE '{}' END
        || CASE WHEN jsonb_typeof(exposures_by_factor::jsonb) = 'object'
            THEN jsonb_build_object('by_factor', exposures_by_factor) ELSE '{}' END,
        '{}'
    )::text AS exposures,
    nullif(scenario_pnl::jsonb, 'null')::text AS scenario_pnl,
    metadata::jsonb ->> 'model_id' AS model_id,
    nullif(metadata::jsonb, 'null')::text AS metadata,
    created_at::timestamptz AS recorded_at,
    concat_ws(', ',
        CASE WHEN jsonb_typeof(risk_metrics::jsonb) NOT IN ('object', 'null') THEN 'risk_metrics' END,
        CASE WHEN jsonb_typeof(exposures_by_sector::jsonb) NOT IN ('object', 'null') THEN 'exposures_by_sector' END,
        CASE WHEN jsonb_typeof(exposures_by_factor::jsonb) NOT IN ('object', 'null') THEN 'exposures_by_factor' END,
        CASE WHEN jsonb_typeof(scenario_pnl::jsonb) NOT IN ('object', 'null') THEN 'scenario_pnl' END,
        CASE WHEN jsonb_typeof(metadata::jsonb) NOT IN ('object', 'null') THEN 'metadata' END,
        CASE WHEN jsonb_typeof(metadata::jsonb -> 'model_id') NOT IN ('string', 'null') THEN 'model_id' END,
        CASE WHEN jsonb_typeof(to_jsonb(portfolio_value)) <> 'number' THEN 'portfolio_value' END,
        CASE WHEN jsonb_typeof(to_jsonb(cash)) <> 'number' THEN 'cash' END,
        CASE WHEN jsonb_typeof(to_jsonb(leverage)) <> 'number' THEN 'leverage' END,
        CASE WHEN jsonb_typeof(to_jsonb(net_exposure)) <> 'number' THEN 'net_exposure' END,
        CASE WHEN jsonb_typeof(to_jsonb(gross_exposure)) <> 'number' THEN 'gross_exposure' END
    ) AS wrong_types
FROM portfolio_risk_reports
WHERE as_of_date BETWEEN coalesce($1::date, '-infinity') AND coalesce($2::date, 'infinity') OR as_of_date IS NULL
