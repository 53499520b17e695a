-- Regional engine runs of the session date $1.
SELECT
    run_id::text AS run_id,
    as_of_date::date AS as_of_date,
    region::text AS region,
    phase::text AS phase,
    error::text AS error,
    created_at::timestamptz AS created_at,
    updated_at::timestamptz AS updated_at
FROM engine_runs
WHERE as_of_date = $1
ORDER BY region, updated_at, run_id
