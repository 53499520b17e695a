-- Upstream registers no models: no rows, in the contract's columns.
SELECT
    NULL::text AS model_id,
    NULL::text AS engine_name,
    NULL::text AS type,
    NULL::text AS artifact_ref,
    NULL::text AS training_data_spec,
    NULL::text AS metrics,
    NULL::timestamptz AS created_at,
    NULL::text AS created_by,
    NULL::text AS wrong_types
WHERE false
