-- Ways past the only path to a live config that were open beside it, closed.

-- At the commit every activation but the first of its engine, in whatever scope, has the promotion or rollback it is of:
-- a market's own config goes before the one for everywhere, so it is a change like any other.
CREATE OR REPLACE FUNCTION kronos.require_promotion() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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

-- For the first config of an engine: with nothing to compare it with there is no verdict. Nobody shows a token here, so
-- the author is no principal; and none begins in a time to come, after which every later one would have to be.
CREATE OR REPLACE FUNCTION kronos.activate_config(
    engine text, new_id text, author text, why text, at timestamptz, expected text, within text
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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

-- What begin_change said lies in a table that no role can read or write: settings of a transaction are anyone's to set.
-- A crash may empty it, since what a transaction said is of use to that transaction alone.
CREATE UNLOGGED TABLE kronos.changes_under_way (
    transaction xid8 PRIMARY KEY,
    author text NOT NULL,
    reason text,
    run text,
    lake jsonb,
    code text
);
COMMENT ON TABLE kronos.changes_under_way IS 'One row per transaction that has begun a change: who changes what, and why.';
REVOKE ALL ON kronos.changes_under_way FROM kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;

CREATE OR REPLACE FUNCTION kronos.enter_change(
    author text, why text DEFAULT NULL, run text DEFAULT NULL, lake jsonb DEFAULT NULL, code text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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

-- What begin_change said in this transaction, null where nothing was said.
CREATE OR REPLACE FUNCTION kronos.said(what text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT to_jsonb(said) ->> what FROM kronos.changes_under_way AS said
    WHERE transaction = pg_current_xact_id_if_assigned()
$$;

-- The outcomes say what the verdicts themselves say, and the counts follow from them. A positive has to pass. A negative
-- must not, and its gate has to say one of the expected verdicts. The verdicts are fresh, and each control is told of
-- once: nothing that an earlier suite told of, or that no longer awaits its review, proves a policy again.
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

-- A result is written by the attempt that holds the experiment, while its backtests run and no later: what awaits its
-- review stands, so that what was judged is what is approved. A backtest of the same period in a later attempt replaces
-- it and keeps it among the superseded ones.
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

-- Activations go by the sandbox's clock where there is one, so none begins where people have a part in changes: it could
-- make a scheduled promotion due. The first admin is there before the sandbox is. The lock first: who adds a principal
-- or approves holds it until he commits.
CREATE FUNCTION kronos.keep_sandbox_first() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
CREATE TRIGGER begins BEFORE INSERT ON kronos.sandbox_clock
    FOR EACH ROW EXECUTE FUNCTION kronos.keep_sandbox_first();
