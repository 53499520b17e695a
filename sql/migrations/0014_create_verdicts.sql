-- Gate policies, the verdicts reached under them, and the suites of controls that prove a policy. All three only grow.

CREATE TABLE kronos.gate_policies (
    engine_name text NOT NULL CHECK (engine_name <> ''),
    version integer NOT NULL CHECK (version >= 1),
    digest text NOT NULL,
    body jsonb NOT NULL CONSTRAINT gate_policies_body CHECK (jsonb_typeof(body) = 'object'),
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    reason text NOT NULL CONSTRAINT gate_policies_reason CHECK (reason ~ '\S'),
    PRIMARY KEY (engine_name, version),
    CONSTRAINT gate_policies_digest CHECK (digest = kronos.canonical_hash(body))
);
COMMENT ON TABLE kronos.gate_policies IS 'One row per version of the gates'' thresholds, for an engine or (`*`) for all others.';
COMMENT ON COLUMN kronos.gate_policies.digest IS 'Canonical hash of the body; what approvals and suites are bound to.';

CREATE TABLE kronos.experiment_verdicts (
    verdict_id uuid PRIMARY KEY,
    experiment_id uuid NOT NULL REFERENCES kronos.experiments,
    attempt integer NOT NULL,
    look integer NOT NULL CHECK (look >= 1),
    engine_name text NOT NULL,
    scope text NOT NULL DEFAULT '*',
    proposed_config_id text NOT NULL,
    base_config_id text NOT NULL,
    incumbent text,
    verdict text NOT NULL CONSTRAINT experiment_verdicts_verdict
        CHECK (verdict IN ('PASS', 'FAIL', 'INCONCLUSIVE', 'INVALID')),
    recommendation text NOT NULL CONSTRAINT experiment_verdicts_recommendation
        CHECK (recommendation IN ('ADOPT', 'REJECT', 'CONTINUE_TESTING')),
    refused_by text[] NOT NULL,
    report jsonb NOT NULL CHECK (jsonb_typeof(report) = 'object'),
    policy_engine text NOT NULL,
    policy_version integer NOT NULL,
    policy_digest text NOT NULL,
    evidence_digest text NOT NULL CHECK (evidence_digest ~ '^[0-9a-f]{64}$'),
    evidence text NOT NULL
        CONSTRAINT experiment_verdicts_evidence CHECK (evidence IN ('AUTO_PRESCREEN', 'HUMAN_TRIGGERED', 'CONTROL')),
    data_until date NOT NULL,
    lake jsonb NOT NULL CHECK (jsonb_typeof(lake) = 'object'),
    code_version text NOT NULL,
    judged_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT experiment_verdicts_policy FOREIGN KEY (policy_engine, policy_version)
        REFERENCES kronos.gate_policies (engine_name, version),
    CONSTRAINT experiment_verdicts_once UNIQUE (experiment_id, attempt, evidence_digest, policy_digest),
    CONSTRAINT experiment_verdicts_adopt CHECK ((recommendation = 'ADOPT') = (verdict = 'PASS'))
);
CREATE INDEX experiment_verdicts_by_experiment ON kronos.experiment_verdicts (experiment_id, judged_at DESC);
COMMENT ON TABLE kronos.experiment_verdicts IS 'One row per judgement of an experiment''s evidence under a gate policy.';
COMMENT ON COLUMN kronos.experiment_verdicts.look IS 'How often fresh evidence of this experiment was looked at: each look spends alpha.';
COMMENT ON COLUMN kronos.experiment_verdicts.refused_by IS 'The gates that did not pass, in the gates'' order.';
COMMENT ON COLUMN kronos.experiment_verdicts.report IS 'Every gate with its findings, and what was tested on what.';
COMMENT ON COLUMN kronos.experiment_verdicts.evidence_digest IS 'SHA-256 of what was judged.';
COMMENT ON COLUMN kronos.experiment_verdicts.lake IS 'Per lake table the version that holds the evidence.';
COMMENT ON COLUMN kronos.experiment_verdicts.expires_at IS 'From when the evidence is stale: nothing is approved or promoted on it.';

CREATE TABLE kronos.control_suites (
    suite_id uuid PRIMARY KEY,
    engine_name text NOT NULL,
    period text NOT NULL CONSTRAINT control_suites_period CHECK (period ~ '^\d{4}-W\d\d$'),
    seed integer NOT NULL,
    policy_digest text NOT NULL,
    code_version text NOT NULL,
    outcomes jsonb NOT NULL CHECK (jsonb_typeof(outcomes) = 'array'),
    planned integer NOT NULL,
    unexpected integer NOT NULL,
    missed_positives integer NOT NULL,
    completed_at timestamptz NOT NULL,
    CONSTRAINT control_suites_complete CHECK (planned > 0 AND jsonb_array_length(outcomes) = planned),
    CONSTRAINT control_suites_once UNIQUE (engine_name, period, seed, policy_digest, code_version)
);
COMMENT ON TABLE kronos.control_suites IS 'One row per engine, week and seed: what the gates said of every control.';
COMMENT ON COLUMN kronos.control_suites.period IS 'ISO week of the data''s clock.';
COMMENT ON COLUMN kronos.control_suites.outcomes IS 'Per control: what was expected of which gate, and what came.';
COMMENT ON COLUMN kronos.control_suites.unexpected IS 'Negative controls that the gates did not refuse as they should.';

CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON kronos.gate_policies
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();
CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON kronos.experiment_verdicts
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();
CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON kronos.control_suites
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

-- The policy an engine is judged by now: the newest of its own, else the newest for all; no row before the first one.
CREATE FUNCTION kronos.gate_policy_in_force(engine text) RETURNS SETOF kronos.gate_policies
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM kronos.gate_policies WHERE engine_name IN (engine, '*')
    ORDER BY engine_name = '*', version DESC LIMIT 1
$$;

-- Only for the functions that say who may: begin_gate_policy below, and set_gate_policy (0015) for people.
CREATE FUNCTION kronos.add_gate_policy(engine text, new_body jsonb, expected integer) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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

-- The defaults that come with Kronos become version 1 for all engines where there is no policy yet.
CREATE FUNCTION kronos.begin_gate_policy(new_body jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kronos.begin_change('Kronos', 'the defaults that come with Kronos');
    IF NOT EXISTS (SELECT FROM kronos.gate_policies) THEN
        PERFORM kronos.add_gate_policy('*', new_body, 0);
    END IF;
END
$$;

-- A verdict is of the attempt whose results stand, under the policy in force, and no better than the worst of its gates.
CREATE FUNCTION kronos.keep_verdict_rules() RETURNS trigger
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
    NEW.look := 1 + (SELECT count(DISTINCT attempt) FROM kronos.experiment_verdicts
        WHERE experiment_id = NEW.experiment_id AND attempt <> NEW.attempt);
    NEW.judged_at := clock_timestamp();
    NEW.expires_at := NEW.judged_at + make_interval(days => (policy.body -> 'evidence' ->> 'expires_days')::integer);
    RETURN NEW;
END
$$;
CREATE TRIGGER rules BEFORE INSERT ON kronos.experiment_verdicts
    FOR EACH ROW EXECUTE FUNCTION kronos.keep_verdict_rules();

CREATE FUNCTION kronos.log_verdict() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kronos.log_change('verdict', NEW.experiment_id::text, NULL, NEW.verdict, NEW.evidence, NULL,
        jsonb_build_object('verdict_id', NEW.verdict_id, 'attempt', NEW.attempt, 'look', NEW.look,
            'refused_by', NEW.refused_by, 'policy_digest', NEW.policy_digest,
            'evidence_digest', NEW.evidence_digest, 'incumbent', NEW.incumbent));
    RETURN NULL;
END
$$;
CREATE TRIGGER logged AFTER INSERT ON kronos.experiment_verdicts
    FOR EACH ROW EXECUTE FUNCTION kronos.log_verdict();

-- What one gate said in a verdict's report.
CREATE FUNCTION kronos.gate_verdict(report jsonb, of_gate text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT gate ->> 'verdict' FROM jsonb_array_elements(report -> 'gates') AS each_gate (gate)
    WHERE gate ->> 'gate' = of_gate
$$;

-- The outcomes say what the verdicts themselves say, and the counts follow from them. A positive has to pass. A negative
-- must not, and its gate has to say one of the expected verdicts.
CREATE FUNCTION kronos.keep_suite_rules() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wrong text;
BEGIN
    PERFORM kronos.change_author();
    SELECT string_agg(outcome ->> 'control', ', ') INTO wrong
        FROM jsonb_array_elements(NEW.outcomes) AS each_outcome (outcome)
        LEFT JOIN kronos.experiment_verdicts AS judged ON judged.verdict_id = (outcome ->> 'verdict_id')::uuid
        WHERE judged.verdict IS DISTINCT FROM outcome ->> 'verdict'
            OR judged.experiment_id IS DISTINCT FROM (outcome ->> 'experiment_id')::uuid
            OR judged.engine_name IS DISTINCT FROM NEW.engine_name
            OR judged.evidence IS DISTINCT FROM 'CONTROL'
            OR judged.policy_digest IS DISTINCT FROM NEW.policy_digest
            OR (outcome -> 'expected_verdicts' ? 'PASS') IS DISTINCT FROM (outcome -> 'expected_verdicts' = '["PASS"]')
            OR (outcome ->> 'as_expected')::boolean IS DISTINCT FROM CASE outcome -> 'expected_verdicts'
                WHEN '["PASS"]' THEN judged.verdict = 'PASS'
                ELSE judged.verdict <> 'PASS' AND outcome -> 'expected_verdicts'
                    ? kronos.gate_verdict(judged.report, outcome ->> 'expected_gate')
            END;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'outcomes of controls % are not those of their verdicts', wrong
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'control_suites_as_judged';
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
CREATE TRIGGER rules BEFORE INSERT ON kronos.control_suites
    FOR EACH ROW EXECUTE FUNCTION kronos.keep_suite_rules();

CREATE FUNCTION kronos.log_suite() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kronos.log_change('control_suite', NEW.engine_name || ' ' || NEW.period, NULL,
        CASE WHEN NEW.unexpected = 0 THEN 'AS_EXPECTED' ELSE 'UNEXPECTED' END, 'CONTROL', NULL,
        jsonb_build_object('suite_id', NEW.suite_id, 'seed', NEW.seed, 'planned', NEW.planned,
            'unexpected', NEW.unexpected, 'missed_positives', NEW.missed_positives,
            'policy_digest', NEW.policy_digest));
    RETURN NULL;
END
$$;
CREATE TRIGGER logged AFTER INSERT ON kronos.control_suites FOR EACH ROW EXECUTE FUNCTION kronos.log_suite();

GRANT EXECUTE ON FUNCTION kronos.gate_policy_in_force(text)
    TO kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;
GRANT EXECUTE ON FUNCTION kronos.gate_verdict(jsonb, text)
    TO kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;
GRANT EXECUTE ON FUNCTION kronos.begin_gate_policy(jsonb) TO kronos_orchestrator;
GRANT INSERT (
    verdict_id, experiment_id, attempt, incumbent, verdict, recommendation, report, policy_engine, policy_version,
    policy_digest, evidence_digest, data_until, lake, code_version
) ON kronos.experiment_verdicts TO kronos_orchestrator;
GRANT INSERT (suite_id, engine_name, period, seed, policy_digest, code_version, outcomes, planned)
    ON kronos.control_suites TO kronos_orchestrator;
