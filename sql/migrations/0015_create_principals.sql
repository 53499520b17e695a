-- Principals: people and services that act with a token, and authors that are whom their token says.
-- From here to the promotions each step on the only path to a live config is one function, and so one transaction: it
-- asks who holds the token, takes the change log's lock, checks every rule under it, and writes.

CREATE TABLE kronos.principals (
    name text PRIMARY KEY
        CONSTRAINT principals_name CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}$')
        CONSTRAINT principals_reserved CHECK (lower(name) NOT IN ('kronos', 'policy')),
    kind text NOT NULL CONSTRAINT principals_kind CHECK (kind IN ('PERSON', 'SERVICE')),
    role text NOT NULL CONSTRAINT principals_role
        CHECK (role IN ('reader', 'orchestrator', 'chat', 'change_manager', 'admin')),
    token_hash text NOT NULL CONSTRAINT principals_token_of_its_own UNIQUE
        CONSTRAINT principals_token_hash CHECK (token_hash ~ '^[0-9a-f]{64}$'),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text NOT NULL,
    rotated_at timestamptz,
    revoked_at timestamptz,
    revoked_by text,
    CONSTRAINT principals_revoked CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);
CREATE UNIQUE INDEX principals_one_name ON kronos.principals (lower(name));
COMMENT ON TABLE kronos.principals IS 'One row per person or service that may act with a token; a name is never given twice.';
COMMENT ON COLUMN kronos.principals.token_hash IS
    'SHA-256 of the token. The functions take the token itself, so whoever reads this column cannot act with it.';

CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON kronos.principals
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

CREATE FUNCTION kronos.keep_principal() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changing text[] := ARRAY['token_hash', 'rotated_at', 'revoked_at', 'revoked_by'];
BEGIN
    IF OLD.revoked_at IS NOT NULL OR to_jsonb(NEW) - changing <> to_jsonb(OLD) - changing THEN
        RAISE EXCEPTION 'principal % is as it was added, and for good once revoked: add another', OLD.name
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'principals_immutable';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guarded BEFORE UPDATE ON kronos.principals FOR EACH ROW EXECUTE FUNCTION kronos.keep_principal();

CREATE FUNCTION kronos.hash_of_token(token text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT encode(sha256(convert_to(token, 'UTF8')), 'hex')
$$;

-- Whose token it is; no row for one that is unknown or revoked.
CREATE FUNCTION kronos.identify(token text) RETURNS SETOF kronos.principals
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM kronos.principals WHERE token_hash = kronos.hash_of_token(token) AND revoked_at IS NULL
$$;

-- The principal of the token, if he may do what is asked; people_only: not a service. The change log's lock first, so
-- that nobody acts after he was revoked.
CREATE FUNCTION kronos.require_principal(token text, roles text[], people_only boolean, act text)
RETURNS kronos.principals
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found kronos.principals;
BEGIN
    PERFORM kronos.lock_change_log();
    SELECT * INTO found FROM kronos.identify(token);
    IF found.name IS NULL THEN
        RAISE EXCEPTION 'a token is needed to %: this one is %', act,
            CASE WHEN token IS NULL THEN 'missing' ELSE 'unknown or revoked' END
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'principals_token';
    END IF;
    IF found.role <> ALL (roles) OR (people_only AND found.kind <> 'PERSON') THEN
        RAISE EXCEPTION 'principal % is a % with role %: who may % is % with role %', found.name, lower(found.kind),
            found.role, act, CASE WHEN people_only THEN 'a person' ELSE 'a principal' END,
            array_to_string(roles, ' or ')
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'principals_right';
    END IF;
    RETURN found;
END
$$;

-- An author is who the token says: without one nobody takes the name of a principal, and with one nobody takes another.
-- What Kronos does by itself is under the orchestrator's role, whatever token is at hand.
ALTER FUNCTION kronos.begin_change(text, text, text, jsonb, text) RENAME TO enter_change;
REVOKE EXECUTE ON FUNCTION kronos.enter_change(text, text, text, jsonb, text)
    FROM kronos_orchestrator, kronos_change_manager;

CREATE FUNCTION kronos.begin_change(
    author text, why text DEFAULT NULL, run text DEFAULT NULL, lake jsonb DEFAULT NULL, code text DEFAULT NULL,
    token text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known text;
BEGIN
    PERFORM kronos.enter_change(author, why, run, lake, code);
    SELECT name INTO known FROM kronos.identify(token);
    IF author = 'Kronos' THEN
        RETURN;
    ELSIF token IS NOT NULL AND known IS NULL THEN
        RAISE EXCEPTION 'the token of author % is unknown or revoked', author
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'principals_token';
    ELSIF known IS NOT NULL AND lower(btrim(author)) <> lower(known) THEN
        RAISE EXCEPTION 'author % is not whose token this is: %', author, known
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'change_log_author';
    ELSIF known IS NULL AND EXISTS (SELECT FROM kronos.principals WHERE lower(name) = lower(btrim(author))) THEN
        RAISE EXCEPTION 'author % is a principal: a change under that name needs its token in KRONOS_TOKEN', author
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'change_log_author';
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION kronos.begin_change(text, text, text, jsonb, text, text)
    TO kronos_orchestrator, kronos_change_manager;

DROP FUNCTION kronos.propose_config(text, text, jsonb, text, text, jsonb, text);
CREATE FUNCTION kronos.propose_config(
    engine text, base text, body jsonb, author text, why text, about jsonb DEFAULT '{}', code text DEFAULT NULL,
    token text DEFAULT NULL
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_id uuid := gen_random_uuid();
BEGIN
    PERFORM kronos.begin_change(author, why, code => code, token => token);
    INSERT INTO kronos.config_proposals (proposal_id, engine_name, base_config_id, proposed_config_body, metadata)
        VALUES (new_id, engine, base, body, about || jsonb_build_object('rationale', why, 'through', kronos.caller()));
    RETURN new_id;
END
$$;
GRANT EXECUTE ON FUNCTION kronos.propose_config(text, text, jsonb, text, text, jsonb, text, text)
    TO kronos_orchestrator, kronos_chat;

-- The first admin of a database, and only while there is none: for the owner, so no role may call it.
CREATE FUNCTION kronos.begin_principals(first_name text, first_hash text, code text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kronos.enter_change('Kronos', 'the first admin', code => code);
    IF EXISTS (SELECT FROM kronos.principals WHERE role = 'admin' AND revoked_at IS NULL) THEN
        RETURN false;
    END IF;
    INSERT INTO kronos.principals (name, kind, role, token_hash, created_by)
        VALUES (first_name, 'PERSON', 'admin', first_hash, 'Kronos');
    RETURN true;
END
$$;

CREATE FUNCTION kronos.add_principal(
    token text, new_name text, new_kind text, new_role text, new_hash text, code text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor kronos.principals := kronos.require_principal(token, ARRAY['admin'], false, 'add a principal');
BEGIN
    PERFORM kronos.enter_change(actor.name, code => code);
    INSERT INTO kronos.principals (name, kind, role, token_hash, created_by)
        VALUES (new_name, new_kind, new_role, new_hash, actor.name);
END
$$;

-- Anyone may change his own token, an admin everyone's.
CREATE FUNCTION kronos.rotate_principal(token text, whose text, new_hash text, code text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    everyone text[] := ARRAY['reader', 'orchestrator', 'chat', 'change_manager', 'admin'];
    actor kronos.principals := kronos.require_principal(token, everyone, false, 'rotate a token');
BEGIN
    IF lower(actor.name) <> lower(whose) THEN
        actor := kronos.require_principal(token, ARRAY['admin'], false, 'rotate another principal''s token');
    END IF;
    PERFORM kronos.enter_change(actor.name, code => code);
    UPDATE kronos.principals SET token_hash = new_hash, rotated_at = clock_timestamp()
        WHERE lower(name) = lower(whose);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'principal % does not exist', whose USING ERRCODE = 'no_data_found';
    END IF;
END
$$;

CREATE FUNCTION kronos.revoke_principal(token text, whose text, why text, code text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor kronos.principals := kronos.require_principal(token, ARRAY['admin'], false, 'revoke a principal');
BEGIN
    PERFORM kronos.enter_change(actor.name, why, code => code);
    UPDATE kronos.principals SET revoked_at = clock_timestamp(), revoked_by = actor.name WHERE lower(name) = lower(whose);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'principal % does not exist', whose USING ERRCODE = 'no_data_found';
    END IF;
    IF NOT EXISTS (SELECT FROM kronos.principals WHERE role = 'admin' AND revoked_at IS NULL) THEN
        RAISE EXCEPTION 'principal % is the last admin: add another first', whose
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'principals_last_admin';
    END IF;
END
$$;

CREATE FUNCTION kronos.log_principal() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kronos.log_change('principal', NEW.name, CASE WHEN TG_OP = 'UPDATE' THEN 'VALID' END,
        CASE WHEN NEW.revoked_at IS NOT NULL THEN 'REVOKED' ELSE 'VALID' END, NULL, NULL,
        jsonb_build_object('kind', NEW.kind, 'role', NEW.role, 'rotated', NEW.rotated_at IS NOT NULL));
    RETURN NULL;
END
$$;
CREATE TRIGGER logged AFTER INSERT OR UPDATE ON kronos.principals
    FOR EACH ROW EXECUTE FUNCTION kronos.log_principal();

-- A refused attempt rolls back with everything it wrote: this says so in a transaction of its own.
CREATE FUNCTION kronos.log_refusal(
    token text, account text, act text, of_id text, rule text, why text, code text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known text;
BEGIN
    SELECT name INTO known FROM kronos.identify(token);
    PERFORM kronos.enter_change(coalesce(known, 'without token: ' || account), why, code => code);
    PERFORM kronos.log_change('refusal', of_id, NULL, 'REFUSED', NULL, NULL,
        jsonb_build_object('act', act, 'rule', rule, 'account', account));
END
$$;

GRANT EXECUTE ON FUNCTION kronos.identify(text) TO kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;
GRANT EXECUTE ON FUNCTION kronos.log_refusal(text, text, text, text, text, text, text)
    TO kronos_orchestrator, kronos_change_manager;
GRANT EXECUTE ON FUNCTION
    kronos.add_principal(text, text, text, text, text, text), kronos.rotate_principal(text, text, text, text),
    kronos.revoke_principal(text, text, text, text)
    TO kronos_change_manager;
