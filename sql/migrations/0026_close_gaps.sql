-- Gaps that were left around the way to a live config: a turn that anybody could take and keep, answers to alerts under
-- other people's names, suites of experiments that are not theirs, verdicts without results, and reasons against a
-- promotion that were told in two places.

-- Whoever changes something waits for this turn. The table is the owner's alone, so the turn is taken by the functions
-- that begin a change and in no other way: an advisory lock could be held by everybody who can log in, for ever. Who
-- reads the table waits for nobody.
CREATE OR REPLACE FUNCTION kronos.lock_change_log() RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    LOCK TABLE kronos.changes_under_way IN EXCLUSIVE MODE
$$;

-- Every change of an incumbent is in the change log, so its turn is the incumbents' as well.
CREATE OR REPLACE FUNCTION kronos.lock_incumbent(engine text, within text) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT kronos.lock_change_log()
$$;

-- Who answers an alert is whom his token says, as everywhere.
DROP FUNCTION kronos.acknowledge_alert(bigint, text, text);
CREATE FUNCTION kronos.acknowledge_alert(wanted bigint, author text, why text, token text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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

DROP FUNCTION kronos.close_alert(bigint, text, text);
CREATE FUNCTION kronos.close_alert(wanted bigint, author text, why text, token text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kronos.begin_change(author, why, token => token);
    UPDATE kronos.alerts SET state = 'CLOSED', closed_by = author, closed_at = now(), closed_reason = why
        WHERE alert_id = wanted;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'alert % does not exist', wanted USING ERRCODE = 'no_data_found';
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION
    kronos.acknowledge_alert(bigint, text, text, text), kronos.close_alert(bigint, text, text, text)
    TO kronos_change_manager;

-- Why a gate says what it says: the reasons of the findings that made its verdict, each once.
CREATE FUNCTION kronos.gate_reasons(report jsonb, of_gate text) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(DISTINCT (finding ->> 'reason') COLLATE "C"), '[]')
    FROM jsonb_array_elements(report -> 'gates') AS each_gate (gate)
    CROSS JOIN jsonb_array_elements(gate -> 'findings') AS each_finding (finding)
    WHERE gate ->> 'gate' = of_gate AND finding ->> 'verdict' = gate ->> 'verdict'
$$;
GRANT EXECUTE ON FUNCTION kronos.gate_reasons(jsonb, text)
    TO kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;

-- As in 0024, and each control says in its own experiment that it is of this suite, and what is expected of it. A gate
-- has to refuse a negative for a reason that is expected; suites that were planned before reasons were expect none.

CREATE OR REPLACE FUNCTION kronos.keep_suite_rules() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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

-- The same result of a later attempt is that attempt's: its verdict is of it.

CREATE OR REPLACE FUNCTION kronos.keep_result_rules() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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

-- As in 0024, and a verdict is of results.

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

-- What stands against approving or promoting an experiment by its verdict now, in the order in which it is told.
CREATE FUNCTION kronos.against_verdict(wanted uuid) RETURNS TABLE (rule text, why text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
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

CREATE FUNCTION kronos.against_latch(engine text) RETURNS TABLE (rule text, why text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'promotions_latch', format('the promotion latch of %s is closed: %s', engine, string_agg(cause, ', '))
    FROM kronos.latch_causes(engine) HAVING count(*) > 0
$$;

CREATE FUNCTION kronos.against_code(judged kronos.experiment_verdicts) RETURNS TABLE (rule text, why text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
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

CREATE FUNCTION kronos.against_schedule(experiment uuid) RETURNS TABLE (rule text, why text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'promotions_one_scheduled',
        format('experiment %s has a promotion scheduled for %s: cancel that first', experiment, activates_at)
    FROM kronos.promotions WHERE experiment_id = experiment AND status = 'SCHEDULED'
$$;

-- Everything that stands against promoting a judged experiment now, but for an approval; no row: nothing. What approve
-- and promote refuse is said by the same functions, one by one.
CREATE FUNCTION kronos.against_promotion(experiment uuid) RETURNS TABLE (rule text, why text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
GRANT EXECUTE ON FUNCTION kronos.against_promotion(uuid)
    TO kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;

-- The functions that refuse by them.
CREATE OR REPLACE FUNCTION kronos.require_pass(wanted uuid) RETURNS kronos.experiment_verdicts
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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

CREATE OR REPLACE FUNCTION kronos.require_open_latch(engine text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kronos.refuse_change(rule, why) FROM kronos.against_latch(engine);
END
$$;

CREATE OR REPLACE FUNCTION kronos.require_proven_code(judged kronos.experiment_verdicts) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kronos.refuse_change(rule, why) FROM kronos.against_code(judged);
END
$$;

CREATE OR REPLACE FUNCTION kronos.refuse_while_scheduled(experiment uuid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kronos.refuse_change(rule, why) FROM kronos.against_schedule(experiment);
END
$$;
