-- Context rows that can matter to decisions dated from $1 to $2, the first of them made at $3 (null: recording times do
-- not count): the rows of those days, for each entity the last usable day before them that was known at $3, and
-- earlier days that became known only after $3.
WITH context AS NOT MATERIALIZED (
    {context}
), earlier AS (
    SELECT entity_type, entity_id, max(as_of_date) AS as_of_date
    FROM context
    WHERE as_of_date < $1 AND usable AND ($3::timestamptz IS NULL OR recorded_at <= $3)
    GROUP BY entity_type, entity_id
)
SELECT context.* FROM context WHERE as_of_date BETWEEN $1 AND $2
UNION ALL
SELECT context.* FROM context INNER JOIN earlier USING (entity_type, entity_id, as_of_date)
WHERE $3::timestamptz IS NULL OR context.recorded_at <= $3
UNION ALL
SELECT context.* FROM context WHERE as_of_date < $1 AND recorded_at > $3
