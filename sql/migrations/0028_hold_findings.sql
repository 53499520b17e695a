-- A verdict followed from its gates, and a gate from nothing: seven that pass could hold findings that fail, or none.

-- The gravest of these verdicts, as `kronos.core.gates.model.worst` says it; of none INVALID, as nothing shown is never a
-- pass; no answer to a word that is no verdict.
CREATE FUNCTION kronos.gravest(verdicts text[]) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH known (severity) AS (VALUES (ARRAY['FAIL', 'INVALID', 'INCONCLUSIVE', 'PASS']))
    SELECT CASE WHEN verdicts <@ severity THEN coalesce(severity[(
        SELECT min(array_position(severity, one)) FROM unnest(verdicts) AS one
    )], 'INVALID') END FROM known
$$;

-- What the findings of a gate say; a null for each that says no verdict, and for findings that are no list.
CREATE FUNCTION kronos.finding_verdicts(gate jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(finding ->> 'verdict'), '{}') FROM jsonb_array_elements(
        CASE WHEN jsonb_typeof(gate -> 'findings') = 'array' THEN gate -> 'findings' ELSE '[null]' END
    ) AS finding
$$;

-- A verdict is of the attempt whose results stand, under the policy in force, no better and no worse than its gravest
-- gate, and each gate than its gravest finding.
CREATE OR REPLACE FUNCTION kronos.keep_verdict_rules() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
