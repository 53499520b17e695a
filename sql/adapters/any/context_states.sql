-- One number per entity and month that changes with the entity's context rows of that month; $1 is today.
SELECT
    context.entity_type,
    context.entity_id,
    date_trunc('month', context.as_of_date)::date AS month,
    count(*) FILTER (WHERE context.as_of_date <= $1) AS past,
    (sum(hash_record_extended(context, 0)) % 2305843009213693951)::bigint AS state
FROM (
    {context}
) AS context
WHERE context.as_of_date IS NOT NULL
GROUP BY 1, 2, 3
