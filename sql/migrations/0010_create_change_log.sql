-- The change log: one row per transition in the change flow, written by the database in the transaction of the
-- transition. Each row holds the hash of the one before, so an edit, a removal, an insertion or another order shows;
-- a removed end shows against the roots that are kept outside the database.

CREATE TABLE kronos.change_log (
    entry_id bigint PRIMARY KEY CHECK (entry_id > 0),
    subject text NOT NULL CHECK (subject ~ '^[a-z_]+$'),
    subject_id text NOT NULL CHECK (subject_id <> ''),
    from_status text,
    to_status text NOT NULL,
    author text NOT NULL CONSTRAINT change_log_author CHECK (author ~ '\S'),
    acted_as text NOT NULL,
    logged_at timestamptz NOT NULL,
    evidence text CONSTRAINT change_log_evidence CHECK (evidence IN ('AUTO_PRESCREEN', 'HUMAN_TRIGGERED', 'CONTROL')),
    run_id text,
    lake_version jsonb,
    code_version text,
    detail jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(detail) = 'object'),
    previous_hash text NOT NULL,
    hash text NOT NULL UNIQUE
);
CREATE INDEX change_log_by_subject ON kronos.change_log (subject, subject_id, entry_id);

COMMENT ON TABLE kronos.change_log IS 'One row per transition of a proposal, experiment, verdict, approval, promotion or latch.';
COMMENT ON COLUMN kronos.change_log.entry_id IS 'Place in the chain: 1, 2, 3, without gaps.';
COMMENT ON COLUMN kronos.change_log.from_status IS 'Null: the subject came into being.';
COMMENT ON COLUMN kronos.change_log.acted_as IS 'The database role that made the change.';
COMMENT ON COLUMN kronos.change_log.lake_version IS 'Per lake table the version the change rests on.';
COMMENT ON COLUMN kronos.change_log.hash IS 'SHA-256 over this row and previous_hash, as core/changes/chain.py computes it.';

CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON kronos.change_log
    FOR EACH STATEMENT EXECUTE FUNCTION kronos.refuse_removal();

-- The role that called, also inside a SECURITY DEFINER function, where current_user is the owner.
CREATE FUNCTION kronos.caller() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE current_setting('role') WHEN 'none' THEN session_user::text ELSE current_setting('role') END
$$;

-- One writer of the chain at a time, until its transaction ends.
CREATE FUNCTION kronos.lock_change_log() RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('kronos change log', 0))
$$;

-- The first statement of a transaction that changes anything logged: who changes, why, and what it rests on. It takes
-- the chain's lock before any row's, so such transactions wait for each other and never deadlock.
CREATE FUNCTION kronos.begin_change(
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
    PERFORM set_config('kronos.author', author, true), set_config('kronos.reason', coalesce(why, ''), true),
        set_config('kronos.run', coalesce(run, ''), true), set_config('kronos.lake', coalesce(lake::text, ''), true),
        set_config('kronos.code', coalesce(code, ''), true);
END
$$;

-- What begin_change said, null where nothing was said.
CREATE FUNCTION kronos.said(what text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT nullif(current_setting('kronos.' || what, true), '')
$$;

CREATE FUNCTION kronos.change_author() RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF kronos.said('author') IS NULL THEN
        RAISE EXCEPTION 'a change needs an author: call kronos.begin_change first in its transaction'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'change_log_author';
    END IF;
    RETURN kronos.said('author');
END
$$;

-- For triggers on what is logged. Only the owner may call it, and triggers run as the owner.
CREATE FUNCTION kronos.log_change(
    of_subject text, of_id text, was text, becomes text, label text, run text, what jsonb
) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO kronos.change_log (
        subject, subject_id, from_status, to_status, author, evidence, run_id, lake_version, code_version, detail
    ) VALUES (
        of_subject, of_id, was, becomes, kronos.change_author(), label, coalesce(run, kronos.said('run')),
        kronos.said('lake')::jsonb, kronos.said('code'),
        jsonb_strip_nulls(jsonb_build_object('reason', kronos.said('reason'))) || what
    )
$$;

-- Each field with its length in bytes before it ('-' for null), so that no two rows have the same text.
CREATE FUNCTION kronos.chain_text(VARIADIC fields text[]) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(
        coalesce(octet_length(convert_to(field, 'UTF8')) || ':' || field, '-'), ',' ORDER BY place
    ) FROM unnest(fields) WITH ORDINALITY AS each_field (field, place)
$$;

CREATE FUNCTION kronos.chain_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    head kronos.change_log;
BEGIN
    PERFORM kronos.lock_change_log();
    -- a statement of its own, so that it sees what the lock's last holder committed
    SELECT * INTO head FROM kronos.change_log ORDER BY entry_id DESC LIMIT 1;
    NEW.entry_id := coalesce(head.entry_id, 0) + 1;
    NEW.previous_hash := coalesce(head.hash, repeat('0', 64));
    NEW.acted_as := kronos.caller();
    NEW.logged_at := clock_timestamp();
    NEW.hash := encode(sha256(convert_to(kronos.chain_text(
        NEW.previous_hash, NEW.entry_id::text, NEW.subject, NEW.subject_id, NEW.from_status, NEW.to_status,
        NEW.author, NEW.acted_as, to_char(NEW.logged_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        NEW.evidence, NEW.run_id, NEW.lake_version::text, NEW.code_version, NEW.detail::text
    ), 'UTF8')), 'hex');
    RETURN NEW;
END
$$;

CREATE TRIGGER chained BEFORE INSERT ON kronos.change_log FOR EACH ROW EXECUTE FUNCTION kronos.chain_change();

GRANT EXECUTE ON FUNCTION kronos.begin_change(text, text, text, jsonb, text)
    TO kronos_orchestrator, kronos_change_manager;
