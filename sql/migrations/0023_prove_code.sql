-- A suite of controls proves the code that judged it, not only the policy: a gate that an edit has broken lets nothing
-- through while the last suite of the code before it still counts, and what it let through is judged again.

-- The same evidence is judged once by each version of the code. The look at it stays the same one.
ALTER TABLE kronos.experiment_verdicts
    DROP CONSTRAINT experiment_verdicts_once,
    ADD CONSTRAINT experiment_verdicts_once
        UNIQUE (experiment_id, attempt, evidence_digest, policy_digest, code_version);
COMMENT ON TABLE kronos.experiment_verdicts IS
    'One row per judgement of an experiment''s evidence under a gate policy, by a version of the code.';
COMMENT ON COLUMN kronos.experiment_verdicts.code_version IS 'Of the code that judged.';
COMMENT ON COLUMN kronos.control_suites.code_version IS 'Of the code that judged every control.';

-- Whether the newest suite of an engine, of this policy and by this code, refused every negative control as it should.
-- Reopening the latch does not change it: that says that promotions may go on, not that the code was right.
CREATE FUNCTION kronos.code_proven(engine text, policy text, code text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((
        SELECT unexpected = 0 FROM kronos.control_suites
        WHERE (engine_name, policy_digest, code_version) = (engine, policy, code)
        ORDER BY completed_at DESC, suite_id DESC LIMIT 1
    ), false)
$$;

-- Whether the newest suite of an engine by this code, of whatever policy, let a negative control through. The evidence of
-- an experiment may be of code that was replaced before its suite had come, but not of code that is known to be wrong.
CREATE FUNCTION kronos.code_broken(engine text, code text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((
        SELECT unexpected > 0 FROM kronos.control_suites WHERE (engine_name, code_version) = (engine, code)
        ORDER BY completed_at DESC, suite_id DESC LIMIT 1
    ), false)
$$;

-- The code that ran the backtest a verdict is of; null where its report does not say.
CREATE FUNCTION kronos.code_of_evidence(judged kronos.experiment_verdicts) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT judged.report #>> '{about,code_version}'
$$;

CREATE FUNCTION kronos.verdict_proven(judged kronos.experiment_verdicts) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT kronos.code_proven(judged.engine_name, judged.policy_digest, judged.code_version)
        AND NOT kronos.code_broken(judged.engine_name, kronos.code_of_evidence(judged))
$$;
GRANT EXECUTE ON FUNCTION kronos.code_proven(text, text, text), kronos.code_broken(text, text),
    kronos.code_of_evidence(kronos.experiment_verdicts), kronos.verdict_proven(kronos.experiment_verdicts)
    TO kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;

-- The verdict in force of an experiment: of its last attempt, under the policy in force where there is one, by code that
-- is proven where there is one, and of those the one reached last.
CREATE OR REPLACE FUNCTION kronos.verdict_in_force(experiment uuid) RETURNS SETOF kronos.experiment_verdicts
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM kronos.experiment_verdicts AS judged WHERE experiment_id = experiment
    ORDER BY attempt DESC,
        policy_digest = (SELECT digest FROM kronos.gate_policy_in_force(engine_name)) DESC,
        kronos.code_proven(engine_name, policy_digest, code_version) DESC, judged_at DESC, verdict_id
    LIMIT 1
$$;

CREATE FUNCTION kronos.require_proven_code(judged kronos.experiment_verdicts) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT kronos.code_proven(judged.engine_name, judged.policy_digest, judged.code_version) THEN
        PERFORM kronos.refuse_change('promotions_code', format(
            'experiment %s was judged by code %s, which no suite of controls of %s has proven: %s', judged.experiment_id,
            judged.code_version, judged.engine_name,
            CASE (SELECT status FROM kronos.experiments WHERE experiment_id = judged.experiment_id)
                WHEN 'APPROVED' THEN 'continue testing' ELSE 'wait for its suite, or judge it again by other code' END));
    ELSIF kronos.code_broken(judged.engine_name, kronos.code_of_evidence(judged)) THEN
        PERFORM kronos.refuse_change('promotions_code', format(
            'the backtest of experiment %s ran by code %s, whose suite of controls of %s was not as expected: continue '
            'testing', judged.experiment_id, kronos.code_of_evidence(judged), judged.engine_name));
    END IF;
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
    PERFORM kronos.require_proven_code(judged);
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

-- Everything a promotion needs, at the moment of the call; own: the approval it holds already.
CREATE OR REPLACE FUNCTION kronos.require_promotable(experiment uuid, own uuid DEFAULT NULL) RETURNS kronos.approvals
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
    PERFORM kronos.require_proven_code(judged);
    RETURN approval;
END
$$;

-- The outcomes say what the verdicts themselves say, and the counts follow from them. A positive has to pass. A negative
-- must not, and its gate has to say one of the expected verdicts. The verdicts are fresh, and each control is told of
-- once: nothing that an earlier suite told of, or that no longer awaits its review, proves a policy again. All are by
-- the code that the suite is of.
CREATE OR REPLACE FUNCTION kronos.keep_suite_rules() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    expected_keys text[] := ARRAY['control', 'family', 'reason', 'experiment_id', 'verdict_id', 'expected_verdicts',
        'expected_gate', 'verdict', 'gate_verdict', 'refused_by', 'as_expected'];
    wrong integer;
    names text;
BEGIN
    PERFORM kronos.change_author();
    SELECT count(*), string_agg(coalesce(outcome ->> 'control', '?'), ', ') INTO wrong, names
        FROM jsonb_array_elements(NEW.outcomes) AS each_outcome (outcome)
        LEFT JOIN kronos.experiment_verdicts AS judged ON judged.verdict_id = (outcome ->> 'verdict_id')::uuid
        WHERE jsonb_typeof(outcome) <> 'object'
            OR NOT outcome ?& expected_keys
            OR judged.verdict IS DISTINCT FROM outcome ->> 'verdict'
            OR judged.experiment_id IS DISTINCT FROM (outcome ->> 'experiment_id')::uuid
            OR judged.engine_name IS DISTINCT FROM NEW.engine_name
            OR judged.evidence IS DISTINCT FROM 'CONTROL'
            OR judged.policy_digest IS DISTINCT FROM NEW.policy_digest
            OR judged.code_version IS DISTINCT FROM NEW.code_version
            OR kronos.gate_verdict(judged.report, outcome ->> 'expected_gate')
                IS DISTINCT FROM outcome ->> 'gate_verdict'
            OR (outcome -> 'expected_verdicts' ? 'PASS') IS DISTINCT FROM (outcome -> 'expected_verdicts' = '["PASS"]')
            OR (outcome ->> 'as_expected')::boolean IS DISTINCT FROM coalesce(CASE outcome -> 'expected_verdicts'
                WHEN '["PASS"]' THEN judged.verdict = 'PASS'
                ELSE judged.verdict <> 'PASS' AND outcome -> 'expected_verdicts' ? (outcome ->> 'gate_verdict')
            END, false);
    IF wrong > 0 THEN
        RAISE EXCEPTION 'outcomes of controls % are not those of their verdicts', names
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'control_suites_as_judged';
    END IF;
    SELECT count(*), string_agg(outcome ->> 'control', ', ') INTO wrong, names
        FROM jsonb_array_elements(NEW.outcomes) WITH ORDINALITY AS each_outcome (outcome, place)
        JOIN kronos.experiment_verdicts AS judged ON judged.verdict_id = (outcome ->> 'verdict_id')::uuid
        JOIN kronos.experiments USING (experiment_id)
        WHERE experiments.status <> 'AWAITING_REVIEW'
            OR experiments.attempt <> judged.attempt
            OR judged.expires_at <= clock_timestamp()
            OR EXISTS (
                SELECT FROM jsonb_array_elements(NEW.outcomes) WITH ORDINALITY AS before (told, told_place)
                WHERE told_place < place AND (told ->> 'experiment_id')::uuid = judged.experiment_id
            )
            OR EXISTS (
                SELECT FROM kronos.control_suites AS earlier
                CROSS JOIN jsonb_array_elements(earlier.outcomes) AS before (told)
                WHERE (told ->> 'experiment_id')::uuid = judged.experiment_id
            );
    IF wrong > 0 THEN
        RAISE EXCEPTION 'controls % were told of before, or are stale: a suite is of controls that await their review',
            names USING ERRCODE = 'restrict_violation', CONSTRAINT = 'control_suites_fresh';
    END IF;
    SELECT count(*) FILTER (WHERE NOT outcome -> 'expected_verdicts' ? 'PASS'),
        count(*) FILTER (WHERE outcome -> 'expected_verdicts' ? 'PASS')
        INTO NEW.unexpected, NEW.missed_positives
        FROM jsonb_array_elements(NEW.outcomes) AS each_outcome (outcome)
        WHERE NOT (outcome ->> 'as_expected')::boolean;
    NEW.completed_at := clock_timestamp();
    RETURN NEW;
END
$$;

-- Nobody else writes in the name of the gate policy, whose approvals are entered by auto_approve, nor in one that reads
-- like Kronos.
CREATE OR REPLACE FUNCTION kronos.begin_change(
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
    ELSIF lower(btrim(author)) IN ('kronos', 'policy') THEN
        RAISE EXCEPTION 'author % is nobody''s name: Kronos and the gate policy act by functions of their own', author
            USING ERRCODE = 'check_violation', CONSTRAINT = 'change_log_author';
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

-- Controls are Kronos's own: they are not counted in the real search, so nobody else looks at a config as one.
CREATE OR REPLACE FUNCTION kronos.begin_experiment() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    proposal kronos.config_proposals;
    config kronos.engine_configs;
BEGIN
    IF NEW.status <> 'PENDING' THEN
        PERFORM kronos.refuse_transition('experiment', NEW.experiment_id, 'new', NEW.status);
    END IF;
    NEW.created_by := kronos.change_author();
    NEW.created_at := clock_timestamp();
    NEW.status_since := NEW.created_at;
    NEW.attempt := 0;
    NEW.evidence := kronos.evidence_by(NEW.created_by, NEW.expected_outcome);
    IF NEW.evidence = 'CONTROL' AND NEW.created_by <> 'Kronos' THEN
        RAISE EXCEPTION 'experiment % expects %: controls are of suites, which Kronos makes', NEW.experiment_id,
            NEW.expected_outcome
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'experiments_control_by_kronos';
    END IF;
    SELECT * INTO config FROM kronos.engine_configs WHERE config_id = NEW.proposed_config_id;
    IF (config.family = 'CONTROL') <> (NEW.evidence = 'CONTROL') THEN
        RAISE EXCEPTION 'config % is of family %: an experiment that expects % needs another',
            NEW.proposed_config_id, config.family, NEW.expected_outcome
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'experiments_family';
    END IF;
    SELECT * INTO proposal FROM kronos.config_proposals WHERE proposal_id = NEW.proposal_id;
    IF proposal.proposal_id IS NOT NULL AND (
        (proposal.engine_name, proposal.base_config_id, proposal.proposed_config_body)
        IS DISTINCT FROM (NEW.engine_name, NEW.base_config_id, config.config_body)
        OR proposal.status <> 'CONVERTED_TO_EXPERIMENT'
    ) THEN
        RAISE EXCEPTION 'proposal % is % and proposes something else for %: expected the converted proposal of this config',
            NEW.proposal_id, proposal.status, proposal.engine_name
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'experiments_as_proposed';
    END IF;
    RETURN NEW;
END
$$;
