-- name: lock
-- Makes other claimers of the cadence wait until this transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('kronos.meta_runs.' || %(cadence)s, 0));

-- name: requested
-- Every request of a cadence's periods.
SELECT period, missing FROM kronos.meta_runs WHERE cadence = %(cadence)s;

-- name: latest_period
-- The last period of a cadence that was ever requested.
SELECT max(period) FROM kronos.meta_runs WHERE cadence = %(cadence)s;

-- name: claim
-- Takes the right to request a run for one period with these regions missing.
INSERT INTO kronos.meta_runs (cadence, period, missing, request_key)
VALUES (%(cadence)s, %(period)s, %(missing)s, %(request_key)s);

-- name: retake
-- Claims older than the lease of which no run started, leased anew.
UPDATE kronos.meta_runs SET requested_at = now()
WHERE cadence = %(cadence)s AND started_at IS NULL AND requested_at < now() - %(lease)s
RETURNING request_key, period, missing;

-- name: start
-- A run works on these periods, whether or not it was launched for the requests that wait for them.
UPDATE kronos.meta_runs SET run_id = %(run_id)s, started_at = now()
WHERE cadence = %(cadence)s AND period = ANY (%(periods)s);

-- name: builds
-- What the lake holds of one report.
SELECT period, engine_name, label, inputs FROM kronos.report_builds WHERE report = %(report)s;

-- name: record_build
-- A report's period was written to the lake.
INSERT INTO kronos.report_builds (report, period, engine_name, label, inputs)
VALUES (%(report)s, %(period)s, %(engine_name)s, %(label)s, %(inputs)s)
ON CONFLICT (report, period, engine_name)
DO UPDATE SET label = excluded.label, inputs = excluded.inputs, built_at = now();
