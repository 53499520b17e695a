-- Per day of decisions: numbers that change with the decisions' own rows; $1 is today.
SELECT
    d.as_of_date::date AS as_of_date,
    count(*) AS decisions,
    count(*) FILTER (WHERE d.as_of_date <= $1) AS past,
    (sum(hash_record_extended(
        ROW(d.decision_id, d."timestamp", d.engine_name, d.config_id, d.context_id, d.proposed_action::jsonb, doubled.copies), 0
    )) % 2305843009213693951)::bigint AS state
FROM engine_decisions AS d
LEFT JOIN (
    SELECT decision_id, count(*) AS copies FROM engine_decisions GROUP BY decision_id HAVING count(*) > 1
) AS doubled ON doubled.decision_id = d.decision_id
WHERE d.as_of_date IS NOT NULL
GROUP BY d.as_of_date
