-- Attempts that share a run know which: the batch alone does not say it, as its lead may be in its second attempt and
-- another member in its first, or a lead that ended begins anew while members of its earlier run still wait.

ALTER TABLE kronos.backtest_attempts ADD COLUMN lead_attempt integer;
COMMENT ON COLUMN kronos.backtest_attempts.lead_attempt IS
    'Attempt of the experiment in `batch` that the run was launched for; its own where it leads.';
ALTER TABLE kronos.backtest_attempts DISABLE TRIGGER USER;
UPDATE kronos.backtest_attempts AS member SET lead_attempt = CASE
    WHEN member.batch = member.experiment_id THEN member.attempt
    -- the lead was admitted just before
    ELSE (
        SELECT coalesce(max(lead.attempt) FILTER (WHERE lead.admitted_at <= member.admitted_at), min(lead.attempt))
        FROM kronos.backtest_attempts AS lead
        WHERE lead.experiment_id = member.batch AND lead.batch = member.batch
    )
END;
ALTER TABLE kronos.backtest_attempts ENABLE TRIGGER USER;
ALTER TABLE kronos.backtest_attempts ALTER COLUMN lead_attempt SET NOT NULL;
CREATE INDEX backtest_attempts_by_launch ON kronos.backtest_attempts (batch, lead_attempt);

-- As in 0012, and an attempt in a batch is of the newest run of that batch's lead.
CREATE OR REPLACE FUNCTION kronos.keep_attempt_rules() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
