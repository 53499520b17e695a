-- Phase of each region's newest engine run, by session date from $1 to $2.
SELECT DISTINCT ON (region, as_of_date)
    region::text AS region,
    as_of_date::date AS as_of_date,
    phase::text AS phase
FROM engine_runs
WHERE as_of_date BETWEEN $1 AND $2
ORDER BY region, as_of_date, updated_at DESC NULLS LAST, created_at DESC NULLS LAST, run_id DESC
