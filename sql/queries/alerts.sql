-- name: raise
-- Raises an alert unless it was raised before; its id when it is new.
INSERT INTO kronos.alerts (kind, engine_name, scope, config_id, metric, monitored_from, raised_on, evidence)
VALUES (
    %(kind)s, %(engine_name)s, %(scope)s, %(config_id)s, %(metric)s, %(monitored_from)s, %(raised_on)s, %(evidence)s
)
ON CONFLICT ON CONSTRAINT alerts_raised_once DO NOTHING
RETURNING alert_id;

-- name: acknowledge
-- A person takes an open alert up.
SELECT kronos.acknowledge_alert(%(alert_id)s, %(by)s, %(reason)s);

-- name: close
-- A person closes an alert.
SELECT kronos.close_alert(%(alert_id)s, %(by)s, %(reason)s);

-- name: list
-- Alerts of one engine or, for null, of all, newest first; closed ones only when asked for.
SELECT
    alert_id, kind, engine_name, scope, config_id, metric, monitored_from, raised_on, recorded_at, evidence, state,
    acknowledged_by, acknowledged_at, acknowledged_reason, closed_by, closed_at, closed_reason
FROM kronos.alerts
WHERE (%(engine_name)s::text IS NULL OR engine_name = %(engine_name)s) AND (%(closed)s OR state <> 'CLOSED')
ORDER BY alert_id DESC;
