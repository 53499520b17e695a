-- Whether upstream keeps the table $1 and lets this login read it; Kronos's own schema is not upstream's.
SELECT count(*) > 0 AS readable
FROM pg_class
WHERE oid = to_regclass($1) AND relnamespace::regnamespace::text <> 'kronos' AND has_table_privilege(oid, 'SELECT')
