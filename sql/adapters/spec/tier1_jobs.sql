-- Jobs of each market and type, running or not, among those that began or ended since $1: since when they run, when
-- the last ended. A job that is said to run since before $2 died without saying so, as did one that does not say since
-- when and is not of $2's day to $3's. A time after $3 is none: it would hold for ever.
SELECT market_id, job_type, busy, min(started) FILTER (WHERE busy) AS busy_since, max(ended) AS idle_since
FROM (
    SELECT
        market_id,
        job_type,
        started,
        ended,
        running AND coalesce(
            started >= $2::timestamptz,
            as_of_date BETWEEN ($2::timestamptz AT TIME ZONE 'UTC')::date AND ($3::timestamptz AT TIME ZONE 'UTC')::date,
            true
        ) AS busy
    FROM (
        SELECT
            coalesce(market_id, '')::text AS market_id,
            coalesce(job_type, '')::text AS job_type,
            as_of_date,
            coalesce(upper(status) = 'RUNNING', false) AS running,
            CASE WHEN started_at <= $3::timestamptz THEN started_at END::timestamptz AS started,
            CASE WHEN completed_at <= $3::timestamptz THEN completed_at END::timestamptz AS ended
        FROM job_executions
    ) AS told
    WHERE greatest(started, ended) >= $1 OR (started IS NULL AND running)
) AS job
GROUP BY market_id, job_type, busy
ORDER BY market_id, job_type, busy
