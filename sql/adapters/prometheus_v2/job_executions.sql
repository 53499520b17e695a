-- Jobs dated from $1 to $2 (null: without bound), and undated ones, which no range holds. Times are naive UTC here.
SELECT
    execution_id::text AS execution_id,
    job_id::text AS job_id,
    job_type::text AS job_type,
    dag_id::text AS dag_id,
    market_id::text AS market_id,
    as_of_date::date AS as_of_date,
    status::text AS status,
    (started_at AT TIME ZONE 'UTC')::timestamptz AS started_at,
    (completed_at AT TIME ZONE 'UTC')::timestamptz AS completed_at,
    attempt_number::bigint AS attempt_number
FROM job_executions
WHERE as_of_date BETWEEN coalesce($1::date, '-infinity') AND coalesce($2::date, 'infinity') OR as_of_date IS NULL
