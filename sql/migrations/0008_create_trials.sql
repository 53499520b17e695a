-- The trial ledger: every config ever evaluated, once per engine and scope. It gives the N of every correction for
-- choosing the best of many, so nothing leaves it and a config cannot be registered past it.

-- core/canonical.py in SQL: keys in code-point order, no spaces, numbers as plain decimals without trailing zeros.
CREATE FUNCTION kronos.canonical_json(value jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    CASE jsonb_typeof(value)
        WHEN 'object' THEN
            RETURN '{' || coalesce((
                SELECT string_agg(to_jsonb(key)::text || ':' || kronos.canonical_json(member), ',' ORDER BY key COLLATE "C")
                FROM jsonb_each(value) AS each_member (key, member)
            ), '') || '}';
        WHEN 'array' THEN
            RETURN '[' || coalesce((
                SELECT string_agg(kronos.canonical_json(member), ',' ORDER BY place)
                FROM jsonb_array_elements(value) WITH ORDINALITY AS each_member (member, place)
            ), '') || ']';
        WHEN 'number' THEN
            RETURN trim_scale(value::numeric)::text;
        ELSE
            RETURN value::text;
    END CASE;
END
$$;

CREATE FUNCTION kronos.canonical_hash(body jsonb) RETURNS text
LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT encode(sha256(convert_to(kronos.canonical_json(body), 'UTF8')), 'hex')
$$;

-- configs made for control experiments are registered like any other, but counted apart and never active
ALTER TABLE kronos.engine_configs
    ADD COLUMN family text NOT NULL DEFAULT 'REAL' CHECK (family IN ('REAL', 'CONTROL'));
COMMENT ON COLUMN kronos.engine_configs.family IS 'CONTROL: made for a control experiment; no trial of the real search.';

CREATE TABLE kronos.trials (
    trial_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    engine_name text NOT NULL CHECK (engine_name <> ''),
    scope text NOT NULL DEFAULT '*' CHECK (scope <> ''),
    family text NOT NULL DEFAULT 'REAL' CHECK (family IN ('REAL', 'CONTROL')),
    canonical_hash text CHECK (canonical_hash ~ '^[0-9a-f]{64}$'),
    config_id text CHECK (config_id <> ''),
    horizon integer CHECK (horizon > 0),
    slice text CHECK (slice <> ''),
    first_seen timestamptz NOT NULL,
    first_source text NOT NULL
        CHECK (first_source IN ('REGISTERED', 'OBSERVED', 'EXPERIMENT', 'PROPOSAL', 'MINED_SLICE')),
    identity text NOT NULL
        GENERATED ALWAYS AS (coalesce('sha256:' || canonical_hash, 'config:' || config_id)) STORED,
    CONSTRAINT trials_mined_in_a_slice CHECK ((first_source = 'MINED_SLICE') = (slice IS NOT NULL)),
    CONSTRAINT trials_distinct UNIQUE NULLS NOT DISTINCT (engine_name, scope, family, identity, horizon, slice)
);
COMMENT ON TABLE kronos.trials IS 'One row per config evaluated for an engine and scope, and per further horizon or mined slice of it.';
COMMENT ON COLUMN kronos.trials.canonical_hash IS 'Of the config''s body; null when only its id was ever seen.';
COMMENT ON COLUMN kronos.trials.config_id IS 'The first config id seen with this body; null when it was never registered.';
COMMENT ON COLUMN kronos.trials.horizon IS 'Null: the engine''s primary horizon. Every further horizon is a further trial.';
COMMENT ON COLUMN kronos.trials.slice IS 'Null: the whole book. Every config x slice a proposal was mined from is a further trial.';

CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON kronos.trials
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

-- True when the trial is new. A config without a body here takes the body it was registered with, if it was.
CREATE FUNCTION kronos.enter_trial(
    engine text, within text, of_family text, body jsonb, config text, source text, at timestamptz,
    at_horizon integer DEFAULT NULL, in_slice text DEFAULT NULL
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF body IS NULL THEN
        SELECT config_body INTO body FROM kronos.engine_configs WHERE engine_name = engine AND config_id = config;
    END IF;
    INSERT INTO kronos.trials (
        engine_name, scope, family, canonical_hash, config_id, first_seen, first_source, horizon, slice
    ) VALUES (
        engine, within, of_family, kronos.canonical_hash(body), config, at, source, at_horizon, in_slice
    ) ON CONFLICT ON CONSTRAINT trials_distinct DO NOTHING;
    RETURN FOUND;
END
$$;

CREATE FUNCTION kronos.enter_registered_config() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kronos.enter_trial(
        NEW.engine_name, '*', NEW.family, NEW.config_body, NEW.config_id, 'REGISTERED', NEW.created_at
    );
    RETURN NULL;
END
$$;

CREATE TRIGGER entered AFTER INSERT ON kronos.engine_configs
    FOR EACH ROW EXECUTE FUNCTION kronos.enter_registered_config();

SELECT kronos.enter_trial(engine_name, '*', family, config_body, config_id, 'REGISTERED', created_at)
FROM kronos.engine_configs ORDER BY created_at, config_id;

CREATE FUNCTION kronos.refuse_active_control() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM kronos.engine_configs WHERE config_id = NEW.config_id AND family = 'CONTROL') THEN
        RAISE EXCEPTION 'config % was made for a control and is never active', NEW.config_id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'config_activations_no_control';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER no_control BEFORE INSERT ON kronos.config_activations
    FOR EACH ROW EXECUTE FUNCTION kronos.refuse_active_control();

-- registering learns the family
DROP FUNCTION kronos.register_config(text, text, text, jsonb, text, timestamptz);
CREATE FUNCTION kronos.register_config(
    new_id text, engine text, new_version text, body jsonb, author text, at timestamptz, of_family text DEFAULT 'REAL'
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    existing kronos.engine_configs;
BEGIN
    INSERT INTO kronos.engine_configs (config_id, engine_name, version, config_body, created_at, created_by, family)
        VALUES (new_id, engine, new_version, body, at, author, of_family)
        ON CONFLICT (config_id) DO NOTHING;
    IF FOUND THEN
        RETURN true;
    END IF;
    SELECT * INTO existing FROM kronos.engine_configs WHERE config_id = new_id;
    IF (existing.engine_name, existing.version, existing.config_body, existing.family)
        IS DISTINCT FROM (engine, new_version, body, of_family) THEN
        RAISE EXCEPTION 'config % is registered for % with another version, body or family: choose a new id',
            new_id, existing.engine_name
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'engine_configs_immutable';
    END IF;
    RETURN false;
END
$$;

GRANT EXECUTE ON FUNCTION kronos.register_config(text, text, text, jsonb, text, timestamptz, text) TO kronos_orchestrator;
GRANT EXECUTE ON FUNCTION
    kronos.enter_trial(text, text, text, jsonb, text, text, timestamptz, integer, text) TO kronos_orchestrator;
GRANT EXECUTE ON FUNCTION kronos.canonical_json(jsonb), kronos.canonical_hash(jsonb)
    TO kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;
