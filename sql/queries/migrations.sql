-- name: lock
-- Waits for every other migrator of this database; freed when the session ends.
SELECT pg_advisory_lock(%s);

-- name: history_exists
-- Whether any migration was ever applied.
SELECT to_regclass('kronos.migrations') IS NOT NULL;

-- name: create_history
-- The runner's own table: it must exist before the first migration can be recorded.
CREATE SCHEMA IF NOT EXISTS kronos;
CREATE TABLE IF NOT EXISTS kronos.migrations (
    name text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- name: applied
-- Name and checksum of what was applied, in order.
SELECT name, checksum FROM kronos.migrations ORDER BY name;

-- name: record
-- Notes that a migration was applied, in its own transaction.
INSERT INTO kronos.migrations (name, checksum) VALUES (%s, %s);
