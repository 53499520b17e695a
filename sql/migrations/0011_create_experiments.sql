-- Experiments, their results, and the proposals they come from. Who changes what is said by kronos.begin_change at the
-- start of a transaction; triggers allow only the edges of the two state machines and write the change log.

CREATE TABLE kronos.config_proposals (
    proposal_id uuid PRIMARY KEY,
    engine_name text NOT NULL,
    base_config_id text NOT NULL,
    proposed_config_body jsonb NOT NULL
        CONSTRAINT config_proposals_body CHECK (jsonb_typeof(proposed_config_body) = 'object'),
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    status text NOT NULL DEFAULT 'PENDING_REVIEW'
        CONSTRAINT config_proposals_status CHECK (status IN ('PENDING_REVIEW', 'CONVERTED_TO_EXPERIMENT', 'DISCARDED')),
    metadata jsonb NOT NULL DEFAULT '{}' CONSTRAINT config_proposals_metadata CHECK (jsonb_typeof(metadata) = 'object'),
    CONSTRAINT config_proposals_base FOREIGN KEY (engine_name, base_config_id)
        REFERENCES kronos.engine_configs (engine_name, config_id),
    CONSTRAINT config_proposals_reason CHECK (status <> 'DISCARDED' OR coalesce(metadata ->> 'reason', '') ~ '\S')
);
CREATE INDEX config_proposals_by_status ON kronos.config_proposals (status, created_at);
COMMENT ON TABLE kronos.config_proposals IS 'One row per config someone, the chat or Kronos proposes; its content never changes.';

CREATE TABLE kronos.experiments (
    experiment_id uuid PRIMARY KEY,
    engine_name text NOT NULL,
    base_config_id text NOT NULL,
    proposed_config_id text NOT NULL CONSTRAINT experiments_config_of_its_own UNIQUE,
    description text NOT NULL CONSTRAINT experiments_description CHECK (description ~ '\S'),
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    status text NOT NULL DEFAULT 'PENDING' CONSTRAINT experiments_status CHECK (status IN (
        'PENDING', 'QUEUED_FOR_BACKTEST', 'RUNNING_BACKTESTS', 'AWAITING_REVIEW', 'APPROVED', 'REJECTED'
    )),
    priority integer NOT NULL DEFAULT 5 CONSTRAINT experiments_priority CHECK (priority BETWEEN 0 AND 9),
    auto_generated boolean NOT NULL DEFAULT false,
    resource_class text NOT NULL DEFAULT 'CPU_HEAVY'
        CONSTRAINT experiments_resource_class CHECK (resource_class IN ('CPU_HEAVY', 'GPU_HEAVY', 'MIXED')),
    expected_outcome text NOT NULL DEFAULT 'CANDIDATE' CONSTRAINT experiments_expected_outcome
        CHECK (expected_outcome IN ('BASELINE', 'CANDIDATE', 'NEGATIVE_CONTROL', 'POSITIVE_CONTROL')),
    start_date date NOT NULL,
    end_date date NOT NULL,
    metadata jsonb NOT NULL DEFAULT '{}' CONSTRAINT experiments_metadata CHECK (jsonb_typeof(metadata) = 'object'),
    evidence text NOT NULL
        CONSTRAINT experiments_evidence CHECK (evidence IN ('AUTO_PRESCREEN', 'HUMAN_TRIGGERED', 'CONTROL')),
    proposal_id uuid CONSTRAINT experiments_one_per_proposal UNIQUE
        CONSTRAINT experiments_proposal REFERENCES kronos.config_proposals,
    status_since timestamptz NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    run_id text,
    leased_until timestamptz,
    CONSTRAINT experiments_base FOREIGN KEY (engine_name, base_config_id)
        REFERENCES kronos.engine_configs (engine_name, config_id),
    CONSTRAINT experiments_proposed FOREIGN KEY (engine_name, proposed_config_id)
        REFERENCES kronos.engine_configs (engine_name, config_id),
    CONSTRAINT experiments_dates CHECK (start_date <= end_date),
    CONSTRAINT experiments_reason CHECK (status <> 'REJECTED' OR coalesce(metadata ->> 'reason', '') ~ '\S'),
    CONSTRAINT experiments_control_never_approved
        CHECK (status <> 'APPROVED' OR expected_outcome NOT IN ('NEGATIVE_CONTROL', 'POSITIVE_CONTROL')),
    CONSTRAINT experiments_lease CHECK ((status = 'RUNNING_BACKTESTS') = (leased_until IS NOT NULL))
);
CREATE INDEX experiments_by_status ON kronos.experiments (status, priority, created_at);

COMMENT ON TABLE kronos.experiments IS 'One row per config under test; only its status, and what goes with the status, changes.';
COMMENT ON COLUMN kronos.experiments.evidence IS 'Who brought it about: Kronos (AUTO_PRESCREEN), a person, or the control suite.';
COMMENT ON COLUMN kronos.experiments.attempt IS 'How often its backtests were started; a result names the attempt it is of.';
COMMENT ON COLUMN kronos.experiments.run_id IS 'The last Dagster run that worked on it.';
COMMENT ON COLUMN kronos.experiments.leased_until IS 'While running: past this time its worker counts as lost.';

CREATE TABLE kronos.experiment_results (
    experiment_id uuid NOT NULL REFERENCES kronos.experiments,
    period_start date NOT NULL,
    period_end date NOT NULL,
    metrics jsonb NOT NULL CHECK (jsonb_typeof(metrics) = 'object'),
    by_regime jsonb NOT NULL CHECK (jsonb_typeof(by_regime) = 'object'),
    by_market jsonb NOT NULL CHECK (jsonb_typeof(by_market) = 'object'),
    by_stability_bucket jsonb NOT NULL CHECK (jsonb_typeof(by_stability_bucket) = 'object'),
    evidence text NOT NULL
        CONSTRAINT experiment_results_evidence CHECK (evidence IN ('AUTO_PRESCREEN', 'HUMAN_TRIGGERED', 'CONTROL')),
    attempt integer NOT NULL,
    provenance jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(provenance) = 'object'),
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (experiment_id, period_start, period_end),
    CONSTRAINT experiment_results_dates CHECK (period_start <= period_end)
);
COMMENT ON TABLE kronos.experiment_results IS 'One row per experiment and period: what its newest backtest of that period gave.';
COMMENT ON COLUMN kronos.experiment_results.evidence IS 'Who put the backtest in the queue: Kronos (AUTO_PRESCREEN), a person, the control suite.';
COMMENT ON COLUMN kronos.experiment_results.provenance IS 'Seed, code version, lake versions and data range of the backtest.';

CREATE TABLE kronos.superseded_results (
    LIKE kronos.experiment_results,
    superseded_at timestamptz NOT NULL
);
CREATE INDEX superseded_results_by_experiment ON kronos.superseded_results (experiment_id);
COMMENT ON TABLE kronos.superseded_results IS 'Results that a later backtest of the same period replaced, as they were.';

CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.config_proposals
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();
CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.experiments
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();
CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.experiment_results
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();
CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON kronos.superseded_results
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

-- The label of evidence by the path it took.
CREATE FUNCTION kronos.evidence_by(author text, expected_outcome text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN expected_outcome IN ('NEGATIVE_CONTROL', 'POSITIVE_CONTROL') THEN 'CONTROL'
        WHEN author = 'Kronos' THEN 'AUTO_PRESCREEN'
        ELSE 'HUMAN_TRIGGERED'
    END
$$;

-- The label of the backtests now asked for: of whoever last put the experiment in the queue. A preempted or crashed
-- run that returns to the queue was not asked for anew.
CREATE FUNCTION kronos.evidence_in_force(experiment kronos.experiments) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((
        SELECT evidence FROM kronos.change_log
        WHERE subject = 'experiment' AND subject_id = experiment.experiment_id::text
            AND to_status = 'QUEUED_FOR_BACKTEST' AND from_status <> 'RUNNING_BACKTESTS'
        ORDER BY entry_id DESC LIMIT 1
    ), experiment.evidence)
$$;

CREATE FUNCTION kronos.refuse_transition(of_subject text, of_id uuid, was text, becomes text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% % is % and cannot become %', of_subject, of_id, was, becomes
        USING ERRCODE = 'restrict_violation', CONSTRAINT = of_subject || 's_transition';
END
$$;

-- Rules of a new experiment: it starts pending, and its config is of the family its expected outcome asks for.
CREATE FUNCTION kronos.begin_experiment() RETURNS trigger
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

CREATE FUNCTION kronos.experiment_edge(was text, becomes text) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (was, becomes) IN (
        ('PENDING', 'QUEUED_FOR_BACKTEST'),
        ('QUEUED_FOR_BACKTEST', 'RUNNING_BACKTESTS'),
        ('RUNNING_BACKTESTS', 'AWAITING_REVIEW'),
        ('RUNNING_BACKTESTS', 'QUEUED_FOR_BACKTEST'),
        ('AWAITING_REVIEW', 'QUEUED_FOR_BACKTEST'),
        ('AWAITING_REVIEW', 'APPROVED'),
        ('PENDING', 'REJECTED'),
        ('QUEUED_FOR_BACKTEST', 'REJECTED'),
        ('RUNNING_BACKTESTS', 'REJECTED'),
        ('AWAITING_REVIEW', 'REJECTED')
    )
$$;

-- What may change along with the status, and with which; in between only a running experiment's lease and run.
CREATE FUNCTION kronos.move_experiment() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changing text[] := ARRAY['run_id', 'leased_until'];
BEGIN
    IF NEW.status <> OLD.status THEN
        IF NOT kronos.experiment_edge(OLD.status, NEW.status) THEN
            PERFORM kronos.refuse_transition('experiment', OLD.experiment_id, OLD.status, NEW.status);
        END IF;
        IF NEW.status = 'APPROVED' AND NOT pg_has_role(kronos.caller(), 'kronos_change_manager', 'MEMBER') THEN
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

CREATE FUNCTION kronos.log_experiment() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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

CREATE TRIGGER begins BEFORE INSERT ON kronos.experiments FOR EACH ROW EXECUTE FUNCTION kronos.begin_experiment();
CREATE TRIGGER moves BEFORE UPDATE ON kronos.experiments FOR EACH ROW EXECUTE FUNCTION kronos.move_experiment();
CREATE TRIGGER logged AFTER INSERT OR UPDATE ON kronos.experiments
    FOR EACH ROW EXECUTE FUNCTION kronos.log_experiment();

CREATE FUNCTION kronos.keep_proposal_rules() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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

-- A proposal is a trial from the moment it is made, whatever becomes of it.
CREATE FUNCTION kronos.log_proposal() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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

CREATE FUNCTION kronos.require_experiment_of_proposal() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.status = 'CONVERTED_TO_EXPERIMENT'
        AND NOT EXISTS (SELECT FROM kronos.experiments WHERE proposal_id = NEW.proposal_id) THEN
        RAISE EXCEPTION 'proposal % has no experiment: converting makes one in the same transaction', NEW.proposal_id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'proposals_converted';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER rules BEFORE INSERT OR UPDATE ON kronos.config_proposals
    FOR EACH ROW EXECUTE FUNCTION kronos.keep_proposal_rules();
CREATE TRIGGER logged AFTER INSERT OR UPDATE ON kronos.config_proposals
    FOR EACH ROW EXECUTE FUNCTION kronos.log_proposal();
CREATE CONSTRAINT TRIGGER converted AFTER UPDATE ON kronos.config_proposals
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION kronos.require_experiment_of_proposal();

-- A result is written by the attempt that holds the experiment, and carries the label of the path it took. A later
-- backtest of the same period replaces it and keeps it among the superseded ones.
CREATE FUNCTION kronos.keep_result_rules() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    experiment kronos.experiments;
    numbers text[] := ARRAY['metrics', 'by_regime', 'by_market', 'by_stability_bucket', 'provenance'];
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
        INSERT INTO kronos.superseded_results SELECT OLD.*, clock_timestamp();
    END IF;
    NEW.evidence := kronos.evidence_in_force(experiment);
    NEW.recorded_at := clock_timestamp();
    RETURN NEW;
END
$$;

CREATE TRIGGER rules BEFORE INSERT OR UPDATE ON kronos.experiment_results
    FOR EACH ROW EXECUTE FUNCTION kronos.keep_result_rules();

-- The only way to a proposal, for people's services and for the chat.
CREATE FUNCTION kronos.propose_config(
    engine text, base text, body jsonb, author text, why text, about jsonb DEFAULT '{}', code text DEFAULT NULL
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_id uuid := gen_random_uuid();
BEGIN
    PERFORM kronos.begin_change(author, why, code => code);
    INSERT INTO kronos.config_proposals (proposal_id, engine_name, base_config_id, proposed_config_body, metadata)
        VALUES (new_id, engine, base, body, about || jsonb_build_object('rationale', why, 'through', kronos.caller()));
    RETURN new_id;
END
$$;

GRANT INSERT (
    experiment_id, engine_name, base_config_id, proposed_config_id, description, priority, auto_generated,
    resource_class, expected_outcome, start_date, end_date, metadata, proposal_id
) ON kronos.experiments TO kronos_orchestrator;
GRANT UPDATE (status, priority, end_date, run_id, leased_until) ON kronos.experiments TO kronos_orchestrator;
GRANT INSERT (
    experiment_id, period_start, period_end, metrics, by_regime, by_market, by_stability_bucket, attempt, provenance
) ON kronos.experiment_results TO kronos_orchestrator;
GRANT UPDATE (metrics, by_regime, by_market, by_stability_bucket, attempt, provenance)
    ON kronos.experiment_results TO kronos_orchestrator;
GRANT UPDATE (status) ON kronos.config_proposals TO kronos_orchestrator;
GRANT EXECUTE ON FUNCTION kronos.propose_config(text, text, jsonb, text, text, jsonb, text)
    TO kronos_orchestrator, kronos_chat;
