-- Backtests of experiments: their specs, attempts and checkpoints, and what the scheduler decided about them.
-- An attempt is fenced by its number: what an earlier one still writes is refused.

ALTER TABLE kronos.experiment_results
    ADD COLUMN detail jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(detail) = 'object');
ALTER TABLE kronos.superseded_results ADD COLUMN detail jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN kronos.experiment_results.detail IS
    'What goes with the numbers: intervals, observations, reasons, scenarios, and the configs run beside.';

CREATE TABLE kronos.backtest_specs (
    experiment_id uuid NOT NULL REFERENCES kronos.experiments,
    digest text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    spec jsonb NOT NULL CHECK (jsonb_typeof(spec) = 'object'),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (experiment_id, digest)
);
COMMENT ON TABLE kronos.backtest_specs IS 'One row per backtest that was ever begun: enough to run it again.';

CREATE TABLE kronos.backtest_attempts (
    experiment_id uuid NOT NULL REFERENCES kronos.experiments,
    attempt integer NOT NULL CHECK (attempt > 0),
    node text NOT NULL CHECK (node <> ''),
    batch uuid NOT NULL,
    admitted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    leave_by timestamptz,
    pieces integer NOT NULL DEFAULT 1 CHECK (pieces >= 1),
    pieces_before integer NOT NULL DEFAULT 0 CHECK (pieces_before >= 0),
    run_id text,
    started_at timestamptz,
    told_at timestamptz,
    told_why text,
    forced boolean NOT NULL DEFAULT false,
    ended_at timestamptz,
    outcome text CONSTRAINT backtest_attempts_outcome
        CHECK (outcome IN ('COMPLETED', 'PREEMPTED', 'CRASHED', 'LOST', 'CANCELLED')),
    pieces_after integer,
    why text,
    PRIMARY KEY (experiment_id, attempt),
    CONSTRAINT backtest_attempts_end CHECK ((outcome IS NULL) = (ended_at IS NULL)),
    CONSTRAINT backtest_attempts_start CHECK ((started_at IS NULL) = (run_id IS NULL))
);
CREATE UNIQUE INDEX backtest_attempts_one_open ON kronos.backtest_attempts (experiment_id) WHERE outcome IS NULL;
COMMENT ON TABLE kronos.backtest_attempts IS 'One row per start of an experiment''s backtests, by the attempt''s number.';
COMMENT ON COLUMN kronos.backtest_attempts.batch IS 'Experiment whose run this is: another''s where controls share a run.';
COMMENT ON COLUMN kronos.backtest_attempts.leave_by IS 'When it begins to leave by itself, whether or not anyone tells it to.';
COMMENT ON COLUMN kronos.backtest_attempts.run_id IS 'The one Dagster run that took it up.';
COMMENT ON COLUMN kronos.backtest_attempts.told_at IS 'When the scheduler told it to leave.';

CREATE TABLE kronos.backtest_pieces (
    experiment_id uuid NOT NULL,
    digest text NOT NULL,
    code_version text NOT NULL,
    piece text NOT NULL CHECK (piece <> ''),
    attempt integer NOT NULL,
    lake jsonb NOT NULL CHECK (jsonb_typeof(lake) = 'object'),
    counts jsonb NOT NULL CHECK (jsonb_typeof(counts) = 'object'),
    seconds double precision NOT NULL CHECK (seconds >= 0),
    refused text,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (experiment_id, digest, code_version, piece),
    FOREIGN KEY (experiment_id, digest) REFERENCES kronos.backtest_specs,
    FOREIGN KEY (experiment_id, attempt) REFERENCES kronos.backtest_attempts
);
COMMENT ON TABLE kronos.backtest_pieces IS 'One row per checkpoint: a piece of a backtest whose rows are in the lake.';
COMMENT ON COLUMN kronos.backtest_pieces.refused IS 'Why a scenario could not be played; null: it was.';
COMMENT ON COLUMN kronos.backtest_pieces.lake IS 'Per lake table the version the piece was written in.';

CREATE TABLE kronos.scheduling_decisions (
    decision_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    experiment_id uuid NOT NULL REFERENCES kronos.experiments,
    attempt integer NOT NULL,
    action text NOT NULL CHECK (action IN ('ADMIT', 'WAIT', 'KEEP', 'PREEMPT')),
    reason text NOT NULL CHECK (reason <> ''),
    blocker text NOT NULL,
    node text NOT NULL,
    expected_start timestamptz,
    leave_by timestamptz,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL
);
CREATE INDEX scheduling_decisions_by_experiment ON kronos.scheduling_decisions (experiment_id, decision_id DESC);
COMMENT ON TABLE kronos.scheduling_decisions IS
    'One row per decision about an experiment, for as long as every plan said the same: from first_at to last_at.';

CREATE TABLE kronos.scheduler_state (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    planned_at timestamptz NOT NULL,
    nodes jsonb NOT NULL,
    tier1 jsonb NOT NULL,
    windows jsonb NOT NULL,
    counts jsonb NOT NULL
);
COMMENT ON TABLE kronos.scheduler_state IS 'What the last plan saw: readings of the nodes, tier 1, the next windows.';

CREATE TABLE kronos.node_readings (
    node text PRIMARY KEY CHECK (node <> ''),
    taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reading jsonb NOT NULL CHECK (jsonb_typeof(reading) = 'object')
);
COMMENT ON TABLE kronos.node_readings IS 'One row per machine: its size and what was in use there without the backtests.';

CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON kronos.backtest_specs
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();
CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.backtest_attempts
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();
CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON kronos.backtest_pieces
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();
CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.scheduling_decisions
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

-- Refuses whatever is not of the attempt that holds the experiment now.
CREATE FUNCTION kronos.require_attempt(of_experiment uuid, of_attempt integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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

-- An attempt begins with the experiment's, is taken up once and ends once.
CREATE FUNCTION kronos.keep_attempt_rules() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changing text[] := ARRAY[
        'told_at', 'told_why', 'forced', 'ended_at', 'outcome', 'why', 'pieces', 'pieces_before', 'pieces_after'
    ];
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM kronos.require_attempt(NEW.experiment_id, NEW.attempt);
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
CREATE TRIGGER rules BEFORE INSERT OR UPDATE ON kronos.backtest_attempts
    FOR EACH ROW EXECUTE FUNCTION kronos.keep_attempt_rules();

CREATE FUNCTION kronos.keep_piece_rules() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kronos.require_attempt(NEW.experiment_id, NEW.attempt);
    RETURN NEW;
END
$$;
CREATE TRIGGER rules BEFORE INSERT ON kronos.backtest_pieces
    FOR EACH ROW EXECUTE FUNCTION kronos.keep_piece_rules();

-- An experiment that leaves RUNNING_BACKTESTS ends its attempt in the same transaction.
CREATE FUNCTION kronos.require_ended_attempt() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
CREATE CONSTRAINT TRIGGER ended AFTER UPDATE OF status ON kronos.experiments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION kronos.require_ended_attempt();

-- As in 0011, with `detail` among what a later backtest may replace.
CREATE OR REPLACE FUNCTION kronos.keep_result_rules() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    experiment kronos.experiments;
    numbers text[] := ARRAY['metrics', 'by_regime', 'by_market', 'by_stability_bucket', 'detail', 'provenance'];
BEGIN
    SELECT * INTO experiment FROM kronos.experiments WHERE experiment_id = NEW.experiment_id FOR SHARE;
    IF experiment.status NOT IN ('RUNNING_BACKTESTS', 'AWAITING_REVIEW') OR NEW.attempt <> experiment.attempt THEN
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

GRANT INSERT (detail), UPDATE (detail) ON kronos.experiment_results TO kronos_orchestrator;
GRANT INSERT (experiment_id, digest, spec) ON kronos.backtest_specs TO kronos_orchestrator;
GRANT INSERT (experiment_id, attempt, node, batch, leave_by, pieces, pieces_before) ON kronos.backtest_attempts
    TO kronos_orchestrator;
GRANT UPDATE (
    run_id, started_at, pieces, pieces_before, told_at, told_why, forced, ended_at, outcome, pieces_after, why
) ON kronos.backtest_attempts TO kronos_orchestrator;
GRANT INSERT (experiment_id, digest, code_version, piece, attempt, lake, counts, seconds, refused) ON kronos.backtest_pieces
    TO kronos_orchestrator;
GRANT INSERT (experiment_id, attempt, action, reason, blocker, node, expected_start, leave_by, first_at, last_at)
    ON kronos.scheduling_decisions TO kronos_orchestrator;
GRANT UPDATE (expected_start, leave_by, last_at) ON kronos.scheduling_decisions TO kronos_orchestrator;
GRANT INSERT, UPDATE ON kronos.scheduler_state TO kronos_orchestrator;
GRANT INSERT (node, reading), UPDATE (reading, taken_at) ON kronos.node_readings TO kronos_orchestrator;
