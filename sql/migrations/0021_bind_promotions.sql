-- What is promoted, rolled back or reopened is what was decided: under the conditions of that decision, by who still may.

-- Whether a principal is there and was not revoked.
CREATE FUNCTION kronos.principal_valid(who text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM kronos.principals WHERE name = who AND revoked_at IS NULL)
$$;

-- One decision about an experiment at a time: while a promotion of it waits, nothing else makes it live.
CREATE FUNCTION kronos.refuse_while_scheduled(experiment uuid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    due timestamptz;
BEGIN
    SELECT activates_at INTO due FROM kronos.promotions WHERE experiment_id = experiment AND status = 'SCHEDULED';
    IF FOUND THEN
        PERFORM kronos.refuse_change('promotions_one_scheduled',
            format('experiment %s has a promotion scheduled for %s: cancel that first', experiment, due));
    END IF;
END
$$;

-- An approval that lapsed is no end: what was not promoted can be tested on, or rejected.
CREATE OR REPLACE FUNCTION kronos.experiment_edge(was text, becomes text) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (was, becomes) IN (
        ('PENDING', 'QUEUED_FOR_BACKTEST'),
        ('QUEUED_FOR_BACKTEST', 'RUNNING_BACKTESTS'),
        ('RUNNING_BACKTESTS', 'AWAITING_REVIEW'),
        ('RUNNING_BACKTESTS', 'QUEUED_FOR_BACKTEST'),
        ('AWAITING_REVIEW', 'QUEUED_FOR_BACKTEST'),
        ('AWAITING_REVIEW', 'APPROVED'),
        ('APPROVED', 'QUEUED_FOR_BACKTEST'),
        ('PENDING', 'REJECTED'),
        ('QUEUED_FOR_BACKTEST', 'REJECTED'),
        ('RUNNING_BACKTESTS', 'REJECTED'),
        ('AWAITING_REVIEW', 'REJECTED'),
        ('APPROVED', 'REJECTED')
    )
$$;

CREATE FUNCTION kronos.refuse_once_promoted(experiment uuid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kronos.refuse_while_scheduled(experiment);
    IF EXISTS (SELECT FROM kronos.promotions WHERE experiment_id = experiment AND status = 'ACTIVATED') THEN
        PERFORM kronos.refuse_change('experiments_promoted',
            format('experiment %s was promoted and stays approved: test its config in another one', experiment));
    END IF;
END
$$;

-- An experiment is approved by the functions of approvals: as before by the change manager, or by the policy's approval
-- of this attempt.
CREATE OR REPLACE FUNCTION kronos.may_be_approved(wanted uuid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_has_role(kronos.caller(), 'kronos_change_manager', 'MEMBER')
        OR EXISTS (
            SELECT FROM kronos.approvals
            JOIN kronos.experiment_verdicts AS judged USING (verdict_id)
            JOIN kronos.experiments ON experiments.experiment_id = judged.experiment_id
            WHERE approvals.experiment_id = wanted AND approvals.kind = 'POLICY'
                AND judged.attempt = experiments.attempt
        )
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
        IF OLD.status = 'APPROVED' THEN
            PERFORM kronos.refuse_once_promoted(OLD.experiment_id);
        END IF;
        changing := changing || ARRAY['status', 'priority'];
        IF NEW.status = 'QUEUED_FOR_BACKTEST' AND OLD.status IN ('AWAITING_REVIEW', 'APPROVED')
            AND NEW.end_date >= OLD.end_date THEN
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

-- The experiment's verdict in force if a config may be approved or promoted on it: of no control, PASS, of the last
-- attempt, fresh, under the policy in force and against the present incumbent.
CREATE OR REPLACE FUNCTION kronos.require_pass(wanted uuid) RETURNS kronos.experiment_verdicts
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
        -- only what awaits review is judged
        PERFORM kronos.refuse_change('promotions_policy', format(
            'experiment %s was judged under policy %s, in force is %s: %s', wanted, left(judged.policy_digest, 12),
            left(policy, 12),
            CASE experiment.status WHEN 'APPROVED' THEN 'continue testing' ELSE 'judge it again' END));
    END IF;
    PERFORM kronos.lock_incumbent(judged.engine_name, judged.scope);
    incumbent := kronos.incumbent_of(judged.engine_name, judged.scope);
    IF incumbent IS DISTINCT FROM judged.incumbent THEN
        PERFORM kronos.refuse_change('promotions_incumbent', format(
            'experiment %s was judged against %s, the incumbent of %s is now %s: continue testing, against that', wanted,
            coalesce(judged.incumbent, 'none'), judged.engine_name, coalesce(incumbent, 'none')));
    END IF;
    RETURN judged;
END
$$;

-- Enters an approval under the rules that hold for people and for the policy alike, and moves the experiment on.
CREATE OR REPLACE FUNCTION kronos.enter_approval(wanted uuid, seen text, of_kind text, actor text, why text) RETURNS uuid
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
    PERFORM kronos.refuse_while_scheduled(wanted);
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
        WHERE (approvals.verdict_id, digest) = (judged.verdict_id, digest_now) AND promotion_id IS NULL
            AND (approvals.kind = 'POLICY' OR kronos.principal_valid(approver))
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

-- Rejects what awaits review, or was approved and not promoted.
CREATE OR REPLACE FUNCTION kronos.reject(token text, experiment uuid, why text, code text DEFAULT NULL) RETURNS void
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
    ELSIF was NOT IN ('AWAITING_REVIEW', 'APPROVED') THEN
        PERFORM kronos.refuse_transition('experiment', experiment, was, 'REJECTED');
    END IF;
    UPDATE kronos.experiments SET status = 'REJECTED' WHERE experiment_id = experiment;
END
$$;

-- The approval a promotion of the experiment would use now: made for this very digest, by who still may, not used yet.
CREATE OR REPLACE FUNCTION kronos.require_approval(judged kronos.experiment_verdicts, own uuid DEFAULT NULL)
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
            'the approval of experiment %s was of verdict %s, digest %s: it is %s, %s now', judged.experiment_id,
            left(newest.verdict_id::text, 8), left(newest.digest, 12), left(judged.verdict_id::text, 8),
            left(digest_now, 12)));
    END IF;
    IF own IS NULL AND EXISTS (SELECT FROM kronos.promotions WHERE approval_id = newest.approval_id) THEN
        PERFORM kronos.refuse_change('promotions_approval_used_once',
            format('the approval of experiment %s was used: an approval is for one promotion', judged.experiment_id));
    END IF;
    IF newest.kind = 'PERSON' AND NOT kronos.principal_valid(newest.approver) THEN
        PERFORM kronos.refuse_change('promotions_approver', format(
            'the approval of experiment %s is by %s, who was revoked: another person approves it', judged.experiment_id,
            newest.approver));
    END IF;
    RETURN newest;
END
$$;

-- Makes an approved config the incumbent, at once or at a time to come by the clock activations go by: a year at most,
-- further on it is a mistyped one.
CREATE OR REPLACE FUNCTION kronos.promote(
    token text, experiment uuid, why text, at timestamptz DEFAULT NULL, code text DEFAULT NULL
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor kronos.principals := kronos.require_principal(
        token, ARRAY['change_manager', 'admin'], false, 'promote a config');
    here_now timestamptz := kronos.data_now();
    approval kronos.approvals;
    judged kronos.experiment_verdicts;
    new_id uuid := gen_random_uuid();
    starts timestamptz := at;
    activation bigint;
BEGIN
    PERFORM kronos.enter_change(actor.name, why, code => code);
    PERFORM kronos.refuse_while_scheduled(experiment);
    IF at <= here_now OR at > here_now + interval '1 year' THEN
        PERFORM kronos.refuse_change('promotions_time', format(
            'time of activation has value %s: expected one after %s, the time here, within a year of it; at once is without a time',
            at, here_now));
    END IF;
    approval := kronos.require_promotable(experiment);
    SELECT * INTO judged FROM kronos.experiment_verdicts WHERE verdict_id = approval.verdict_id;
    IF at IS NULL THEN
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

-- Activates a scheduled promotion whose time has come, under the rules of that moment, or cancels it for the first one
-- that does not hold. Who asked for it holds the change: he showed his token when he did, and may still.
CREATE OR REPLACE FUNCTION kronos.settle_promotion(due kronos.promotions) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    activation bigint;
    refusal text;
BEGIN
    BEGIN
        IF NOT kronos.principal_valid(due.requested_by) THEN
            PERFORM kronos.refuse_change('promotions_requester',
                format('this promotion was asked for by %s, who was revoked', due.requested_by));
        END IF;
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

CREATE OR REPLACE FUNCTION kronos.activate_due(code text DEFAULT NULL) RETURNS SETOF uuid
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
            -- nobody acts after he was revoked, not even to have it cancelled
            PERFORM kronos.enter_change(CASE WHEN kronos.principal_valid(due.requested_by) THEN due.requested_by
                ELSE 'without token: ' || kronos.caller() END, due.reason, code => code);
            PERFORM kronos.settle_promotion(due);
            RETURN NEXT wanted;
        END IF;
    END LOOP;
END
$$;

-- Back to the config that was active before the incumbent; what is scheduled to make it the incumbent again is cancelled.
-- One person may, and the latch need not be open: what he returns to was approved or began the history, and a closed
-- latch is a reason to go back, not to stay.
CREATE OR REPLACE FUNCTION kronos.rollback(
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
    UPDATE kronos.promotions SET status = 'CANCELLED', settled_at = clock_timestamp(),
        settled_why = 'its config was rolled back: ' || why
        WHERE engine_name = engine AND scope = within AND config_id = expected AND status = 'SCHEDULED';
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

-- Why an engine's latch is closed at this moment: a row per cause, none when it is open. It is closed by every closing
-- since the last opening (event_id), and for as long as no suite of the last suite_days (gate policy, promotion; 8 by
-- default) has proven the policy in force: that part nobody can reopen, only a fresh suite can.
DROP FUNCTION kronos.latch_causes(text);
CREATE FUNCTION kronos.latch_causes(engine text)
RETURNS TABLE (cause text, detail jsonb, since timestamptz, event_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH closings AS (
        SELECT * FROM kronos.promotion_latch AS events
        WHERE events.engine_name = engine AND events.state = 'CLOSED' AND NOT EXISTS (
            SELECT FROM kronos.promotion_latch AS openings
            WHERE openings.engine_name = engine AND openings.state = 'OPEN' AND openings.event_id > events.event_id
        )
        ORDER BY events.event_id
    ), policy AS (
        SELECT digest, version, created_at, coalesce((body #>> '{promotion,suite_days}')::numeric, 8) AS suite_days
        FROM kronos.gate_policy_in_force(engine)
    ), suite AS (
        SELECT * FROM kronos.control_suites WHERE engine_name = engine ORDER BY completed_at DESC LIMIT 1
    )
    SELECT closings.cause, closings.detail, closings.occurred_at, closings.event_id FROM closings
    UNION ALL
    SELECT 'NO_SUITE', '{}', 'epoch', NULL WHERE NOT EXISTS (SELECT FROM suite)
    UNION ALL
    SELECT 'STALE_SUITE',
        jsonb_build_object('suite_id', suite_id, 'completed_at', completed_at, 'suite_days', suite_days), completed_at,
        NULL
    FROM suite CROSS JOIN policy
    WHERE completed_at + make_interval(secs => suite_days::double precision * 86400) <= clock_timestamp()
    UNION ALL
    SELECT 'NO_POLICY', '{}', 'epoch', NULL WHERE NOT EXISTS (SELECT FROM policy)
    UNION ALL
    SELECT 'POLICY_UNPROVEN',
        jsonb_build_object('policy_version', version, 'policy_digest', digest, 'suite_id', suite_id,
            'suite_policy_digest', policy_digest), created_at, NULL
    FROM suite CROSS JOIN policy WHERE policy_digest <> digest
$$;

-- A person has investigated what closed the latch. seen: the newest event he was shown; what happened since, he was not.
DROP FUNCTION kronos.reopen_latch(text, text, text, text);
CREATE FUNCTION kronos.reopen_latch(token text, engine text, seen bigint, why text, code text DEFAULT NULL)
RETURNS bigint
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
    IF seen IS DISTINCT FROM newest.event_id THEN
        PERFORM kronos.refuse_change('promotion_latch_seen', format(
            'the newest event of the latch of %s is %s, %s at %s, not %s: look at it again', engine, newest.event_id,
            newest.cause, newest.occurred_at, coalesce(seen::text, 'none')));
    END IF;
    RETURN kronos.enter_latch_event(engine, 'OPEN', 'INVESTIGATED', jsonb_build_object('closing', newest.event_id,
        'closed_by', (SELECT jsonb_agg(DISTINCT cause) FROM kronos.latch_causes(engine) WHERE event_id IS NOT NULL)), why);
END
$$;

GRANT EXECUTE ON FUNCTION kronos.latch_causes(text)
    TO kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;
GRANT EXECUTE ON FUNCTION kronos.reopen_latch(text, text, bigint, text, text) TO kronos_change_manager;
