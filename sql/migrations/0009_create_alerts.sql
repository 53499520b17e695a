-- Alerts: what Kronos noticed and a person must look at. One is raised once, however often it is noticed, and keeps
-- who took it up, who closed it, when and why. Kronos raises, people answer through the two functions.

CREATE TABLE kronos.alerts (
    alert_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('DEGRADATION')),
    engine_name text NOT NULL CHECK (engine_name <> ''),
    scope text NOT NULL CHECK (scope <> ''),
    config_id text NOT NULL CHECK (config_id <> ''),
    metric text NOT NULL CHECK (metric <> ''),
    monitored_from date NOT NULL,
    raised_on date NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    evidence jsonb NOT NULL CHECK (jsonb_typeof(evidence) = 'object'),
    state text NOT NULL DEFAULT 'OPEN' CHECK (state IN ('OPEN', 'ACKNOWLEDGED', 'CLOSED')),
    acknowledged_by text CHECK (acknowledged_by <> ''),
    acknowledged_at timestamptz,
    acknowledged_reason text CHECK (acknowledged_reason <> ''),
    closed_by text CHECK (closed_by <> ''),
    closed_at timestamptz,
    closed_reason text CHECK (closed_reason <> ''),
    CONSTRAINT alerts_raised_once UNIQUE (kind, engine_name, scope, config_id, metric, monitored_from),
    CONSTRAINT alerts_raised_while_monitored CHECK (raised_on >= monitored_from),
    CONSTRAINT alerts_acknowledged_by_someone
        CHECK (num_nulls(acknowledged_by, acknowledged_at, acknowledged_reason) IN (0, 3)),
    CONSTRAINT alerts_closed_by_someone CHECK (num_nulls(closed_by, closed_at, closed_reason) IN (0, 3)),
    CONSTRAINT alerts_state_says_who CHECK (CASE state
        WHEN 'OPEN' THEN acknowledged_by IS NULL AND closed_by IS NULL
        WHEN 'ACKNOWLEDGED' THEN acknowledged_by IS NOT NULL AND closed_by IS NULL
        ELSE closed_by IS NOT NULL
    END)
);
COMMENT ON TABLE kronos.alerts IS
    'One row per kind, engine, scope, config, metric and start of monitoring that called for a person.';
COMMENT ON COLUMN kronos.alerts.raised_on IS 'The date in the data as of which it was noticed.';
COMMENT ON COLUMN kronos.alerts.recorded_at IS 'When the row was written, by the wall clock.';

CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.alerts
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE FUNCTION kronos.keep_alert() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    answers text[] := ARRAY['state', 'acknowledged_by', 'acknowledged_at', 'acknowledged_reason',
        'closed_by', 'closed_at', 'closed_reason'];
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'OPEN' THEN
            RAISE EXCEPTION 'an alert is raised OPEN, not %', NEW.state
                USING ERRCODE = 'restrict_violation', CONSTRAINT = 'alerts_raised_open';
        END IF;
        RETURN NEW;
    END IF;
    IF to_jsonb(NEW) - answers <> to_jsonb(OLD) - answers
        OR (OLD.acknowledged_by IS NOT NULL AND (NEW.acknowledged_by, NEW.acknowledged_at, NEW.acknowledged_reason)
            IS DISTINCT FROM (OLD.acknowledged_by, OLD.acknowledged_at, OLD.acknowledged_reason))
    THEN
        RAISE EXCEPTION 'what alert % says cannot change', OLD.alert_id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'alerts_immutable';
    END IF;
    IF (OLD.state, NEW.state) NOT IN (('OPEN', 'ACKNOWLEDGED'), ('OPEN', 'CLOSED'), ('ACKNOWLEDGED', 'CLOSED')) THEN
        RAISE EXCEPTION 'alert % is % and cannot become %', OLD.alert_id, OLD.state, NEW.state
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'alerts_move_forward';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER guarded BEFORE INSERT OR UPDATE ON kronos.alerts FOR EACH ROW EXECUTE FUNCTION kronos.keep_alert();

-- An unknown id is an error; what is no longer open the trigger refuses.
CREATE FUNCTION kronos.acknowledge_alert(wanted bigint, author text, why text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE kronos.alerts
        SET state = 'ACKNOWLEDGED', acknowledged_by = author, acknowledged_at = now(), acknowledged_reason = why
        WHERE alert_id = wanted;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'alert % does not exist', wanted USING ERRCODE = 'no_data_found';
    END IF;
END
$$;

CREATE FUNCTION kronos.close_alert(wanted bigint, author text, why text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE kronos.alerts SET state = 'CLOSED', closed_by = author, closed_at = now(), closed_reason = why
        WHERE alert_id = wanted;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'alert % does not exist', wanted USING ERRCODE = 'no_data_found';
    END IF;
END
$$;

GRANT INSERT (kind, engine_name, scope, config_id, metric, monitored_from, raised_on, evidence)
    ON kronos.alerts TO kronos_orchestrator;
GRANT EXECUTE ON FUNCTION kronos.acknowledge_alert(bigint, text, text) TO kronos_change_manager;
GRANT EXECUTE ON FUNCTION kronos.close_alert(bigint, text, text) TO kronos_change_manager;
