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
