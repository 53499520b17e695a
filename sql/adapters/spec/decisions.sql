-- Decisions dated from $1 to $2, one row each. Values from the JSON come as text; keys of a wrong JSON type are listed.
SELECT
    d.decision_id::text AS decision_id,
    d."timestamp"::timestamptz AS decided_at,
    d.engine_name::text AS engine_name,
    d.config_id::text AS config_id,
    d.context_id::text AS context_id,
    d.as_of_date::date AS as_of_date,
    coalesce(doubled.copies, 1) AS copies,
    a.market_id #>> '{}' AS market_id,
    a.portfolio_id #>> '{}' AS portfolio_id,
    a.strategy_id #>> '{}' AS strategy_id,
    a.entity_type #>> '{}' AS entity_type,
    a.entity_id #>> '{}' AS entity_id,
    a.mode #>> '{}' AS mode,
    a.experiment_id #>> '{}' AS experiment_id,
    a.weight #>> '{}' AS weight,
    a.probability #>> '{}' AS probability,
    a.classes::text AS classes,
    a.class_probabilities::text AS class_probabilities,
    a.label #>> '{}' AS label,
    a.score #>> '{}' AS score,
    a.expected_return #>> '{}' AS expected_return,
    concat_ws(', ',
        CASE WHEN jsonb_typeof(d.action) NOT IN ('object', 'null') THEN 'proposed_action' END,
        CASE WHEN jsonb_typeof(a.market_id) <> 'string' THEN 'market_id' END,
        CASE WHEN jsonb_typeof(a.region) <> 'string' THEN 'region' END,
        CASE WHEN jsonb_typeof(a.portfolio_id) <> 'string' THEN 'portfolio_id' END,
        CASE WHEN jsonb_typeof(a.strategy_id) <> 'string' THEN 'strategy_id' END,
        CASE WHEN jsonb_typeof(a.entity_type) <> 'string' THEN 'entity_type' END,
        CASE WHEN jsonb_typeof(a.entity_id) <> 'string' THEN 'entity_id' END,
        CASE WHEN jsonb_typeof(a.mode) <> 'string' THEN 'mode' END,
        CASE WHEN jsonb_typeof(a.experiment_id) <> 'string' THEN 'experiment_id' END,
        CASE WHEN jsonb_typeof(a.label) <> 'string' THEN 'label' END,
        CASE WHEN jsonb_typeof(a.weight) <> 'number' THEN 'weight' END,
        CASE WHEN jsonb_typeof(a.probability) <> 'number' THEN 'probability' END,
        CASE WHEN jsonb_typeof(a.score) <> 'number' THEN 'score' END,
        CASE WHEN jsonb_typeof(a.expected_return) <> 'number' THEN 'expected_return' END,
        CASE WHEN jsonb_typeof(a.classes) <> 'array'
            OR jsonb_path_exists(a.classes, 'strict $[*] ? (@.type() != "string")', '{}', true) THEN 'classes' END,
        CASE WHEN jsonb_typeof(a.class_probabilities) <> 'array'
            OR jsonb_path_exists(a.class_probabilities, 'strict $[*] ? (@.type() != "number")', '{}', true)
            THEN 'class_probabilities' END
    ) AS wrong_types
FROM (
    SELECT decision.*, decision.proposed_action::jsonb AS action FROM engine_decisions AS decision
    WHERE decision.as_of_date BETWEEN $1 AND $2
) AS d
LEFT JOIN (
    SELECT decision_id, count(*) AS copies FROM engine_decisions GROUP BY decision_id HAVING count(*) > 1
) AS doubled ON doubled.decision_id = d.decision_id
CROSS JOIN LATERAL jsonb_to_record(CASE WHEN jsonb_typeof(d.action) = 'object' THEN d.action ELSE '{}' END) AS a (
    market_id jsonb, region jsonb, portfolio_id jsonb, strategy_id jsonb, entity_type jsonb, entity_id jsonb, mode jsonb,
    experiment_id jsonb, weight jsonb, probability jsonb, classes jsonb, class_probabilities jsonb, label jsonb,
    score jsonb, expected_return jsonb
)
