-- Approvals, each bound to the digest of what the approver saw: by a person who is not the proposer, or by the policy.

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

CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON kronos.approvals
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE FUNCTION kronos.log_approval() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kronos.log_change('approval', NEW.experiment_id::text, NULL, NEW.kind, NEW.evidence, NULL,
        jsonb_build_object('approval_id', NEW.approval_id, 'verdict_id', NEW.verdict_id, 'digest', NEW.digest));
    RETURN NULL;
END
$$;
CREATE TRIGGER logged AFTER INSERT ON kronos.approvals FOR EACH ROW EXECUTE FUNCTION kronos.log_approval();

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

GRANT EXECUTE ON FUNCTION
    kronos.config_changes(jsonb, jsonb), kronos.approval_content(uuid), kronos.approval_digest(uuid),
    kronos.verdict_in_force(uuid)
    TO kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;
GRANT EXECUTE ON FUNCTION kronos.auto_approve(uuid, text) TO kronos_orchestrator;
GRANT EXECUTE ON FUNCTION kronos.approve(text, uuid, text, text, text), kronos.reject(text, uuid, text, text)
    TO kronos_change_manager;
