-- When the first of the decisions dated from $1 to $2 was made, but for instants before the day $3.
SELECT min(created_at)::timestamptz AS decided_at
FROM engine_decisions
WHERE as_of_date BETWEEN $1 AND $2 AND created_at >= $3
