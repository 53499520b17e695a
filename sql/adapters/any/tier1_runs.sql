-- The newest engine run of each region and date that changed since $1: its phase, and when it took it. A date that is
-- late or run again is work, whatever later dates have come to.
SELECT DISTINCT ON (region, as_of_date)
    region::text AS region,
    phase::text AS phase,
    updated_at::timestamptz AS since
FROM engine_runs
WHERE updated_at >= $1
ORDER BY region, as_of_date DESC, updated_at DESC NULLS LAST, created_at DESC NULLS LAST, run_id DESC
