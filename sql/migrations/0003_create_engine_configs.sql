-- Configs, which never change once registered, and the history of which one was active when and why. The status
-- follows the history, and only kronos.activate_config writes the history.

CREATE TABLE kronos.engine_configs (
    config_id text PRIMARY KEY CHECK (config_id <> ''),
    engine_name text NOT NULL CHECK (engine_name <> ''),
    version text NOT NULL,
    config_body jsonb NOT NULL CHECK (jsonb_typeof(config_body) = 'object'),
    created_at timestamptz NOT NULL,
    created_by text NOT NULL CHECK (created_by <> ''),
    status text NOT NULL DEFAULT 'REGISTERED' CHECK (status IN ('REGISTERED', 'ACTIVE', 'RETIRED')),
    UNIQUE (engine_name, config_id)
);
COMMENT ON TABLE kronos.engine_configs IS 'One row per immutable version of an engine''s parameters.';

CREATE TABLE kronos.config_activations (
    activation_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    engine_name text NOT NULL,
    scope text NOT NULL DEFAULT '*' CHECK (scope <> ''),
    config_id text NOT NULL,
    activated_at timestamptz NOT NULL,
    deactivated_at timestamptz,
    activated_by text NOT NULL CHECK (activated_by <> ''),
    reason text NOT NULL CHECK (reason <> ''),
    FOREIGN KEY (engine_name, config_id) REFERENCES kronos.engine_configs (engine_name, config_id),
    CHECK (deactivated_at > activated_at)
);
COMMENT ON TABLE kronos.config_activations IS 'One row per time a config was active for an engine and scope.';

CREATE UNIQUE INDEX config_activations_one_open ON kronos.config_activations (engine_name, scope)
    WHERE deactivated_at IS NULL;
CREATE UNIQUE INDEX config_activations_from ON kronos.config_activations (engine_name, scope, activated_at);
CREATE INDEX config_activations_config ON kronos.config_activations (config_id);

CREATE FUNCTION kronos.refuse_removal() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '%.% keeps every row: % is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_TABLE_NAME || '_kept';
END
$$;

CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.engine_configs
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();
CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.config_activations
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE FUNCTION kronos.status_of_config(wanted text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE count(*) WHEN 0 THEN 'REGISTERED'
        ELSE CASE WHEN bool_or(deactivated_at IS NULL) THEN 'ACTIVE' ELSE 'RETIRED' END
    END
    FROM kronos.config_activations WHERE config_id = wanted
$$;

CREATE FUNCTION kronos.keep_config_as_registered() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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

CREATE TRIGGER as_registered BEFORE INSERT OR UPDATE ON kronos.engine_configs
    FOR EACH ROW EXECUTE FUNCTION kronos.keep_config_as_registered();

-- One writer at a time for an engine and scope, until the transaction ends.
CREATE FUNCTION kronos.lock_incumbent(engine text, within text) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('kronos incumbent ' || engine || ' in ' || within, 0))
$$;

CREATE FUNCTION kronos.keep_activation_history() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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

CREATE TRIGGER history BEFORE INSERT OR UPDATE ON kronos.config_activations
    FOR EACH ROW EXECUTE FUNCTION kronos.keep_activation_history();

CREATE FUNCTION kronos.follow_activations() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE kronos.engine_configs SET status = kronos.status_of_config(config_id) WHERE config_id = NEW.config_id;
    RETURN NULL;
END
$$;

CREATE TRIGGER status_follows AFTER INSERT OR UPDATE ON kronos.config_activations
    FOR EACH ROW EXECUTE FUNCTION kronos.follow_activations();

-- True when the config is new, false when the very same one is registered already.
CREATE FUNCTION kronos.register_config(
    new_id text, engine text, new_version text, body jsonb, author text, at timestamptz
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    existing kronos.engine_configs;
BEGIN
    INSERT INTO kronos.engine_configs (config_id, engine_name, version, config_body, created_at, created_by)
        VALUES (new_id, engine, new_version, body, at, author)
        ON CONFLICT (config_id) DO NOTHING;
    IF FOUND THEN
        RETURN true;
    END IF;
    SELECT * INTO existing FROM kronos.engine_configs WHERE config_id = new_id;
    IF (existing.engine_name, existing.version, existing.config_body) IS DISTINCT FROM (engine, new_version, body) THEN
        RAISE EXCEPTION 'config % is registered for % with another version or body: choose a new id',
            new_id, existing.engine_name
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'engine_configs_immutable';
    END IF;
    RETURN false;
END
$$;

-- The only way a config becomes active: compare the incumbent with the expected one (null: none), then swap.
CREATE FUNCTION kronos.activate_config(
    engine text, new_id text, author text, why text, at timestamptz, expected text, within text
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    incumbent text;
    new_activation bigint;
BEGIN
    PERFORM kronos.lock_incumbent(engine, within);
    SELECT config_id INTO incumbent FROM kronos.config_activations
        WHERE engine_name = engine AND scope = within AND deactivated_at IS NULL;
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

GRANT EXECUTE ON FUNCTION kronos.register_config(text, text, text, jsonb, text, timestamptz) TO kronos_orchestrator;
GRANT EXECUTE ON FUNCTION kronos.activate_config(text, text, text, text, timestamptz, text, text)
    TO kronos_change_manager;
