-- What counts as proof of the gates: a suite of controls that was as expected, is fresh, is of the very code and tells of
-- all its controls as they were planned. And what one person, or a look that nobody judged, could still get past.

-- How many days a suite counts under a gate policy.
CREATE FUNCTION kronos.suite_days(body jsonb) RETURNS numeric
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((body #>> '{promotion,suite_days}')::numeric, 8)
$$;

-- Whether a suite that was completed then still counts under a gate policy.
CREATE FUNCTION kronos.suite_counts(completed timestamptz, body jsonb) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT completed + make_interval(secs => kronos.suite_days(body)::double precision * 86400) > clock_timestamp()
$$;
GRANT EXECUTE ON FUNCTION kronos.suite_days(jsonb), kronos.suite_counts(timestamptz, jsonb)
    TO kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;

-- Whether the newest suite of an engine, of this policy and by this code, refused every negative control as it should,
-- within the days that policy lets a suite count. Reopening the latch does not change it: that says that promotions may
-- go on, not that the code was right.
CREATE OR REPLACE FUNCTION kronos.code_proven(engine text, policy text, code text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((
        SELECT unexpected = 0 AND kronos.suite_counts(completed_at, (
            SELECT body FROM kronos.gate_policies WHERE digest = policy LIMIT 1
        ))
        FROM kronos.control_suites
        WHERE (engine_name, policy_digest, code_version) = (engine, policy, code)
        ORDER BY completed_at DESC, suite_id DESC LIMIT 1
    ), false)
$$;

CREATE OR REPLACE FUNCTION kronos.require_proven_code(judged kronos.experiment_verdicts) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT kronos.code_proven(judged.engine_name, judged.policy_digest, judged.code_version) THEN
        PERFORM kronos.refuse_change('promotions_code', format(
            'experiment %s was judged by code %s, which no suite of controls of %s has proven in the last %s days: %s',
            judged.experiment_id, judged.code_version, judged.engine_name,
            (SELECT kronos.suite_days(body) FROM kronos.gate_policies WHERE digest = judged.policy_digest LIMIT 1),
            CASE (SELECT status FROM kronos.experiments WHERE experiment_id = judged.experiment_id)
                WHEN 'APPROVED' THEN 'continue testing' ELSE 'wait for its suite, or judge it again by other code' END));
    ELSIF kronos.code_of_evidence(judged) IS NULL THEN
        PERFORM kronos.refuse_change('promotions_code', format(
            'the verdict on experiment %s does not say which code ran its backtest: continue testing',
            judged.experiment_id));
    ELSIF kronos.code_broken(judged.engine_name, kronos.code_of_evidence(judged)) THEN
        PERFORM kronos.refuse_change('promotions_code', format(
            'the backtest of experiment %s ran by code %s, whose suite of controls of %s was not as expected: continue '
            'testing', judged.experiment_id, kronos.code_of_evidence(judged), judged.engine_name));
    END IF;
END
$$;

-- Why an engine's latch is closed at this moment: a row per cause, none when it is open. It is closed by every closing
-- since the last opening (event_id), and for as long as no suite of the last suite_days (gate policy, promotion; 8 by
-- default) has proven the policy in force: that part nobody can reopen, only a fresh suite can. A suite that let a
-- negative control through proves nothing, and is no sign that others still count.
CREATE OR REPLACE FUNCTION kronos.latch_causes(engine text)
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
        SELECT * FROM kronos.gate_policy_in_force(engine)
    ), newest AS (
        SELECT * FROM kronos.control_suites WHERE engine_name = engine ORDER BY completed_at DESC, suite_id DESC LIMIT 1
    ), proof AS (
        SELECT suites.* FROM kronos.control_suites AS suites JOIN policy ON policy_digest = policy.digest
        WHERE suites.engine_name = engine AND unexpected = 0
        ORDER BY completed_at DESC, suite_id DESC LIMIT 1
    )
    SELECT closings.cause, closings.detail, closings.occurred_at, closings.event_id FROM closings
    UNION ALL
    SELECT 'NO_SUITE', '{}', 'epoch', NULL WHERE NOT EXISTS (SELECT FROM newest)
    UNION ALL
    SELECT 'STALE_SUITE',
        jsonb_build_object('suite_id', suite_id, 'completed_at', completed_at, 'suite_days', kronos.suite_days(body)),
        completed_at, NULL
    FROM proof CROSS JOIN policy WHERE NOT kronos.suite_counts(completed_at, body)
    UNION ALL
    SELECT 'NO_POLICY', '{}', 'epoch', NULL WHERE NOT EXISTS (SELECT FROM policy)
    UNION ALL
    SELECT 'POLICY_UNPROVEN',
        jsonb_build_object('policy_version', policy.version, 'policy_digest', policy.digest, 'suite_id', suite_id,
            'suite_policy_digest', policy_digest, 'suite_unexpected', unexpected), policy.created_at, NULL
    FROM newest CROSS JOIN policy WHERE NOT EXISTS (SELECT FROM proof)
$$;

-- Whether the newest suite of an engine, of whatever policy, with controls that this code ran or judged let one of them
-- through. The evidence of an experiment may be of code that was replaced before its suite had come, but not of code that
-- is known to be wrong, nor of code that nobody knows.
CREATE OR REPLACE FUNCTION kronos.code_broken(engine text, code text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT code IS NULL OR coalesce((
        SELECT bool_or(NOT (outcome ->> 'as_expected')::boolean AND NOT outcome -> 'expected_verdicts' ? 'PASS')
        FROM kronos.control_suites AS suites
        CROSS JOIN jsonb_array_elements(suites.outcomes) AS each_outcome (outcome)
        JOIN kronos.experiment_verdicts AS judged ON judged.verdict_id = (outcome ->> 'verdict_id')::uuid
        WHERE suites.engine_name = engine AND code IN (judged.code_version, kronos.code_of_evidence(judged))
        GROUP BY suites.suite_id ORDER BY suites.completed_at DESC, suites.suite_id DESC LIMIT 1
    ), false)
$$;

-- The outcomes say what the verdicts themselves say, and the counts follow from them. A positive has to pass. A negative
-- must not, and its gate has to say one of the expected verdicts. What other code ran proves nothing of this one. Which
-- are the controls, and what is expected of each, was said when their experiments were made, and none is left out.
CREATE OR REPLACE FUNCTION kronos.keep_suite_rules() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    expected_keys text[] := ARRAY['control', 'family', 'reason', 'experiment_id', 'verdict_id', 'expected_verdicts',
        'expected_gate', 'verdict', 'gate_verdict', 'refused_by', 'as_expected'];
    own jsonb := jsonb_build_object('suite_id', NEW.suite_id, 'engine_name', NEW.engine_name, 'period', NEW.period,
        'seed', NEW.seed, 'policy_digest', NEW.policy_digest, 'code_version', NEW.code_version, 'planned', NEW.planned);
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
            OR kronos.code_of_evidence(judged) IS DISTINCT FROM NEW.code_version
            OR kronos.gate_verdict(judged.report, outcome ->> 'expected_gate')
                IS DISTINCT FROM outcome ->> 'gate_verdict'
            OR (outcome -> 'expected_verdicts' ? 'PASS') IS DISTINCT FROM (outcome -> 'expected_verdicts' = '["PASS"]')
            OR (outcome ->> 'as_expected')::boolean IS DISTINCT FROM coalesce(CASE outcome -> 'expected_verdicts'
                WHEN '["PASS"]' THEN judged.verdict = 'PASS'
                ELSE judged.verdict <> 'PASS' AND outcome -> 'expected_verdicts' ? (outcome ->> 'gate_verdict')
            END, false);
    IF wrong > 0 THEN
        RAISE EXCEPTION 'outcomes of controls % are not those of their verdicts, or their backtests not by code %', names,
            NEW.code_version
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
    SELECT count(*), string_agg(outcome ->> 'control', ', ') INTO wrong, names
        FROM jsonb_array_elements(NEW.outcomes) AS each_outcome (outcome)
        JOIN kronos.experiments ON experiment_id = (outcome ->> 'experiment_id')::uuid
        WHERE (expected_outcome = 'POSITIVE_CONTROL') IS DISTINCT FROM (outcome -> 'expected_verdicts' = '["PASS"]')
            OR EXISTS (
                SELECT FROM jsonb_each(metadata -> 'suite') AS planned (key, value)
                WHERE (outcome || own) -> key <> value
            );
    IF wrong > 0 THEN
        RAISE EXCEPTION 'controls % are told otherwise than they were planned', names
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'control_suites_as_planned';
    END IF;
    SELECT count(*), string_agg(coalesce(metadata #>> '{suite,control}', experiment_id::text), ', ') INTO wrong, names
        FROM kronos.experiments
        WHERE metadata #>> '{suite,suite_id}' = NEW.suite_id::text AND NOT EXISTS (
            SELECT FROM jsonb_array_elements(NEW.outcomes) AS each_outcome (outcome)
            WHERE (outcome ->> 'experiment_id')::uuid = experiment_id
        );
    IF wrong > 0 THEN
        RAISE EXCEPTION 'controls % of suite % are not told of', names, NEW.suite_id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'control_suites_whole';
    END IF;
    SELECT count(DISTINCT outcome -> 'expected_verdicts' = '["PASS"]') INTO wrong
        FROM jsonb_array_elements(NEW.outcomes) AS each_outcome (outcome);
    IF wrong < 2 THEN
        RAISE EXCEPTION 'suite % has controls of one kind only: expected a negative and a positive at least', NEW.suite_id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'control_suites_both_kinds';
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

-- The verdict an approval or a promotion rests on, if everything it needs besides holds at this moment. What the live
-- record has spoken against since is tested again, on that record too.
CREATE OR REPLACE FUNCTION kronos.require_pass(wanted uuid) RETURNS kronos.experiment_verdicts
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    experiment kronos.experiments;
    judged kronos.experiment_verdicts;
    policy text;
    incumbent text;
    left_at timestamptz;
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
    SELECT settled_at INTO left_at FROM kronos.promotions
        WHERE kind = 'ROLLBACK' AND engine_name = judged.engine_name AND scope = judged.scope
            AND expected_incumbent = judged.proposed_config_id AND settled_at > judged.judged_at
        ORDER BY settled_at DESC LIMIT 1;
    IF FOUND THEN
        PERFORM kronos.refuse_change('promotions_rolled_back', format(
            'config %s of experiment %s passed at %s, and at %s it was rolled back: test it again',
            judged.proposed_config_id, wanted, judged.judged_at, left_at));
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

-- What was promoted stays approved, unless a rollback has left its config since: then it is open again.
CREATE OR REPLACE FUNCTION kronos.refuse_once_promoted(experiment uuid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kronos.refuse_while_scheduled(experiment);
    IF EXISTS (
        SELECT FROM kronos.promotions AS entered
        WHERE entered.experiment_id = experiment AND entered.status = 'ACTIVATED' AND NOT EXISTS (
            SELECT FROM kronos.promotions AS rollbacks
            WHERE rollbacks.kind = 'ROLLBACK' AND rollbacks.expected_incumbent = entered.config_id
                AND (rollbacks.engine_name, rollbacks.scope) = (entered.engine_name, entered.scope)
                AND rollbacks.activation_id > entered.activation_id
        )
    ) THEN
        PERFORM kronos.refuse_change('experiments_promoted',
            format('experiment %s was promoted and stays approved: test its config in another one', experiment));
    END IF;
END
$$;

-- Who brought an experiment about, and since when: who created it, and who proposed its config.
CREATE FUNCTION kronos.authors_of(experiment uuid) RETURNS TABLE (author text, since timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT created_by, created_at FROM kronos.experiments WHERE experiment_id = experiment
    UNION
    SELECT proposals.created_by, proposals.created_at FROM kronos.config_proposals AS proposals
        JOIN kronos.experiments USING (proposal_id) WHERE experiments.experiment_id = experiment
$$;

-- Ends what enter_change began, where the name is not that of whoever calls: what follows in the same transaction begins
-- a change of its own.
CREATE FUNCTION kronos.leave_change() RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM kronos.changes_under_way
$$;

-- Approval by the gate policy (its part auto_approval, off unless it says enabled), of small changes that await review and
-- under the same rules; besides, the latch is open: while gates are suspect nothing goes by itself. Who set the policy is
-- the other pair of eyes, so what he brought about himself is approved by a person.
CREATE OR REPLACE FUNCTION kronos.auto_approve(experiment uuid, code text DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    judged kronos.experiment_verdicts;
    rules jsonb;
    changes jsonb;
    state text;
    setter text;
    entered uuid;
BEGIN
    PERFORM kronos.enter_change('policy', 'low risk by the gate policy', code => code);
    judged := kronos.require_pass(experiment);
    SELECT status INTO state FROM kronos.experiments WHERE experiment_id = experiment;
    IF state <> 'AWAITING_REVIEW' THEN
        PERFORM kronos.refuse_transition('experiment', experiment, state, 'APPROVED');
    END IF;
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
    SELECT created_by INTO setter FROM kronos.gate_policy_in_force(judged.engine_name);
    IF EXISTS (SELECT FROM kronos.authors_of(experiment) WHERE lower(btrim(author)) = lower(btrim(setter))) THEN
        PERFORM kronos.refuse_change('approvals_by_policy', format(
            'experiment %s was brought about by %s, who set the gate policy in force: another person approves it',
            experiment, setter));
    END IF;
    PERFORM kronos.require_open_latch(judged.engine_name);
    entered := kronos.enter_approval(experiment, kronos.approval_digest(judged.verdict_id), 'POLICY', 'policy',
        'low risk by the gate policy');
    PERFORM kronos.leave_change();
    RETURN entered;
END
$$;

-- Settles what is due, each under the name of who asked for it, which nothing else in the transaction gets.
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
            PERFORM kronos.leave_change();
            RETURN NEXT wanted;
        END IF;
    END LOOP;
END
$$;

-- A refused attempt rolls back with everything it wrote: this says so in a transaction of its own.
CREATE OR REPLACE FUNCTION kronos.log_refusal(token text, account text, act text, of_id text, rule text, why text, code text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known text;
BEGIN
    SELECT name INTO known FROM kronos.identify(token);
    PERFORM kronos.enter_change(coalesce(known, 'without token: ' || account), why, code => code);
    PERFORM kronos.log_change('refusal', of_id, NULL, 'REFUSED', NULL, NULL,
        jsonb_build_object('act', act, 'rule', rule, 'account', account));
    PERFORM kronos.leave_change();
END
$$;

-- The attempts of an experiment whose results could be looked at, judged or not: from the moment it awaits review.
CREATE FUNCTION kronos.attempts_seen(experiment uuid, OUT attempt integer, OUT seen_at timestamptz)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (detail ->> 'attempt')::integer, min(logged_at) FROM kronos.change_log
    WHERE subject = 'experiment' AND subject_id = experiment::text
        AND (from_status, to_status) = ('RUNNING_BACKTESTS', 'AWAITING_REVIEW')
    GROUP BY 1
$$;
GRANT EXECUTE ON FUNCTION kronos.attempts_seen(uuid)
    TO kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;

COMMENT ON COLUMN kronos.experiment_verdicts.look IS
    'How often fresh evidence of this experiment could be looked at, judged or not: each look spends alpha.';

-- A verdict is of the attempt whose results stand, under the policy in force, and no better than the worst of its gates.
CREATE OR REPLACE FUNCTION kronos.keep_verdict_rules() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    experiment kronos.experiments;
    policy kronos.gate_policies;
    gates text[];
    verdicts text[];
    worst text;
BEGIN
    PERFORM kronos.change_author();
    SELECT * INTO experiment FROM kronos.experiments WHERE experiment_id = NEW.experiment_id FOR SHARE;
    IF experiment.status <> 'AWAITING_REVIEW' OR experiment.attempt <> NEW.attempt THEN
        RAISE EXCEPTION 'experiment % is % in attempt %: a verdict on attempt % is too late or too early',
            NEW.experiment_id, experiment.status, experiment.attempt, NEW.attempt
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'experiment_verdicts_attempt';
    END IF;
    SELECT * INTO policy FROM kronos.gate_policy_in_force(experiment.engine_name);
    IF (policy.engine_name, policy.version, policy.digest)
        IS DISTINCT FROM (NEW.policy_engine, NEW.policy_version, NEW.policy_digest) THEN
        RAISE EXCEPTION 'the gate policy in force for % is version % of %: a verdict under version % of % is too late',
            experiment.engine_name, policy.version, policy.engine_name, NEW.policy_version, NEW.policy_engine
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'experiment_verdicts_policy_in_force';
    END IF;
    SELECT array_agg(gate ->> 'gate' ORDER BY place), array_agg(gate ->> 'verdict' ORDER BY place),
        coalesce(array_agg(gate ->> 'gate' ORDER BY place) FILTER (WHERE gate ->> 'verdict' <> 'PASS'), '{}')
        INTO gates, verdicts, NEW.refused_by
        FROM jsonb_array_elements(NEW.report -> 'gates') WITH ORDINALITY AS each_gate (gate, place);
    worst := CASE
        WHEN 'FAIL' = ANY (verdicts) THEN 'FAIL'
        WHEN 'INVALID' = ANY (verdicts) THEN 'INVALID'
        WHEN 'INCONCLUSIVE' = ANY (verdicts) THEN 'INCONCLUSIVE'
        WHEN 'PASS' = ALL (verdicts) THEN 'PASS'
    END;
    IF gates IS DISTINCT FROM ARRAY[
        'INTEGRITY', 'EVIDENCE', 'IMPROVEMENT', 'VALIDITY', 'NO_DEGRADATION', 'STRESS', 'HARD_CONSTRAINTS'
    ] OR NEW.verdict IS DISTINCT FROM worst THEN
        RAISE EXCEPTION 'verdict % does not follow from gates % with %: expected all seven and %',
            NEW.verdict, gates, verdicts, worst
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'experiment_verdicts_follows';
    END IF;
    NEW.engine_name := experiment.engine_name;
    NEW.proposed_config_id := experiment.proposed_config_id;
    NEW.base_config_id := experiment.base_config_id;
    NEW.evidence := kronos.evidence_in_force(experiment);
    NEW.look := 1 + (SELECT count(*) FROM kronos.attempts_seen(NEW.experiment_id) AS seen
        WHERE seen.attempt <> NEW.attempt);
    NEW.judged_at := clock_timestamp();
    NEW.expires_at := NEW.judged_at + make_interval(days => (policy.body -> 'evidence' ->> 'expires_days')::integer);
    RETURN NEW;
END
$$;

-- The defaults that come with Kronos become version 1 for all engines where there is no policy yet.
CREATE OR REPLACE FUNCTION kronos.begin_gate_policy(new_body jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kronos.begin_change('Kronos', 'the defaults that come with Kronos');
    IF NOT EXISTS (SELECT FROM kronos.gate_policies) THEN
        IF new_body #> '{auto_approval,enabled}' = 'true' THEN
            PERFORM kronos.refuse_change('gate_policies_first',
                'the first gate policy approves by itself: a person decides that, with kronos.set_gate_policy');
        END IF;
        PERFORM kronos.add_gate_policy('*', new_body, 0);
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
        SELECT * FROM kronos.authors_of(wanted)
    LOOP
        IF lower(btrim(proposer)) = lower(btrim(actor)) THEN
            PERFORM kronos.refuse_change('approvals_four_eyes',
                format('%s brought about experiment %s: another person approves it', actor, wanted));
        ELSIF proposer <> 'Kronos' AND NOT EXISTS (
            SELECT FROM kronos.principals
            WHERE lower(name) = lower(btrim(proposer)) AND created_at <= since
                AND (kind = 'PERSON' OR of_kind = 'POLICY')
        ) THEN
            -- whoever that was, or holds the service's token: it may have been the approver, or who set the policy
            PERFORM kronos.refuse_change('approvals_known_author', format(
                'experiment %s was brought about by %s without the token of a person, so nobody can tell that it was not '
                '%s: propose it with KRONOS_TOKEN set to one', wanted, proposer,
                CASE of_kind WHEN 'POLICY' THEN 'who set the policy' ELSE actor END));
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
