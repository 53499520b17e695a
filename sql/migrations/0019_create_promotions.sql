-- Promotions, now or at a set time, and rollbacks: nothing else changes an engine's active config.

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

GRANT EXECUTE ON FUNCTION kronos.data_now(), kronos.activation_before(text, text)
    TO kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;
GRANT EXECUTE ON FUNCTION
    kronos.promote(text, uuid, text, timestamptz, text), kronos.cancel_promotion(text, uuid, text, text),
    kronos.activate_due(text), kronos.rollback(text, text, text, text, text, text)
    TO kronos_change_manager;
