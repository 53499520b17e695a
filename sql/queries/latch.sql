-- name: causes
-- Why the engine's latch is closed now; no row when it is open.
SELECT cause, detail, since, event_id FROM kronos.latch_causes(%(engine_name)s);

-- name: engines
-- Engines that have an incumbent or a latch event.
SELECT engine_name FROM kronos.config_activations WHERE deactivated_at IS NULL
UNION SELECT engine_name FROM kronos.promotion_latch
ORDER BY engine_name;

-- name: history
-- Every closing and opening of an engine's latch, oldest first.
SELECT event_id, engine_name, state, cause, detail, author, reason, occurred_at
FROM kronos.promotion_latch WHERE engine_name = %(engine_name)s ORDER BY event_id;

-- name: close
-- Closes an engine's latch; the number of the closing.
SELECT kronos.close_latch(%(engine_name)s, %(cause)s, %(detail)s);

-- name: reopen
-- A person reopens an engine's latch after he has seen its newest event; the number of the opening.
SELECT kronos.reopen_latch(%(token)s, %(engine_name)s, %(seen)s, %(reason)s, %(code_version)s);

-- name: alert
-- Raises an alert for each latch that closed by the passing of time or a new policy.
SELECT kronos.alert_closed_latches();
