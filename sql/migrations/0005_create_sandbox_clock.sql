-- The sandbox plays upstream; its clock plays today. One row: it appears with the loaded history, in the same
-- transaction, so a database without a clock holds no sandbox history and one with a clock holds all of it.

CREATE TABLE kronos.sandbox_clock (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    today date NOT NULL,
    now timestamptz NOT NULL,
    loaded_from date NOT NULL,
    data_end date NOT NULL,
    CHECK (loaded_from <= today AND today <= data_end),
    CHECK (today <= (now AT TIME ZONE 'UTC')::date)
);
COMMENT ON TABLE kronos.sandbox_clock IS 'One row: the session the sandbox has reached and the instant it plays as now.';

CREATE FUNCTION kronos.keep_sandbox_time() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.today <= OLD.today OR NEW.now <= OLD.now THEN
        RAISE EXCEPTION 'the sandbox clock is at % and cannot go to %', OLD.today, NEW.today
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'sandbox_clock_rises';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER rises BEFORE UPDATE ON kronos.sandbox_clock FOR EACH ROW EXECUTE FUNCTION kronos.keep_sandbox_time();

GRANT SELECT ON kronos.sandbox_clock TO kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;
GRANT INSERT, UPDATE ON kronos.sandbox_clock TO kronos_orchestrator;
