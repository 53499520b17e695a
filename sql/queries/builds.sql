-- name: of_stage
-- Every month's last build of a stage.
SELECT month, fingerprint, definition, lake, horizons
FROM kronos.month_builds
WHERE stage = %(stage)s
ORDER BY month;

-- name: lock_month
-- Makes other builders of the month wait until this transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('kronos.month_builds.' || %(stage)s || '.' || %(month)s, 0));

-- name: save
-- Records a month's build in place of the one before.
INSERT INTO kronos.month_builds (stage, month, fingerprint, definition, lake, horizons)
VALUES (%(stage)s, %(month)s, %(fingerprint)s, %(definition)s, %(lake)s, %(horizons)s)
ON CONFLICT (stage, month) DO UPDATE
SET fingerprint = EXCLUDED.fingerprint,
    definition = EXCLUDED.definition,
    lake = EXCLUDED.lake,
    horizons = EXCLUDED.horizons,
    built_at = now();
