-- name: clear
-- Forgets what the named batches held, before they are written anew.
DELETE FROM kronos.quarantine WHERE batch = ANY(%s);

-- name: fill
-- Takes the rows of the batches.
COPY kronos.quarantine (batch, source_table, source_key, rule, value, as_of_date) FROM STDIN;

-- name: counts
-- Broken rules per batch, table and rule.
SELECT batch, source_table, rule, count(*) AS rows
FROM kronos.quarantine
GROUP BY batch, source_table, rule
ORDER BY batch, source_table, rule;

-- name: rows
-- What the named batch holds.
SELECT source_table, source_key, rule, value, as_of_date
FROM kronos.quarantine
WHERE batch = %s
ORDER BY source_table, source_key, rule, value;
