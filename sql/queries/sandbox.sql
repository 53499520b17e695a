-- name: clock
-- The sandbox's time; no row before its history is loaded.
SELECT today, now, loaded_from, data_end FROM kronos.sandbox_clock;

-- name: start_clock
-- Starts the clock with the history.
INSERT INTO kronos.sandbox_clock (today, now, loaded_from, data_end)
VALUES (%(today)s, %(now)s, %(loaded_from)s, %(data_end)s);

-- name: move_clock
-- Moves the clock from the session it is believed to be at; no row when it is elsewhere.
UPDATE kronos.sandbox_clock SET today = %(today)s, now = %(now)s WHERE today = %(expected)s RETURNING today;

-- name: lock
-- Only one process plays upstream at a time, until its transaction ends.
SELECT pg_advisory_xact_lock(%s);

-- name: act_as
-- Acts as a role until the transaction ends.
SELECT set_config('role', %s, true);

-- name: holds_decisions
-- Whether somebody has written decisions already.
SELECT EXISTS (SELECT FROM source.engine_decisions);

-- name: analyze
-- Fresh planner statistics after a bulk load.
ANALYZE source.engine_decisions, source.decision_outcomes;
