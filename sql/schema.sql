-- The schema after all migrations. Written by `python -m kronos.store.schema`; a test holds it to them.

CREATE SCHEMA kronos;

CREATE SCHEMA source;

CREATE FUNCTION kronos.acknowledge_alert(wanted bigint, author text, why text, token text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM kronos.begin_change(author, why, token => token);
    UPDATE kronos.alerts
        SET state = 'ACKNOWLEDGED', acknowledged_by = author, acknowledged_at = now(), acknowledged_reason = why
        WHERE alert_id = wanted;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'alert % does not exist', wanted USING ERRCODE = 'no_data_found';
    END IF;
END
$$;

CREATE FUNCTION kronos.activate_config(engine text, new_id text, author text, why text, at timestamp with time zone, expected text, within text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    new_activation bigint;
BEGIN
    PERFORM kronos.begin_change(author, why);
    IF EXISTS (SELECT FROM kronos.config_activations WHERE engine_name = engine) THEN
        RAISE EXCEPTION 'engine % has had an active config: only a promotion or rollback changes it', engine
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'config_activations_first';
    END IF;
    IF at > kronos.data_now() THEN
        RAISE EXCEPTION 'the first config of % is to be active from %: expected at most %', engine, at, kronos.data_now()
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'config_activations_past';
    END IF;
    new_activation := kronos.swap_incumbent(engine, new_id, author, why, at, expected, within);
    PERFORM kronos.log_change('activation', engine, NULL, 'ACTIVATED', NULL, NULL,
        jsonb_build_object('scope', within, 'config_id', new_id, 'activated_at', at));
    RETURN new_activation;
END
$$;

CREATE FUNCTION kronos.activate_due(code text DEFAULT NULL::text) RETURNS SETOF uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE TABLE kronos.config_activations (
    activation_id bigint NOT NULL,
    engine_name text NOT NULL,
    scope text DEFAULT '*'::text NOT NULL,
    config_id text NOT NULL,
    activated_at timestamp with time zone NOT NULL,
    deactivated_at timestamp with time zone,
    activated_by text NOT NULL,
    reason text NOT NULL,
    body_hash text,
    CONSTRAINT config_activations_activated_by_check CHECK ((activated_by <> ''::text)),
    CONSTRAINT config_activations_check CHECK ((deactivated_at > activated_at)),
    CONSTRAINT config_activations_reason_check CHECK ((reason <> ''::text)),
    CONSTRAINT config_activations_scope_check CHECK ((scope <> ''::text))
);

COMMENT ON TABLE kronos.config_activations IS 'One row per time a config was active for an engine and scope.';

COMMENT ON COLUMN kronos.config_activations.body_hash IS 'Canonical hash of the config''s body when it was activated.';

CREATE FUNCTION kronos.activation_before(engine text, within text) RETURNS SETOF kronos.config_activations
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.activation_time(engine text, within text) RETURNS timestamp with time zone
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT greatest(kronos.data_now(), (
        SELECT activated_at + interval '1 microsecond' FROM kronos.config_activations
        WHERE engine_name = engine AND scope = within AND deactivated_at IS NULL
    ))
$$;

CREATE FUNCTION kronos.add_gate_policy(engine text, new_body jsonb, expected integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    newest integer;
BEGIN
    SELECT coalesce(max(version), 0) INTO newest FROM kronos.gate_policies WHERE engine_name = engine;
    IF newest <> expected THEN
        RAISE EXCEPTION 'the gate policy of % is at version %: expected %', engine, newest, expected
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'gate_policies_expected';
    END IF;
    INSERT INTO kronos.gate_policies (engine_name, version, digest, body, created_at, created_by, reason)
        VALUES (engine, newest + 1, kronos.canonical_hash(new_body), new_body, clock_timestamp(),
            kronos.change_author(), coalesce(kronos.said('reason'), ''));
    PERFORM kronos.log_change('gate_policy', engine, CASE WHEN newest > 0 THEN newest::text END, (newest + 1)::text,
        NULL, NULL, jsonb_build_object('digest', kronos.canonical_hash(new_body)));
    RETURN newest + 1;
END
$$;

CREATE FUNCTION kronos.add_principal(token text, new_name text, new_kind text, new_role text, new_hash text, code text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    actor kronos.principals := kronos.require_principal(token, ARRAY['admin'], false, 'add a principal');
BEGIN
    PERFORM kronos.enter_change(actor.name, code => code);
    INSERT INTO kronos.principals (name, kind, role, token_hash, created_by)
        VALUES (new_name, new_kind, new_role, new_hash, actor.name);
END
$$;

CREATE FUNCTION kronos.adopt_config(token text, engine text, config text, why text, live_from date, live_until date, data_until date, code text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    actor kronos.principals := kronos.require_principal(token, ARRAY['change_manager', 'admin'], true, 'adopt a config');
    earlier text;
    wanted kronos.engine_configs;
    starts timestamptz := kronos.data_now();
    activation bigint;
BEGIN
    PERFORM kronos.enter_change(actor.name, why, code => code);
    IF why IS NULL OR why !~ '\S' THEN
        PERFORM kronos.refuse_change('adoptions_reason', 'an adoption needs a reason');
    END IF;
    SELECT config_id INTO earlier FROM kronos.config_activations WHERE engine_name = engine
        ORDER BY activation_id DESC LIMIT 1;
    IF earlier IS NOT NULL THEN
        PERFORM kronos.refuse_change('config_activations_first', format(
            'engine %s has had an active config, last %s: expected one that never had, '
            'as only a promotion or rollback changes it', engine, earlier));
    END IF;
    SELECT * INTO wanted FROM kronos.engine_configs WHERE config_id = config;
    IF wanted.engine_name IS DISTINCT FROM engine THEN
        PERFORM kronos.refuse_change('adoptions_config', format('config %s is %s: expected a registered config of %s',
            config, coalesce('of engine ' || wanted.engine_name, 'not registered'), engine));
    END IF;
    IF wanted.family <> 'REAL' THEN
        PERFORM kronos.refuse_change('adoptions_real',
            format('config %s has family %s: expected REAL, one that upstream trades', config, wanted.family));
    END IF;
    IF coalesce(live_from > live_until OR live_until > data_until OR live_until < data_until - 31, true) THEN
        PERFORM kronos.refuse_change('adoptions_live', format(
            'config %s has its last LIVE decision on %s: expected one in the 31 days up to %s, where the data ends',
            config, coalesce(live_until::text, 'no day'), coalesce(data_until::text, 'no day')));
    END IF;
    activation := kronos.swap_incumbent(engine, config, actor.name, format(
        'adopted as what trades upstream, LIVE from %s to %s in data until %s: %s', live_from, live_until, data_until, why
    ), starts, NULL, '*');
    PERFORM kronos.log_change('activation', engine, NULL, 'ACTIVATED', NULL, NULL, jsonb_build_object(
        'scope', '*', 'config_id', config, 'activated_at', starts, 'adopted', jsonb_build_object(
            'live_from', live_from, 'live_until', live_until, 'data_until', data_until)));
    RETURN activation;
END
$$;

CREATE TABLE kronos.experiment_verdicts (
    verdict_id uuid NOT NULL,
    experiment_id uuid NOT NULL,
    attempt integer NOT NULL,
    look integer NOT NULL,
    engine_name text NOT NULL,
    scope text DEFAULT '*'::text NOT NULL,
    proposed_config_id text NOT NULL,
    base_config_id text NOT NULL,
    incumbent text,
    verdict text NOT NULL,
    recommendation text NOT NULL,
    refused_by text[] NOT NULL,
    report jsonb NOT NULL,
    policy_engine text NOT NULL,
    policy_version integer NOT NULL,
    policy_digest text NOT NULL,
    evidence_digest text NOT NULL,
    evidence text NOT NULL,
    data_until date NOT NULL,
    lake jsonb NOT NULL,
    code_version text NOT NULL,
    judged_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT experiment_verdicts_adopt CHECK (((recommendation = 'ADOPT'::text) = (verdict = 'PASS'::text))),
    CONSTRAINT experiment_verdicts_evidence CHECK ((evidence = ANY (ARRAY['AUTO_PRESCREEN'::text, 'HUMAN_TRIGGERED'::text, 'CONTROL'::text]))),
    CONSTRAINT experiment_verdicts_evidence_digest_check CHECK ((evidence_digest ~ '^[0-9a-f]{64}$'::text)),
    CONSTRAINT experiment_verdicts_lake_check CHECK ((jsonb_typeof(lake) = 'object'::text)),
    CONSTRAINT experiment_verdicts_look_check CHECK ((look >= 1)),
    CONSTRAINT experiment_verdicts_recommendation CHECK ((recommendation = ANY (ARRAY['ADOPT'::text, 'REJECT'::text, 'CONTINUE_TESTING'::text]))),
    CONSTRAINT experiment_verdicts_report_check CHECK ((jsonb_typeof(report) = 'object'::text)),
    CONSTRAINT experiment_verdicts_verdict CHECK ((verdict = ANY (ARRAY['PASS'::text, 'FAIL'::text, 'INCONCLUSIVE'::text, 'INVALID'::text])))
);

COMMENT ON TABLE kronos.experiment_verdicts IS 'One row per judgement of an experiment''s evidence under a gate policy, by a version of the code.';

COMMENT ON COLUMN kronos.experiment_verdicts.look IS 'How often fresh evidence of this experiment could be looked at, judged or not: each look spends alpha.';

COMMENT ON COLUMN kronos.experiment_verdicts.refused_by IS 'The gates that did not pass, in the gates'' order.';

COMMENT ON COLUMN kronos.experiment_verdicts.report IS 'Every gate with its findings, and what was tested on what.';

COMMENT ON COLUMN kronos.experiment_verdicts.evidence_digest IS 'SHA-256 of what was judged.';

COMMENT ON COLUMN kronos.experiment_verdicts.lake IS 'Per lake table the version that holds the evidence.';

COMMENT ON COLUMN kronos.experiment_verdicts.code_version IS 'Of the code that judged.';

COMMENT ON COLUMN kronos.experiment_verdicts.expires_at IS 'From when the evidence is stale: nothing is approved or promoted on it.';

CREATE FUNCTION kronos.against_code(judged kronos.experiment_verdicts) RETURNS TABLE(rule text, why text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT 'promotions_code', CASE
        WHEN NOT kronos.code_proven(judged.engine_name, judged.policy_digest, judged.code_version) THEN format(
            'experiment %s was judged by code %s, which no suite of controls of %s has proven in the last %s days: %s',
            judged.experiment_id, judged.code_version, judged.engine_name,
            (SELECT kronos.suite_days(body) FROM kronos.gate_policies WHERE digest = judged.policy_digest LIMIT 1),
            CASE (SELECT status FROM kronos.experiments WHERE experiment_id = judged.experiment_id)
                WHEN 'APPROVED' THEN 'continue testing' ELSE 'wait for its suite, or judge it again by other code' END)
        WHEN kronos.code_of_evidence(judged) IS NULL THEN format(
            'the verdict on experiment %s does not say which code ran its backtest: continue testing',
            judged.experiment_id)
        ELSE format(
            'the backtest of experiment %s ran by code %s, whose suite of controls of %s was not as expected: continue '
            'testing', judged.experiment_id, kronos.code_of_evidence(judged), judged.engine_name)
    END
    WHERE NOT kronos.verdict_proven(judged)
$$;

CREATE FUNCTION kronos.against_latch(engine text) RETURNS TABLE(rule text, why text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT 'promotions_latch', format('the promotion latch of %s is closed: %s', engine, string_agg(cause, ', '))
    FROM kronos.latch_causes(engine) HAVING count(*) > 0
$$;

CREATE FUNCTION kronos.against_promotion(experiment uuid) RETURNS TABLE(rule text, why text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT * FROM kronos.against_schedule(experiment)
    UNION ALL
    SELECT * FROM kronos.against_verdict(experiment)
    UNION ALL
    SELECT told.* FROM kronos.verdict_in_force(experiment) AS judged
        CROSS JOIN LATERAL (
            SELECT * FROM kronos.against_latch(judged.engine_name)
            UNION ALL
            SELECT * FROM kronos.against_code(judged)
        ) AS told
$$;

CREATE FUNCTION kronos.against_schedule(experiment uuid) RETURNS TABLE(rule text, why text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT 'promotions_one_scheduled',
        format('experiment %s has a promotion scheduled for %s: cancel that first', experiment, activates_at)
    FROM kronos.promotions WHERE experiment_id = experiment AND status = 'SCHEDULED'
$$;

CREATE FUNCTION kronos.against_verdict(wanted uuid) RETURNS TABLE(rule text, why text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    experiment kronos.experiments;
    judged kronos.experiment_verdicts;
    policy text;
    incumbent text;
    left_at timestamptz;
BEGIN
    SELECT * INTO experiment FROM kronos.experiments WHERE experiment_id = wanted;
    IF experiment.expected_outcome IN ('NEGATIVE_CONTROL', 'POSITIVE_CONTROL') OR experiment.evidence = 'CONTROL' THEN
        RETURN QUERY SELECT 'promotions_no_control',
            format('experiment %s is a control: it is never approved or promoted', wanted);
    END IF;
    SELECT * INTO judged FROM kronos.verdict_in_force(wanted);
    IF judged.verdict IS DISTINCT FROM 'PASS' OR judged.attempt <> experiment.attempt THEN
        RETURN QUERY SELECT 'promotions_pass', format('the verdict on experiment %s is %s: expected PASS', wanted,
            CASE WHEN judged.attempt <> experiment.attempt THEN 'of an earlier attempt'
                WHEN judged.verdict IS NULL THEN 'not there yet'
                ELSE concat_ws(' by ', judged.verdict, nullif(array_to_string(judged.refused_by, ', '), '')) END);
    END IF;
    IF judged.verdict IS NULL THEN
        RETURN;
    END IF;
    IF judged.expires_at <= clock_timestamp() THEN
        RETURN QUERY SELECT 'promotions_fresh',
            format('the evidence for experiment %s expired at %s: continue testing', wanted, judged.expires_at);
    END IF;
    SELECT settled_at INTO left_at FROM kronos.promotions
        WHERE kind = 'ROLLBACK' AND engine_name = judged.engine_name AND scope = judged.scope
            AND expected_incumbent = judged.proposed_config_id AND settled_at > judged.judged_at
        ORDER BY settled_at DESC LIMIT 1;
    IF FOUND THEN
        RETURN QUERY SELECT 'promotions_rolled_back', format(
            'config %s of experiment %s passed at %s, and at %s it was rolled back: test it again',
            judged.proposed_config_id, wanted, judged.judged_at, left_at);
    END IF;
    SELECT digest INTO policy FROM kronos.gate_policy_in_force(judged.engine_name);
    IF policy IS DISTINCT FROM judged.policy_digest THEN
        -- only what awaits review is judged
        RETURN QUERY SELECT 'promotions_policy', format(
            'experiment %s was judged under policy %s, in force is %s: %s', wanted, left(judged.policy_digest, 12),
            left(policy, 12),
            CASE experiment.status WHEN 'APPROVED' THEN 'continue testing' ELSE 'judge it again' END);
    END IF;
    incumbent := kronos.incumbent_of(judged.engine_name, judged.scope);
    IF incumbent IS DISTINCT FROM judged.incumbent THEN
        RETURN QUERY SELECT 'promotions_incumbent', format(
            'experiment %s was judged against %s, the incumbent of %s is now %s: continue testing, against that', wanted,
            coalesce(judged.incumbent, 'none'), judged.engine_name, coalesce(incumbent, 'none'));
    END IF;
END
$$;

CREATE FUNCTION kronos.alert_closed_latches() RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT kronos.raise_latch_alert(engine_name, cause, detail, since, NULL)
    FROM (SELECT DISTINCT engine_name FROM kronos.config_activations WHERE deactivated_at IS NULL) AS engines
    CROSS JOIN LATERAL kronos.latch_causes(engine_name)
    WHERE cause IN ('NO_SUITE', 'STALE_SUITE', 'NO_POLICY', 'POLICY_UNPROVEN')
$$;

CREATE FUNCTION kronos.approval_content(of_verdict uuid) RETURNS jsonb
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT kronos.canonical_hash(kronos.approval_content(of_verdict))
$$;

CREATE FUNCTION kronos.approve(token text, experiment uuid, seen text, why text, code text DEFAULT NULL::text) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    actor kronos.principals := kronos.require_principal(
        token, ARRAY['change_manager', 'admin'], true, 'approve an experiment');
BEGIN
    PERFORM kronos.enter_change(actor.name, why, code => code);
    RETURN kronos.enter_approval(experiment, seen, 'PERSON', actor.name, why);
END
$$;

CREATE FUNCTION kronos.attempts_seen(experiment uuid, OUT attempt integer, OUT seen_at timestamp with time zone) RETURNS SETOF record
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT (detail ->> 'attempt')::integer, min(logged_at) FROM kronos.change_log
    WHERE subject = 'experiment' AND subject_id = experiment::text
        AND (from_status, to_status) = ('RUNNING_BACKTESTS', 'AWAITING_REVIEW')
    GROUP BY 1
$$;

CREATE FUNCTION kronos.authors_of(experiment uuid) RETURNS TABLE(author text, since timestamp with time zone)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT created_by, created_at FROM kronos.experiments WHERE experiment_id = experiment
    UNION
    SELECT proposals.created_by, proposals.created_at FROM kronos.config_proposals AS proposals
        JOIN kronos.experiments USING (proposal_id) WHERE experiments.experiment_id = experiment
$$;

CREATE FUNCTION kronos.auto_approve(experiment uuid, code text DEFAULT NULL::text) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.begin_change(author text, why text DEFAULT NULL::text, run text DEFAULT NULL::text, lake jsonb DEFAULT NULL::jsonb, code text DEFAULT NULL::text, token text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.begin_experiment() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.begin_gate_policy(new_body jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.begin_principals(first_name text, first_hash text, code text DEFAULT NULL::text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.caller() RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT CASE current_setting('role') WHEN 'none' THEN session_user::text ELSE current_setting('role') END
$$;

CREATE FUNCTION kronos.cancel_promotion(token text, promotion uuid, why text, code text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.canonical_hash(body jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT encode(sha256(convert_to(kronos.canonical_json(body), 'UTF8')), 'hex')
$$;

CREATE FUNCTION kronos.canonical_json(value jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    CASE jsonb_typeof(value)
        WHEN 'object' THEN
            RETURN '{' || coalesce((
                SELECT string_agg(to_jsonb(key)::text || ':' || kronos.canonical_json(member), ',' ORDER BY key COLLATE "C")
                FROM jsonb_each(value) AS each_member (key, member)
            ), '') || '}';
        WHEN 'array' THEN
            RETURN '[' || coalesce((
                SELECT string_agg(kronos.canonical_json(member), ',' ORDER BY place)
                FROM jsonb_array_elements(value) WITH ORDINALITY AS each_member (member, place)
            ), '') || ']';
        WHEN 'number' THEN
            RETURN trim_scale(value::numeric)::text;
        ELSE
            RETURN value::text;
    END CASE;
END
$$;

CREATE FUNCTION kronos.chain_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    head kronos.change_log;
BEGIN
    PERFORM kronos.lock_change_log();
    -- a statement of its own, so that it sees what the lock's last holder committed
    SELECT * INTO head FROM kronos.change_log ORDER BY entry_id DESC LIMIT 1;
    NEW.entry_id := coalesce(head.entry_id, 0) + 1;
    NEW.previous_hash := coalesce(head.hash, repeat('0', 64));
    NEW.acted_as := kronos.caller();
    NEW.logged_at := clock_timestamp();
    NEW.hash := encode(sha256(convert_to(kronos.chain_text(
        NEW.previous_hash, NEW.entry_id::text, NEW.subject, NEW.subject_id, NEW.from_status, NEW.to_status,
        NEW.author, NEW.acted_as, to_char(NEW.logged_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        NEW.evidence, NEW.run_id, NEW.lake_version::text, NEW.code_version, NEW.detail::text
    ), 'UTF8')), 'hex');
    RETURN NEW;
END
$$;

CREATE FUNCTION kronos.chain_text(VARIADIC fields text[]) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT string_agg(
        coalesce(octet_length(convert_to(field, 'UTF8')) || ':' || field, '-'), ',' ORDER BY place
    ) FROM unnest(fields) WITH ORDINALITY AS each_field (field, place)
$$;

CREATE FUNCTION kronos.change_author() RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF kronos.said('author') IS NULL THEN
        RAISE EXCEPTION 'a change needs an author: call kronos.begin_change first in its transaction'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'change_log_author';
    END IF;
    RETURN kronos.said('author');
END
$$;

CREATE FUNCTION kronos.close_alert(wanted bigint, author text, why text, token text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM kronos.begin_change(author, why, token => token);
    UPDATE kronos.alerts SET state = 'CLOSED', closed_by = author, closed_at = now(), closed_reason = why
        WHERE alert_id = wanted;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'alert % does not exist', wanted USING ERRCODE = 'no_data_found';
    END IF;
END
$$;

CREATE FUNCTION kronos.close_latch(engine text, of_cause text, what jsonb) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.close_latch_on_suite() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.code_broken(engine text, code text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT code IS NULL OR coalesce((
        SELECT bool_or(NOT (outcome ->> 'as_expected')::boolean AND NOT outcome -> 'expected_verdicts' ? 'PASS')
        FROM kronos.control_suites AS suites
        CROSS JOIN jsonb_array_elements(suites.outcomes) AS each_outcome (outcome)
        JOIN kronos.experiment_verdicts AS judged ON judged.verdict_id = (outcome ->> 'verdict_id')::uuid
        WHERE suites.engine_name = engine AND code IN (judged.code_version, kronos.code_of_evidence(judged))
        GROUP BY suites.suite_id ORDER BY suites.completed_at DESC, suites.suite_id DESC LIMIT 1
    ), false)
$$;

CREATE FUNCTION kronos.code_of_evidence(judged kronos.experiment_verdicts) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT judged.report #>> '{about,code_version}'
$$;

CREATE FUNCTION kronos.code_proven(engine text, policy text, code text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT coalesce((
        SELECT unexpected = 0 AND kronos.suite_counts(completed_at, (
            SELECT body FROM kronos.gate_policies WHERE digest = policy LIMIT 1
        ))
        FROM kronos.control_suites
        WHERE (engine_name, policy_digest, code_version) = (engine, policy, code)
        ORDER BY completed_at DESC, suite_id DESC LIMIT 1
    ), false)
$$;

CREATE FUNCTION kronos.config_changes(base jsonb, proposed jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.data_now() RETURNS timestamp with time zone
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT coalesce((SELECT now FROM kronos.sandbox_clock), clock_timestamp())
$$;

CREATE FUNCTION kronos.enter_approval(wanted uuid, seen text, of_kind text, actor text, why text) RETURNS uuid
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.enter_change(author text, why text DEFAULT NULL::text, run text DEFAULT NULL::text, lake jsonb DEFAULT NULL::jsonb, code text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF author IS NULL OR author !~ '\S' THEN
        RAISE EXCEPTION 'a change needs an author' USING ERRCODE = 'check_violation', CONSTRAINT = 'change_log_author';
    END IF;
    IF author = 'Kronos' AND NOT pg_has_role(kronos.caller(), 'kronos_orchestrator', 'MEMBER') THEN
        RAISE EXCEPTION 'author Kronos is the orchestrator''s: % cannot take it', kronos.caller()
            USING ERRCODE = 'check_violation', CONSTRAINT = 'change_log_author';
    END IF;
    PERFORM kronos.lock_change_log();
    -- who holds the lock is the only one under way: rows of others are of transactions that have ended
    DELETE FROM kronos.changes_under_way;
    INSERT INTO kronos.changes_under_way VALUES (
        pg_current_xact_id(), author, nullif(why, ''), nullif(run, ''), lake, nullif(code, '')
    );
END
$$;

CREATE FUNCTION kronos.enter_latch_event(engine text, becomes text, of_cause text, what jsonb, why text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.enter_registered_config() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM kronos.enter_trial(
        NEW.engine_name, '*', NEW.family, NEW.config_body, NEW.config_id, 'REGISTERED', NEW.created_at
    );
    RETURN NULL;
END
$$;

CREATE FUNCTION kronos.enter_trial(engine text, within text, of_family text, body jsonb, config text, source text, at timestamp with time zone, at_horizon integer DEFAULT NULL::integer, in_slice text DEFAULT NULL::text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    hash text;
    is_new boolean;
BEGIN
    IF body IS NULL THEN
        SELECT config_body INTO body FROM kronos.engine_configs WHERE engine_name = engine AND config_id = config;
    END IF;
    hash := kronos.canonical_hash(body);
    INSERT INTO kronos.trials (
        engine_name, scope, family, canonical_hash, config_id, first_seen, first_source, horizon, slice
    ) VALUES (engine, within, of_family, hash, config, at, source, at_horizon, in_slice)
    ON CONFLICT ON CONSTRAINT trials_distinct DO NOTHING;
    is_new := FOUND;
    -- neighbours of controls have the control laid over them: nobody sees what they are without it
    IF of_family = 'REAL' AND hash IS NOT NULL THEN
        INSERT INTO kronos.trials (engine_name, scope, family, canonical_hash, first_seen, first_source)
        SELECT DISTINCT engine, '*', 'REAL', near, at, 'NEIGHBOUR'
        FROM kronos.backtest_specs AS seen
        JOIN kronos.experiments AS experiment ON experiment.experiment_id = seen.experiment_id
        CROSS JOIN LATERAL unnest(kronos.neighbour_hashes(seen.spec)) AS near
        WHERE kronos.neighbour_hashes(seen.spec) @> ARRAY[hash]
            AND experiment.engine_name = engine
            AND experiment.expected_outcome NOT IN ('NEGATIVE_CONTROL', 'POSITIVE_CONTROL')
        ORDER BY near
        ON CONFLICT ON CONSTRAINT trials_distinct DO NOTHING;
    END IF;
    RETURN is_new;
END
$$;

CREATE FUNCTION kronos.evidence_by(author text, expected_outcome text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT CASE
        WHEN expected_outcome IN ('NEGATIVE_CONTROL', 'POSITIVE_CONTROL') THEN 'CONTROL'
        WHEN author = 'Kronos' THEN 'AUTO_PRESCREEN'
        ELSE 'HUMAN_TRIGGERED'
    END
$$;

CREATE TABLE kronos.experiments (
    experiment_id uuid NOT NULL,
    engine_name text NOT NULL,
    base_config_id text NOT NULL,
    proposed_config_id text NOT NULL,
    description text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    created_by text NOT NULL,
    status text DEFAULT 'PENDING'::text NOT NULL,
    priority integer DEFAULT 5 NOT NULL,
    auto_generated boolean DEFAULT false NOT NULL,
    resource_class text DEFAULT 'CPU_HEAVY'::text NOT NULL,
    expected_outcome text DEFAULT 'CANDIDATE'::text NOT NULL,
    start_date date NOT NULL,
    end_date date NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    evidence text NOT NULL,
    proposal_id uuid,
    status_since timestamp with time zone NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    run_id text,
    leased_until timestamp with time zone,
    CONSTRAINT experiments_control_never_approved CHECK (((status <> 'APPROVED'::text) OR (expected_outcome <> ALL (ARRAY['NEGATIVE_CONTROL'::text, 'POSITIVE_CONTROL'::text])))),
    CONSTRAINT experiments_dates CHECK ((start_date <= end_date)),
    CONSTRAINT experiments_description CHECK ((description ~ '\S'::text)),
    CONSTRAINT experiments_evidence CHECK ((evidence = ANY (ARRAY['AUTO_PRESCREEN'::text, 'HUMAN_TRIGGERED'::text, 'CONTROL'::text]))),
    CONSTRAINT experiments_expected_outcome CHECK ((expected_outcome = ANY (ARRAY['BASELINE'::text, 'CANDIDATE'::text, 'NEGATIVE_CONTROL'::text, 'POSITIVE_CONTROL'::text]))),
    CONSTRAINT experiments_lease CHECK (((status = 'RUNNING_BACKTESTS'::text) = (leased_until IS NOT NULL))),
    CONSTRAINT experiments_metadata CHECK ((jsonb_typeof(metadata) = 'object'::text)),
    CONSTRAINT experiments_priority CHECK (((priority >= 0) AND (priority <= 9))),
    CONSTRAINT experiments_reason CHECK (((status <> 'REJECTED'::text) OR (COALESCE((metadata ->> 'reason'::text), ''::text) ~ '\S'::text))),
    CONSTRAINT experiments_resource_class CHECK ((resource_class = ANY (ARRAY['CPU_HEAVY'::text, 'GPU_HEAVY'::text, 'MIXED'::text]))),
    CONSTRAINT experiments_status CHECK ((status = ANY (ARRAY['PENDING'::text, 'QUEUED_FOR_BACKTEST'::text, 'RUNNING_BACKTESTS'::text, 'AWAITING_REVIEW'::text, 'APPROVED'::text, 'REJECTED'::text])))
);

COMMENT ON TABLE kronos.experiments IS 'One row per config under test; only its status, and what goes with the status, changes.';

COMMENT ON COLUMN kronos.experiments.evidence IS 'Who brought it about: Kronos (AUTO_PRESCREEN), a person, or the control suite.';

COMMENT ON COLUMN kronos.experiments.attempt IS 'How often its backtests were started; a result names the attempt it is of.';

COMMENT ON COLUMN kronos.experiments.run_id IS 'The last Dagster run that worked on it.';

COMMENT ON COLUMN kronos.experiments.leased_until IS 'While running: past this time its worker counts as lost.';

CREATE FUNCTION kronos.evidence_in_force(experiment kronos.experiments) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT coalesce((
        SELECT evidence FROM kronos.change_log
        WHERE subject = 'experiment' AND subject_id = experiment.experiment_id::text
            AND to_status = 'QUEUED_FOR_BACKTEST' AND from_status <> 'RUNNING_BACKTESTS'
        ORDER BY entry_id DESC LIMIT 1
    ), experiment.evidence)
$$;

CREATE FUNCTION kronos.experiment_edge(was text, becomes text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.finding_verdicts(gate jsonb) RETURNS text[]
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT coalesce(array_agg(finding ->> 'verdict'), '{}') FROM jsonb_array_elements(
        CASE WHEN jsonb_typeof(gate -> 'findings') = 'array' THEN gate -> 'findings' ELSE '[null]' END
    ) AS finding
$$;

CREATE FUNCTION kronos.follow_activations() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    UPDATE kronos.engine_configs SET status = kronos.status_of_config(config_id) WHERE config_id = NEW.config_id;
    RETURN NULL;
END
$$;

CREATE TABLE kronos.gate_policies (
    engine_name text NOT NULL,
    version integer NOT NULL,
    digest text NOT NULL,
    body jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    created_by text NOT NULL,
    reason text NOT NULL,
    CONSTRAINT gate_policies_body CHECK ((jsonb_typeof(body) = 'object'::text)),
    CONSTRAINT gate_policies_digest CHECK ((digest = kronos.canonical_hash(body))),
    CONSTRAINT gate_policies_engine_name_check CHECK ((engine_name <> ''::text)),
    CONSTRAINT gate_policies_reason CHECK ((reason ~ '\S'::text)),
    CONSTRAINT gate_policies_version_check CHECK ((version >= 1))
);

COMMENT ON TABLE kronos.gate_policies IS 'One row per version of the gates'' thresholds, for an engine or (`*`) for all others.';

COMMENT ON COLUMN kronos.gate_policies.digest IS 'Canonical hash of the body; what approvals and suites are bound to.';

CREATE FUNCTION kronos.gate_policy_in_force(engine text) RETURNS SETOF kronos.gate_policies
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT * FROM kronos.gate_policies WHERE engine_name IN (engine, '*')
    ORDER BY engine_name = '*', version DESC LIMIT 1
$$;

CREATE FUNCTION kronos.gate_reasons(report jsonb, of_gate text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT coalesce(jsonb_agg(DISTINCT (finding ->> 'reason') COLLATE "C"), '[]')
    FROM jsonb_array_elements(report -> 'gates') AS each_gate (gate)
    CROSS JOIN jsonb_array_elements(gate -> 'findings') AS each_finding (finding)
    WHERE gate ->> 'gate' = of_gate AND finding ->> 'verdict' = gate ->> 'verdict'
$$;

CREATE FUNCTION kronos.gate_verdict(report jsonb, of_gate text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT gate ->> 'verdict' FROM jsonb_array_elements(report -> 'gates') AS each_gate (gate)
    WHERE gate ->> 'gate' = of_gate
$$;

CREATE FUNCTION kronos.gravest(verdicts text[]) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    WITH known (severity) AS (VALUES (ARRAY['FAIL', 'INVALID', 'INCONCLUSIVE', 'PASS']))
    SELECT CASE WHEN verdicts <@ severity THEN coalesce(severity[(
        SELECT min(array_position(severity, one)) FROM unnest(verdicts) AS one
    )], 'INVALID') END FROM known
$$;

CREATE FUNCTION kronos.hash_activated_body() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    NEW.body_hash := (SELECT kronos.canonical_hash(config_body) FROM kronos.engine_configs
        WHERE config_id = NEW.config_id);
    RETURN NEW;
END
$$;

CREATE FUNCTION kronos.hash_of_token(token text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT encode(sha256(convert_to(token, 'UTF8')), 'hex')
$$;

CREATE TABLE kronos.principals (
    name text NOT NULL,
    kind text NOT NULL,
    role text NOT NULL,
    token_hash text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    created_by text NOT NULL,
    rotated_at timestamp with time zone,
    revoked_at timestamp with time zone,
    revoked_by text,
    CONSTRAINT principals_kind CHECK ((kind = ANY (ARRAY['PERSON'::text, 'SERVICE'::text]))),
    CONSTRAINT principals_name CHECK ((name ~ '^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}$'::text)),
    CONSTRAINT principals_reserved CHECK ((lower(name) <> ALL (ARRAY['kronos'::text, 'policy'::text]))),
    CONSTRAINT principals_revoked CHECK (((revoked_at IS NULL) = (revoked_by IS NULL))),
    CONSTRAINT principals_role CHECK ((role = ANY (ARRAY['reader'::text, 'orchestrator'::text, 'chat'::text, 'change_manager'::text, 'admin'::text]))),
    CONSTRAINT principals_token_hash CHECK ((token_hash ~ '^[0-9a-f]{64}$'::text))
);

COMMENT ON TABLE kronos.principals IS 'One row per person or service that may act with a token; a name is never given twice.';

COMMENT ON COLUMN kronos.principals.token_hash IS 'SHA-256 of the token. The functions take the token itself, so whoever reads this column cannot act with it.';

CREATE FUNCTION kronos.identify(token text) RETURNS SETOF kronos.principals
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT * FROM kronos.principals WHERE token_hash = kronos.hash_of_token(token) AND revoked_at IS NULL
$$;

CREATE FUNCTION kronos.incumbent_of(engine text, within text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT config_id FROM kronos.config_activations
    WHERE engine_name = engine AND scope = within AND deactivated_at IS NULL
$$;

CREATE FUNCTION kronos.keep_activation_history() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    latest timestamptz;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.deactivated_at IS NOT NULL OR to_jsonb(NEW) - 'deactivated_at' <> to_jsonb(OLD) - 'deactivated_at' THEN
            RAISE EXCEPTION 'activation % is history and cannot change', OLD.activation_id
                USING ERRCODE = 'restrict_violation', CONSTRAINT = 'config_activations_immutable';
        END IF;
        RETURN NEW;
    END IF;
    PERFORM kronos.lock_incumbent(NEW.engine_name, NEW.scope);
    SELECT max(coalesce(deactivated_at, 'infinity')) INTO latest FROM kronos.config_activations
        WHERE engine_name = NEW.engine_name AND scope = NEW.scope;
    IF NEW.deactivated_at IS NOT NULL OR NEW.activated_at < latest THEN
        RAISE EXCEPTION 'activation of % from % overlaps one that lasts until %', NEW.config_id, NEW.activated_at, latest
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'config_activations_no_overlap';
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION kronos.keep_alert() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.keep_attempt_rules() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    changing text[] := ARRAY[
        'told_at', 'told_why', 'forced', 'ended_at', 'outcome', 'why', 'pieces', 'pieces_before', 'pieces_after'
    ];
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM kronos.require_attempt(NEW.experiment_id, NEW.attempt);
        NEW.lead_attempt := CASE WHEN NEW.batch = NEW.experiment_id THEN NEW.attempt ELSE (
            SELECT max(lead.attempt) FROM kronos.backtest_attempts AS lead
            WHERE lead.experiment_id = NEW.batch AND lead.batch = NEW.batch
        ) END;
        IF NEW.lead_attempt IS NULL THEN
            RAISE EXCEPTION 'attempt % of experiment % has batch %: expected an experiment with an attempt of its own',
                NEW.attempt, NEW.experiment_id, NEW.batch
                USING ERRCODE = 'restrict_violation', CONSTRAINT = 'backtest_attempts_batch';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.started_at IS NULL AND NEW.outcome IS NULL THEN
        changing := changing || ARRAY['started_at', 'run_id'];
        PERFORM kronos.require_attempt(NEW.experiment_id, NEW.attempt);
    END IF;
    IF OLD.outcome IS NOT NULL OR to_jsonb(NEW) - changing <> to_jsonb(OLD) - changing THEN
        RAISE EXCEPTION 'attempt % of experiment % is as it was: it is taken up once and ends once', OLD.attempt,
            OLD.experiment_id USING ERRCODE = 'restrict_violation', CONSTRAINT = 'backtest_attempts_immutable';
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION kronos.keep_config_as_registered() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - 'status' <> to_jsonb(OLD) - 'status' THEN
        RAISE EXCEPTION 'config % is registered and cannot change: register a new one', OLD.config_id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'engine_configs_immutable';
    END IF;
    IF NEW.status <> kronos.status_of_config(NEW.config_id) THEN
        RAISE EXCEPTION 'config % has status %: expected %, which its activations say',
            NEW.config_id, NEW.status, kronos.status_of_config(NEW.config_id)
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'engine_configs_status';
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION kronos.keep_piece_rules() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM kronos.require_attempt(NEW.experiment_id, NEW.attempt);
    RETURN NEW;
END
$$;

CREATE FUNCTION kronos.keep_principal() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.keep_promotion() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.keep_proposal_rules() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'PENDING_REVIEW' THEN
            PERFORM kronos.refuse_transition('proposal', NEW.proposal_id, 'new', NEW.status);
        END IF;
        NEW.created_by := kronos.change_author();
        NEW.created_at := clock_timestamp();
        RETURN NEW;
    END IF;
    IF to_jsonb(NEW) - 'status' <> to_jsonb(OLD) - 'status' THEN
        RAISE EXCEPTION 'proposal % is as proposed: only its status can change', OLD.proposal_id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'proposals_immutable';
    END IF;
    IF NEW.status <> OLD.status THEN
        IF OLD.status <> 'PENDING_REVIEW' THEN
            PERFORM kronos.refuse_transition('proposal', OLD.proposal_id, OLD.status, NEW.status);
        END IF;
        IF NEW.status = 'DISCARDED' THEN
            NEW.metadata := NEW.metadata || jsonb_build_object('reason', kronos.said('reason'));
        END IF;
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION kronos.keep_result_rules() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    experiment kronos.experiments;
    numbers text[] := ARRAY['metrics', 'by_regime', 'by_market', 'by_stability_bucket', 'detail', 'provenance'];
BEGIN
    SELECT * INTO experiment FROM kronos.experiments WHERE experiment_id = NEW.experiment_id FOR SHARE;
    IF experiment.status <> 'RUNNING_BACKTESTS' OR NEW.attempt <> experiment.attempt THEN
        RAISE EXCEPTION 'experiment % is % in attempt %: a result of attempt % is too late or too early',
            NEW.experiment_id, experiment.status, experiment.attempt, NEW.attempt
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'experiment_results_attempt';
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF to_jsonb(NEW) - (numbers || ARRAY['attempt']) <> to_jsonb(OLD) - (numbers || ARRAY['attempt']) THEN
            RAISE EXCEPTION 'the result of % for %..% keeps its period, label and time', OLD.experiment_id,
                OLD.period_start, OLD.period_end
                USING ERRCODE = 'restrict_violation', CONSTRAINT = 'experiment_results_immutable';
        END IF;
        IF to_jsonb(NEW) - 'attempt' = to_jsonb(OLD) - 'attempt' THEN
            OLD.attempt := NEW.attempt;
            RETURN OLD;
        END IF;
        INSERT INTO kronos.superseded_results (
            experiment_id, period_start, period_end, metrics, by_regime, by_market, by_stability_bucket, evidence,
            attempt, provenance, recorded_at, superseded_at, detail
        ) VALUES (
            OLD.experiment_id, OLD.period_start, OLD.period_end, OLD.metrics, OLD.by_regime, OLD.by_market,
            OLD.by_stability_bucket, OLD.evidence, OLD.attempt, OLD.provenance, OLD.recorded_at, clock_timestamp(),
            OLD.detail
        );
    END IF;
    NEW.evidence := kronos.evidence_in_force(experiment);
    NEW.recorded_at := clock_timestamp();
    RETURN NEW;
END
$$;

CREATE FUNCTION kronos.keep_sandbox_first() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    people text;
    approved bigint;
BEGIN
    PERFORM kronos.lock_change_log();
    SELECT string_agg(name, ', ' ORDER BY created_at) INTO people FROM kronos.principals WHERE created_by <> 'Kronos';
    SELECT count(*) INTO approved FROM kronos.approvals;
    IF people IS NOT NULL OR approved > 0 THEN
        RAISE EXCEPTION 'no sandbox begins in this database, which is in use (principals: %; approvals: %): use another',
            coalesce(people, 'none'), approved
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'sandbox_clock_first';
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION kronos.keep_sandbox_time() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NEW.today <= OLD.today OR NEW.now <= OLD.now THEN
        RAISE EXCEPTION 'the sandbox clock is at % and cannot go to %', OLD.today, NEW.today
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'sandbox_clock_rises';
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION kronos.keep_suite_rules() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    expected_keys text[] := ARRAY['control', 'family', 'reason', 'experiment_id', 'verdict_id', 'expected_verdicts',
        'expected_gate', 'expected_reasons', 'verdict', 'gate_verdict', 'gate_reasons', 'refused_by', 'as_expected'];
    planned_keys text[] := ARRAY['suite_id', 'engine_name', 'period', 'seed', 'policy_digest', 'code_version',
        'planned', 'control', 'family', 'expected_verdicts', 'expected_gate'];
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
            OR kronos.gate_reasons(judged.report, outcome ->> 'expected_gate') IS DISTINCT FROM outcome -> 'gate_reasons'
            OR (outcome -> 'expected_verdicts' ? 'PASS') IS DISTINCT FROM (outcome -> 'expected_verdicts' = '["PASS"]')
            OR (outcome ->> 'as_expected')::boolean IS DISTINCT FROM coalesce(CASE outcome -> 'expected_verdicts'
                WHEN '["PASS"]' THEN judged.verdict = 'PASS'
                ELSE judged.verdict <> 'PASS' AND outcome -> 'expected_verdicts' ? (outcome ->> 'gate_verdict') AND (
                    outcome -> 'expected_reasons' = '[]' OR EXISTS (
                        SELECT FROM jsonb_array_elements_text(outcome -> 'expected_reasons') AS each_reason (expected)
                        WHERE outcome -> 'gate_reasons' ? expected
                    )
                )
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
            OR NOT coalesce(metadata -> 'suite' ?& planned_keys, false)
            OR EXISTS (
                SELECT FROM jsonb_each(metadata -> 'suite') AS planned (key, value)
                WHERE (outcome || own) -> key <> value
            );
    IF wrong > 0 THEN
        RAISE EXCEPTION 'controls % are not of suite %, or told otherwise than they were planned: expected what the '
            'metadata of their experiments says', names, NEW.suite_id
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

CREATE FUNCTION kronos.keep_verdict_rules() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    experiment kronos.experiments;
    policy kronos.gate_policies;
    gates text[];
    verdicts text[];
    worst text;
    contradicted text;
BEGIN
    PERFORM kronos.change_author();
    SELECT * INTO experiment FROM kronos.experiments WHERE experiment_id = NEW.experiment_id FOR SHARE;
    IF experiment.status <> 'AWAITING_REVIEW' OR experiment.attempt <> NEW.attempt THEN
        RAISE EXCEPTION 'experiment % is % in attempt %: a verdict on attempt % is too late or too early',
            NEW.experiment_id, experiment.status, experiment.attempt, NEW.attempt
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'experiment_verdicts_attempt';
    END IF;
    IF NOT EXISTS (
        SELECT FROM kronos.experiment_results WHERE experiment_id = NEW.experiment_id AND attempt = NEW.attempt
    ) THEN
        RAISE EXCEPTION 'experiment % has no result of attempt %: expected one, as a verdict is of results',
            NEW.experiment_id, NEW.attempt
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'experiment_verdicts_results';
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
    worst := kronos.gravest(verdicts);
    IF gates IS DISTINCT FROM ARRAY[
        'INTEGRITY', 'EVIDENCE', 'IMPROVEMENT', 'VALIDITY', 'NO_DEGRADATION', 'STRESS', 'HARD_CONSTRAINTS'
    ] OR NEW.verdict IS DISTINCT FROM worst THEN
        RAISE EXCEPTION 'verdict % does not follow from gates % with %: expected all seven and %',
            NEW.verdict, gates, verdicts, worst
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'experiment_verdicts_follows';
    END IF;
    SELECT string_agg(format('%s says %s: expected %s', gate ->> 'gate', gate ->> 'verdict',
            coalesce(said.gravest, 'a list of findings that each say a verdict')), '; ' ORDER BY place)
        INTO contradicted
        FROM jsonb_array_elements(NEW.report -> 'gates') WITH ORDINALITY AS each_gate (gate, place)
        CROSS JOIN LATERAL (SELECT kronos.gravest(kronos.finding_verdicts(gate))) AS said (gravest)
        WHERE gate ->> 'verdict' IS DISTINCT FROM said.gravest;
    IF contradicted IS NOT NULL THEN
        RAISE EXCEPTION 'gates contradict their own findings: %', contradicted
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'experiment_verdicts_findings';
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

CREATE FUNCTION kronos.largest_relative_change(changes jsonb) RETURNS numeric
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    WITH each_change AS (
        SELECT CASE WHEN jsonb_typeof(change -> 'base') = 'number' THEN (change ->> 'base')::numeric END AS was,
            CASE WHEN jsonb_typeof(change -> 'proposed') = 'number' THEN (change ->> 'proposed')::numeric END AS becomes
        FROM jsonb_array_elements(changes) AS each_one (change)
    )
    SELECT CASE WHEN bool_and(coalesce(was <> 0 AND becomes IS NOT NULL, false))
        THEN max(abs(becomes - was) / abs(nullif(was, 0))) END
    FROM each_change
$$;

CREATE FUNCTION kronos.latch_causes(engine text) RETURNS TABLE(cause text, detail jsonb, since timestamp with time zone, event_id bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.leave_change() RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    DELETE FROM kronos.changes_under_way
$$;

CREATE FUNCTION kronos.lock_change_log() RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    LOCK TABLE kronos.changes_under_way IN EXCLUSIVE MODE
$$;

CREATE FUNCTION kronos.lock_incumbent(engine text, within text) RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT kronos.lock_change_log()
$$;

CREATE FUNCTION kronos.log_approval() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM kronos.log_change('approval', NEW.experiment_id::text, NULL, NEW.kind, NEW.evidence, NULL,
        jsonb_build_object('approval_id', NEW.approval_id, 'verdict_id', NEW.verdict_id, 'digest', NEW.digest));
    RETURN NULL;
END
$$;

CREATE FUNCTION kronos.log_change(of_subject text, of_id text, was text, becomes text, label text, run text, what jsonb) RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    INSERT INTO kronos.change_log (
        subject, subject_id, from_status, to_status, author, evidence, run_id, lake_version, code_version, detail
    ) VALUES (
        of_subject, of_id, was, becomes, kronos.change_author(), label, coalesce(run, kronos.said('run')),
        kronos.said('lake')::jsonb, kronos.said('code'),
        jsonb_strip_nulls(jsonb_build_object('reason', kronos.said('reason'))) || what
    )
$$;

CREATE FUNCTION kronos.log_experiment() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM kronos.log_change('experiment', NEW.experiment_id::text, NULL, NEW.status, NEW.evidence, NULL,
            to_jsonb(NEW) - ARRAY['experiment_id', 'status', 'status_since', 'created_at', 'created_by', 'evidence',
                'attempt', 'run_id', 'leased_until']);
    ELSIF NEW.status <> OLD.status THEN
        PERFORM kronos.log_change('experiment', NEW.experiment_id::text, OLD.status, NEW.status,
            CASE
                WHEN NEW.status = 'QUEUED_FOR_BACKTEST' AND OLD.status <> 'RUNNING_BACKTESTS'
                    THEN kronos.evidence_by(kronos.change_author(), NEW.expected_outcome)
                ELSE kronos.evidence_in_force(NEW)
            END,
            CASE WHEN 'RUNNING_BACKTESTS' IN (OLD.status, NEW.status) THEN NEW.run_id END,
            jsonb_build_object('priority', NEW.priority, 'end_date', NEW.end_date, 'attempt', NEW.attempt));
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION kronos.log_principal() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM kronos.log_change('principal', NEW.name, CASE WHEN TG_OP = 'UPDATE' THEN 'VALID' END,
        CASE WHEN NEW.revoked_at IS NOT NULL THEN 'REVOKED' ELSE 'VALID' END, NULL, NULL,
        jsonb_build_object('kind', NEW.kind, 'role', NEW.role, 'rotated', NEW.rotated_at IS NOT NULL));
    RETURN NULL;
END
$$;

CREATE FUNCTION kronos.log_promotion() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM kronos.log_change(lower(NEW.kind), coalesce(NEW.experiment_id::text, NEW.engine_name),
        CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, NEW.status, NEW.evidence, NULL,
        to_jsonb(NEW) - ARRAY['kind', 'experiment_id', 'status', 'evidence', 'requested_at', 'settled_at']);
    RETURN NULL;
END
$$;

CREATE FUNCTION kronos.log_proposal() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM kronos.enter_trial(
            NEW.engine_name, '*', 'REAL', NEW.proposed_config_body, NULL, 'PROPOSAL', NEW.created_at
        );
        PERFORM kronos.log_change('proposal', NEW.proposal_id::text, NULL, NEW.status,
            kronos.evidence_by(NEW.created_by, 'CANDIDATE'), NULL,
            jsonb_build_object('engine_name', NEW.engine_name, 'base_config_id', NEW.base_config_id,
                'canonical_hash', kronos.canonical_hash(NEW.proposed_config_body), 'metadata', NEW.metadata));
    ELSIF NEW.status <> OLD.status THEN
        PERFORM kronos.log_change('proposal', NEW.proposal_id::text, OLD.status, NEW.status,
            kronos.evidence_by(kronos.change_author(), 'CANDIDATE'), NULL, '{}');
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION kronos.log_refusal(token text, account text, act text, of_id text, rule text, why text, code text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.log_suite() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM kronos.log_change('control_suite', NEW.engine_name || ' ' || NEW.period, NULL,
        CASE WHEN NEW.unexpected = 0 THEN 'AS_EXPECTED' ELSE 'UNEXPECTED' END, 'CONTROL', NULL,
        jsonb_build_object('suite_id', NEW.suite_id, 'seed', NEW.seed, 'planned', NEW.planned,
            'unexpected', NEW.unexpected, 'missed_positives', NEW.missed_positives,
            'policy_digest', NEW.policy_digest));
    RETURN NULL;
END
$$;

CREATE FUNCTION kronos.log_verdict() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM kronos.log_change('verdict', NEW.experiment_id::text, NULL, NEW.verdict, NEW.evidence, NULL,
        jsonb_build_object('verdict_id', NEW.verdict_id, 'attempt', NEW.attempt, 'look', NEW.look,
            'refused_by', NEW.refused_by, 'policy_digest', NEW.policy_digest,
            'evidence_digest', NEW.evidence_digest, 'incumbent', NEW.incumbent));
    RETURN NULL;
END
$$;

CREATE FUNCTION kronos.may_be_approved(wanted uuid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT pg_has_role(kronos.caller(), 'kronos_change_manager', 'MEMBER')
        OR EXISTS (
            SELECT FROM kronos.approvals
            JOIN kronos.experiment_verdicts AS judged USING (verdict_id)
            JOIN kronos.experiments ON experiments.experiment_id = judged.experiment_id
            WHERE approvals.experiment_id = wanted AND approvals.kind = 'POLICY'
                AND judged.attempt = experiments.attempt
        )
$$;

CREATE FUNCTION kronos.move_experiment() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.neighbour_hashes(spec jsonb) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT coalesce(array_agg(kronos.canonical_hash(subject -> 'config_body')), '{}')
    FROM jsonb_array_elements(spec -> 'subjects') AS subject
    WHERE subject -> 'roles' @> '["neighbour"]'
$$;

CREATE FUNCTION kronos.principal_valid(who text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT EXISTS (SELECT FROM kronos.principals WHERE name = who AND revoked_at IS NULL)
$$;

CREATE FUNCTION kronos.promote(token text, experiment uuid, why text, at timestamp with time zone DEFAULT NULL::timestamp with time zone, code text DEFAULT NULL::text) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.propose_by_kronos(engine text, base text, body jsonb, why text, about jsonb, new_evidence integer, most_per_day integer, most_per_engine integer, code text) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    today text := ((about ->> 'as_of')::date)::text;
    since text := ((about ->> 'mined_until')::date - new_evidence)::text;
    made_today bigint;
    made_for_engine bigint;
BEGIN
    IF today IS NULL OR since IS NULL THEN
        RAISE EXCEPTION 'a proposal by Kronos says on which day and until when it was mined: as_of % and mined_until %',
            about ->> 'as_of', about ->> 'mined_until'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'self_proposals_dated';
    END IF;
    -- the lock first: what is counted below cannot grow before this transaction ends
    PERFORM kronos.begin_change('Kronos', why, code => code);
    IF EXISTS (
        SELECT FROM kronos.tried_configs
        WHERE engine_name = engine AND base_config_id = base AND canonical_hash = kronos.canonical_hash(body)
            AND (is_open OR (created_by = 'Kronos' AND mined_until COLLATE "C" > since))
    ) THEN
        RAISE EXCEPTION 'these parameters are under test against % of %, or were decided on this evidence', base, engine
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'self_proposals_once';
    END IF;
    SELECT count(*), count(*) FILTER (WHERE engine_name = engine) INTO made_today, made_for_engine
        FROM kronos.tried_configs WHERE created_by = 'Kronos' AND as_of = today;
    IF made_today >= most_per_day OR made_for_engine >= most_per_engine THEN
        RAISE EXCEPTION 'Kronos has made % proposals on %, % of them for %: at most % a day and % an engine',
            made_today, today, made_for_engine, engine, most_per_day, most_per_engine
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'self_proposals_bounded';
    END IF;
    RETURN kronos.propose_config(engine, base, body, 'Kronos', why, about, code);
END
$$;

CREATE FUNCTION kronos.propose_config(engine text, base text, body jsonb, author text, why text, about jsonb DEFAULT '{}'::jsonb, code text DEFAULT NULL::text, token text DEFAULT NULL::text) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    new_id uuid := gen_random_uuid();
BEGIN
    PERFORM kronos.begin_change(author, why, code => code, token => token);
    INSERT INTO kronos.config_proposals (proposal_id, engine_name, base_config_id, proposed_config_body, metadata)
        VALUES (new_id, engine, base, body, about || jsonb_build_object('rationale', why, 'through', kronos.caller()));
    RETURN new_id;
END
$$;

CREATE FUNCTION kronos.raise_alert(of_kind text, engine text, what text, detail jsonb, since timestamp with time zone, event bigint DEFAULT NULL::bigint) RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    INSERT INTO kronos.alerts (
        kind, engine_name, scope, config_id, metric, monitored_from, raised_on, evidence, latch_event
    ) VALUES (
        of_kind, engine, '*', coalesce(kronos.incumbent_of(engine, '*'), 'none'), what,
        (since AT TIME ZONE 'UTC')::date, (clock_timestamp() AT TIME ZONE 'UTC')::date, detail, event
    ) ON CONFLICT ON CONSTRAINT alerts_raised_once DO NOTHING
$$;

CREATE FUNCTION kronos.raise_latch_alert(engine text, cause text, detail jsonb, since timestamp with time zone, event bigint) RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT kronos.raise_alert('PROMOTION_LATCH', engine, cause, detail || jsonb_build_object(
        'cause', cause, 'closed_since', since,
        'means', 'no config of ' || engine || ' is promoted while its latch is closed'), since, event)
$$;

CREATE FUNCTION kronos.refuse_active_control() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF EXISTS (SELECT FROM kronos.engine_configs WHERE config_id = NEW.config_id AND family = 'CONTROL') THEN
        RAISE EXCEPTION 'config % was made for a control and is never active', NEW.config_id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'config_activations_no_control';
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION kronos.refuse_change(rule text, why text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION '%', why USING ERRCODE = 'restrict_violation', CONSTRAINT = rule;
END
$$;

CREATE FUNCTION kronos.refuse_once_promoted(experiment uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.refuse_removal() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION '%.% keeps every row: % is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_TABLE_NAME || '_kept';
END
$$;

CREATE FUNCTION kronos.refuse_transition(of_subject text, of_id uuid, was text, becomes text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION '% % is % and cannot become %', of_subject, of_id, was, becomes
        USING ERRCODE = 'restrict_violation', CONSTRAINT = of_subject || 's_transition';
END
$$;

CREATE FUNCTION kronos.refuse_while_scheduled(experiment uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM kronos.refuse_change(rule, why) FROM kronos.against_schedule(experiment);
END
$$;

CREATE FUNCTION kronos.register_config(new_id text, engine text, new_version text, body jsonb, author text, at timestamp with time zone, of_family text DEFAULT 'REAL'::text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    existing kronos.engine_configs;
BEGIN
    INSERT INTO kronos.engine_configs (config_id, engine_name, version, config_body, created_at, created_by, family)
        VALUES (new_id, engine, new_version, body, at, author, of_family)
        ON CONFLICT (config_id) DO NOTHING;
    IF FOUND THEN
        RETURN true;
    END IF;
    SELECT * INTO existing FROM kronos.engine_configs WHERE config_id = new_id;
    IF (existing.engine_name, existing.version, existing.config_body, existing.family)
        IS DISTINCT FROM (engine, new_version, body, of_family) THEN
        RAISE EXCEPTION 'config % is registered for % with another version, body or family: choose a new id',
            new_id, existing.engine_name
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'engine_configs_immutable';
    END IF;
    RETURN false;
END
$$;

CREATE FUNCTION kronos.reject(token text, experiment uuid, why text, code text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.reopen_latch(token text, engine text, seen bigint, why text, code text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE TABLE kronos.approvals (
    approval_id uuid NOT NULL,
    experiment_id uuid NOT NULL,
    verdict_id uuid NOT NULL,
    digest text NOT NULL,
    content jsonb NOT NULL,
    kind text NOT NULL,
    approver text NOT NULL,
    reason text NOT NULL,
    evidence text NOT NULL,
    approved_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT approvals_content_check CHECK ((jsonb_typeof(content) = 'object'::text)),
    CONSTRAINT approvals_digest_check CHECK ((digest ~ '^[0-9a-f]{64}$'::text)),
    CONSTRAINT approvals_kind_check CHECK ((kind = ANY (ARRAY['PERSON'::text, 'POLICY'::text]))),
    CONSTRAINT approvals_no_control CHECK ((evidence = ANY (ARRAY['AUTO_PRESCREEN'::text, 'HUMAN_TRIGGERED'::text]))),
    CONSTRAINT approvals_policy CHECK (((kind = 'POLICY'::text) = (approver = 'policy'::text))),
    CONSTRAINT approvals_reason CHECK ((reason ~ '\S'::text))
);

COMMENT ON TABLE kronos.approvals IS 'One row per approval of an experiment; it holds for one digest and one promotion.';

COMMENT ON COLUMN kronos.approvals.content IS 'What the digest is of, as the approver saw it.';

COMMENT ON COLUMN kronos.approvals.evidence IS 'Who brought the evidence about, as the approver was shown it.';

CREATE FUNCTION kronos.require_approval(judged kronos.experiment_verdicts, own uuid DEFAULT NULL::uuid) RETURNS kronos.approvals
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.require_attempt(of_experiment uuid, of_attempt integer) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    experiment kronos.experiments;
BEGIN
    SELECT * INTO experiment FROM kronos.experiments WHERE experiment_id = of_experiment FOR SHARE;
    IF experiment.status <> 'RUNNING_BACKTESTS' OR experiment.attempt <> of_attempt THEN
        RAISE EXCEPTION 'experiment % is % in attempt %: attempt % does not hold it', of_experiment, experiment.status,
            experiment.attempt, of_attempt USING ERRCODE = 'restrict_violation', CONSTRAINT = 'backtests_attempt';
    END IF;
END
$$;

CREATE FUNCTION kronos.require_ended_attempt() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF EXISTS (
        SELECT FROM kronos.backtest_attempts AS open JOIN kronos.experiments AS now USING (experiment_id)
        WHERE open.experiment_id = NEW.experiment_id AND open.outcome IS NULL
            AND (now.status <> 'RUNNING_BACKTESTS' OR now.attempt <> open.attempt)
    ) THEN
        RAISE EXCEPTION 'experiment % has an attempt that has not ended', NEW.experiment_id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'experiments_attempt_ended';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION kronos.require_experiment_of_proposal() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NEW.status = 'CONVERTED_TO_EXPERIMENT'
        AND NOT EXISTS (SELECT FROM kronos.experiments WHERE proposal_id = NEW.proposal_id) THEN
        RAISE EXCEPTION 'proposal % has no experiment: converting makes one in the same transaction', NEW.proposal_id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'proposals_converted';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION kronos.require_open_latch(engine text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM kronos.refuse_change(rule, why) FROM kronos.against_latch(engine);
END
$$;

CREATE FUNCTION kronos.require_pass(wanted uuid) RETURNS kronos.experiment_verdicts
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    judged kronos.experiment_verdicts;
BEGIN
    PERFORM kronos.lock_change_log();
    PERFORM FROM kronos.experiments WHERE experiment_id = wanted FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'experiment % does not exist', wanted USING ERRCODE = 'no_data_found';
    END IF;
    PERFORM kronos.refuse_change(rule, why) FROM kronos.against_verdict(wanted);
    SELECT * INTO judged FROM kronos.verdict_in_force(wanted);
    RETURN judged;
END
$$;

CREATE FUNCTION kronos.require_principal(token text, roles text[], people_only boolean, act text) RETURNS kronos.principals
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.require_promotable(experiment uuid, own uuid DEFAULT NULL::uuid) RETURNS kronos.approvals
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.require_promotion() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF EXISTS (
        SELECT FROM kronos.config_activations
        WHERE engine_name = NEW.engine_name AND activation_id < NEW.activation_id
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

CREATE FUNCTION kronos.require_proven_code(judged kronos.experiment_verdicts) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM kronos.refuse_change(rule, why) FROM kronos.against_code(judged);
END
$$;

CREATE FUNCTION kronos.revoke_principal(token text, whose text, why text, code text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.rollback(token text, engine text, within text, expected text, why text, code text DEFAULT NULL::text) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.rotate_principal(token text, whose text, new_hash text, code text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.said(what text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT to_jsonb(said) ->> what FROM kronos.changes_under_way AS said
    WHERE transaction = pg_current_xact_id_if_assigned()
$$;

CREATE FUNCTION kronos.set_gate_policy(token text, engine text, new_body jsonb, expected integer, why text, code text DEFAULT NULL::text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    actor kronos.principals := kronos.require_principal(
        token, ARRAY['change_manager', 'admin'], true, 'change a gate policy');
BEGIN
    PERFORM kronos.enter_change(actor.name, why, code => code);
    RETURN kronos.add_gate_policy(engine, new_body, expected);
END
$$;

CREATE TABLE kronos.promotions (
    promotion_id uuid NOT NULL,
    kind text NOT NULL,
    engine_name text NOT NULL,
    scope text NOT NULL,
    config_id text NOT NULL,
    expected_incumbent text,
    experiment_id uuid,
    approval_id uuid,
    evidence text,
    requested_by text NOT NULL,
    requested_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    reason text NOT NULL,
    activates_at timestamp with time zone NOT NULL,
    status text NOT NULL,
    settled_at timestamp with time zone,
    settled_why text,
    activation_id bigint,
    CONSTRAINT promotions_kind CHECK (
CASE kind
    WHEN 'PROMOTION'::text THEN (num_nulls(experiment_id, approval_id, evidence) = 0)
    ELSE ((num_nonnulls(experiment_id, approval_id, evidence) = 0) AND (status = 'ACTIVATED'::text) AND (expected_incumbent IS NOT NULL))
END),
    CONSTRAINT promotions_kind_check CHECK ((kind = ANY (ARRAY['PROMOTION'::text, 'ROLLBACK'::text]))),
    CONSTRAINT promotions_no_control CHECK ((evidence = ANY (ARRAY['AUTO_PRESCREEN'::text, 'HUMAN_TRIGGERED'::text]))),
    CONSTRAINT promotions_reason CHECK ((reason ~ '\S'::text)),
    CONSTRAINT promotions_status CHECK (
CASE status
    WHEN 'SCHEDULED'::text THEN (num_nonnulls(settled_at, settled_why, activation_id) = 0)
    WHEN 'ACTIVATED'::text THEN (num_nulls(settled_at, activation_id) = 0)
    ELSE ((num_nulls(settled_at, settled_why) = 0) AND (activation_id IS NULL))
END),
    CONSTRAINT promotions_status_check CHECK ((status = ANY (ARRAY['SCHEDULED'::text, 'ACTIVATED'::text, 'CANCELLED'::text])))
);

COMMENT ON TABLE kronos.promotions IS 'One row per change of an incumbent: by a promotion, now or at a set time, or by a rollback.';

COMMENT ON COLUMN kronos.promotions.activates_at IS 'By the clock activations go by: the sandbox''s in the sandbox.';

CREATE FUNCTION kronos.settle_promotion(due kronos.promotions) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.status_of_config(wanted text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT CASE count(*) WHEN 0 THEN 'REGISTERED'
        ELSE CASE WHEN bool_or(deactivated_at IS NULL) THEN 'ACTIVE' ELSE 'RETIRED' END
    END
    FROM kronos.config_activations WHERE config_id = wanted
$$;

CREATE FUNCTION kronos.suite_counts(completed timestamp with time zone, body jsonb) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT completed + make_interval(secs => kronos.suite_days(body)::double precision * 86400) > clock_timestamp()
$$;

CREATE FUNCTION kronos.suite_days(body jsonb) RETURNS numeric
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT coalesce((body #>> '{promotion,suite_days}')::numeric, 8)
$$;

CREATE FUNCTION kronos.swap_incumbent(engine text, new_id text, author text, why text, at timestamp with time zone, expected text, within text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION kronos.verdict_in_force(experiment uuid) RETURNS SETOF kronos.experiment_verdicts
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT * FROM kronos.experiment_verdicts AS judged WHERE experiment_id = experiment
    ORDER BY attempt DESC,
        policy_digest = (SELECT digest FROM kronos.gate_policy_in_force(engine_name)) DESC,
        kronos.code_proven(engine_name, policy_digest, code_version) DESC, judged_at DESC, verdict_id
    LIMIT 1
$$;

CREATE FUNCTION kronos.verdict_proven(judged kronos.experiment_verdicts) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT kronos.code_proven(judged.engine_name, judged.policy_digest, judged.code_version)
        AND NOT kronos.code_broken(judged.engine_name, kronos.code_of_evidence(judged))
$$;

CREATE TABLE kronos.alert_deliveries (
    alert_id bigint NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    tried_at timestamp with time zone,
    failure text,
    delivered_at timestamp with time zone,
    CONSTRAINT alert_deliveries_attempts_check CHECK ((attempts >= 0))
);

COMMENT ON TABLE kronos.alert_deliveries IS 'One row per alert that was sent to the webhook, or is to be sent again.';

CREATE TABLE kronos.alerts (
    alert_id bigint NOT NULL,
    kind text NOT NULL,
    engine_name text NOT NULL,
    scope text NOT NULL,
    config_id text NOT NULL,
    metric text NOT NULL,
    monitored_from date NOT NULL,
    raised_on date NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    evidence jsonb NOT NULL,
    state text DEFAULT 'OPEN'::text NOT NULL,
    acknowledged_by text,
    acknowledged_at timestamp with time zone,
    acknowledged_reason text,
    closed_by text,
    closed_at timestamp with time zone,
    closed_reason text,
    latch_event bigint,
    CONSTRAINT alerts_acknowledged_by_check CHECK ((acknowledged_by <> ''::text)),
    CONSTRAINT alerts_acknowledged_by_someone CHECK ((num_nulls(acknowledged_by, acknowledged_at, acknowledged_reason) = ANY (ARRAY[0, 3]))),
    CONSTRAINT alerts_acknowledged_reason_check CHECK ((acknowledged_reason <> ''::text)),
    CONSTRAINT alerts_closed_by_check CHECK ((closed_by <> ''::text)),
    CONSTRAINT alerts_closed_by_someone CHECK ((num_nulls(closed_by, closed_at, closed_reason) = ANY (ARRAY[0, 3]))),
    CONSTRAINT alerts_closed_reason_check CHECK ((closed_reason <> ''::text)),
    CONSTRAINT alerts_config_id_check CHECK ((config_id <> ''::text)),
    CONSTRAINT alerts_engine_name_check CHECK ((engine_name <> ''::text)),
    CONSTRAINT alerts_evidence_check CHECK ((jsonb_typeof(evidence) = 'object'::text)),
    CONSTRAINT alerts_kind_check CHECK ((kind = ANY (ARRAY['DEGRADATION'::text, 'PROMOTION_LATCH'::text, 'MISSED_CONTROL'::text]))),
    CONSTRAINT alerts_metric_check CHECK ((metric <> ''::text)),
    CONSTRAINT alerts_raised_while_monitored CHECK ((raised_on >= monitored_from)),
    CONSTRAINT alerts_scope_check CHECK ((scope <> ''::text)),
    CONSTRAINT alerts_state_check CHECK ((state = ANY (ARRAY['OPEN'::text, 'ACKNOWLEDGED'::text, 'CLOSED'::text]))),
    CONSTRAINT alerts_state_says_who CHECK (
CASE state
    WHEN 'OPEN'::text THEN ((acknowledged_by IS NULL) AND (closed_by IS NULL))
    WHEN 'ACKNOWLEDGED'::text THEN ((acknowledged_by IS NOT NULL) AND (closed_by IS NULL))
    ELSE (closed_by IS NOT NULL)
END)
);

COMMENT ON TABLE kronos.alerts IS 'One row per kind, engine, scope, config, metric and start of monitoring that called for a person.';

COMMENT ON COLUMN kronos.alerts.raised_on IS 'The date in the data as of which it was noticed.';

COMMENT ON COLUMN kronos.alerts.recorded_at IS 'When the row was written, by the wall clock.';

COMMENT ON COLUMN kronos.alerts.latch_event IS 'The closing of a latch it tells of; its dates are then those of the wall clock.';

ALTER TABLE kronos.alerts ALTER COLUMN alert_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME kronos.alerts_alert_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE kronos.backtest_attempts (
    experiment_id uuid NOT NULL,
    attempt integer NOT NULL,
    node text NOT NULL,
    batch uuid NOT NULL,
    admitted_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    leave_by timestamp with time zone,
    pieces integer DEFAULT 1 NOT NULL,
    pieces_before integer DEFAULT 0 NOT NULL,
    run_id text,
    started_at timestamp with time zone,
    told_at timestamp with time zone,
    told_why text,
    forced boolean DEFAULT false NOT NULL,
    ended_at timestamp with time zone,
    outcome text,
    pieces_after integer,
    why text,
    lead_attempt integer NOT NULL,
    CONSTRAINT backtest_attempts_attempt_check CHECK ((attempt > 0)),
    CONSTRAINT backtest_attempts_end CHECK (((outcome IS NULL) = (ended_at IS NULL))),
    CONSTRAINT backtest_attempts_node_check CHECK ((node <> ''::text)),
    CONSTRAINT backtest_attempts_outcome CHECK ((outcome = ANY (ARRAY['COMPLETED'::text, 'PREEMPTED'::text, 'CRASHED'::text, 'LOST'::text, 'CANCELLED'::text]))),
    CONSTRAINT backtest_attempts_pieces_before_check CHECK ((pieces_before >= 0)),
    CONSTRAINT backtest_attempts_pieces_check CHECK ((pieces >= 1)),
    CONSTRAINT backtest_attempts_start CHECK (((started_at IS NULL) = (run_id IS NULL)))
);

COMMENT ON TABLE kronos.backtest_attempts IS 'One row per start of an experiment''s backtests, by the attempt''s number.';

COMMENT ON COLUMN kronos.backtest_attempts.batch IS 'Experiment whose run this is: another''s where controls share a run.';

COMMENT ON COLUMN kronos.backtest_attempts.leave_by IS 'When it begins to leave by itself, whether or not anyone tells it to.';

COMMENT ON COLUMN kronos.backtest_attempts.run_id IS 'The one Dagster run that took it up.';

COMMENT ON COLUMN kronos.backtest_attempts.told_at IS 'When the scheduler told it to leave.';

COMMENT ON COLUMN kronos.backtest_attempts.lead_attempt IS 'Attempt of the experiment in `batch` that the run was launched for; its own where it leads.';

CREATE TABLE kronos.backtest_pieces (
    experiment_id uuid NOT NULL,
    digest text NOT NULL,
    code_version text NOT NULL,
    piece text NOT NULL,
    attempt integer NOT NULL,
    lake jsonb NOT NULL,
    counts jsonb NOT NULL,
    seconds double precision NOT NULL,
    refused text,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    found jsonb,
    failed boolean DEFAULT false NOT NULL,
    CONSTRAINT backtest_pieces_counts_check CHECK ((jsonb_typeof(counts) = 'object'::text)),
    CONSTRAINT backtest_pieces_failed_check CHECK (((refused IS NOT NULL) OR (NOT failed))),
    CONSTRAINT backtest_pieces_found_check CHECK ((jsonb_typeof(found) = 'object'::text)),
    CONSTRAINT backtest_pieces_lake_check CHECK ((jsonb_typeof(lake) = 'object'::text)),
    CONSTRAINT backtest_pieces_piece_check CHECK ((piece <> ''::text)),
    CONSTRAINT backtest_pieces_seconds_check CHECK ((seconds >= (0)::double precision))
);

COMMENT ON TABLE kronos.backtest_pieces IS 'One row per checkpoint: a piece of a backtest whose rows are in the lake.';

COMMENT ON COLUMN kronos.backtest_pieces.lake IS 'Per lake table the version the piece was written in.';

COMMENT ON COLUMN kronos.backtest_pieces.refused IS 'Why a scenario could not be played; null: it was.';

COMMENT ON COLUMN kronos.backtest_pieces.found IS 'Per config what probes found, or why a neighbour was not run: empty where it was, tried again; null: not looked for.';

COMMENT ON COLUMN kronos.backtest_pieces.failed IS 'Whether a scenario has no rows because playing it failed, however often it was tried; false: it was not to be played.';

CREATE TABLE kronos.backtest_specs (
    experiment_id uuid NOT NULL,
    digest text NOT NULL,
    spec jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT backtest_specs_digest_check CHECK ((digest ~ '^[0-9a-f]{64}$'::text)),
    CONSTRAINT backtest_specs_spec_check CHECK ((jsonb_typeof(spec) = 'object'::text))
);

COMMENT ON TABLE kronos.backtest_specs IS 'One row per backtest that was ever begun: enough to run it again.';

CREATE TABLE kronos.change_log (
    entry_id bigint NOT NULL,
    subject text NOT NULL,
    subject_id text NOT NULL,
    from_status text,
    to_status text NOT NULL,
    author text NOT NULL,
    acted_as text NOT NULL,
    logged_at timestamp with time zone NOT NULL,
    evidence text,
    run_id text,
    lake_version jsonb,
    code_version text,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    previous_hash text NOT NULL,
    hash text NOT NULL,
    CONSTRAINT change_log_author CHECK ((author ~ '\S'::text)),
    CONSTRAINT change_log_detail_check CHECK ((jsonb_typeof(detail) = 'object'::text)),
    CONSTRAINT change_log_entry_id_check CHECK ((entry_id > 0)),
    CONSTRAINT change_log_evidence CHECK ((evidence = ANY (ARRAY['AUTO_PRESCREEN'::text, 'HUMAN_TRIGGERED'::text, 'CONTROL'::text]))),
    CONSTRAINT change_log_subject_check CHECK ((subject ~ '^[a-z_]+$'::text)),
    CONSTRAINT change_log_subject_id_check CHECK ((subject_id <> ''::text))
);

COMMENT ON TABLE kronos.change_log IS 'One row per transition of a proposal, experiment, verdict, approval, promotion or latch.';

COMMENT ON COLUMN kronos.change_log.entry_id IS 'Place in the chain: 1, 2, 3, without gaps.';

COMMENT ON COLUMN kronos.change_log.from_status IS 'Null: the subject came into being.';

COMMENT ON COLUMN kronos.change_log.acted_as IS 'The database role that made the change.';

COMMENT ON COLUMN kronos.change_log.lake_version IS 'Per lake table the version the change rests on.';

COMMENT ON COLUMN kronos.change_log.hash IS 'SHA-256 over this row and previous_hash, as core/changes/chain.py computes it.';

CREATE UNLOGGED TABLE kronos.changes_under_way (
    transaction xid8 NOT NULL,
    author text NOT NULL,
    reason text,
    run text,
    lake jsonb,
    code text
);

COMMENT ON TABLE kronos.changes_under_way IS 'One row per transaction that has begun a change: who changes what, and why.';

ALTER TABLE kronos.config_activations ALTER COLUMN activation_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME kronos.config_activations_activation_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE kronos.config_proposals (
    proposal_id uuid NOT NULL,
    engine_name text NOT NULL,
    base_config_id text NOT NULL,
    proposed_config_body jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    created_by text NOT NULL,
    status text DEFAULT 'PENDING_REVIEW'::text NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT config_proposals_body CHECK ((jsonb_typeof(proposed_config_body) = 'object'::text)),
    CONSTRAINT config_proposals_metadata CHECK ((jsonb_typeof(metadata) = 'object'::text)),
    CONSTRAINT config_proposals_reason CHECK (((status <> 'DISCARDED'::text) OR (COALESCE((metadata ->> 'reason'::text), ''::text) ~ '\S'::text))),
    CONSTRAINT config_proposals_status CHECK ((status = ANY (ARRAY['PENDING_REVIEW'::text, 'CONVERTED_TO_EXPERIMENT'::text, 'DISCARDED'::text])))
);

COMMENT ON TABLE kronos.config_proposals IS 'One row per config someone, the chat or Kronos proposes; its content never changes.';

CREATE TABLE kronos.control_suites (
    suite_id uuid NOT NULL,
    engine_name text NOT NULL,
    period text NOT NULL,
    seed integer NOT NULL,
    policy_digest text NOT NULL,
    code_version text NOT NULL,
    outcomes jsonb NOT NULL,
    planned integer NOT NULL,
    unexpected integer NOT NULL,
    missed_positives integer NOT NULL,
    completed_at timestamp with time zone NOT NULL,
    CONSTRAINT control_suites_complete CHECK (((planned > 0) AND (jsonb_array_length(outcomes) = planned))),
    CONSTRAINT control_suites_outcomes_check CHECK ((jsonb_typeof(outcomes) = 'array'::text)),
    CONSTRAINT control_suites_period CHECK ((period ~ '^\d{4}-W\d\d$'::text))
);

COMMENT ON TABLE kronos.control_suites IS 'One row per engine, week and seed: what the gates said of every control.';

COMMENT ON COLUMN kronos.control_suites.period IS 'ISO week of the data''s clock.';

COMMENT ON COLUMN kronos.control_suites.code_version IS 'Of the code that judged every control.';

COMMENT ON COLUMN kronos.control_suites.outcomes IS 'Per control: what was expected of which gate, and what came.';

COMMENT ON COLUMN kronos.control_suites.unexpected IS 'Negative controls that the gates did not refuse as they should.';

CREATE TABLE kronos.engine_configs (
    config_id text NOT NULL,
    engine_name text NOT NULL,
    version text NOT NULL,
    config_body jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    created_by text NOT NULL,
    status text DEFAULT 'REGISTERED'::text NOT NULL,
    family text DEFAULT 'REAL'::text NOT NULL,
    CONSTRAINT engine_configs_config_body_check CHECK ((jsonb_typeof(config_body) = 'object'::text)),
    CONSTRAINT engine_configs_config_id_check CHECK ((config_id <> ''::text)),
    CONSTRAINT engine_configs_created_by_check CHECK ((created_by <> ''::text)),
    CONSTRAINT engine_configs_engine_name_check CHECK ((engine_name <> ''::text)),
    CONSTRAINT engine_configs_family_check CHECK ((family = ANY (ARRAY['REAL'::text, 'CONTROL'::text]))),
    CONSTRAINT engine_configs_status_check CHECK ((status = ANY (ARRAY['REGISTERED'::text, 'ACTIVE'::text, 'RETIRED'::text])))
);

COMMENT ON TABLE kronos.engine_configs IS 'One row per immutable version of an engine''s parameters.';

COMMENT ON COLUMN kronos.engine_configs.family IS 'CONTROL: made for a control experiment; no trial of the real search.';

CREATE TABLE kronos.experiment_results (
    experiment_id uuid NOT NULL,
    period_start date NOT NULL,
    period_end date NOT NULL,
    metrics jsonb NOT NULL,
    by_regime jsonb NOT NULL,
    by_market jsonb NOT NULL,
    by_stability_bucket jsonb NOT NULL,
    evidence text NOT NULL,
    attempt integer NOT NULL,
    provenance jsonb DEFAULT '{}'::jsonb NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT experiment_results_by_market_check CHECK ((jsonb_typeof(by_market) = 'object'::text)),
    CONSTRAINT experiment_results_by_regime_check CHECK ((jsonb_typeof(by_regime) = 'object'::text)),
    CONSTRAINT experiment_results_by_stability_bucket_check CHECK ((jsonb_typeof(by_stability_bucket) = 'object'::text)),
    CONSTRAINT experiment_results_dates CHECK ((period_start <= period_end)),
    CONSTRAINT experiment_results_detail_check CHECK ((jsonb_typeof(detail) = 'object'::text)),
    CONSTRAINT experiment_results_evidence CHECK ((evidence = ANY (ARRAY['AUTO_PRESCREEN'::text, 'HUMAN_TRIGGERED'::text, 'CONTROL'::text]))),
    CONSTRAINT experiment_results_metrics_check CHECK ((jsonb_typeof(metrics) = 'object'::text)),
    CONSTRAINT experiment_results_provenance_check CHECK ((jsonb_typeof(provenance) = 'object'::text))
);

COMMENT ON TABLE kronos.experiment_results IS 'One row per experiment and period: what its newest backtest of that period gave.';

COMMENT ON COLUMN kronos.experiment_results.evidence IS 'Who put the backtest in the queue: Kronos (AUTO_PRESCREEN), a person, the control suite.';

COMMENT ON COLUMN kronos.experiment_results.provenance IS 'Seed, code version, lake versions and data range of the backtest.';

COMMENT ON COLUMN kronos.experiment_results.detail IS 'What goes with the numbers: intervals, observations, reasons, scenarios, and the configs run beside.';

CREATE TABLE kronos.meta_runs (
    cadence text NOT NULL,
    period text NOT NULL,
    missing text[] NOT NULL,
    request_key text NOT NULL,
    requested_at timestamp with time zone DEFAULT now() NOT NULL,
    run_id text,
    started_at timestamp with time zone,
    CONSTRAINT meta_runs_cadence_check CHECK ((cadence = ANY (ARRAY['daily'::text, 'weekly'::text, 'monthly'::text]))),
    CONSTRAINT meta_runs_start_names_its_run CHECK (((run_id IS NULL) = (started_at IS NULL)))
);

COMMENT ON TABLE kronos.meta_runs IS 'One row per cadence, period and set of missing regions: a period is requested again only when fewer are missing.';

COMMENT ON COLUMN kronos.meta_runs.missing IS 'Regions without a COMPLETED run, sorted; empty is READY.';

COMMENT ON COLUMN kronos.meta_runs.request_key IS 'The run request that covers the row, Dagster''s run key.';

CREATE TABLE kronos.migrations (
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE kronos.month_builds (
    stage text NOT NULL,
    month text NOT NULL,
    fingerprint text NOT NULL,
    definition text NOT NULL,
    lake jsonb NOT NULL,
    horizons jsonb NOT NULL,
    built_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT month_builds_month_check CHECK ((month ~ '^\d{4}-\d{2}$'::text)),
    CONSTRAINT month_builds_stage_check CHECK ((stage = ANY (ARRAY['facts'::text, 'cells'::text])))
);

COMMENT ON COLUMN kronos.month_builds.fingerprint IS 'The source''s state for the month; for cells the facts they were added up from.';

COMMENT ON COLUMN kronos.month_builds.definition IS 'Code version and policy that gave the numbers their meaning.';

COMMENT ON COLUMN kronos.month_builds.lake IS 'Per lake table the version in which the month was written.';

COMMENT ON COLUMN kronos.month_builds.horizons IS 'Horizons that were due for each config of the month.';

CREATE TABLE kronos.node_readings (
    node text NOT NULL,
    taken_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    reading jsonb NOT NULL,
    CONSTRAINT node_readings_node_check CHECK ((node <> ''::text)),
    CONSTRAINT node_readings_reading_check CHECK ((jsonb_typeof(reading) = 'object'::text))
);

COMMENT ON TABLE kronos.node_readings IS 'One row per machine: its size and what was in use there without the backtests.';

CREATE TABLE kronos.promotion_latch (
    event_id bigint NOT NULL,
    engine_name text NOT NULL,
    state text NOT NULL,
    cause text NOT NULL,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    author text NOT NULL,
    reason text,
    occurred_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT promotion_latch_cause_check CHECK ((cause ~ '^[A-Z][A-Z_]*$'::text)),
    CONSTRAINT promotion_latch_detail_check CHECK ((jsonb_typeof(detail) = 'object'::text)),
    CONSTRAINT promotion_latch_engine_name_check CHECK ((engine_name <> ''::text)),
    CONSTRAINT promotion_latch_reason CHECK (((state = 'CLOSED'::text) OR (reason ~ '\S'::text))),
    CONSTRAINT promotion_latch_state_check CHECK ((state = ANY (ARRAY['CLOSED'::text, 'OPEN'::text])))
);

COMMENT ON TABLE kronos.promotion_latch IS 'One row per closing or opening of an engine''s latch; the newest says how it was left. See kronos.latch_causes.';

ALTER TABLE kronos.promotion_latch ALTER COLUMN event_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME kronos.promotion_latch_event_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE kronos.quarantine (
    batch text NOT NULL,
    source_table text NOT NULL,
    source_key text NOT NULL,
    rule text NOT NULL,
    value text,
    as_of_date date,
    quarantined_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE kronos.report_builds (
    report text NOT NULL,
    period text NOT NULL,
    engine_name text DEFAULT ''::text NOT NULL,
    label text NOT NULL,
    inputs text NOT NULL,
    built_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE kronos.report_builds IS 'One row per report, period and, where the report is partitioned so, engine in the lake.';

COMMENT ON COLUMN kronos.report_builds.label IS 'READY or PARTIAL(missing regions), as in the rows themselves.';

COMMENT ON COLUMN kronos.report_builds.inputs IS 'Digest of the months'' cells it was computed from.';

CREATE TABLE kronos.sandbox_clock (
    only_row boolean DEFAULT true NOT NULL,
    today date NOT NULL,
    now timestamp with time zone NOT NULL,
    loaded_from date NOT NULL,
    data_end date NOT NULL,
    CONSTRAINT sandbox_clock_check CHECK (((loaded_from <= today) AND (today <= data_end))),
    CONSTRAINT sandbox_clock_check1 CHECK ((today <= ((now AT TIME ZONE 'UTC'::text))::date)),
    CONSTRAINT sandbox_clock_only_row_check CHECK (only_row)
);

COMMENT ON TABLE kronos.sandbox_clock IS 'One row: the session the sandbox has reached and the instant it plays as now.';

CREATE TABLE kronos.scheduler_state (
    singleton boolean DEFAULT true NOT NULL,
    planned_at timestamp with time zone NOT NULL,
    nodes jsonb NOT NULL,
    tier1 jsonb NOT NULL,
    windows jsonb NOT NULL,
    counts jsonb NOT NULL,
    CONSTRAINT scheduler_state_singleton_check CHECK (singleton)
);

COMMENT ON TABLE kronos.scheduler_state IS 'What the last plan saw: readings of the nodes, tier 1, the next windows.';

CREATE TABLE kronos.scheduling_decisions (
    decision_id bigint NOT NULL,
    experiment_id uuid NOT NULL,
    attempt integer NOT NULL,
    action text NOT NULL,
    reason text NOT NULL,
    blocker text NOT NULL,
    node text NOT NULL,
    expected_start timestamp with time zone,
    leave_by timestamp with time zone,
    first_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL,
    CONSTRAINT scheduling_decisions_action_check CHECK ((action = ANY (ARRAY['ADMIT'::text, 'WAIT'::text, 'KEEP'::text, 'PREEMPT'::text]))),
    CONSTRAINT scheduling_decisions_reason_check CHECK ((reason <> ''::text))
);

COMMENT ON TABLE kronos.scheduling_decisions IS 'One row per decision about an experiment, for as long as every plan said the same: from first_at to last_at.';

ALTER TABLE kronos.scheduling_decisions ALTER COLUMN decision_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME kronos.scheduling_decisions_decision_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE kronos.superseded_results (
    experiment_id uuid CONSTRAINT experiment_results_experiment_id_not_null NOT NULL,
    period_start date CONSTRAINT experiment_results_period_start_not_null NOT NULL,
    period_end date CONSTRAINT experiment_results_period_end_not_null NOT NULL,
    metrics jsonb CONSTRAINT experiment_results_metrics_not_null NOT NULL,
    by_regime jsonb CONSTRAINT experiment_results_by_regime_not_null NOT NULL,
    by_market jsonb CONSTRAINT experiment_results_by_market_not_null NOT NULL,
    by_stability_bucket jsonb CONSTRAINT experiment_results_by_stability_bucket_not_null NOT NULL,
    evidence text CONSTRAINT experiment_results_evidence_not_null NOT NULL,
    attempt integer CONSTRAINT experiment_results_attempt_not_null NOT NULL,
    provenance jsonb CONSTRAINT experiment_results_provenance_not_null NOT NULL,
    recorded_at timestamp with time zone CONSTRAINT experiment_results_recorded_at_not_null NOT NULL,
    superseded_at timestamp with time zone NOT NULL,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL
);

COMMENT ON TABLE kronos.superseded_results IS 'Results that a later backtest of the same period replaced, as they were.';

CREATE TABLE kronos.trials (
    trial_id bigint NOT NULL,
    engine_name text NOT NULL,
    scope text DEFAULT '*'::text NOT NULL,
    family text DEFAULT 'REAL'::text NOT NULL,
    canonical_hash text,
    config_id text,
    horizon integer,
    slice text,
    first_seen timestamp with time zone NOT NULL,
    first_source text NOT NULL,
    identity text GENERATED ALWAYS AS (COALESCE(('sha256:'::text || canonical_hash), ('config:'::text || config_id))) STORED NOT NULL,
    CONSTRAINT trials_canonical_hash_check CHECK ((canonical_hash ~ '^[0-9a-f]{64}$'::text)),
    CONSTRAINT trials_config_id_check CHECK ((config_id <> ''::text)),
    CONSTRAINT trials_engine_name_check CHECK ((engine_name <> ''::text)),
    CONSTRAINT trials_family_check CHECK ((family = ANY (ARRAY['REAL'::text, 'CONTROL'::text]))),
    CONSTRAINT trials_first_source_check CHECK ((first_source = ANY (ARRAY['REGISTERED'::text, 'OBSERVED'::text, 'EXPERIMENT'::text, 'PROPOSAL'::text, 'MINED_SLICE'::text, 'NEIGHBOUR'::text]))),
    CONSTRAINT trials_horizon_check CHECK ((horizon > 0)),
    CONSTRAINT trials_mined_in_a_slice CHECK (((first_source = 'MINED_SLICE'::text) = (slice IS NOT NULL))),
    CONSTRAINT trials_scope_check CHECK ((scope <> ''::text)),
    CONSTRAINT trials_slice_check CHECK ((slice <> ''::text))
);

COMMENT ON TABLE kronos.trials IS 'One row per config evaluated for an engine and scope, and per further horizon or mined slice of it.';

COMMENT ON COLUMN kronos.trials.canonical_hash IS 'Of the config''s body; null when only its id was ever seen.';

COMMENT ON COLUMN kronos.trials.config_id IS 'The first config id seen with this body; null when it was never registered.';

COMMENT ON COLUMN kronos.trials.horizon IS 'Null: the engine''s primary horizon. Every further horizon is a further trial.';

COMMENT ON COLUMN kronos.trials.slice IS 'Null: the whole book. Every config x slice a proposal was mined from is a further trial.';

ALTER TABLE kronos.trials ALTER COLUMN trial_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME kronos.trials_trial_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW kronos.tried_configs AS
 SELECT proposals.engine_name,
    proposals.base_config_id,
    kronos.canonical_hash(proposals.proposed_config_body) AS canonical_hash,
    proposals.created_by,
    (proposals.metadata ->> 'as_of'::text) AS as_of,
    (proposals.metadata ->> 'mined_until'::text) AS mined_until,
    (COALESCE(experiments.status, proposals.status) <> ALL (ARRAY['DISCARDED'::text, 'APPROVED'::text, 'REJECTED'::text])) AS is_open
   FROM (kronos.config_proposals proposals
     LEFT JOIN kronos.experiments USING (proposal_id))
UNION ALL
 SELECT experiments.engine_name,
    experiments.base_config_id,
    kronos.canonical_hash(configs.config_body) AS canonical_hash,
    experiments.created_by,
    NULL::text AS as_of,
    NULL::text AS mined_until,
    (experiments.status <> ALL (ARRAY['APPROVED'::text, 'REJECTED'::text])) AS is_open
   FROM (kronos.experiments
     JOIN kronos.engine_configs configs ON ((configs.config_id = experiments.proposed_config_id)))
  WHERE ((experiments.proposal_id IS NULL) AND (experiments.evidence <> 'CONTROL'::text));

COMMENT ON VIEW kronos.tried_configs IS 'One row per proposal, and per experiment that came from none: parameters tried against a base. Controls are none.';

COMMENT ON COLUMN kronos.tried_configs.as_of IS 'ISO date in the data on which Kronos proposed it.';

COMMENT ON COLUMN kronos.tried_configs.mined_until IS 'ISO date up to which Kronos had looked at the data.';

CREATE TABLE source.decision_outcomes (
    decision_id uuid NOT NULL,
    horizon_days integer NOT NULL,
    eval_date date,
    pnl double precision,
    return double precision,
    drawdown double precision,
    risk_metrics jsonb,
    label text,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE source.engine_decisions (
    decision_id uuid NOT NULL,
    "timestamp" timestamp with time zone,
    engine_name text,
    config_id text,
    context_id text,
    as_of_date date,
    input_refs jsonb,
    raw_input_summary jsonb,
    proposed_action jsonb
);

CREATE TABLE source.engine_runs (
    run_id text NOT NULL,
    as_of_date date NOT NULL,
    region text NOT NULL,
    phase text NOT NULL,
    error jsonb,
    created_at timestamp with time zone,
    updated_at timestamp with time zone
);

CREATE TABLE source.fragility_measures (
    entity_type text NOT NULL,
    entity_id text NOT NULL,
    as_of_date date NOT NULL,
    fragility_score double precision,
    scenario_losses jsonb,
    metadata jsonb,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE source.job_executions (
    execution_id text NOT NULL,
    job_id text,
    job_type text,
    dag_id text,
    market_id text,
    as_of_date date,
    status text,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    attempt_number integer
);

CREATE TABLE source.models (
    model_id text NOT NULL,
    engine_name text,
    type text,
    artifact_ref text,
    training_data_spec jsonb,
    metrics jsonb,
    created_at timestamp with time zone,
    created_by text
);

CREATE TABLE source.portfolio_risk_reports (
    portfolio_id text NOT NULL,
    as_of_date date NOT NULL,
    risk_metrics jsonb,
    exposures jsonb,
    scenario_pnl jsonb,
    model_id text,
    metadata jsonb,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE source.regimes (
    region text NOT NULL,
    as_of_date date NOT NULL,
    regime_label text,
    model_id text,
    embedding_vector_ref text,
    confidence double precision,
    metadata jsonb,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE source.soft_target_classes (
    entity_type text NOT NULL,
    entity_id text NOT NULL,
    as_of_date date NOT NULL,
    soft_target_class text,
    soft_target_score double precision,
    metadata jsonb,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE source.stability_vectors (
    entity_type text NOT NULL,
    entity_id text NOT NULL,
    as_of_date date NOT NULL,
    vector_components jsonb,
    overall_score double precision,
    metadata jsonb,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY kronos.alert_deliveries
    ADD CONSTRAINT alert_deliveries_pkey PRIMARY KEY (alert_id);

ALTER TABLE ONLY kronos.alerts
    ADD CONSTRAINT alerts_pkey PRIMARY KEY (alert_id);

ALTER TABLE ONLY kronos.alerts
    ADD CONSTRAINT alerts_raised_once UNIQUE NULLS NOT DISTINCT (kind, engine_name, scope, config_id, metric, monitored_from, latch_event);

ALTER TABLE ONLY kronos.approvals
    ADD CONSTRAINT approvals_pkey PRIMARY KEY (approval_id);

ALTER TABLE ONLY kronos.backtest_attempts
    ADD CONSTRAINT backtest_attempts_pkey PRIMARY KEY (experiment_id, attempt);

ALTER TABLE ONLY kronos.backtest_pieces
    ADD CONSTRAINT backtest_pieces_pkey PRIMARY KEY (experiment_id, digest, code_version, piece);

ALTER TABLE ONLY kronos.backtest_specs
    ADD CONSTRAINT backtest_specs_pkey PRIMARY KEY (experiment_id, digest);

ALTER TABLE ONLY kronos.change_log
    ADD CONSTRAINT change_log_hash_key UNIQUE (hash);

ALTER TABLE ONLY kronos.change_log
    ADD CONSTRAINT change_log_pkey PRIMARY KEY (entry_id);

ALTER TABLE ONLY kronos.changes_under_way
    ADD CONSTRAINT changes_under_way_pkey PRIMARY KEY (transaction);

ALTER TABLE ONLY kronos.config_activations
    ADD CONSTRAINT config_activations_pkey PRIMARY KEY (activation_id);

ALTER TABLE ONLY kronos.config_proposals
    ADD CONSTRAINT config_proposals_pkey PRIMARY KEY (proposal_id);

ALTER TABLE ONLY kronos.control_suites
    ADD CONSTRAINT control_suites_once UNIQUE (engine_name, period, seed, policy_digest, code_version);

ALTER TABLE ONLY kronos.control_suites
    ADD CONSTRAINT control_suites_pkey PRIMARY KEY (suite_id);

ALTER TABLE ONLY kronos.engine_configs
    ADD CONSTRAINT engine_configs_engine_name_config_id_key UNIQUE (engine_name, config_id);

ALTER TABLE ONLY kronos.engine_configs
    ADD CONSTRAINT engine_configs_pkey PRIMARY KEY (config_id);

ALTER TABLE ONLY kronos.experiment_results
    ADD CONSTRAINT experiment_results_pkey PRIMARY KEY (experiment_id, period_start, period_end);

ALTER TABLE ONLY kronos.experiment_verdicts
    ADD CONSTRAINT experiment_verdicts_once UNIQUE (experiment_id, attempt, evidence_digest, policy_digest, code_version);

ALTER TABLE ONLY kronos.experiment_verdicts
    ADD CONSTRAINT experiment_verdicts_pkey PRIMARY KEY (verdict_id);

ALTER TABLE ONLY kronos.experiments
    ADD CONSTRAINT experiments_config_of_its_own UNIQUE (proposed_config_id);

ALTER TABLE ONLY kronos.experiments
    ADD CONSTRAINT experiments_one_per_proposal UNIQUE (proposal_id);

ALTER TABLE ONLY kronos.experiments
    ADD CONSTRAINT experiments_pkey PRIMARY KEY (experiment_id);

ALTER TABLE ONLY kronos.gate_policies
    ADD CONSTRAINT gate_policies_pkey PRIMARY KEY (engine_name, version);

ALTER TABLE ONLY kronos.meta_runs
    ADD CONSTRAINT meta_runs_pkey PRIMARY KEY (cadence, period, missing);

ALTER TABLE ONLY kronos.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY kronos.month_builds
    ADD CONSTRAINT month_builds_pkey PRIMARY KEY (stage, month);

ALTER TABLE ONLY kronos.node_readings
    ADD CONSTRAINT node_readings_pkey PRIMARY KEY (node);

ALTER TABLE ONLY kronos.principals
    ADD CONSTRAINT principals_pkey PRIMARY KEY (name);

ALTER TABLE ONLY kronos.principals
    ADD CONSTRAINT principals_token_of_its_own UNIQUE (token_hash);

ALTER TABLE ONLY kronos.promotion_latch
    ADD CONSTRAINT promotion_latch_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY kronos.promotions
    ADD CONSTRAINT promotions_approval_used_once UNIQUE (approval_id);

ALTER TABLE ONLY kronos.promotions
    ADD CONSTRAINT promotions_one_activation UNIQUE (activation_id);

ALTER TABLE ONLY kronos.promotions
    ADD CONSTRAINT promotions_pkey PRIMARY KEY (promotion_id);

ALTER TABLE ONLY kronos.report_builds
    ADD CONSTRAINT report_builds_pkey PRIMARY KEY (report, period, engine_name);

ALTER TABLE ONLY kronos.sandbox_clock
    ADD CONSTRAINT sandbox_clock_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY kronos.scheduler_state
    ADD CONSTRAINT scheduler_state_pkey PRIMARY KEY (singleton);

ALTER TABLE ONLY kronos.scheduling_decisions
    ADD CONSTRAINT scheduling_decisions_pkey PRIMARY KEY (decision_id);

ALTER TABLE ONLY kronos.trials
    ADD CONSTRAINT trials_distinct UNIQUE NULLS NOT DISTINCT (engine_name, scope, family, identity, horizon, slice);

ALTER TABLE ONLY kronos.trials
    ADD CONSTRAINT trials_pkey PRIMARY KEY (trial_id);

ALTER TABLE ONLY source.decision_outcomes
    ADD CONSTRAINT decision_outcomes_pkey PRIMARY KEY (decision_id, horizon_days, recorded_at);

ALTER TABLE ONLY source.engine_runs
    ADD CONSTRAINT engine_runs_pkey PRIMARY KEY (run_id);

ALTER TABLE ONLY source.fragility_measures
    ADD CONSTRAINT fragility_measures_pkey PRIMARY KEY (entity_type, entity_id, as_of_date, recorded_at);

ALTER TABLE ONLY source.job_executions
    ADD CONSTRAINT job_executions_pkey PRIMARY KEY (execution_id);

ALTER TABLE ONLY source.models
    ADD CONSTRAINT models_pkey PRIMARY KEY (model_id);

ALTER TABLE ONLY source.portfolio_risk_reports
    ADD CONSTRAINT portfolio_risk_reports_pkey PRIMARY KEY (portfolio_id, as_of_date, recorded_at);

ALTER TABLE ONLY source.regimes
    ADD CONSTRAINT regimes_pkey PRIMARY KEY (region, as_of_date, recorded_at);

ALTER TABLE ONLY source.soft_target_classes
    ADD CONSTRAINT soft_target_classes_pkey PRIMARY KEY (entity_type, entity_id, as_of_date, recorded_at);

ALTER TABLE ONLY source.stability_vectors
    ADD CONSTRAINT stability_vectors_pkey PRIMARY KEY (entity_type, entity_id, as_of_date, recorded_at);

CREATE INDEX approvals_by_experiment ON kronos.approvals USING btree (experiment_id, approved_at DESC);

CREATE INDEX backtest_attempts_by_launch ON kronos.backtest_attempts USING btree (batch, lead_attempt);

CREATE UNIQUE INDEX backtest_attempts_one_open ON kronos.backtest_attempts USING btree (experiment_id) WHERE (outcome IS NULL);

CREATE INDEX backtest_specs_neighbours ON kronos.backtest_specs USING gin (kronos.neighbour_hashes(spec));

CREATE INDEX change_log_by_subject ON kronos.change_log USING btree (subject, subject_id, entry_id);

CREATE INDEX config_activations_config ON kronos.config_activations USING btree (config_id);

CREATE UNIQUE INDEX config_activations_from ON kronos.config_activations USING btree (engine_name, scope, activated_at);

CREATE UNIQUE INDEX config_activations_one_open ON kronos.config_activations USING btree (engine_name, scope) WHERE (deactivated_at IS NULL);

CREATE INDEX config_proposals_by_status ON kronos.config_proposals USING btree (status, created_at);

CREATE UNIQUE INDEX config_proposals_one_by_kronos ON kronos.config_proposals USING btree (engine_name, base_config_id, kronos.canonical_hash(proposed_config_body)) WHERE ((created_by = 'Kronos'::text) AND (status = 'PENDING_REVIEW'::text));

CREATE INDEX experiment_verdicts_by_experiment ON kronos.experiment_verdicts USING btree (experiment_id, judged_at DESC);

CREATE INDEX experiments_by_status ON kronos.experiments USING btree (status, priority, created_at);

CREATE INDEX meta_runs_by_request ON kronos.meta_runs USING btree (request_key);

CREATE UNIQUE INDEX principals_one_name ON kronos.principals USING btree (lower(name));

CREATE INDEX promotion_latch_by_engine ON kronos.promotion_latch USING btree (engine_name, event_id DESC);

CREATE INDEX promotions_by_config ON kronos.promotions USING btree (config_id);

CREATE INDEX promotions_due ON kronos.promotions USING btree (activates_at) WHERE (status = 'SCHEDULED'::text);

CREATE INDEX quarantine_by_batch ON kronos.quarantine USING btree (batch, rule);

CREATE INDEX scheduling_decisions_by_experiment ON kronos.scheduling_decisions USING btree (experiment_id, decision_id DESC);

CREATE INDEX superseded_results_by_experiment ON kronos.superseded_results USING btree (experiment_id);

CREATE INDEX engine_decisions_by_date ON source.engine_decisions USING btree (as_of_date);

CREATE INDEX engine_decisions_by_id ON source.engine_decisions USING btree (decision_id);

CREATE INDEX engine_runs_by_date ON source.engine_runs USING btree (as_of_date, region);

CREATE INDEX fragility_measures_by_date ON source.fragility_measures USING btree (as_of_date);

CREATE INDEX soft_target_classes_by_date ON source.soft_target_classes USING btree (as_of_date);

CREATE INDEX stability_vectors_by_date ON source.stability_vectors USING btree (as_of_date);

CREATE TRIGGER as_registered BEFORE INSERT OR UPDATE ON kronos.engine_configs FOR EACH ROW EXECUTE FUNCTION kronos.keep_config_as_registered();

CREATE TRIGGER begins BEFORE INSERT ON kronos.experiments FOR EACH ROW EXECUTE FUNCTION kronos.begin_experiment();

CREATE TRIGGER begins BEFORE INSERT ON kronos.sandbox_clock FOR EACH ROW EXECUTE FUNCTION kronos.keep_sandbox_first();

CREATE TRIGGER chained BEFORE INSERT ON kronos.change_log FOR EACH ROW EXECUTE FUNCTION kronos.chain_change();

CREATE TRIGGER closes_latch AFTER INSERT ON kronos.control_suites FOR EACH ROW EXECUTE FUNCTION kronos.close_latch_on_suite();

CREATE CONSTRAINT TRIGGER converted AFTER UPDATE ON kronos.config_proposals DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION kronos.require_experiment_of_proposal();

CREATE CONSTRAINT TRIGGER ended AFTER UPDATE OF status ON kronos.experiments DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION kronos.require_ended_attempt();

CREATE TRIGGER entered AFTER INSERT ON kronos.engine_configs FOR EACH ROW EXECUTE FUNCTION kronos.enter_registered_config();

CREATE TRIGGER guarded BEFORE INSERT OR UPDATE ON kronos.alerts FOR EACH ROW EXECUTE FUNCTION kronos.keep_alert();

CREATE TRIGGER guarded BEFORE UPDATE ON kronos.principals FOR EACH ROW EXECUTE FUNCTION kronos.keep_principal();

CREATE TRIGGER guarded BEFORE UPDATE ON kronos.promotions FOR EACH ROW EXECUTE FUNCTION kronos.keep_promotion();

CREATE TRIGGER hashed BEFORE INSERT ON kronos.config_activations FOR EACH ROW EXECUTE FUNCTION kronos.hash_activated_body();

CREATE TRIGGER history BEFORE INSERT OR UPDATE ON kronos.config_activations FOR EACH ROW EXECUTE FUNCTION kronos.keep_activation_history();

CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.alert_deliveries FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.alerts FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE TRIGGER kept BEFORE DELETE OR UPDATE OR TRUNCATE ON kronos.approvals FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.backtest_attempts FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE TRIGGER kept BEFORE DELETE OR UPDATE OR TRUNCATE ON kronos.backtest_pieces FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE TRIGGER kept BEFORE DELETE OR UPDATE OR TRUNCATE ON kronos.backtest_specs FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE TRIGGER kept BEFORE DELETE OR UPDATE OR TRUNCATE ON kronos.change_log FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.config_activations FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.config_proposals FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE TRIGGER kept BEFORE DELETE OR UPDATE OR TRUNCATE ON kronos.control_suites FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.engine_configs FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.experiment_results FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE TRIGGER kept BEFORE DELETE OR UPDATE OR TRUNCATE ON kronos.experiment_verdicts FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.experiments FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE TRIGGER kept BEFORE DELETE OR UPDATE OR TRUNCATE ON kronos.gate_policies FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.principals FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE TRIGGER kept BEFORE DELETE OR UPDATE OR TRUNCATE ON kronos.promotion_latch FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.promotions FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.scheduling_decisions FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE TRIGGER kept BEFORE DELETE OR UPDATE OR TRUNCATE ON kronos.superseded_results FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE TRIGGER kept BEFORE DELETE OR UPDATE OR TRUNCATE ON kronos.trials FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE TRIGGER logged AFTER INSERT ON kronos.approvals FOR EACH ROW EXECUTE FUNCTION kronos.log_approval();

CREATE TRIGGER logged AFTER INSERT OR UPDATE ON kronos.config_proposals FOR EACH ROW EXECUTE FUNCTION kronos.log_proposal();

CREATE TRIGGER logged AFTER INSERT ON kronos.control_suites FOR EACH ROW EXECUTE FUNCTION kronos.log_suite();

CREATE TRIGGER logged AFTER INSERT ON kronos.experiment_verdicts FOR EACH ROW EXECUTE FUNCTION kronos.log_verdict();

CREATE TRIGGER logged AFTER INSERT OR UPDATE ON kronos.experiments FOR EACH ROW EXECUTE FUNCTION kronos.log_experiment();

CREATE TRIGGER logged AFTER INSERT OR UPDATE ON kronos.principals FOR EACH ROW EXECUTE FUNCTION kronos.log_principal();

CREATE TRIGGER logged AFTER INSERT OR UPDATE ON kronos.promotions FOR EACH ROW EXECUTE FUNCTION kronos.log_promotion();

CREATE TRIGGER moves BEFORE UPDATE ON kronos.experiments FOR EACH ROW EXECUTE FUNCTION kronos.move_experiment();

CREATE TRIGGER no_control BEFORE INSERT ON kronos.config_activations FOR EACH ROW EXECUTE FUNCTION kronos.refuse_active_control();

CREATE CONSTRAINT TRIGGER promoted AFTER INSERT ON kronos.config_activations DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION kronos.require_promotion();

CREATE TRIGGER rises BEFORE UPDATE ON kronos.sandbox_clock FOR EACH ROW EXECUTE FUNCTION kronos.keep_sandbox_time();

CREATE TRIGGER rules BEFORE INSERT OR UPDATE ON kronos.backtest_attempts FOR EACH ROW EXECUTE FUNCTION kronos.keep_attempt_rules();

CREATE TRIGGER rules BEFORE INSERT ON kronos.backtest_pieces FOR EACH ROW EXECUTE FUNCTION kronos.keep_piece_rules();

CREATE TRIGGER rules BEFORE INSERT OR UPDATE ON kronos.config_proposals FOR EACH ROW EXECUTE FUNCTION kronos.keep_proposal_rules();

CREATE TRIGGER rules BEFORE INSERT ON kronos.control_suites FOR EACH ROW EXECUTE FUNCTION kronos.keep_suite_rules();

CREATE TRIGGER rules BEFORE INSERT OR UPDATE ON kronos.experiment_results FOR EACH ROW EXECUTE FUNCTION kronos.keep_result_rules();

CREATE TRIGGER rules BEFORE INSERT ON kronos.experiment_verdicts FOR EACH ROW EXECUTE FUNCTION kronos.keep_verdict_rules();

CREATE TRIGGER status_follows AFTER INSERT OR UPDATE ON kronos.config_activations FOR EACH ROW EXECUTE FUNCTION kronos.follow_activations();

ALTER TABLE ONLY kronos.alert_deliveries
    ADD CONSTRAINT alert_deliveries_alert_id_fkey FOREIGN KEY (alert_id) REFERENCES kronos.alerts(alert_id);

ALTER TABLE ONLY kronos.alerts
    ADD CONSTRAINT alerts_latch_event_fkey FOREIGN KEY (latch_event) REFERENCES kronos.promotion_latch(event_id);

ALTER TABLE ONLY kronos.approvals
    ADD CONSTRAINT approvals_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES kronos.experiments(experiment_id);

ALTER TABLE ONLY kronos.approvals
    ADD CONSTRAINT approvals_verdict_id_fkey FOREIGN KEY (verdict_id) REFERENCES kronos.experiment_verdicts(verdict_id);

ALTER TABLE ONLY kronos.backtest_attempts
    ADD CONSTRAINT backtest_attempts_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES kronos.experiments(experiment_id);

ALTER TABLE ONLY kronos.backtest_pieces
    ADD CONSTRAINT backtest_pieces_experiment_id_attempt_fkey FOREIGN KEY (experiment_id, attempt) REFERENCES kronos.backtest_attempts(experiment_id, attempt);

ALTER TABLE ONLY kronos.backtest_pieces
    ADD CONSTRAINT backtest_pieces_experiment_id_digest_fkey FOREIGN KEY (experiment_id, digest) REFERENCES kronos.backtest_specs(experiment_id, digest);

ALTER TABLE ONLY kronos.backtest_specs
    ADD CONSTRAINT backtest_specs_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES kronos.experiments(experiment_id);

ALTER TABLE ONLY kronos.config_activations
    ADD CONSTRAINT config_activations_engine_name_config_id_fkey FOREIGN KEY (engine_name, config_id) REFERENCES kronos.engine_configs(engine_name, config_id);

ALTER TABLE ONLY kronos.config_proposals
    ADD CONSTRAINT config_proposals_base FOREIGN KEY (engine_name, base_config_id) REFERENCES kronos.engine_configs(engine_name, config_id);

ALTER TABLE ONLY kronos.experiment_results
    ADD CONSTRAINT experiment_results_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES kronos.experiments(experiment_id);

ALTER TABLE ONLY kronos.experiment_verdicts
    ADD CONSTRAINT experiment_verdicts_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES kronos.experiments(experiment_id);

ALTER TABLE ONLY kronos.experiment_verdicts
    ADD CONSTRAINT experiment_verdicts_policy FOREIGN KEY (policy_engine, policy_version) REFERENCES kronos.gate_policies(engine_name, version);

ALTER TABLE ONLY kronos.experiments
    ADD CONSTRAINT experiments_base FOREIGN KEY (engine_name, base_config_id) REFERENCES kronos.engine_configs(engine_name, config_id);

ALTER TABLE ONLY kronos.experiments
    ADD CONSTRAINT experiments_proposal FOREIGN KEY (proposal_id) REFERENCES kronos.config_proposals(proposal_id);

ALTER TABLE ONLY kronos.experiments
    ADD CONSTRAINT experiments_proposed FOREIGN KEY (engine_name, proposed_config_id) REFERENCES kronos.engine_configs(engine_name, config_id);

ALTER TABLE ONLY kronos.promotions
    ADD CONSTRAINT promotions_activation_id_fkey FOREIGN KEY (activation_id) REFERENCES kronos.config_activations(activation_id);

ALTER TABLE ONLY kronos.promotions
    ADD CONSTRAINT promotions_approval_id_fkey FOREIGN KEY (approval_id) REFERENCES kronos.approvals(approval_id);

ALTER TABLE ONLY kronos.promotions
    ADD CONSTRAINT promotions_engine_name_config_id_fkey FOREIGN KEY (engine_name, config_id) REFERENCES kronos.engine_configs(engine_name, config_id);

ALTER TABLE ONLY kronos.promotions
    ADD CONSTRAINT promotions_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES kronos.experiments(experiment_id);

ALTER TABLE ONLY kronos.scheduling_decisions
    ADD CONSTRAINT scheduling_decisions_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES kronos.experiments(experiment_id);

GRANT USAGE ON SCHEMA kronos TO kronos_reader;
GRANT USAGE ON SCHEMA kronos TO kronos_orchestrator;
GRANT USAGE ON SCHEMA kronos TO kronos_chat;
GRANT USAGE ON SCHEMA kronos TO kronos_change_manager;

GRANT USAGE ON SCHEMA source TO kronos_reader;
GRANT USAGE ON SCHEMA source TO kronos_orchestrator;
GRANT USAGE ON SCHEMA source TO kronos_chat;
GRANT USAGE ON SCHEMA source TO kronos_change_manager;
GRANT USAGE ON SCHEMA source TO kronos_upstream;

REVOKE ALL ON FUNCTION kronos.acknowledge_alert(wanted bigint, author text, why text, token text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.acknowledge_alert(wanted bigint, author text, why text, token text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.activate_config(engine text, new_id text, author text, why text, at timestamp with time zone, expected text, within text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.activate_config(engine text, new_id text, author text, why text, at timestamp with time zone, expected text, within text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.activate_due(code text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.activate_due(code text) TO kronos_change_manager;

GRANT SELECT ON TABLE kronos.config_activations TO kronos_reader;
GRANT SELECT ON TABLE kronos.config_activations TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.config_activations TO kronos_chat;
GRANT SELECT ON TABLE kronos.config_activations TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.activation_before(engine text, within text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.activation_before(engine text, within text) TO kronos_reader;
GRANT ALL ON FUNCTION kronos.activation_before(engine text, within text) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.activation_before(engine text, within text) TO kronos_chat;
GRANT ALL ON FUNCTION kronos.activation_before(engine text, within text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.activation_time(engine text, within text) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.add_gate_policy(engine text, new_body jsonb, expected integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.add_principal(token text, new_name text, new_kind text, new_role text, new_hash text, code text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.add_principal(token text, new_name text, new_kind text, new_role text, new_hash text, code text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.adopt_config(token text, engine text, config text, why text, live_from date, live_until date, data_until date, code text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.adopt_config(token text, engine text, config text, why text, live_from date, live_until date, data_until date, code text) TO kronos_change_manager;

GRANT SELECT ON TABLE kronos.experiment_verdicts TO kronos_reader;
GRANT SELECT ON TABLE kronos.experiment_verdicts TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.experiment_verdicts TO kronos_chat;
GRANT SELECT ON TABLE kronos.experiment_verdicts TO kronos_change_manager;

GRANT INSERT(verdict_id) ON TABLE kronos.experiment_verdicts TO kronos_orchestrator;

GRANT INSERT(experiment_id) ON TABLE kronos.experiment_verdicts TO kronos_orchestrator;

GRANT INSERT(attempt) ON TABLE kronos.experiment_verdicts TO kronos_orchestrator;

GRANT INSERT(incumbent) ON TABLE kronos.experiment_verdicts TO kronos_orchestrator;

GRANT INSERT(verdict) ON TABLE kronos.experiment_verdicts TO kronos_orchestrator;

GRANT INSERT(recommendation) ON TABLE kronos.experiment_verdicts TO kronos_orchestrator;

GRANT INSERT(report) ON TABLE kronos.experiment_verdicts TO kronos_orchestrator;

GRANT INSERT(policy_engine) ON TABLE kronos.experiment_verdicts TO kronos_orchestrator;

GRANT INSERT(policy_version) ON TABLE kronos.experiment_verdicts TO kronos_orchestrator;

GRANT INSERT(policy_digest) ON TABLE kronos.experiment_verdicts TO kronos_orchestrator;

GRANT INSERT(evidence_digest) ON TABLE kronos.experiment_verdicts TO kronos_orchestrator;

GRANT INSERT(data_until) ON TABLE kronos.experiment_verdicts TO kronos_orchestrator;

GRANT INSERT(lake) ON TABLE kronos.experiment_verdicts TO kronos_orchestrator;

GRANT INSERT(code_version) ON TABLE kronos.experiment_verdicts TO kronos_orchestrator;

REVOKE ALL ON FUNCTION kronos.against_code(judged kronos.experiment_verdicts) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.against_latch(engine text) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.against_promotion(experiment uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.against_promotion(experiment uuid) TO kronos_reader;
GRANT ALL ON FUNCTION kronos.against_promotion(experiment uuid) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.against_promotion(experiment uuid) TO kronos_chat;
GRANT ALL ON FUNCTION kronos.against_promotion(experiment uuid) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.against_schedule(experiment uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.against_verdict(wanted uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.alert_closed_latches() FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.alert_closed_latches() TO kronos_orchestrator;

REVOKE ALL ON FUNCTION kronos.approval_content(of_verdict uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.approval_content(of_verdict uuid) TO kronos_reader;
GRANT ALL ON FUNCTION kronos.approval_content(of_verdict uuid) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.approval_content(of_verdict uuid) TO kronos_chat;
GRANT ALL ON FUNCTION kronos.approval_content(of_verdict uuid) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.approval_digest(of_verdict uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.approval_digest(of_verdict uuid) TO kronos_reader;
GRANT ALL ON FUNCTION kronos.approval_digest(of_verdict uuid) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.approval_digest(of_verdict uuid) TO kronos_chat;
GRANT ALL ON FUNCTION kronos.approval_digest(of_verdict uuid) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.approve(token text, experiment uuid, seen text, why text, code text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.approve(token text, experiment uuid, seen text, why text, code text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.attempts_seen(experiment uuid, OUT attempt integer, OUT seen_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.attempts_seen(experiment uuid, OUT attempt integer, OUT seen_at timestamp with time zone) TO kronos_reader;
GRANT ALL ON FUNCTION kronos.attempts_seen(experiment uuid, OUT attempt integer, OUT seen_at timestamp with time zone) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.attempts_seen(experiment uuid, OUT attempt integer, OUT seen_at timestamp with time zone) TO kronos_chat;
GRANT ALL ON FUNCTION kronos.attempts_seen(experiment uuid, OUT attempt integer, OUT seen_at timestamp with time zone) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.authors_of(experiment uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.auto_approve(experiment uuid, code text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.auto_approve(experiment uuid, code text) TO kronos_orchestrator;

REVOKE ALL ON FUNCTION kronos.begin_change(author text, why text, run text, lake jsonb, code text, token text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.begin_change(author text, why text, run text, lake jsonb, code text, token text) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.begin_change(author text, why text, run text, lake jsonb, code text, token text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.begin_experiment() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.begin_gate_policy(new_body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.begin_gate_policy(new_body jsonb) TO kronos_orchestrator;

REVOKE ALL ON FUNCTION kronos.begin_principals(first_name text, first_hash text, code text) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.caller() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.cancel_promotion(token text, promotion uuid, why text, code text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.cancel_promotion(token text, promotion uuid, why text, code text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.canonical_hash(body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.canonical_hash(body jsonb) TO kronos_reader;
GRANT ALL ON FUNCTION kronos.canonical_hash(body jsonb) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.canonical_hash(body jsonb) TO kronos_chat;
GRANT ALL ON FUNCTION kronos.canonical_hash(body jsonb) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.canonical_json(value jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.canonical_json(value jsonb) TO kronos_reader;
GRANT ALL ON FUNCTION kronos.canonical_json(value jsonb) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.canonical_json(value jsonb) TO kronos_chat;
GRANT ALL ON FUNCTION kronos.canonical_json(value jsonb) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.chain_change() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.chain_text(VARIADIC fields text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.change_author() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.close_alert(wanted bigint, author text, why text, token text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.close_alert(wanted bigint, author text, why text, token text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.close_latch(engine text, of_cause text, what jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.close_latch(engine text, of_cause text, what jsonb) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.close_latch(engine text, of_cause text, what jsonb) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.close_latch_on_suite() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.code_broken(engine text, code text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.code_broken(engine text, code text) TO kronos_reader;
GRANT ALL ON FUNCTION kronos.code_broken(engine text, code text) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.code_broken(engine text, code text) TO kronos_chat;
GRANT ALL ON FUNCTION kronos.code_broken(engine text, code text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.code_of_evidence(judged kronos.experiment_verdicts) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.code_of_evidence(judged kronos.experiment_verdicts) TO kronos_reader;
GRANT ALL ON FUNCTION kronos.code_of_evidence(judged kronos.experiment_verdicts) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.code_of_evidence(judged kronos.experiment_verdicts) TO kronos_chat;
GRANT ALL ON FUNCTION kronos.code_of_evidence(judged kronos.experiment_verdicts) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.code_proven(engine text, policy text, code text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.code_proven(engine text, policy text, code text) TO kronos_reader;
GRANT ALL ON FUNCTION kronos.code_proven(engine text, policy text, code text) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.code_proven(engine text, policy text, code text) TO kronos_chat;
GRANT ALL ON FUNCTION kronos.code_proven(engine text, policy text, code text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.config_changes(base jsonb, proposed jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.config_changes(base jsonb, proposed jsonb) TO kronos_reader;
GRANT ALL ON FUNCTION kronos.config_changes(base jsonb, proposed jsonb) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.config_changes(base jsonb, proposed jsonb) TO kronos_chat;
GRANT ALL ON FUNCTION kronos.config_changes(base jsonb, proposed jsonb) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.data_now() FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.data_now() TO kronos_reader;
GRANT ALL ON FUNCTION kronos.data_now() TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.data_now() TO kronos_chat;
GRANT ALL ON FUNCTION kronos.data_now() TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.enter_approval(wanted uuid, seen text, of_kind text, actor text, why text) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.enter_change(author text, why text, run text, lake jsonb, code text) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.enter_latch_event(engine text, becomes text, of_cause text, what jsonb, why text) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.enter_registered_config() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.enter_trial(engine text, within text, of_family text, body jsonb, config text, source text, at timestamp with time zone, at_horizon integer, in_slice text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.enter_trial(engine text, within text, of_family text, body jsonb, config text, source text, at timestamp with time zone, at_horizon integer, in_slice text) TO kronos_orchestrator;

REVOKE ALL ON FUNCTION kronos.evidence_by(author text, expected_outcome text) FROM PUBLIC;

GRANT SELECT ON TABLE kronos.experiments TO kronos_reader;
GRANT SELECT ON TABLE kronos.experiments TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.experiments TO kronos_chat;
GRANT SELECT ON TABLE kronos.experiments TO kronos_change_manager;

GRANT INSERT(experiment_id) ON TABLE kronos.experiments TO kronos_orchestrator;

GRANT INSERT(engine_name) ON TABLE kronos.experiments TO kronos_orchestrator;

GRANT INSERT(base_config_id) ON TABLE kronos.experiments TO kronos_orchestrator;

GRANT INSERT(proposed_config_id) ON TABLE kronos.experiments TO kronos_orchestrator;

GRANT INSERT(description) ON TABLE kronos.experiments TO kronos_orchestrator;

GRANT UPDATE(status) ON TABLE kronos.experiments TO kronos_orchestrator;

GRANT INSERT(priority),UPDATE(priority) ON TABLE kronos.experiments TO kronos_orchestrator;

GRANT INSERT(auto_generated) ON TABLE kronos.experiments TO kronos_orchestrator;

GRANT INSERT(resource_class) ON TABLE kronos.experiments TO kronos_orchestrator;

GRANT INSERT(expected_outcome) ON TABLE kronos.experiments TO kronos_orchestrator;

GRANT INSERT(start_date) ON TABLE kronos.experiments TO kronos_orchestrator;

GRANT INSERT(end_date),UPDATE(end_date) ON TABLE kronos.experiments TO kronos_orchestrator;

GRANT INSERT(metadata) ON TABLE kronos.experiments TO kronos_orchestrator;

GRANT INSERT(proposal_id) ON TABLE kronos.experiments TO kronos_orchestrator;

GRANT UPDATE(run_id) ON TABLE kronos.experiments TO kronos_orchestrator;

GRANT UPDATE(leased_until) ON TABLE kronos.experiments TO kronos_orchestrator;

REVOKE ALL ON FUNCTION kronos.evidence_in_force(experiment kronos.experiments) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.experiment_edge(was text, becomes text) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.finding_verdicts(gate jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.follow_activations() FROM PUBLIC;

GRANT SELECT ON TABLE kronos.gate_policies TO kronos_reader;
GRANT SELECT ON TABLE kronos.gate_policies TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.gate_policies TO kronos_chat;
GRANT SELECT ON TABLE kronos.gate_policies TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.gate_policy_in_force(engine text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.gate_policy_in_force(engine text) TO kronos_reader;
GRANT ALL ON FUNCTION kronos.gate_policy_in_force(engine text) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.gate_policy_in_force(engine text) TO kronos_chat;
GRANT ALL ON FUNCTION kronos.gate_policy_in_force(engine text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.gate_reasons(report jsonb, of_gate text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.gate_reasons(report jsonb, of_gate text) TO kronos_reader;
GRANT ALL ON FUNCTION kronos.gate_reasons(report jsonb, of_gate text) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.gate_reasons(report jsonb, of_gate text) TO kronos_chat;
GRANT ALL ON FUNCTION kronos.gate_reasons(report jsonb, of_gate text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.gate_verdict(report jsonb, of_gate text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.gate_verdict(report jsonb, of_gate text) TO kronos_reader;
GRANT ALL ON FUNCTION kronos.gate_verdict(report jsonb, of_gate text) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.gate_verdict(report jsonb, of_gate text) TO kronos_chat;
GRANT ALL ON FUNCTION kronos.gate_verdict(report jsonb, of_gate text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.gravest(verdicts text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.hash_activated_body() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.hash_of_token(token text) FROM PUBLIC;

GRANT SELECT ON TABLE kronos.principals TO kronos_reader;
GRANT SELECT ON TABLE kronos.principals TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.principals TO kronos_chat;
GRANT SELECT ON TABLE kronos.principals TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.identify(token text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.identify(token text) TO kronos_reader;
GRANT ALL ON FUNCTION kronos.identify(token text) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.identify(token text) TO kronos_chat;
GRANT ALL ON FUNCTION kronos.identify(token text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.incumbent_of(engine text, within text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.incumbent_of(engine text, within text) TO kronos_reader;
GRANT ALL ON FUNCTION kronos.incumbent_of(engine text, within text) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.incumbent_of(engine text, within text) TO kronos_chat;
GRANT ALL ON FUNCTION kronos.incumbent_of(engine text, within text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.keep_activation_history() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.keep_alert() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.keep_attempt_rules() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.keep_config_as_registered() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.keep_piece_rules() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.keep_principal() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.keep_promotion() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.keep_proposal_rules() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.keep_result_rules() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.keep_sandbox_first() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.keep_sandbox_time() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.keep_suite_rules() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.keep_verdict_rules() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.largest_relative_change(changes jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.latch_causes(engine text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.latch_causes(engine text) TO kronos_reader;
GRANT ALL ON FUNCTION kronos.latch_causes(engine text) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.latch_causes(engine text) TO kronos_chat;
GRANT ALL ON FUNCTION kronos.latch_causes(engine text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.leave_change() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.lock_change_log() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.lock_incumbent(engine text, within text) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.log_approval() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.log_change(of_subject text, of_id text, was text, becomes text, label text, run text, what jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.log_experiment() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.log_principal() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.log_promotion() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.log_proposal() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.log_refusal(token text, account text, act text, of_id text, rule text, why text, code text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.log_refusal(token text, account text, act text, of_id text, rule text, why text, code text) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.log_refusal(token text, account text, act text, of_id text, rule text, why text, code text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.log_suite() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.log_verdict() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.may_be_approved(wanted uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.move_experiment() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.neighbour_hashes(spec jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.neighbour_hashes(spec jsonb) TO kronos_orchestrator;

REVOKE ALL ON FUNCTION kronos.principal_valid(who text) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.promote(token text, experiment uuid, why text, at timestamp with time zone, code text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.promote(token text, experiment uuid, why text, at timestamp with time zone, code text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.propose_by_kronos(engine text, base text, body jsonb, why text, about jsonb, new_evidence integer, most_per_day integer, most_per_engine integer, code text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.propose_by_kronos(engine text, base text, body jsonb, why text, about jsonb, new_evidence integer, most_per_day integer, most_per_engine integer, code text) TO kronos_orchestrator;

REVOKE ALL ON FUNCTION kronos.propose_config(engine text, base text, body jsonb, author text, why text, about jsonb, code text, token text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.propose_config(engine text, base text, body jsonb, author text, why text, about jsonb, code text, token text) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.propose_config(engine text, base text, body jsonb, author text, why text, about jsonb, code text, token text) TO kronos_chat;

REVOKE ALL ON FUNCTION kronos.raise_alert(of_kind text, engine text, what text, detail jsonb, since timestamp with time zone, event bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.raise_latch_alert(engine text, cause text, detail jsonb, since timestamp with time zone, event bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.refuse_active_control() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.refuse_change(rule text, why text) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.refuse_once_promoted(experiment uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.refuse_removal() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.refuse_transition(of_subject text, of_id uuid, was text, becomes text) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.refuse_while_scheduled(experiment uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.register_config(new_id text, engine text, new_version text, body jsonb, author text, at timestamp with time zone, of_family text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.register_config(new_id text, engine text, new_version text, body jsonb, author text, at timestamp with time zone, of_family text) TO kronos_orchestrator;

REVOKE ALL ON FUNCTION kronos.reject(token text, experiment uuid, why text, code text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.reject(token text, experiment uuid, why text, code text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.reopen_latch(token text, engine text, seen bigint, why text, code text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.reopen_latch(token text, engine text, seen bigint, why text, code text) TO kronos_change_manager;

GRANT SELECT ON TABLE kronos.approvals TO kronos_reader;
GRANT SELECT ON TABLE kronos.approvals TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.approvals TO kronos_chat;
GRANT SELECT ON TABLE kronos.approvals TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.require_approval(judged kronos.experiment_verdicts, own uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.require_attempt(of_experiment uuid, of_attempt integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.require_ended_attempt() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.require_experiment_of_proposal() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.require_open_latch(engine text) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.require_pass(wanted uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.require_principal(token text, roles text[], people_only boolean, act text) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.require_promotable(experiment uuid, own uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.require_promotion() FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.require_proven_code(judged kronos.experiment_verdicts) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.revoke_principal(token text, whose text, why text, code text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.revoke_principal(token text, whose text, why text, code text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.rollback(token text, engine text, within text, expected text, why text, code text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.rollback(token text, engine text, within text, expected text, why text, code text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.rotate_principal(token text, whose text, new_hash text, code text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.rotate_principal(token text, whose text, new_hash text, code text) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.said(what text) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.set_gate_policy(token text, engine text, new_body jsonb, expected integer, why text, code text) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.set_gate_policy(token text, engine text, new_body jsonb, expected integer, why text, code text) TO kronos_change_manager;

GRANT SELECT ON TABLE kronos.promotions TO kronos_reader;
GRANT SELECT ON TABLE kronos.promotions TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.promotions TO kronos_chat;
GRANT SELECT ON TABLE kronos.promotions TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.settle_promotion(due kronos.promotions) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.status_of_config(wanted text) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.suite_counts(completed timestamp with time zone, body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.suite_counts(completed timestamp with time zone, body jsonb) TO kronos_reader;
GRANT ALL ON FUNCTION kronos.suite_counts(completed timestamp with time zone, body jsonb) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.suite_counts(completed timestamp with time zone, body jsonb) TO kronos_chat;
GRANT ALL ON FUNCTION kronos.suite_counts(completed timestamp with time zone, body jsonb) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.suite_days(body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.suite_days(body jsonb) TO kronos_reader;
GRANT ALL ON FUNCTION kronos.suite_days(body jsonb) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.suite_days(body jsonb) TO kronos_chat;
GRANT ALL ON FUNCTION kronos.suite_days(body jsonb) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.swap_incumbent(engine text, new_id text, author text, why text, at timestamp with time zone, expected text, within text) FROM PUBLIC;

REVOKE ALL ON FUNCTION kronos.verdict_in_force(experiment uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.verdict_in_force(experiment uuid) TO kronos_reader;
GRANT ALL ON FUNCTION kronos.verdict_in_force(experiment uuid) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.verdict_in_force(experiment uuid) TO kronos_chat;
GRANT ALL ON FUNCTION kronos.verdict_in_force(experiment uuid) TO kronos_change_manager;

REVOKE ALL ON FUNCTION kronos.verdict_proven(judged kronos.experiment_verdicts) FROM PUBLIC;
GRANT ALL ON FUNCTION kronos.verdict_proven(judged kronos.experiment_verdicts) TO kronos_reader;
GRANT ALL ON FUNCTION kronos.verdict_proven(judged kronos.experiment_verdicts) TO kronos_orchestrator;
GRANT ALL ON FUNCTION kronos.verdict_proven(judged kronos.experiment_verdicts) TO kronos_chat;
GRANT ALL ON FUNCTION kronos.verdict_proven(judged kronos.experiment_verdicts) TO kronos_change_manager;

GRANT SELECT ON TABLE kronos.alert_deliveries TO kronos_reader;
GRANT SELECT,INSERT ON TABLE kronos.alert_deliveries TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.alert_deliveries TO kronos_chat;
GRANT SELECT ON TABLE kronos.alert_deliveries TO kronos_change_manager;

GRANT UPDATE(attempts) ON TABLE kronos.alert_deliveries TO kronos_orchestrator;

GRANT UPDATE(tried_at) ON TABLE kronos.alert_deliveries TO kronos_orchestrator;

GRANT UPDATE(failure) ON TABLE kronos.alert_deliveries TO kronos_orchestrator;

GRANT UPDATE(delivered_at) ON TABLE kronos.alert_deliveries TO kronos_orchestrator;

GRANT SELECT ON TABLE kronos.alerts TO kronos_reader;
GRANT SELECT ON TABLE kronos.alerts TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.alerts TO kronos_chat;
GRANT SELECT ON TABLE kronos.alerts TO kronos_change_manager;

GRANT INSERT(kind) ON TABLE kronos.alerts TO kronos_orchestrator;

GRANT INSERT(engine_name) ON TABLE kronos.alerts TO kronos_orchestrator;

GRANT INSERT(scope) ON TABLE kronos.alerts TO kronos_orchestrator;

GRANT INSERT(config_id) ON TABLE kronos.alerts TO kronos_orchestrator;

GRANT INSERT(metric) ON TABLE kronos.alerts TO kronos_orchestrator;

GRANT INSERT(monitored_from) ON TABLE kronos.alerts TO kronos_orchestrator;

GRANT INSERT(raised_on) ON TABLE kronos.alerts TO kronos_orchestrator;

GRANT INSERT(evidence) ON TABLE kronos.alerts TO kronos_orchestrator;

GRANT SELECT ON TABLE kronos.backtest_attempts TO kronos_reader;
GRANT SELECT ON TABLE kronos.backtest_attempts TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.backtest_attempts TO kronos_chat;
GRANT SELECT ON TABLE kronos.backtest_attempts TO kronos_change_manager;

GRANT INSERT(experiment_id) ON TABLE kronos.backtest_attempts TO kronos_orchestrator;

GRANT INSERT(attempt) ON TABLE kronos.backtest_attempts TO kronos_orchestrator;

GRANT INSERT(node) ON TABLE kronos.backtest_attempts TO kronos_orchestrator;

GRANT INSERT(batch) ON TABLE kronos.backtest_attempts TO kronos_orchestrator;

GRANT INSERT(leave_by) ON TABLE kronos.backtest_attempts TO kronos_orchestrator;

GRANT INSERT(pieces),UPDATE(pieces) ON TABLE kronos.backtest_attempts TO kronos_orchestrator;

GRANT INSERT(pieces_before),UPDATE(pieces_before) ON TABLE kronos.backtest_attempts TO kronos_orchestrator;

GRANT UPDATE(run_id) ON TABLE kronos.backtest_attempts TO kronos_orchestrator;

GRANT UPDATE(started_at) ON TABLE kronos.backtest_attempts TO kronos_orchestrator;

GRANT UPDATE(told_at) ON TABLE kronos.backtest_attempts TO kronos_orchestrator;

GRANT UPDATE(told_why) ON TABLE kronos.backtest_attempts TO kronos_orchestrator;

GRANT UPDATE(forced) ON TABLE kronos.backtest_attempts TO kronos_orchestrator;

GRANT UPDATE(ended_at) ON TABLE kronos.backtest_attempts TO kronos_orchestrator;

GRANT UPDATE(outcome) ON TABLE kronos.backtest_attempts TO kronos_orchestrator;

GRANT UPDATE(pieces_after) ON TABLE kronos.backtest_attempts TO kronos_orchestrator;

GRANT UPDATE(why) ON TABLE kronos.backtest_attempts TO kronos_orchestrator;

GRANT SELECT ON TABLE kronos.backtest_pieces TO kronos_reader;
GRANT SELECT ON TABLE kronos.backtest_pieces TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.backtest_pieces TO kronos_chat;
GRANT SELECT ON TABLE kronos.backtest_pieces TO kronos_change_manager;

GRANT INSERT(experiment_id) ON TABLE kronos.backtest_pieces TO kronos_orchestrator;

GRANT INSERT(digest) ON TABLE kronos.backtest_pieces TO kronos_orchestrator;

GRANT INSERT(code_version) ON TABLE kronos.backtest_pieces TO kronos_orchestrator;

GRANT INSERT(piece) ON TABLE kronos.backtest_pieces TO kronos_orchestrator;

GRANT INSERT(attempt) ON TABLE kronos.backtest_pieces TO kronos_orchestrator;

GRANT INSERT(lake) ON TABLE kronos.backtest_pieces TO kronos_orchestrator;

GRANT INSERT(counts) ON TABLE kronos.backtest_pieces TO kronos_orchestrator;

GRANT INSERT(seconds) ON TABLE kronos.backtest_pieces TO kronos_orchestrator;

GRANT INSERT(refused) ON TABLE kronos.backtest_pieces TO kronos_orchestrator;

GRANT INSERT(found) ON TABLE kronos.backtest_pieces TO kronos_orchestrator;

GRANT INSERT(failed) ON TABLE kronos.backtest_pieces TO kronos_orchestrator;

GRANT SELECT ON TABLE kronos.backtest_specs TO kronos_reader;
GRANT SELECT ON TABLE kronos.backtest_specs TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.backtest_specs TO kronos_chat;
GRANT SELECT ON TABLE kronos.backtest_specs TO kronos_change_manager;

GRANT INSERT(experiment_id) ON TABLE kronos.backtest_specs TO kronos_orchestrator;

GRANT INSERT(digest) ON TABLE kronos.backtest_specs TO kronos_orchestrator;

GRANT INSERT(spec) ON TABLE kronos.backtest_specs TO kronos_orchestrator;

GRANT SELECT ON TABLE kronos.change_log TO kronos_reader;
GRANT SELECT ON TABLE kronos.change_log TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.change_log TO kronos_chat;
GRANT SELECT ON TABLE kronos.change_log TO kronos_change_manager;

GRANT SELECT ON TABLE kronos.config_proposals TO kronos_reader;
GRANT SELECT ON TABLE kronos.config_proposals TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.config_proposals TO kronos_chat;
GRANT SELECT ON TABLE kronos.config_proposals TO kronos_change_manager;

GRANT UPDATE(status) ON TABLE kronos.config_proposals TO kronos_orchestrator;

GRANT SELECT ON TABLE kronos.control_suites TO kronos_reader;
GRANT SELECT ON TABLE kronos.control_suites TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.control_suites TO kronos_chat;
GRANT SELECT ON TABLE kronos.control_suites TO kronos_change_manager;

GRANT INSERT(suite_id) ON TABLE kronos.control_suites TO kronos_orchestrator;

GRANT INSERT(engine_name) ON TABLE kronos.control_suites TO kronos_orchestrator;

GRANT INSERT(period) ON TABLE kronos.control_suites TO kronos_orchestrator;

GRANT INSERT(seed) ON TABLE kronos.control_suites TO kronos_orchestrator;

GRANT INSERT(policy_digest) ON TABLE kronos.control_suites TO kronos_orchestrator;

GRANT INSERT(code_version) ON TABLE kronos.control_suites TO kronos_orchestrator;

GRANT INSERT(outcomes) ON TABLE kronos.control_suites TO kronos_orchestrator;

GRANT INSERT(planned) ON TABLE kronos.control_suites TO kronos_orchestrator;

GRANT SELECT ON TABLE kronos.engine_configs TO kronos_reader;
GRANT SELECT ON TABLE kronos.engine_configs TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.engine_configs TO kronos_chat;
GRANT SELECT ON TABLE kronos.engine_configs TO kronos_change_manager;

GRANT SELECT ON TABLE kronos.experiment_results TO kronos_reader;
GRANT SELECT ON TABLE kronos.experiment_results TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.experiment_results TO kronos_chat;
GRANT SELECT ON TABLE kronos.experiment_results TO kronos_change_manager;

GRANT INSERT(experiment_id) ON TABLE kronos.experiment_results TO kronos_orchestrator;

GRANT INSERT(period_start) ON TABLE kronos.experiment_results TO kronos_orchestrator;

GRANT INSERT(period_end) ON TABLE kronos.experiment_results TO kronos_orchestrator;

GRANT INSERT(metrics),UPDATE(metrics) ON TABLE kronos.experiment_results TO kronos_orchestrator;

GRANT INSERT(by_regime),UPDATE(by_regime) ON TABLE kronos.experiment_results TO kronos_orchestrator;

GRANT INSERT(by_market),UPDATE(by_market) ON TABLE kronos.experiment_results TO kronos_orchestrator;

GRANT INSERT(by_stability_bucket),UPDATE(by_stability_bucket) ON TABLE kronos.experiment_results TO kronos_orchestrator;

GRANT INSERT(attempt),UPDATE(attempt) ON TABLE kronos.experiment_results TO kronos_orchestrator;

GRANT INSERT(provenance),UPDATE(provenance) ON TABLE kronos.experiment_results TO kronos_orchestrator;

GRANT INSERT(detail),UPDATE(detail) ON TABLE kronos.experiment_results TO kronos_orchestrator;

GRANT SELECT ON TABLE kronos.meta_runs TO kronos_reader;
GRANT SELECT,INSERT ON TABLE kronos.meta_runs TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.meta_runs TO kronos_chat;
GRANT SELECT ON TABLE kronos.meta_runs TO kronos_change_manager;

GRANT UPDATE(requested_at) ON TABLE kronos.meta_runs TO kronos_orchestrator;

GRANT UPDATE(run_id) ON TABLE kronos.meta_runs TO kronos_orchestrator;

GRANT UPDATE(started_at) ON TABLE kronos.meta_runs TO kronos_orchestrator;

GRANT SELECT ON TABLE kronos.migrations TO kronos_reader;
GRANT SELECT ON TABLE kronos.migrations TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.migrations TO kronos_chat;
GRANT SELECT ON TABLE kronos.migrations TO kronos_change_manager;

GRANT SELECT ON TABLE kronos.month_builds TO kronos_reader;
GRANT SELECT,INSERT,UPDATE ON TABLE kronos.month_builds TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.month_builds TO kronos_chat;
GRANT SELECT ON TABLE kronos.month_builds TO kronos_change_manager;

GRANT SELECT ON TABLE kronos.node_readings TO kronos_reader;
GRANT SELECT ON TABLE kronos.node_readings TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.node_readings TO kronos_chat;
GRANT SELECT ON TABLE kronos.node_readings TO kronos_change_manager;

GRANT INSERT(node) ON TABLE kronos.node_readings TO kronos_orchestrator;

GRANT UPDATE(taken_at) ON TABLE kronos.node_readings TO kronos_orchestrator;

GRANT INSERT(reading),UPDATE(reading) ON TABLE kronos.node_readings TO kronos_orchestrator;

GRANT SELECT ON TABLE kronos.promotion_latch TO kronos_reader;
GRANT SELECT ON TABLE kronos.promotion_latch TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.promotion_latch TO kronos_chat;
GRANT SELECT ON TABLE kronos.promotion_latch TO kronos_change_manager;

GRANT SELECT ON TABLE kronos.quarantine TO kronos_reader;
GRANT SELECT,INSERT,DELETE ON TABLE kronos.quarantine TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.quarantine TO kronos_chat;
GRANT SELECT ON TABLE kronos.quarantine TO kronos_change_manager;

GRANT SELECT ON TABLE kronos.report_builds TO kronos_reader;
GRANT SELECT,INSERT ON TABLE kronos.report_builds TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.report_builds TO kronos_chat;
GRANT SELECT ON TABLE kronos.report_builds TO kronos_change_manager;

GRANT UPDATE(label) ON TABLE kronos.report_builds TO kronos_orchestrator;

GRANT UPDATE(inputs) ON TABLE kronos.report_builds TO kronos_orchestrator;

GRANT UPDATE(built_at) ON TABLE kronos.report_builds TO kronos_orchestrator;

GRANT SELECT ON TABLE kronos.sandbox_clock TO kronos_reader;
GRANT SELECT,INSERT,UPDATE ON TABLE kronos.sandbox_clock TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.sandbox_clock TO kronos_chat;
GRANT SELECT ON TABLE kronos.sandbox_clock TO kronos_change_manager;

GRANT SELECT ON TABLE kronos.scheduler_state TO kronos_reader;
GRANT SELECT,INSERT,UPDATE ON TABLE kronos.scheduler_state TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.scheduler_state TO kronos_chat;
GRANT SELECT ON TABLE kronos.scheduler_state TO kronos_change_manager;

GRANT SELECT ON TABLE kronos.scheduling_decisions TO kronos_reader;
GRANT SELECT ON TABLE kronos.scheduling_decisions TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.scheduling_decisions TO kronos_chat;
GRANT SELECT ON TABLE kronos.scheduling_decisions TO kronos_change_manager;

GRANT INSERT(experiment_id) ON TABLE kronos.scheduling_decisions TO kronos_orchestrator;

GRANT INSERT(attempt) ON TABLE kronos.scheduling_decisions TO kronos_orchestrator;

GRANT INSERT(action) ON TABLE kronos.scheduling_decisions TO kronos_orchestrator;

GRANT INSERT(reason) ON TABLE kronos.scheduling_decisions TO kronos_orchestrator;

GRANT INSERT(blocker) ON TABLE kronos.scheduling_decisions TO kronos_orchestrator;

GRANT INSERT(node) ON TABLE kronos.scheduling_decisions TO kronos_orchestrator;

GRANT INSERT(expected_start),UPDATE(expected_start) ON TABLE kronos.scheduling_decisions TO kronos_orchestrator;

GRANT INSERT(leave_by),UPDATE(leave_by) ON TABLE kronos.scheduling_decisions TO kronos_orchestrator;

GRANT INSERT(first_at) ON TABLE kronos.scheduling_decisions TO kronos_orchestrator;

GRANT INSERT(last_at),UPDATE(last_at) ON TABLE kronos.scheduling_decisions TO kronos_orchestrator;

GRANT SELECT ON TABLE kronos.superseded_results TO kronos_reader;
GRANT SELECT ON TABLE kronos.superseded_results TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.superseded_results TO kronos_chat;
GRANT SELECT ON TABLE kronos.superseded_results TO kronos_change_manager;

GRANT SELECT ON TABLE kronos.trials TO kronos_reader;
GRANT SELECT ON TABLE kronos.trials TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.trials TO kronos_chat;
GRANT SELECT ON TABLE kronos.trials TO kronos_change_manager;

GRANT SELECT ON TABLE kronos.tried_configs TO kronos_reader;
GRANT SELECT ON TABLE kronos.tried_configs TO kronos_orchestrator;
GRANT SELECT ON TABLE kronos.tried_configs TO kronos_chat;
GRANT SELECT ON TABLE kronos.tried_configs TO kronos_change_manager;

GRANT SELECT ON TABLE source.decision_outcomes TO kronos_reader;
GRANT SELECT ON TABLE source.decision_outcomes TO kronos_orchestrator;
GRANT SELECT ON TABLE source.decision_outcomes TO kronos_chat;
GRANT SELECT ON TABLE source.decision_outcomes TO kronos_change_manager;
GRANT SELECT,INSERT,DELETE,TRUNCATE,UPDATE ON TABLE source.decision_outcomes TO kronos_upstream;

GRANT SELECT ON TABLE source.engine_decisions TO kronos_reader;
GRANT SELECT ON TABLE source.engine_decisions TO kronos_orchestrator;
GRANT SELECT ON TABLE source.engine_decisions TO kronos_chat;
GRANT SELECT ON TABLE source.engine_decisions TO kronos_change_manager;
GRANT SELECT,INSERT,DELETE,TRUNCATE,UPDATE ON TABLE source.engine_decisions TO kronos_upstream;

GRANT SELECT ON TABLE source.engine_runs TO kronos_reader;
GRANT SELECT ON TABLE source.engine_runs TO kronos_orchestrator;
GRANT SELECT ON TABLE source.engine_runs TO kronos_chat;
GRANT SELECT ON TABLE source.engine_runs TO kronos_change_manager;
GRANT SELECT,INSERT,DELETE,TRUNCATE,UPDATE ON TABLE source.engine_runs TO kronos_upstream;

GRANT SELECT ON TABLE source.fragility_measures TO kronos_reader;
GRANT SELECT ON TABLE source.fragility_measures TO kronos_orchestrator;
GRANT SELECT ON TABLE source.fragility_measures TO kronos_chat;
GRANT SELECT ON TABLE source.fragility_measures TO kronos_change_manager;
GRANT SELECT,INSERT,DELETE,TRUNCATE,UPDATE ON TABLE source.fragility_measures TO kronos_upstream;

GRANT SELECT ON TABLE source.job_executions TO kronos_reader;
GRANT SELECT ON TABLE source.job_executions TO kronos_orchestrator;
GRANT SELECT ON TABLE source.job_executions TO kronos_chat;
GRANT SELECT ON TABLE source.job_executions TO kronos_change_manager;
GRANT SELECT,INSERT,DELETE,TRUNCATE,UPDATE ON TABLE source.job_executions TO kronos_upstream;

GRANT SELECT ON TABLE source.models TO kronos_reader;
GRANT SELECT ON TABLE source.models TO kronos_orchestrator;
GRANT SELECT ON TABLE source.models TO kronos_chat;
GRANT SELECT ON TABLE source.models TO kronos_change_manager;
GRANT SELECT,INSERT,DELETE,TRUNCATE,UPDATE ON TABLE source.models TO kronos_upstream;

GRANT SELECT ON TABLE source.portfolio_risk_reports TO kronos_reader;
GRANT SELECT ON TABLE source.portfolio_risk_reports TO kronos_orchestrator;
GRANT SELECT ON TABLE source.portfolio_risk_reports TO kronos_chat;
GRANT SELECT ON TABLE source.portfolio_risk_reports TO kronos_change_manager;
GRANT SELECT,INSERT,DELETE,TRUNCATE,UPDATE ON TABLE source.portfolio_risk_reports TO kronos_upstream;

GRANT SELECT ON TABLE source.regimes TO kronos_reader;
GRANT SELECT ON TABLE source.regimes TO kronos_orchestrator;
GRANT SELECT ON TABLE source.regimes TO kronos_chat;
GRANT SELECT ON TABLE source.regimes TO kronos_change_manager;
GRANT SELECT,INSERT,DELETE,TRUNCATE,UPDATE ON TABLE source.regimes TO kronos_upstream;

GRANT SELECT ON TABLE source.soft_target_classes TO kronos_reader;
GRANT SELECT ON TABLE source.soft_target_classes TO kronos_orchestrator;
GRANT SELECT ON TABLE source.soft_target_classes TO kronos_chat;
GRANT SELECT ON TABLE source.soft_target_classes TO kronos_change_manager;
GRANT SELECT,INSERT,DELETE,TRUNCATE,UPDATE ON TABLE source.soft_target_classes TO kronos_upstream;

GRANT SELECT ON TABLE source.stability_vectors TO kronos_reader;
GRANT SELECT ON TABLE source.stability_vectors TO kronos_orchestrator;
GRANT SELECT ON TABLE source.stability_vectors TO kronos_chat;
GRANT SELECT ON TABLE source.stability_vectors TO kronos_change_manager;
GRANT SELECT,INSERT,DELETE,TRUNCATE,UPDATE ON TABLE source.stability_vectors TO kronos_upstream;

ALTER DEFAULT PRIVILEGES FOR ROLE kronos IN SCHEMA kronos GRANT SELECT ON TABLES TO kronos_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE kronos IN SCHEMA kronos GRANT SELECT ON TABLES TO kronos_orchestrator;
ALTER DEFAULT PRIVILEGES FOR ROLE kronos IN SCHEMA kronos GRANT SELECT ON TABLES TO kronos_chat;
ALTER DEFAULT PRIVILEGES FOR ROLE kronos IN SCHEMA kronos GRANT SELECT ON TABLES TO kronos_change_manager;

ALTER DEFAULT PRIVILEGES FOR ROLE kronos IN SCHEMA source GRANT USAGE ON SEQUENCES TO kronos_upstream;

ALTER DEFAULT PRIVILEGES FOR ROLE kronos IN SCHEMA source GRANT SELECT ON TABLES TO kronos_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE kronos IN SCHEMA source GRANT SELECT ON TABLES TO kronos_orchestrator;
ALTER DEFAULT PRIVILEGES FOR ROLE kronos IN SCHEMA source GRANT SELECT ON TABLES TO kronos_chat;
ALTER DEFAULT PRIVILEGES FOR ROLE kronos IN SCHEMA source GRANT SELECT ON TABLES TO kronos_change_manager;
ALTER DEFAULT PRIVILEGES FOR ROLE kronos IN SCHEMA source GRANT SELECT,INSERT,DELETE,UPDATE ON TABLES TO kronos_upstream;

ALTER DEFAULT PRIVILEGES FOR ROLE kronos REVOKE ALL ON FUNCTIONS FROM PUBLIC;
