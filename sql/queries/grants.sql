-- name: tables
-- One row per table or view of ours: its name, then what each role asked for may do with it.
-- A star marks a verb that is granted on some columns only.
WITH held AS (
    SELECT
        nspname || '.' || relname AS relation,
        place,
        verb_place,
        CASE
            WHEN has_table_privilege(role, pg_class.oid, verb) THEN verb
            WHEN verb IN ('delete', 'truncate') THEN NULL
            WHEN has_any_column_privilege(role, pg_class.oid, verb) THEN verb || '*'
        END AS verb
    FROM pg_class
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    CROSS JOIN unnest(%(roles)s::text[]) WITH ORDINALITY AS roles (role, place)
    CROSS JOIN unnest(ARRAY['select', 'insert', 'update', 'delete', 'truncate'])
        WITH ORDINALITY AS verbs (verb, verb_place)
    WHERE nspname IN ('kronos', 'source') AND relkind IN ('r', 'p', 'v', 'm')
), cells AS (
    SELECT relation, place, coalesce(string_agg(verb, ' ' ORDER BY verb_place), '') AS verbs
    FROM held GROUP BY relation, place
)
SELECT relation, array_agg(verbs ORDER BY place) FROM cells GROUP BY relation ORDER BY relation;

-- name: functions
-- One row per function of ours that a role may call: its name and those roles.
SELECT
    nspname || '.' || proname AS function,
    string_agg(replace(role, 'kronos_', ''), ', ' ORDER BY place) AS callers
FROM pg_proc
JOIN pg_namespace ON pg_namespace.oid = pronamespace
CROSS JOIN unnest(%(roles)s::text[]) WITH ORDINALITY AS roles (role, place)
WHERE nspname IN ('kronos', 'source') AND has_function_privilege(role, pg_proc.oid, 'execute')
GROUP BY nspname, proname, pg_proc.oid
ORDER BY nspname, proname;
