-- name: requests
-- Every request for a cadence's periods from a partition key on.
SELECT period, missing FROM kronos.meta_runs WHERE cadence = %(cadence)s AND period >= %(since)s;

-- name: latest_period
-- The last period of a cadence that was ever requested.
SELECT max(period) FROM kronos.meta_runs WHERE cadence = %(cadence)s;

-- name: claim
-- Takes the right to request a run for one period with these regions missing: the first to insert has it.
INSERT INTO kronos.meta_runs (cadence, period, missing, request_key)
VALUES (%(cadence)s, %(period)s, %(missing)s, %(request_key)s)
ON CONFLICT DO NOTHING
RETURNING period;

-- name: retake
-- Requests claimed a while ago of which no run started: their sensor may have died before handing them over.
UPDATE kronos.meta_runs SET requested_at = now()
WHERE cadence = %(cadence)s AND started_at IS NULL AND requested_at < now() - %(lease)s
RETURNING request_key, period, missing;

-- name: start
-- A run begins to work on its request; a repeated run takes over.
UPDATE kronos.meta_runs SET run_id = %(run_id)s, started_at = now() WHERE request_key = %(request_key)s;

-- name: builds
-- What the lake holds of one report.
SELECT period, engine_name, label, built_at FROM kronos.report_builds WHERE report = %(report)s;

-- name: record_build
-- A report's period was written to the lake.
INSERT INTO kronos.report_builds (report, period, engine_name, label)
VALUES (%(report)s, %(period)s, %(engine_name)s, %(label)s)
ON CONFLICT (report, period, engine_name) DO UPDATE SET label = excluded.label, built_at = now();
