-- The promotion latch of an engine, the alerts it raises, and gate policies that a person sets.

CREATE TABLE kronos.promotion_latch (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    engine_name text NOT NULL CHECK (engine_name <> ''),
    state text NOT NULL CHECK (state IN ('CLOSED', 'OPEN')),
    cause text NOT NULL CHECK (cause ~ '^[A-Z][A-Z_]*$'),
    detail jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(detail) = 'object'),
    author text NOT NULL,
    reason text,
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT promotion_latch_reason CHECK (state = 'CLOSED' OR reason ~ '\S')
);
CREATE INDEX promotion_latch_by_engine ON kronos.promotion_latch (engine_name, event_id DESC);
COMMENT ON TABLE kronos.promotion_latch IS
    'One row per closing or opening of an engine''s latch; the newest says how it was left. See kronos.latch_causes.';

CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON kronos.promotion_latch
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

-- alerts learn of latches; each closing is an alert of its own
ALTER TABLE kronos.alerts
    ADD COLUMN latch_event bigint REFERENCES kronos.promotion_latch,
    DROP CONSTRAINT alerts_kind_check,
    ADD CONSTRAINT alerts_kind_check CHECK (kind IN ('DEGRADATION', 'PROMOTION_LATCH', 'MISSED_CONTROL')),
    DROP CONSTRAINT alerts_raised_once,
    ADD CONSTRAINT alerts_raised_once UNIQUE NULLS NOT DISTINCT
        (kind, engine_name, scope, config_id, metric, monitored_from, latch_event);
COMMENT ON COLUMN kronos.alerts.latch_event IS 'The closing of a latch it tells of; its dates are then those of the wall clock.';

CREATE TABLE kronos.alert_deliveries (
    alert_id bigint PRIMARY KEY REFERENCES kronos.alerts,
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    tried_at timestamptz,
    failure text,
    delivered_at timestamptz
);
COMMENT ON TABLE kronos.alert_deliveries IS 'One row per alert that was sent to the webhook, or is to be sent again.';

CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.alert_deliveries
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();
GRANT INSERT, UPDATE (attempts, tried_at, failure, delivered_at) ON kronos.alert_deliveries TO kronos_orchestrator;

CREATE FUNCTION kronos.incumbent_of(engine text, within text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT config_id FROM kronos.config_activations
    WHERE engine_name = engine AND scope = within AND deactivated_at IS NULL
$$;

CREATE FUNCTION kronos.raise_alert(
    of_kind text, engine text, what text, detail jsonb, since timestamptz, event bigint DEFAULT NULL
) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO kronos.alerts (
        kind, engine_name, scope, config_id, metric, monitored_from, raised_on, evidence, latch_event
    ) VALUES (
        of_kind, engine, '*', coalesce(kronos.incumbent_of(engine, '*'), 'none'), what,
        (since AT TIME ZONE 'UTC')::date, (clock_timestamp() AT TIME ZONE 'UTC')::date, detail, event
    ) ON CONFLICT ON CONSTRAINT alerts_raised_once DO NOTHING
$$;

CREATE FUNCTION kronos.raise_latch_alert(engine text, cause text, detail jsonb, since timestamptz, event bigint)
RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT kronos.raise_alert('PROMOTION_LATCH', engine, cause, detail || jsonb_build_object(
        'cause', cause, 'closed_since', since,
        'means', 'no config of ' || engine || ' is promoted while its latch is closed'), since, event)
$$;

CREATE FUNCTION kronos.enter_latch_event(engine text, becomes text, of_cause text, what jsonb, why text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before text;
    event kronos.promotion_latch;
BEGIN
    PERFORM kronos.lock_change_log();
    SELECT state INTO before FROM kronos.promotion_latch WHERE engine_name = engine ORDER BY event_id DESC LIMIT 1;
    INSERT INTO kronos.promotion_latch (engine_name, state, cause, detail, author, reason)
        VALUES (engine, becomes, of_cause, what, kronos.change_author(), why) RETURNING * INTO event;
    PERFORM kronos.log_change('latch', engine, before, becomes, NULL, NULL,
        jsonb_build_object('cause', of_cause, 'detail', what));
    IF becomes = 'CLOSED' THEN
        PERFORM kronos.raise_latch_alert(engine, of_cause, what, event.occurred_at, event.event_id);
    END IF;
    RETURN event.event_id;
END
$$;

-- Closes an engine's latch for a cause and says what is known of it; in a transaction that has begun its change. The
-- same cause and detail as the last closing, told again, changes nothing.
CREATE FUNCTION kronos.close_latch(engine text, of_cause text, what jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    newest kronos.promotion_latch;
BEGIN
    PERFORM kronos.change_author();
    PERFORM kronos.lock_change_log();
    SELECT * INTO newest FROM kronos.promotion_latch WHERE engine_name = engine ORDER BY event_id DESC LIMIT 1;
    IF (newest.state, newest.cause, newest.detail) IS NOT DISTINCT FROM ('CLOSED', of_cause, what) THEN
        RETURN newest.event_id;
    END IF;
    RETURN kronos.enter_latch_event(engine, 'CLOSED', of_cause, what, kronos.said('reason'));
END
$$;

-- A negative control without its right answer closes the latch. A missed positive alone may be bad luck: it alerts, and
-- too many of them close it too.
CREATE FUNCTION kronos.close_latch_on_suite() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    told jsonb := jsonb_build_object(
        'suite_id', NEW.suite_id, 'period', NEW.period, 'seed', NEW.seed, 'policy_digest', NEW.policy_digest,
        'code_version', NEW.code_version, 'planned', NEW.planned, 'unexpected', NEW.unexpected,
        'outcomes', (
            SELECT jsonb_agg(outcome) FROM jsonb_array_elements(NEW.outcomes) AS each_outcome (outcome)
            WHERE NOT (outcome ->> 'as_expected')::boolean
        )
    );
BEGIN
    IF NEW.unexpected > 0 THEN
        PERFORM kronos.close_latch(NEW.engine_name, 'UNEXPECTED_CONTROL', told);
    ELSIF NEW.missed_positives > 0 THEN
        PERFORM kronos.raise_alert('MISSED_CONTROL', NEW.engine_name,
            format('positive controls of %s, seed %s', NEW.period, NEW.seed),
            told || jsonb_build_object('missed_positives', NEW.missed_positives, 'means',
                'the gates refused a config that is better beyond doubt: one may be bad luck, too many close the latch'),
            NEW.completed_at);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER closes_latch AFTER INSERT ON kronos.control_suites
    FOR EACH ROW EXECUTE FUNCTION kronos.close_latch_on_suite();

-- Why an engine's latch is closed at this moment: a row per cause, none when it is open. It is closed by the last
-- event, and for as long as no suite of the last suite_days (gate policy, promotion; 8 by default) has proven the policy
-- in force: that part nobody can reopen, only a fresh suite can.
CREATE FUNCTION kronos.latch_causes(engine text)
RETURNS TABLE (cause text, detail jsonb, since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH last_event AS (
        SELECT * FROM kronos.promotion_latch WHERE engine_name = engine ORDER BY event_id DESC LIMIT 1
    ), policy AS (
        SELECT digest, version, created_at, coalesce((body #>> '{promotion,suite_days}')::numeric, 8) AS suite_days
        FROM kronos.gate_policy_in_force(engine)
    ), suite AS (
        SELECT * FROM kronos.control_suites WHERE engine_name = engine ORDER BY completed_at DESC LIMIT 1
    )
    SELECT last_event.cause, last_event.detail, last_event.occurred_at FROM last_event WHERE state = 'CLOSED'
    UNION ALL
    SELECT 'NO_SUITE', '{}', 'epoch' WHERE NOT EXISTS (SELECT FROM suite)
    UNION ALL
    SELECT 'STALE_SUITE',
        jsonb_build_object('suite_id', suite_id, 'completed_at', completed_at, 'suite_days', suite_days), completed_at
    FROM suite CROSS JOIN policy
    WHERE completed_at + make_interval(secs => suite_days::double precision * 86400) <= clock_timestamp()
    UNION ALL
    SELECT 'NO_POLICY', '{}', 'epoch' WHERE NOT EXISTS (SELECT FROM policy)
    UNION ALL
    SELECT 'POLICY_UNPROVEN',
        jsonb_build_object('policy_version', version, 'policy_digest', digest, 'suite_id', suite_id,
            'suite_policy_digest', policy_digest), created_at
    FROM suite CROSS JOIN policy WHERE policy_digest <> digest
$$;

-- Alerts for the latches of engines with an incumbent that closed by the passing of time or a new policy: once each.
CREATE FUNCTION kronos.alert_closed_latches() RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT kronos.raise_latch_alert(engine_name, cause, detail, since, NULL)
    FROM (SELECT DISTINCT engine_name FROM kronos.config_activations WHERE deactivated_at IS NULL) AS engines
    CROSS JOIN LATERAL kronos.latch_causes(engine_name)
    WHERE cause IN ('NO_SUITE', 'STALE_SUITE', 'NO_POLICY', 'POLICY_UNPROVEN')
$$;

-- A person has investigated what closed the latch last.
CREATE FUNCTION kronos.reopen_latch(token text, engine text, why text, code text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor kronos.principals := kronos.require_principal(token, ARRAY['change_manager', 'admin'], true, 'reopen a latch');
    newest kronos.promotion_latch;
BEGIN
    PERFORM kronos.enter_change(actor.name, why, code => code);
    SELECT * INTO newest FROM kronos.promotion_latch WHERE engine_name = engine ORDER BY event_id DESC LIMIT 1;
    IF newest.state IS DISTINCT FROM 'CLOSED' THEN
        RAISE EXCEPTION 'nothing to reopen: no event has closed the latch of %; what keeps it closed, if anything, is %',
            engine, coalesce((SELECT string_agg(cause, ', ') FROM kronos.latch_causes(engine)), 'nothing')
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'promotion_latch_closed';
    END IF;
    RETURN kronos.enter_latch_event(engine, 'OPEN', 'INVESTIGATED', jsonb_build_object('closing', newest.event_id,
        'closed_by', newest.cause), why);
END
$$;

-- Gate policies

-- A new version for an engine or for all (`*`), by a person: expected is the version it replaces, 0 for the first. The
-- latch of whom it concerns is closed from now on, until a suite of controls has proven it.
CREATE FUNCTION kronos.set_gate_policy(
    token text, engine text, new_body jsonb, expected integer, why text, code text DEFAULT NULL
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor kronos.principals := kronos.require_principal(
        token, ARRAY['change_manager', 'admin'], true, 'change a gate policy');
BEGIN
    PERFORM kronos.enter_change(actor.name, why, code => code);
    RETURN kronos.add_gate_policy(engine, new_body, expected);
END
$$;

GRANT EXECUTE ON FUNCTION kronos.latch_causes(text), kronos.incumbent_of(text, text)
    TO kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;
GRANT EXECUTE ON FUNCTION kronos.close_latch(text, text, jsonb) TO kronos_orchestrator, kronos_change_manager;
GRANT EXECUTE ON FUNCTION kronos.alert_closed_latches() TO kronos_orchestrator;
GRANT EXECUTE ON FUNCTION
    kronos.reopen_latch(text, text, text, text), kronos.set_gate_policy(text, text, jsonb, integer, text, text)
    TO kronos_change_manager;
