-- name: raise
-- Raises an alert unless it was raised before; its id when it is new.
INSERT INTO kronos.alerts (kind, engine_name, scope, config_id, metric, monitored_from, raised_on, evidence)
VALUES (
    %(kind)s, %(engine_name)s, %(scope)s, %(config_id)s, %(metric)s, %(monitored_from)s, %(raised_on)s, %(evidence)s
)
ON CONFLICT ON CONSTRAINT alerts_raised_once DO NOTHING
RETURNING alert_id;

-- name: acknowledge
-- A person takes an open alert up; token: of the principal of that name.
SELECT kronos.acknowledge_alert(%(alert_id)s, %(by)s, %(reason)s, %(token)s);

-- name: close
-- A person closes an alert; token: of the principal of that name.
SELECT kronos.close_alert(%(alert_id)s, %(by)s, %(reason)s, %(token)s);

-- name: list
-- Alerts of one engine or, for null, of all, newest first; closed ones only when asked for.
SELECT
    alert_id, kind, engine_name, scope, config_id, metric, monitored_from, raised_on, recorded_at, evidence, state,
    acknowledged_by, acknowledged_at, acknowledged_reason, closed_by, closed_at, closed_reason
FROM kronos.alerts
WHERE (%(engine_name)s::text IS NULL OR engine_name = %(engine_name)s) AND (%(closed)s OR state <> 'CLOSED')
ORDER BY alert_id DESC;

-- name: undelivered
-- Alerts nobody closed that the webhook has not taken yet and that are to be tried now: ever later after each failure.
SELECT
    alert_id, kind, engine_name, scope, config_id, metric, monitored_from, raised_on, recorded_at, evidence, state,
    acknowledged_by, acknowledged_at, acknowledged_reason, closed_by, closed_at, closed_reason
FROM kronos.alerts
LEFT JOIN kronos.alert_deliveries USING (alert_id)
WHERE state <> 'CLOSED' AND delivered_at IS NULL
    AND (tried_at IS NULL OR tried_at + make_interval(secs => least(60 * 2 ^ attempts, 3600)) <= clock_timestamp())
ORDER BY alert_id;

-- name: record_delivery
-- What came of sending an alert to the webhook; failure null: it was taken.
INSERT INTO kronos.alert_deliveries AS sent (alert_id, attempts, tried_at, failure, delivered_at)
VALUES (
    %(alert_id)s, 1, clock_timestamp(), %(failure)s,
    CASE WHEN %(failure)s::text IS NULL THEN clock_timestamp() END
)
ON CONFLICT (alert_id) DO UPDATE SET
    attempts = sent.attempts + 1, tried_at = excluded.tried_at, failure = excluded.failure,
    delivered_at = coalesce(sent.delivered_at, excluded.delivered_at);
