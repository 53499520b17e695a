-- Two schemas and five roles. kronos holds Kronos's own state, source the tables upstream writes when Kronos
-- runs stand-alone. Roles are the server's, shared by its databases, so they may exist already.

DO $$
DECLARE
    group_name text;
    -- before Postgres 16 every member could SET ROLE
    membership text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    FOREACH group_name IN ARRAY ARRAY[
        'kronos_reader', 'kronos_orchestrator', 'kronos_chat', 'kronos_change_manager', 'kronos_upstream'
    ] LOOP
        -- another database of the same server may be migrating at this moment
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = group_name) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', group_name);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
        -- the login acts as each of them by SET ROLE; on Postgres 16+ creating a role gives its administration only
        BEGIN
            IF NOT pg_has_role(current_user, group_name, membership) THEN
                EXECUTE format('GRANT %I TO %I', group_name, current_user);
            END IF;
        EXCEPTION WHEN unique_violation THEN
            NULL;
        END;
    END LOOP;
END
$$;

CREATE SCHEMA IF NOT EXISTS kronos;
CREATE SCHEMA IF NOT EXISTS source;

REVOKE ALL ON SCHEMA kronos, source FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA kronos, source FROM PUBLIC;
-- a function is open to everyone unless said otherwise: here each names who may call it
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

GRANT USAGE ON SCHEMA kronos, source TO kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;
GRANT SELECT ON ALL TABLES IN SCHEMA kronos, source
    TO kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;
ALTER DEFAULT PRIVILEGES IN SCHEMA kronos GRANT SELECT ON TABLES
    TO kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;
ALTER DEFAULT PRIVILEGES IN SCHEMA source GRANT SELECT ON TABLES
    TO kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;

-- upstream's writer sees nothing of Kronos's state
GRANT USAGE ON SCHEMA source TO kronos_upstream;
ALTER DEFAULT PRIVILEGES IN SCHEMA source GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO kronos_upstream;
ALTER DEFAULT PRIVILEGES IN SCHEMA source GRANT USAGE ON SEQUENCES TO kronos_upstream;
