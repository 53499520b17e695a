-- Every claim of the facts, with what it adds: decisions, due outcomes, valid outcomes, and superseded claims twice:
-- added from the day they were known, taken back the day they no longer were. The other queries start from here.
-- facts: one row per decision; long_facts: one per decision and due horizon; superseded: frames.REVISIONS.
WITH superseded_claims AS (
    SELECT *, 1 AS sign, known_date AS counted_from FROM superseded
    UNION ALL BY NAME
    SELECT *, -1 AS sign, superseded_date AS counted_from FROM superseded
),
claims AS (
    SELECT
        *,
        0 AS horizon, as_of_date AS eval_date, decision_known_date AS known_date, 1 AS sign,
        1 AS decisions, 0 AS due, 0 AS valid
    FROM facts
    UNION ALL BY NAME
    SELECT
        facts.*, l.horizon, l.due_date AS eval_date, greatest(l.due_date, facts.decision_known_date) AS known_date,
        1 AS sign, 0 AS decisions, 1 AS due, 0 AS valid
    FROM long_facts AS l INNER JOIN facts USING (decision_id)
    UNION ALL BY NAME
    SELECT l.* EXCLUDE (due_date, valid), 1 AS sign, 0 AS decisions, 0 AS due, 1 AS valid
    FROM long_facts AS l
    WHERE l.valid
    UNION ALL BY NAME
    SELECT
        * EXCLUDE (due_date, eval_date, known_date, superseded_date, counted_from, valid),
        CASE WHEN horizon = 0 THEN as_of_date ELSE coalesce(due_date, eval_date) END AS eval_date,
        counted_from AS known_date,
        CASE WHEN horizon = 0 THEN 1 ELSE 0 END AS decisions,
        CASE WHEN due_date IS NOT NULL THEN 1 ELSE 0 END AS due,
        CASE WHEN valid THEN 1 ELSE 0 END AS valid
    FROM superseded_claims
)
SELECT row_number() OVER () AS claim, * FROM claims
WHERE decisions + due + valid > 0;
