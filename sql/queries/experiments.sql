-- name: insert
-- Adds an experiment, which begins PENDING.
INSERT INTO kronos.experiments (
    experiment_id, engine_name, base_config_id, proposed_config_id, description, priority, auto_generated,
    resource_class, expected_outcome, start_date, end_date, metadata, proposal_id
) VALUES (
    %(experiment_id)s, %(engine_name)s, %(base_config_id)s, %(proposed_config_id)s, %(description)s, %(priority)s,
    %(auto_generated)s, %(resource_class)s, %(expected_outcome)s, %(start_date)s, %(end_date)s, %(metadata)s,
    %(proposal_id)s
) RETURNING *;

-- name: matching
-- The experiments whose id begins so; three are enough to say that it is not one.
SELECT * FROM kronos.experiments
WHERE starts_with(experiment_id::text, %(prefix)s)
ORDER BY experiment_id
LIMIT 3;

-- name: list
-- Experiments of one engine and status (null: of all), oldest first.
SELECT * FROM kronos.experiments
WHERE (%(engine_name)s::text IS NULL OR engine_name = %(engine_name)s)
    AND (%(status)s::text IS NULL OR status = %(status)s)
ORDER BY created_at, experiment_id;

-- name: move
-- Moves an experiment on from one of the expected statuses and, unless null, that attempt; no row when it is elsewhere.
UPDATE kronos.experiments SET
    status = %(target)s,
    priority = coalesce(%(priority)s, priority),
    end_date = coalesce(%(end_date)s, end_date),
    run_id = coalesce(%(run_id)s, run_id),
    leased_until = %(leased_until)s
WHERE experiment_id = %(experiment_id)s AND status = ANY (%(expected)s)
    AND (%(attempt)s::integer IS NULL OR attempt = %(attempt)s)
RETURNING *;

-- name: record_result
-- Writes what an attempt's backtest of a period gave; a later backtest of the same period replaces it.
INSERT INTO kronos.experiment_results (
    experiment_id, period_start, period_end, metrics, by_regime, by_market, by_stability_bucket, detail, attempt,
    provenance
) VALUES (
    %(experiment_id)s, %(period_start)s, %(period_end)s, %(metrics)s, %(by_regime)s, %(by_market)s,
    %(by_stability_bucket)s, %(detail)s, %(attempt)s, %(provenance)s
) ON CONFLICT (experiment_id, period_start, period_end) DO UPDATE SET
    metrics = excluded.metrics, by_regime = excluded.by_regime, by_market = excluded.by_market,
    by_stability_bucket = excluded.by_stability_bucket, detail = excluded.detail, attempt = excluded.attempt,
    provenance = excluded.provenance;

-- name: results
-- What the backtests of an experiment gave, by period.
SELECT experiment_id, period_start, period_end, metrics, by_regime, by_market, by_stability_bucket, detail, evidence,
    attempt, provenance, recorded_at
FROM kronos.experiment_results
WHERE experiment_id = %(experiment_id)s
ORDER BY period_start, period_end;
