-- Every registered model. Columns of a wrong JSON type are listed.
SELECT
    model_id::text AS model_id,
    engine_name::text AS engine_name,
    type::text AS type,
    artifact_ref::text AS artifact_ref,
    nullif(training_data_spec::jsonb, 'null')::text AS training_data_spec,
    nullif(metrics::jsonb, 'null')::text AS metrics,
    created_at::timestamptz AS created_at,
    created_by::text AS created_by,
    concat_ws(', ',
        CASE WHEN jsonb_typeof(training_data_spec::jsonb) NOT IN ('object', 'null') THEN 'training_data_spec' END,
        CASE WHEN jsonb_typeof(metrics::jsonb) NOT IN ('object', 'null') THEN 'metrics' END
    ) AS wrong_types
FROM models
