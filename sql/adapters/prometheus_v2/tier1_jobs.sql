-- Jobs of each market, running or not, among those that began or ended since $1: since when they run, when the last
-- ended. A job that is said to run since before $2, or without a start and for an earlier day, died without saying so.
-- Times are naive UTC here.
SELECT market_id, busy, min(started) FILTER (WHERE busy) AS busy_since, max(ended) AS idle_since
FROM (
    SELECT
        coalesce(market_id, '')::text AS market_id,
        (started_at AT TIME ZONE 'UTC')::timestamptz AS started,
        (completed_at AT TIME ZONE 'UTC')::timestamptz AS ended,
        coalesce(
            upper(status) = 'RUNNING' AND coalesce(
                started_at AT TIME ZONE 'UTC' >= $2::timestamptz, as_of_date >= ($2::timestamptz AT TIME ZONE 'UTC')::date, true
            ),
            false
        ) AS busy
    FROM job_executions
    WHERE greatest(started_at, completed_at) AT TIME ZONE 'UTC' >= $1
        OR (started_at IS NULL AND upper(status) = 'RUNNING')
) AS job
GROUP BY market_id, busy
ORDER BY market_id, busy
