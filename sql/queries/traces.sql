-- name: config
-- One registered config.
SELECT config_id, engine_name, version, created_at, created_by, status, family,
    kronos.canonical_hash(config_body) AS canonical_hash
FROM kronos.engine_configs WHERE config_id = %(config_id)s;

-- name: activations
-- Every time the config was active, oldest first, and the promotion or rollback by which it became so.
SELECT activation_id, activations.scope, activated_at, deactivated_at, activated_by, activations.reason, body_hash,
    promotion_id, coalesce(promotions.kind, 'FIRST') AS through
FROM kronos.config_activations AS activations
LEFT JOIN kronos.promotions USING (activation_id)
WHERE activations.config_id = %(config_id)s
ORDER BY activated_at;

-- name: promotions
-- Every promotion and rollback to the config, oldest first.
SELECT promotion_id, kind, scope, expected_incumbent, experiment_id, approval_id, evidence, requested_by,
    requested_at, reason, activates_at, status, settled_at, settled_why, activation_id
FROM kronos.promotions WHERE config_id = %(config_id)s ORDER BY requested_at;

-- name: experiments
-- The experiment that tested the config.
SELECT experiment_id, base_config_id, description, created_at, created_by, status, evidence, start_date, end_date,
    attempt, run_id, proposal_id
FROM kronos.experiments WHERE proposed_config_id = %(config_id)s ORDER BY created_at;

-- name: proposals
-- The proposal the experiment came from.
SELECT proposal_id, base_config_id, created_at, created_by, status, metadata
FROM kronos.config_proposals WHERE proposal_id IN (
    SELECT proposal_id FROM kronos.experiments WHERE proposed_config_id = %(config_id)s
);

-- name: approvals
-- The approvals of the config, oldest first.
SELECT approval_id, experiment_id, verdict_id, digest, kind, approver, reason, evidence, approved_at
FROM kronos.approvals WHERE experiment_id IN (
    SELECT experiment_id FROM kronos.experiments WHERE proposed_config_id = %(config_id)s
) ORDER BY approved_at;

-- name: verdicts
-- The verdicts on the config, oldest first, with the lake versions that hold what was judged.
SELECT verdict_id, experiment_id, attempt, look, verdict, recommendation, refused_by, incumbent, policy_engine,
    policy_version, policy_digest, evidence_digest, evidence, data_until, lake, code_version, judged_at, expires_at
FROM kronos.experiment_verdicts WHERE proposed_config_id = %(config_id)s ORDER BY judged_at;

-- name: results
-- What the experiment's backtests gave, by period, and from what.
SELECT experiment_id, period_start, period_end, metrics, evidence, attempt, provenance, recorded_at
FROM kronos.experiment_results WHERE experiment_id IN (
    SELECT experiment_id FROM kronos.experiments WHERE proposed_config_id = %(config_id)s
) ORDER BY period_start, period_end;

-- name: attempts
-- Every start of the experiment's backtests, in order.
SELECT experiment_id, attempt, node, run_id, admitted_at, started_at, ended_at, outcome, why
FROM kronos.backtest_attempts WHERE experiment_id IN (
    SELECT experiment_id FROM kronos.experiments WHERE proposed_config_id = %(config_id)s
) ORDER BY experiment_id, attempt;

-- name: pieces
-- The checkpoints of its backtests and the lake versions they were written in.
SELECT experiment_id, piece, attempt, digest, code_version, lake, recorded_at, refused
FROM kronos.backtest_pieces WHERE experiment_id IN (
    SELECT experiment_id FROM kronos.experiments WHERE proposed_config_id = %(config_id)s
) ORDER BY experiment_id, recorded_at, piece;
