-- The only path to a live config: principals with tokens, the promotion latch, approvals bound to a digest, promotions
-- and rollbacks. Each step is one function, and so one transaction: it asks who holds the token, takes the change log's
-- lock, checks every rule under it, and writes.

-- Principals

CREATE TABLE kronos.principals (
    name text PRIMARY KEY
        CONSTRAINT principals_name CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}$')
        CONSTRAINT principals_reserved CHECK (lower(name) NOT IN ('kronos', 'policy')),
    kind text NOT NULL CONSTRAINT principals_kind CHECK (kind IN ('PERSON', 'SERVICE')),
    role text NOT NULL CONSTRAINT principals_role
        CHECK (role IN ('reader', 'orchestrator', 'chat', 'change_manager', 'admin')),
    token_hash text NOT NULL CONSTRAINT principals_token_of_its_own UNIQUE
        CONSTRAINT principals_token_hash CHECK (token_hash ~ '^[0-9a-f]{64}$'),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text NOT NULL,
    rotated_at timestamptz,
    revoked_at timestamptz,
    revoked_by text,
    CONSTRAINT principals_revoked CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);
CREATE UNIQUE INDEX principals_one_name ON kronos.principals (lower(name));
COMMENT ON TABLE kronos.principals IS 'One row per person or service that may act with a token; a name is never given twice.';
COMMENT ON COLUMN kronos.principals.token_hash IS
    'SHA-256 of the token. The functions take the token itself, so whoever reads this column cannot act with it.';

CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.principals
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE FUNCTION kronos.keep_principal() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changing text[] := ARRAY['token_hash', 'rotated_at', 'revoked_at', 'revoked_by'];
BEGIN
    IF OLD.revoked_at IS NOT NULL OR to_jsonb(NEW) - changing <> to_jsonb(OLD) - changing THEN
        RAISE EXCEPTION 'principal % is as it was added, and for good once revoked: add another', OLD.name
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'principals_immutable';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guarded BEFORE UPDATE ON kronos.principals FOR EACH ROW EXECUTE FUNCTION kronos.keep_principal();

CREATE FUNCTION kronos.hash_of_token(token text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT encode(sha256(convert_to(token, 'UTF8')), 'hex')
$$;

-- Whose token it is; no row for one that is unknown or revoked.
CREATE FUNCTION kronos.identify(token text) RETURNS SETOF kronos.principals
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM kronos.principals WHERE token_hash = kronos.hash_of_token(token) AND revoked_at IS NULL
$$;

-- The principal of the token, if he may do what is asked; people_only: not a service. The change log's lock first, so
-- that nobody acts after he was revoked.
CREATE FUNCTION kronos.require_principal(token text, roles text[], people_only boolean, act text)
RETURNS kronos.principals
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found kronos.principals;
BEGIN
    PERFORM kronos.lock_change_log();
    SELECT * INTO found FROM kronos.identify(token);
    IF found.name IS NULL THEN
        RAISE EXCEPTION 'a token is needed to %: this one is %', act,
            CASE WHEN token IS NULL THEN 'missing' ELSE 'unknown or revoked' END
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'principals_token';
    END IF;
    IF found.role <> ALL (roles) OR (people_only AND found.kind <> 'PERSON') THEN
        RAISE EXCEPTION 'principal % is a % with role %: who may % is % with role %', found.name, lower(found.kind),
            found.role, act, CASE WHEN people_only THEN 'a person' ELSE 'a principal' END,
            array_to_string(roles, ' or ')
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'principals_right';
    END IF;
    RETURN found;
END
$$;

-- An author is who the token says: without one nobody takes the name of a principal, and with one nobody takes another.
-- What Kronos does by itself is under the orchestrator's role, whatever token is at hand.
ALTER FUNCTION kronos.begin_change(text, text, text, jsonb, text) RENAME TO enter_change;
REVOKE EXECUTE ON FUNCTION kronos.enter_change(text, text, text, jsonb, text)
    FROM kronos_orchestrator, kronos_change_manager;

CREATE FUNCTION kronos.begin_change(
    author text, why text DEFAULT NULL, run text DEFAULT NULL, lake jsonb DEFAULT NULL, code text DEFAULT NULL,
    token text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known text;
BEGIN
    PERFORM kronos.enter_change(author, why, run, lake, code);
    SELECT name INTO known FROM kronos.identify(token);
    IF author = 'Kronos' THEN
        RETURN;
    ELSIF token IS NOT NULL AND known IS NULL THEN
        RAISE EXCEPTION 'the token of author % is unknown or revoked', author
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'principals_token';
    ELSIF known IS NOT NULL AND lower(btrim(author)) <> lower(known) THEN
        RAISE EXCEPTION 'author % is not whose token this is: %', author, known
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'change_log_author';
    ELSIF known IS NULL AND EXISTS (SELECT FROM kronos.principals WHERE lower(name) = lower(btrim(author))) THEN
        RAISE EXCEPTION 'author % is a principal: a change under that name needs its token in KRONOS_TOKEN', author
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'change_log_author';
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION kronos.begin_change(text, text, text, jsonb, text, text)
    TO kronos_orchestrator, kronos_change_manager;

DROP FUNCTION kronos.propose_config(text, text, jsonb, text, text, jsonb, text);
CREATE FUNCTION kronos.propose_config(
    engine text, base text, body jsonb, author text, why text, about jsonb DEFAULT '{}', code text DEFAULT NULL,
    token text DEFAULT NULL
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_id uuid := gen_random_uuid();
BEGIN
    PERFORM kronos.begin_change(author, why, code => code, token => token);
    INSERT INTO kronos.config_proposals (proposal_id, engine_name, base_config_id, proposed_config_body, metadata)
        VALUES (new_id, engine, base, body, about || jsonb_build_object('rationale', why, 'through', kronos.caller()));
    RETURN new_id;
END
$$;
GRANT EXECUTE ON FUNCTION kronos.propose_config(text, text, jsonb, text, text, jsonb, text, text)
    TO kronos_orchestrator, kronos_chat;

-- The first admin of a database, and only while there is none: for the owner, so no role may call it.
CREATE FUNCTION kronos.begin_principals(first_name text, first_hash text, code text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kronos.enter_change('Kronos', 'the first admin', code => code);
    IF EXISTS (SELECT FROM kronos.principals WHERE role = 'admin' AND revoked_at IS NULL) THEN
        RETURN false;
    END IF;
    INSERT INTO kronos.principals (name, kind, role, token_hash, created_by)
        VALUES (first_name, 'PERSON', 'admin', first_hash, 'Kronos');
    RETURN true;
END
$$;

CREATE FUNCTION kronos.add_principal(
    token text, new_name text, new_kind text, new_role text, new_hash text, code text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor kronos.principals := kronos.require_principal(token, ARRAY['admin'], false, 'add a principal');
BEGIN
    PERFORM kronos.enter_change(actor.name, code => code);
    INSERT INTO kronos.principals (name, kind, role, token_hash, created_by)
        VALUES (new_name, new_kind, new_role, new_hash, actor.name);
END
$$;

-- Anyone may change his own token, an admin everyone's.
CREATE FUNCTION kronos.rotate_principal(token text, whose text, new_hash text, code text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    everyone text[] := ARRAY['reader', 'orchestrator', 'chat', 'change_manager', 'admin'];
    actor kronos.principals := kronos.require_principal(token, everyone, false, 'rotate a token');
BEGIN
    IF lower(actor.name) <> lower(whose) THEN
        actor := kronos.require_principal(token, ARRAY['admin'], false, 'rotate another principal''s token');
    END IF;
    PERFORM kronos.enter_change(actor.name, code => code);
    UPDATE kronos.principals SET token_hash = new_hash, rotated_at = clock_timestamp()
        WHERE lower(name) = lower(whose);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'principal % does not exist', whose USING ERRCODE = 'no_data_found';
    END IF;
END
$$;

CREATE FUNCTION kronos.revoke_principal(token text, whose text, why text, code text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor kronos.principals := kronos.require_principal(token, ARRAY['admin'], false, 'revoke a principal');
BEGIN
    PERFORM kronos.enter_change(actor.name, why, code => code);
    UPDATE kronos.principals SET revoked_at = clock_timestamp(), revoked_by = actor.name WHERE lower(name) = lower(whose);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'principal % does not exist', whose USING ERRCODE = 'no_data_found';
    END IF;
    IF NOT EXISTS (SELECT FROM kronos.principals WHERE role = 'admin' AND revoked_at IS NULL) THEN
        RAISE EXCEPTION 'principal % is the last admin: add another first', whose
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'principals_last_admin';
    END IF;
END
$$;

CREATE FUNCTION kronos.log_principal() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kronos.log_change('principal', NEW.name, CASE WHEN TG_OP = 'UPDATE' THEN 'VALID' END,
        CASE WHEN NEW.revoked_at IS NOT NULL THEN 'REVOKED' ELSE 'VALID' END, NULL, NULL,
        jsonb_build_object('kind', NEW.kind, 'role', NEW.role, 'rotated', NEW.rotated_at IS NOT NULL));
    RETURN NULL;
END
$$;
CREATE TRIGGER logged AFTER INSERT OR UPDATE ON kronos.principals
    FOR EACH ROW EXECUTE FUNCTION kronos.log_principal();

-- A refused attempt rolls back with everything it wrote: this says so in a transaction of its own.
CREATE FUNCTION kronos.log_refusal(
    token text, account text, act text, of_id text, rule text, why text, code text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known text;
BEGIN
    SELECT name INTO known FROM kronos.identify(token);
    PERFORM kronos.enter_change(coalesce(known, 'without token: ' || account), why, code => code);
    PERFORM kronos.log_change('refusal', of_id, NULL, 'REFUSED', NULL, NULL,
        jsonb_build_object('act', act, 'rule', rule, 'account', account));
END
$$;

-- The promotion latch

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

-- Approvals

CREATE TABLE kronos.approvals (
    approval_id uuid PRIMARY KEY,
    experiment_id uuid NOT NULL REFERENCES kronos.experiments,
    verdict_id uuid NOT NULL REFERENCES kronos.experiment_verdicts,
    digest text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    content jsonb NOT NULL CHECK (jsonb_typeof(content) = 'object'),
    kind text NOT NULL CHECK (kind IN ('PERSON', 'POLICY')),
    approver text NOT NULL,
    reason text NOT NULL CONSTRAINT approvals_reason CHECK (reason ~ '\S'),
    evidence text NOT NULL
        CONSTRAINT approvals_no_control CHECK (evidence IN ('AUTO_PRESCREEN', 'HUMAN_TRIGGERED')),
    approved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT approvals_policy CHECK ((kind = 'POLICY') = (approver = 'policy'))
);
CREATE INDEX approvals_by_experiment ON kronos.approvals (experiment_id, approved_at DESC);
COMMENT ON TABLE kronos.approvals IS 'One row per approval of an experiment; it holds for one digest and one promotion.';
COMMENT ON COLUMN kronos.approvals.content IS 'What the digest is of, as the approver saw it.';
COMMENT ON COLUMN kronos.approvals.evidence IS 'Who brought the evidence about, as the approver was shown it.';

-- Promotions

CREATE TABLE kronos.promotions (
    promotion_id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('PROMOTION', 'ROLLBACK')),
    engine_name text NOT NULL,
    scope text NOT NULL,
    config_id text NOT NULL,
    expected_incumbent text,
    experiment_id uuid REFERENCES kronos.experiments,
    approval_id uuid REFERENCES kronos.approvals CONSTRAINT promotions_approval_used_once UNIQUE,
    evidence text CONSTRAINT promotions_no_control CHECK (evidence IN ('AUTO_PRESCREEN', 'HUMAN_TRIGGERED')),
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason text NOT NULL CONSTRAINT promotions_reason CHECK (reason ~ '\S'),
    activates_at timestamptz NOT NULL,
    status text NOT NULL CHECK (status IN ('SCHEDULED', 'ACTIVATED', 'CANCELLED')),
    settled_at timestamptz,
    settled_why text,
    activation_id bigint CONSTRAINT promotions_one_activation UNIQUE REFERENCES kronos.config_activations,
    FOREIGN KEY (engine_name, config_id) REFERENCES kronos.engine_configs (engine_name, config_id),
    CONSTRAINT promotions_kind CHECK (CASE kind
        WHEN 'PROMOTION' THEN num_nulls(experiment_id, approval_id, evidence) = 0
        ELSE num_nonnulls(experiment_id, approval_id, evidence) = 0 AND status = 'ACTIVATED'
            AND expected_incumbent IS NOT NULL
    END),
    CONSTRAINT promotions_status CHECK (CASE status
        WHEN 'SCHEDULED' THEN num_nonnulls(settled_at, settled_why, activation_id) = 0
        WHEN 'ACTIVATED' THEN num_nulls(settled_at, activation_id) = 0
        ELSE num_nulls(settled_at, settled_why) = 0 AND activation_id IS NULL
    END)
);
CREATE INDEX promotions_due ON kronos.promotions (activates_at) WHERE status = 'SCHEDULED';
CREATE INDEX promotions_by_config ON kronos.promotions (config_id);
COMMENT ON TABLE kronos.promotions IS 'One row per change of an incumbent: by a promotion, now or at a set time, or by a rollback.';
COMMENT ON COLUMN kronos.promotions.activates_at IS 'By the clock activations go by: the sandbox''s in the sandbox.';

CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON kronos.approvals
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();
CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.promotions
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE FUNCTION kronos.keep_promotion() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    settling text[] := ARRAY['status', 'settled_at', 'settled_why', 'activation_id'];
BEGIN
    IF OLD.status <> 'SCHEDULED' OR NEW.status = 'SCHEDULED' OR to_jsonb(NEW) - settling <> to_jsonb(OLD) - settling THEN
        RAISE EXCEPTION 'promotion % is % and as requested: it can only be settled, once', OLD.promotion_id, OLD.status
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'promotions_immutable';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guarded BEFORE UPDATE ON kronos.promotions FOR EACH ROW EXECUTE FUNCTION kronos.keep_promotion();

CREATE FUNCTION kronos.log_promotion() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kronos.log_change(lower(NEW.kind), coalesce(NEW.experiment_id::text, NEW.engine_name),
        CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, NEW.status, NEW.evidence, NULL,
        to_jsonb(NEW) - ARRAY['kind', 'experiment_id', 'status', 'evidence', 'requested_at', 'settled_at']);
    RETURN NULL;
END
$$;
CREATE TRIGGER logged AFTER INSERT OR UPDATE ON kronos.promotions
    FOR EACH ROW EXECUTE FUNCTION kronos.log_promotion();

CREATE FUNCTION kronos.log_approval() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kronos.log_change('approval', NEW.experiment_id::text, NULL, NEW.kind, NEW.evidence, NULL,
        jsonb_build_object('approval_id', NEW.approval_id, 'verdict_id', NEW.verdict_id, 'digest', NEW.digest));
    RETURN NULL;
END
$$;
CREATE TRIGGER logged AFTER INSERT ON kronos.approvals FOR EACH ROW EXECUTE FUNCTION kronos.log_approval();

-- What was active keeps the hash of what it was, so that a rollback can tell whether it still is.
ALTER TABLE kronos.config_activations ADD COLUMN body_hash text;
COMMENT ON COLUMN kronos.config_activations.body_hash IS 'Canonical hash of the config''s body when it was activated.';
ALTER TABLE kronos.config_activations DISABLE TRIGGER USER;
UPDATE kronos.config_activations AS activations SET body_hash = kronos.canonical_hash(config_body)
    FROM kronos.engine_configs AS configs WHERE configs.config_id = activations.config_id;
ALTER TABLE kronos.config_activations ENABLE TRIGGER USER;

CREATE FUNCTION kronos.hash_activated_body() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.body_hash := (SELECT kronos.canonical_hash(config_body) FROM kronos.engine_configs
        WHERE config_id = NEW.config_id);
    RETURN NEW;
END
$$;
CREATE TRIGGER hashed BEFORE INSERT ON kronos.config_activations
    FOR EACH ROW EXECUTE FUNCTION kronos.hash_activated_body();

-- At the commit every activation but the first of its engine and scope has the promotion or rollback it is of.
CREATE FUNCTION kronos.require_promotion() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM kronos.config_activations
        WHERE engine_name = NEW.engine_name AND scope = NEW.scope AND activation_id < NEW.activation_id
    ) AND NOT EXISTS (
        SELECT FROM kronos.promotions
        WHERE activation_id = NEW.activation_id AND config_id = NEW.config_id AND scope = NEW.scope
    ) THEN
        RAISE EXCEPTION 'config % of % became active without a promotion or rollback', NEW.config_id, NEW.engine_name
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'config_activations_promoted';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER promoted AFTER INSERT ON kronos.config_activations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION kronos.require_promotion();

-- The swap itself, now for the functions below alone.
CREATE FUNCTION kronos.swap_incumbent(
    engine text, new_id text, author text, why text, at timestamptz, expected text, within text
) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    incumbent text;
    new_activation bigint;
BEGIN
    PERFORM kronos.lock_incumbent(engine, within);
    incumbent := kronos.incumbent_of(engine, within);
    IF incumbent IS DISTINCT FROM expected THEN
        RAISE EXCEPTION 'the incumbent of % in scope % is %: expected %',
            engine, within, coalesce(incumbent, 'none'), coalesce(expected, 'none')
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'config_activations_expected_incumbent';
    END IF;
    IF incumbent = new_id THEN
        RAISE EXCEPTION 'config % is the incumbent of % in scope % already', new_id, engine, within
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'config_activations_changes';
    END IF;
    UPDATE kronos.config_activations SET deactivated_at = at
        WHERE engine_name = engine AND scope = within AND deactivated_at IS NULL;
    INSERT INTO kronos.config_activations (engine_name, scope, config_id, activated_at, activated_by, reason)
        VALUES (engine, within, new_id, at, author, why)
        RETURNING activation_id INTO new_activation;
    RETURN new_activation;
END
$$;

-- From now on for the first config of an engine and scope: with nothing to compare it with there is no verdict.
CREATE OR REPLACE FUNCTION kronos.activate_config(
    engine text, new_id text, author text, why text, at timestamptz, expected text, within text
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_activation bigint;
BEGIN
    PERFORM kronos.enter_change(author, why);
    IF EXISTS (SELECT FROM kronos.config_activations WHERE engine_name = engine AND scope = within) THEN
        RAISE EXCEPTION 'engine % has had an active config in scope %: only a promotion or rollback changes it',
            engine, within
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'config_activations_first';
    END IF;
    new_activation := kronos.swap_incumbent(engine, new_id, author, why, at, expected, within);
    PERFORM kronos.log_change('activation', engine, NULL, 'ACTIVATED', NULL, NULL,
        jsonb_build_object('scope', within, 'config_id', new_id, 'activated_at', at));
    RETURN new_activation;
END
$$;

-- Now by the clock activations go by: the sandbox's where it plays upstream.
CREATE FUNCTION kronos.data_now() RETURNS timestamptz
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT now FROM kronos.sandbox_clock), clock_timestamp())
$$;

-- That now, or the next microsecond after the incumbent's start while the sandbox's clock stands.
CREATE FUNCTION kronos.activation_time(engine text, within text) RETURNS timestamptz
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT greatest(kronos.data_now(), (
        SELECT activated_at + interval '1 microsecond' FROM kronos.config_activations
        WHERE engine_name = engine AND scope = within AND deactivated_at IS NULL
    ))
$$;

-- core/changes/approval.py in SQL: a row per parameter that differs, objects member by member, lists as a whole; base or
-- proposed is left out where that body does not have it.
CREATE FUNCTION kronos.config_changes(base jsonb, proposed jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE walked (path, was, becomes, both_objects) AS (
        SELECT '[]'::jsonb, base, proposed, true
        UNION ALL
        SELECT inner_path, inner_was, inner_becomes,
            coalesce(jsonb_typeof(inner_was) = 'object' AND jsonb_typeof(inner_becomes) = 'object', false)
        FROM walked
        CROSS JOIN LATERAL (
            SELECT jsonb_object_keys(CASE WHEN both_objects THEN was ELSE '{}' END)
            UNION
            SELECT jsonb_object_keys(CASE WHEN both_objects THEN becomes ELSE '{}' END)
        ) AS keys (key)
        CROSS JOIN LATERAL (SELECT path || to_jsonb(key), was -> key, becomes -> key)
            AS inner_one (inner_path, inner_was, inner_becomes)
    )
    SELECT coalesce(jsonb_agg(
        jsonb_build_object('path', path)
            || CASE WHEN was IS NULL THEN '{}' ELSE jsonb_build_object('base', was) END
            || CASE WHEN becomes IS NULL THEN '{}' ELSE jsonb_build_object('proposed', becomes) END
        ORDER BY kronos.canonical_json(path) COLLATE "C"
    ), '[]')
    FROM walked
    WHERE NOT both_objects AND kronos.canonical_json(was) IS DISTINCT FROM kronos.canonical_json(becomes)
$$;

-- What an approval of this verdict would be of at this moment: the config, what it changes in the present incumbent, the
-- evidence, and the gate policy in force.
CREATE FUNCTION kronos.approval_content(of_verdict uuid) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object(
        'experiment_id', judged.experiment_id,
        'engine_name', judged.engine_name,
        'scope', judged.scope,
        'proposed_config_id', judged.proposed_config_id,
        'proposed_hash', kronos.canonical_hash(proposed.config_body),
        'incumbent', incumbent.config_id,
        'changes', kronos.config_changes(coalesce(incumbent.config_body, '{}'), proposed.config_body),
        'evidence_digest', judged.evidence_digest,
        'policy_digest', (SELECT digest FROM kronos.gate_policy_in_force(judged.engine_name))
    )
    FROM kronos.experiment_verdicts AS judged
    JOIN kronos.engine_configs AS proposed ON proposed.config_id = judged.proposed_config_id
    LEFT JOIN kronos.engine_configs AS incumbent
        ON incumbent.config_id = kronos.incumbent_of(judged.engine_name, judged.scope)
    WHERE judged.verdict_id = of_verdict
$$;

CREATE FUNCTION kronos.approval_digest(of_verdict uuid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT kronos.canonical_hash(kronos.approval_content(of_verdict))
$$;

-- The verdict in force of an experiment: the one judged last.
CREATE FUNCTION kronos.verdict_in_force(experiment uuid) RETURNS SETOF kronos.experiment_verdicts
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM kronos.experiment_verdicts WHERE experiment_id = experiment ORDER BY judged_at DESC LIMIT 1
$$;

CREATE FUNCTION kronos.refuse_change(rule text, why text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '%', why USING ERRCODE = 'restrict_violation', CONSTRAINT = rule;
END
$$;

-- The experiment's verdict in force if a config may be approved or promoted on it: of no control, PASS, of the last
-- attempt, fresh, under the policy in force and against the present incumbent.
CREATE FUNCTION kronos.require_pass(wanted uuid) RETURNS kronos.experiment_verdicts
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    experiment kronos.experiments;
    judged kronos.experiment_verdicts;
    policy text;
    incumbent text;
BEGIN
    SELECT * INTO experiment FROM kronos.experiments WHERE experiment_id = wanted FOR UPDATE;
    IF experiment.experiment_id IS NULL THEN
        RAISE EXCEPTION 'experiment % does not exist', wanted USING ERRCODE = 'no_data_found';
    END IF;
    IF experiment.expected_outcome IN ('NEGATIVE_CONTROL', 'POSITIVE_CONTROL') OR experiment.evidence = 'CONTROL' THEN
        PERFORM kronos.refuse_change('promotions_no_control',
            format('experiment %s is a control: it is never approved or promoted', wanted));
    END IF;
    SELECT * INTO judged FROM kronos.verdict_in_force(wanted);
    IF judged.verdict IS DISTINCT FROM 'PASS' OR judged.attempt <> experiment.attempt THEN
        PERFORM kronos.refuse_change('promotions_pass', format('the verdict on experiment %s is %s: expected PASS', wanted,
            CASE WHEN judged.attempt <> experiment.attempt THEN 'of an earlier attempt'
                ELSE coalesce(judged.verdict, 'not there yet') END));
    END IF;
    IF judged.expires_at <= clock_timestamp() THEN
        PERFORM kronos.refuse_change('promotions_fresh',
            format('the evidence for experiment %s expired at %s: continue testing', wanted, judged.expires_at));
    END IF;
    SELECT digest INTO policy FROM kronos.gate_policy_in_force(judged.engine_name);
    IF policy IS DISTINCT FROM judged.policy_digest THEN
        PERFORM kronos.refuse_change('promotions_policy', format(
            'experiment %s was judged under policy %s, in force is %s: judge it again', wanted,
            left(judged.policy_digest, 12), left(policy, 12)));
    END IF;
    PERFORM kronos.lock_incumbent(judged.engine_name, judged.scope);
    incumbent := kronos.incumbent_of(judged.engine_name, judged.scope);
    IF incumbent IS DISTINCT FROM judged.incumbent THEN
        PERFORM kronos.refuse_change('promotions_incumbent', format(
            'experiment %s was judged against %s, the incumbent of %s is now %s: test it against that', wanted,
            coalesce(judged.incumbent, 'none'), judged.engine_name, coalesce(incumbent, 'none')));
    END IF;
    RETURN judged;
END
$$;

-- Enters an approval under the rules that hold for people and for the policy alike, and moves the experiment on.
CREATE FUNCTION kronos.enter_approval(wanted uuid, seen text, of_kind text, actor text, why text) RETURNS uuid
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    judged kronos.experiment_verdicts := kronos.require_pass(wanted);
    digest_now text := kronos.approval_digest(judged.verdict_id);
    state text;
    proposer text;
    since timestamptz;
    new_id uuid := gen_random_uuid();
BEGIN
    SELECT status INTO state FROM kronos.experiments WHERE experiment_id = wanted;
    IF state NOT IN ('AWAITING_REVIEW', 'APPROVED') THEN
        PERFORM kronos.refuse_transition('experiment', wanted, state, 'APPROVED');
    END IF;
    FOR proposer, since IN
        SELECT experiments.created_by, experiments.created_at FROM kronos.experiments WHERE experiment_id = wanted
        UNION
        SELECT proposals.created_by, proposals.created_at FROM kronos.config_proposals AS proposals
            JOIN kronos.experiments USING (proposal_id) WHERE experiments.experiment_id = wanted
    LOOP
        IF lower(btrim(proposer)) = lower(btrim(actor)) THEN
            PERFORM kronos.refuse_change('approvals_four_eyes',
                format('%s brought about experiment %s: another person approves it', actor, wanted));
        ELSIF of_kind = 'PERSON' AND proposer <> 'Kronos' AND NOT EXISTS (
            SELECT FROM kronos.principals WHERE lower(name) = lower(btrim(proposer)) AND created_at <= since
        ) THEN
            -- whoever that was: it may have been the approver
            PERFORM kronos.refuse_change('approvals_known_author', format(
                'experiment %s was brought about by %s without a token, so nobody can tell that it was not %s: propose it '
                'with KRONOS_TOKEN set', wanted, proposer, actor));
        END IF;
    END LOOP;
    IF seen IS DISTINCT FROM digest_now THEN
        PERFORM kronos.refuse_change('approvals_digest', format(
            'what is approved has digest %s, not %s: look at it again', digest_now, coalesce(seen, 'none')));
    END IF;
    IF EXISTS (
        SELECT FROM kronos.approvals LEFT JOIN kronos.promotions USING (approval_id)
        WHERE approvals.experiment_id = wanted AND digest = digest_now AND promotion_id IS NULL
    ) THEN
        PERFORM kronos.refuse_change('approvals_once', format('experiment %s is approved as it is already', wanted));
    END IF;
    INSERT INTO kronos.approvals (approval_id, experiment_id, verdict_id, digest, content, kind, approver, reason, evidence)
        VALUES (new_id, wanted, judged.verdict_id, digest_now, kronos.approval_content(judged.verdict_id), of_kind, actor,
            why, judged.evidence);
    UPDATE kronos.experiments SET status = 'APPROVED' WHERE experiment_id = wanted AND status = 'AWAITING_REVIEW';
    RETURN new_id;
END
$$;

-- seen: the digest of what the approver was shown.
CREATE FUNCTION kronos.approve(token text, experiment uuid, seen text, why text, code text DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor kronos.principals := kronos.require_principal(
        token, ARRAY['change_manager', 'admin'], true, 'approve an experiment');
BEGIN
    PERFORM kronos.enter_change(actor.name, why, code => code);
    RETURN kronos.enter_approval(experiment, seen, 'PERSON', actor.name, why);
END
$$;

CREATE FUNCTION kronos.reject(token text, experiment uuid, why text, code text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor kronos.principals := kronos.require_principal(
        token, ARRAY['change_manager', 'admin'], true, 'reject an experiment');
    was text;
BEGIN
    PERFORM kronos.enter_change(actor.name, why, code => code);
    SELECT status INTO was FROM kronos.experiments WHERE experiment_id = experiment FOR UPDATE;
    IF was IS NULL THEN
        RAISE EXCEPTION 'experiment % does not exist', experiment USING ERRCODE = 'no_data_found';
    ELSIF was <> 'AWAITING_REVIEW' THEN
        PERFORM kronos.refuse_transition('experiment', experiment, was, 'REJECTED');
    END IF;
    UPDATE kronos.experiments SET status = 'REJECTED' WHERE experiment_id = experiment;
END
$$;

-- By how much the parameters change at most, as a share of what they are; null where that cannot be said of one of them:
-- it is no number on both sides, or was zero.
CREATE FUNCTION kronos.largest_relative_change(changes jsonb) RETURNS numeric
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH each_change AS (
        SELECT CASE WHEN jsonb_typeof(change -> 'base') = 'number' THEN (change ->> 'base')::numeric END AS was,
            CASE WHEN jsonb_typeof(change -> 'proposed') = 'number' THEN (change ->> 'proposed')::numeric END AS becomes
        FROM jsonb_array_elements(changes) AS each_one (change)
    )
    SELECT CASE WHEN bool_and(coalesce(was <> 0 AND becomes IS NOT NULL, false))
        THEN max(abs(becomes - was) / abs(nullif(was, 0))) END
    FROM each_change
$$;

-- Approval by the gate policy (its part auto_approval, off unless it says enabled), of small changes and under the same
-- rules; besides, the latch is open: while gates are suspect nothing goes by itself.
CREATE FUNCTION kronos.auto_approve(experiment uuid, code text DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    judged kronos.experiment_verdicts;
    rules jsonb;
    changes jsonb;
BEGIN
    PERFORM kronos.enter_change('policy', 'low risk by the gate policy', code => code);
    judged := kronos.require_pass(experiment);
    SELECT coalesce(body -> 'auto_approval', '{}') INTO rules FROM kronos.gate_policy_in_force(judged.engine_name);
    changes := kronos.approval_content(judged.verdict_id) -> 'changes';
    IF (rules -> 'enabled') IS DISTINCT FROM 'true'::jsonb
        OR NOT coalesce(rules -> 'evidence' ? judged.evidence, false)
        OR judged.incumbent IS NULL
        OR jsonb_array_length(changes) > coalesce((rules ->> 'most_changed_parameters')::integer, 0)
        OR NOT coalesce(
            kronos.largest_relative_change(changes) <= (rules ->> 'most_relative_change')::numeric, false)
    THEN
        PERFORM kronos.refuse_change('approvals_by_policy', format(
            'the gate policy does not approve experiment %s by itself: evidence %s, changes %s, rules %s',
            experiment, judged.evidence, changes, rules));
    END IF;
    PERFORM kronos.require_open_latch(judged.engine_name);
    RETURN kronos.enter_approval(experiment, kronos.approval_digest(judged.verdict_id), 'POLICY', 'policy',
        'low risk by the gate policy');
END
$$;

CREATE FUNCTION kronos.require_open_latch(engine text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    causes text;
BEGIN
    SELECT string_agg(cause, ', ') INTO causes FROM kronos.latch_causes(engine);
    IF causes IS NOT NULL THEN
        PERFORM kronos.refuse_change('promotions_latch', format('the promotion latch of %s is closed: %s', engine, causes));
    END IF;
END
$$;

-- The approval a promotion of the experiment would use now: made for this very digest, by who still may, not used yet.
CREATE FUNCTION kronos.require_approval(judged kronos.experiment_verdicts, own uuid DEFAULT NULL)
RETURNS kronos.approvals
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    digest_now text := kronos.approval_digest(judged.verdict_id);
    newest kronos.approvals;
BEGIN
    SELECT * INTO newest FROM kronos.approvals
        WHERE experiment_id = judged.experiment_id AND (own IS NULL OR approval_id = own)
        ORDER BY approved_at DESC LIMIT 1;
    IF newest.approval_id IS NULL THEN
        PERFORM kronos.refuse_change('promotions_approval',
            format('experiment %s has no approval', judged.experiment_id));
    END IF;
    IF (newest.digest, newest.verdict_id) IS DISTINCT FROM (digest_now, judged.verdict_id) THEN
        PERFORM kronos.refuse_change('promotions_digest', format(
            'the approval of experiment %s was of digest %s: it is %s now', judged.experiment_id,
            left(newest.digest, 12), left(digest_now, 12)));
    END IF;
    IF own IS NULL AND EXISTS (SELECT FROM kronos.promotions WHERE approval_id = newest.approval_id) THEN
        PERFORM kronos.refuse_change('promotions_approval_used_once',
            format('the approval of experiment %s was used: an approval is for one promotion', judged.experiment_id));
    END IF;
    IF newest.kind = 'PERSON' AND NOT EXISTS (
        SELECT FROM kronos.principals WHERE name = newest.approver AND revoked_at IS NULL
    ) THEN
        PERFORM kronos.refuse_change('promotions_approver', format(
            'the approval of experiment %s is by %s, who was revoked', judged.experiment_id, newest.approver));
    END IF;
    RETURN newest;
END
$$;

-- Everything a promotion needs, at the moment of the call; own: the approval it holds already.
CREATE FUNCTION kronos.require_promotable(experiment uuid, own uuid DEFAULT NULL) RETURNS kronos.approvals
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    judged kronos.experiment_verdicts := kronos.require_pass(experiment);
    approval kronos.approvals;
    state text;
BEGIN
    approval := kronos.require_approval(judged, own);
    SELECT status INTO state FROM kronos.experiments WHERE experiment_id = experiment;
    IF state <> 'APPROVED' THEN
        PERFORM kronos.refuse_change('promotions_approved',
            format('experiment %s is %s: expected APPROVED', experiment, state));
    END IF;
    PERFORM kronos.require_open_latch(judged.engine_name);
    RETURN approval;
END
$$;

-- Makes an approved config the incumbent, at once or, with a time to come, then.
CREATE FUNCTION kronos.promote(
    token text, experiment uuid, why text, at timestamptz DEFAULT NULL, code text DEFAULT NULL
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor kronos.principals := kronos.require_principal(
        token, ARRAY['change_manager', 'admin'], false, 'promote a config');
    approval kronos.approvals;
    judged kronos.experiment_verdicts;
    new_id uuid := gen_random_uuid();
    starts timestamptz;
    activation bigint;
BEGIN
    PERFORM kronos.enter_change(actor.name, why, code => code);
    approval := kronos.require_promotable(experiment);
    SELECT * INTO judged FROM kronos.experiment_verdicts WHERE verdict_id = approval.verdict_id;
    IF at > kronos.data_now() THEN
        starts := at;
    ELSE
        starts := kronos.activation_time(judged.engine_name, judged.scope);
        activation := kronos.swap_incumbent(judged.engine_name, judged.proposed_config_id, actor.name, why, starts,
            judged.incumbent, judged.scope);
    END IF;
    INSERT INTO kronos.promotions (
        promotion_id, kind, engine_name, scope, config_id, expected_incumbent, experiment_id, approval_id, evidence,
        requested_by, reason, activates_at, status, settled_at, activation_id
    ) VALUES (
        new_id, 'PROMOTION', judged.engine_name, judged.scope, judged.proposed_config_id, judged.incumbent, experiment,
        approval.approval_id, approval.evidence, actor.name, why, starts,
        CASE WHEN activation IS NULL THEN 'SCHEDULED' ELSE 'ACTIVATED' END,
        CASE WHEN activation IS NOT NULL THEN clock_timestamp() END, activation
    );
    RETURN new_id;
END
$$;

CREATE FUNCTION kronos.cancel_promotion(token text, promotion uuid, why text, code text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor kronos.principals := kronos.require_principal(
        token, ARRAY['change_manager', 'admin'], false, 'cancel a promotion');
    was text;
BEGIN
    PERFORM kronos.enter_change(actor.name, why, code => code);
    SELECT status INTO was FROM kronos.promotions WHERE promotion_id = promotion FOR UPDATE;
    IF was IS NULL THEN
        RAISE EXCEPTION 'promotion % does not exist', promotion USING ERRCODE = 'no_data_found';
    ELSIF was <> 'SCHEDULED' THEN
        PERFORM kronos.refuse_change('promotions_scheduled',
            format('promotion %s is %s: only a scheduled one can be cancelled', promotion, was));
    END IF;
    UPDATE kronos.promotions SET status = 'CANCELLED', settled_at = clock_timestamp(), settled_why = why
        WHERE promotion_id = promotion;
END
$$;

-- Activates a scheduled promotion whose time has come, under the rules of that moment, or cancels it for the first one
-- that does not hold. Who asked for it holds the change: he showed his token when he did.
CREATE FUNCTION kronos.settle_promotion(due kronos.promotions) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    activation bigint;
    refusal text;
BEGIN
    BEGIN
        PERFORM kronos.require_promotable(due.experiment_id, due.approval_id);
        activation := kronos.swap_incumbent(due.engine_name, due.config_id, due.requested_by, due.reason,
            kronos.activation_time(due.engine_name, due.scope), due.expected_incumbent, due.scope);
    EXCEPTION WHEN restrict_violation OR check_violation THEN
        GET STACKED DIAGNOSTICS refusal = MESSAGE_TEXT;
    END;
    UPDATE kronos.promotions SET
        status = CASE WHEN activation IS NULL THEN 'CANCELLED' ELSE 'ACTIVATED' END,
        settled_at = clock_timestamp(), settled_why = refusal, activation_id = activation
        WHERE promotion_id = due.promotion_id;
END
$$;

CREATE FUNCTION kronos.activate_due(code text DEFAULT NULL) RETURNS SETOF uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted uuid;
    due kronos.promotions;
BEGIN
    FOR wanted IN
        SELECT promotion_id FROM kronos.promotions WHERE status = 'SCHEDULED' AND activates_at <= kronos.data_now()
        ORDER BY activates_at, promotion_id
    LOOP
        -- the lock, then a look of its own: another caller may have settled it meanwhile
        PERFORM kronos.lock_change_log();
        SELECT * INTO due FROM kronos.promotions WHERE promotion_id = wanted AND status = 'SCHEDULED' FOR UPDATE;
        IF FOUND THEN
            PERFORM kronos.enter_change(due.requested_by, due.reason, code => code);
            PERFORM kronos.settle_promotion(due);
            RETURN NEXT wanted;
        END IF;
    END LOOP;
END
$$;

-- The activation a rollback returns to: below the incumbent on the stack that promotions grow and rollbacks shrink.
CREATE FUNCTION kronos.activation_before(engine text, within text) RETURNS SETOF kronos.config_activations
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stack bigint[] := '{}';
    one record;
BEGIN
    FOR one IN
        SELECT activations.activation_id, promotions.kind FROM kronos.config_activations AS activations
        LEFT JOIN kronos.promotions USING (activation_id)
        WHERE activations.engine_name = engine AND activations.scope = within ORDER BY activations.activated_at
    LOOP
        IF one.kind = 'ROLLBACK' THEN
            stack := trim_array(stack, 1);
        ELSE
            stack := stack || one.activation_id;
        END IF;
    END LOOP;
    RETURN QUERY SELECT * FROM kronos.config_activations WHERE activation_id = stack[cardinality(stack) - 1];
END
$$;

-- Back to the config that was active before the incumbent. One person may, and the latch need not be open: what he
-- returns to was approved or began the history, and a closed latch is a reason to go back, not to stay.
CREATE FUNCTION kronos.rollback(
    token text, engine text, within text, expected text, why text, code text DEFAULT NULL
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor kronos.principals := kronos.require_principal(token, ARRAY['change_manager', 'admin'], true, 'roll back');
    earlier kronos.config_activations;
    hash_now text;
    starts timestamptz;
    activation bigint;
    new_id uuid := gen_random_uuid();
BEGIN
    PERFORM kronos.enter_change(actor.name, why, code => code);
    PERFORM kronos.lock_incumbent(engine, within);
    SELECT * INTO earlier FROM kronos.activation_before(engine, within);
    IF earlier.config_id IS NULL THEN
        PERFORM kronos.refuse_change('rollbacks_earlier',
            format('engine %s has no earlier config in scope %s to return to', engine, within));
    END IF;
    SELECT kronos.canonical_hash(config_body) INTO hash_now FROM kronos.engine_configs
        WHERE engine_name = engine AND config_id = earlier.config_id;
    IF hash_now IS DISTINCT FROM earlier.body_hash THEN
        PERFORM kronos.refuse_change('rollbacks_unchanged',
            format('config %s is not what it was when it was active: it cannot be returned to', earlier.config_id));
    END IF;
    starts := kronos.activation_time(engine, within);
    activation := kronos.swap_incumbent(engine, earlier.config_id, actor.name, why, starts, expected, within);
    INSERT INTO kronos.promotions (
        promotion_id, kind, engine_name, scope, config_id, expected_incumbent, requested_by, reason, activates_at,
        status, settled_at, activation_id
    ) VALUES (
        new_id, 'ROLLBACK', engine, within, earlier.config_id, expected, actor.name, why, starts, 'ACTIVATED',
        clock_timestamp(), activation
    );
    RETURN new_id;
END
$$;

-- An experiment is approved by the functions above: as before by the change manager, or by the policy's approval.
CREATE FUNCTION kronos.may_be_approved(wanted uuid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_has_role(kronos.caller(), 'kronos_change_manager', 'MEMBER')
        OR EXISTS (SELECT FROM kronos.approvals WHERE experiment_id = wanted AND kind = 'POLICY')
$$;

CREATE OR REPLACE FUNCTION kronos.move_experiment() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changing text[] := ARRAY['run_id', 'leased_until'];
BEGIN
    IF NEW.status <> OLD.status THEN
        IF NOT kronos.experiment_edge(OLD.status, NEW.status) THEN
            PERFORM kronos.refuse_transition('experiment', OLD.experiment_id, OLD.status, NEW.status);
        END IF;
        IF NEW.status = 'APPROVED' AND NOT kronos.may_be_approved(OLD.experiment_id) THEN
            RAISE EXCEPTION 'experiment % can be approved by the change manager only', OLD.experiment_id
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        changing := changing || ARRAY['status', 'priority'];
        IF NEW.status = 'QUEUED_FOR_BACKTEST' AND OLD.status = 'AWAITING_REVIEW' AND NEW.end_date >= OLD.end_date THEN
            changing := changing || ARRAY['end_date'];
        END IF;
    ELSIF OLD.status <> 'RUNNING_BACKTESTS' THEN
        changing := '{}';
    END IF;
    IF to_jsonb(NEW) - changing <> to_jsonb(OLD) - changing THEN
        RAISE EXCEPTION 'experiment % is as created: only its status, and what goes with the status, can change',
            OLD.experiment_id USING ERRCODE = 'restrict_violation', CONSTRAINT = 'experiments_immutable';
    END IF;
    IF NEW.status <> OLD.status THEN
        NEW.status_since := clock_timestamp();
        NEW.attempt := OLD.attempt + (NEW.status = 'RUNNING_BACKTESTS')::integer;
        IF NEW.status = 'REJECTED' THEN
            NEW.metadata := NEW.metadata || jsonb_build_object('reason', kronos.said('reason'));
        END IF;
    END IF;
    RETURN NEW;
END
$$;

GRANT EXECUTE ON FUNCTION kronos.identify(text), kronos.latch_causes(text), kronos.incumbent_of(text, text),
    kronos.config_changes(jsonb, jsonb), kronos.approval_content(uuid), kronos.approval_digest(uuid),
    kronos.verdict_in_force(uuid), kronos.data_now(), kronos.activation_before(text, text)
    TO kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;
GRANT EXECUTE ON FUNCTION kronos.log_refusal(text, text, text, text, text, text, text), kronos.close_latch(text, text, jsonb)
    TO kronos_orchestrator, kronos_change_manager;
GRANT EXECUTE ON FUNCTION kronos.auto_approve(uuid, text), kronos.alert_closed_latches() TO kronos_orchestrator;
GRANT EXECUTE ON FUNCTION
    kronos.add_principal(text, text, text, text, text, text), kronos.rotate_principal(text, text, text, text),
    kronos.revoke_principal(text, text, text, text), kronos.reopen_latch(text, text, text, text),
    kronos.set_gate_policy(text, text, jsonb, integer, text, text),
    kronos.approve(text, uuid, text, text, text), kronos.reject(text, uuid, text, text),
    kronos.promote(text, uuid, text, timestamptz, text), kronos.cancel_promotion(text, uuid, text, text),
    kronos.activate_due(text), kronos.rollback(text, text, text, text, text, text)
    TO kronos_change_manager;
