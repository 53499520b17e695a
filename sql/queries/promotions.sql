-- name: reviewed
-- What an approval of the experiment would be of now; no row while it has no verdict.
SELECT
    judged.verdict_id, judged.experiment_id, judged.engine_name, judged.verdict, judged.recommendation,
    judged.refused_by, judged.evidence, judged.data_until, judged.judged_at, judged.expires_at,
    judged.policy_engine, judged.policy_version,
    kronos.approval_content(judged.verdict_id) AS content, kronos.approval_digest(judged.verdict_id) AS digest
FROM kronos.verdict_in_force(%(experiment_id)s) AS judged;

-- name: approve
-- A person approves what has the digest he saw; the approval's id.
SELECT kronos.approve(%(token)s, %(experiment_id)s, %(digest)s, %(reason)s, %(code_version)s);

-- name: auto_approve
-- The gate policy approves a small change; the approval's id.
SELECT kronos.auto_approve(%(experiment_id)s, %(code_version)s);

-- name: reject
-- A person rejects what awaits review, or was approved and not promoted, or rolled back since.
SELECT kronos.reject(%(token)s, %(experiment_id)s, %(reason)s, %(code_version)s);

-- name: promote
-- Makes an approved config the incumbent, now (null) or at a time; the promotion's id.
SELECT kronos.promote(%(token)s, %(experiment_id)s, %(reason)s, %(at)s, %(code_version)s);

-- name: cancel
-- Takes back a scheduled promotion.
SELECT kronos.cancel_promotion(%(token)s, %(promotion_id)s, %(reason)s, %(code_version)s);

-- name: rollback
-- Back to the config that was active before the expected incumbent; the rollback's id.
SELECT kronos.rollback(
    %(token)s, %(engine_name)s, %(scope)s, %(expected_incumbent)s, %(reason)s, %(code_version)s
);

-- name: adopt
-- Makes what trades upstream already the first active config of an engine; the activation's id.
SELECT kronos.adopt_config(
    %(token)s, %(engine_name)s, %(config_id)s, %(reason)s, %(live_from)s, %(live_until)s, %(data_until)s, %(code_version)s
);

-- name: activate_due
-- Activates or cancels every scheduled promotion whose time has come; their ids.
SELECT kronos.activate_due(%(code_version)s);

-- name: log_refusal
-- Says in the change log that an attempt was refused.
SELECT kronos.log_refusal(
    %(token)s, %(account)s, %(act)s, %(subject_id)s, %(rule)s, %(why)s, %(code_version)s
);

-- name: find
-- Promotions and rollbacks by id, engine or config (null: any), oldest first.
SELECT
    promotion_id, kind, engine_name, scope, config_id, expected_incumbent, experiment_id, approval_id, evidence,
    requested_by, requested_at, reason, activates_at, status, settled_at, settled_why, activation_id
FROM kronos.promotions
WHERE (%(promotion_id)s::uuid IS NULL OR promotion_id = %(promotion_id)s)
    AND (%(engine_name)s::text IS NULL OR engine_name = %(engine_name)s)
    AND (%(config_id)s::text IS NULL OR config_id = %(config_id)s)
    AND (%(experiment_id)s::uuid IS NULL OR experiment_id = %(experiment_id)s)
ORDER BY requested_at, promotion_id;

-- name: approvals
-- The approvals of an experiment, oldest first, and the promotion each was used for.
SELECT
    approvals.approval_id, approvals.experiment_id, approvals.verdict_id, approvals.digest, approvals.content,
    approvals.kind, approvals.approver, approvals.reason, approvals.evidence, approvals.approved_at, promotions.promotion_id
FROM kronos.approvals
LEFT JOIN kronos.promotions USING (approval_id)
WHERE approvals.experiment_id = %(experiment_id)s
ORDER BY approvals.approved_at;

-- name: active
-- What was active at an instant (null: now) of one engine or, for null, of all, and by which change it became so.
SELECT
    activations.engine_name, activations.scope, activations.config_id, activations.activated_at,
    activations.deactivated_at, activations.activated_by, activations.reason,
    coalesce(promotions.kind, 'FIRST') AS through, promotions.promotion_id, promotions.experiment_id,
    promotions.evidence, approvals.approver, judged.verdict
FROM kronos.config_activations AS activations
LEFT JOIN kronos.promotions USING (activation_id)
LEFT JOIN kronos.approvals USING (approval_id)
LEFT JOIN kronos.experiment_verdicts AS judged USING (verdict_id)
WHERE (%(engine_name)s::text IS NULL OR activations.engine_name = %(engine_name)s)
    AND CASE
        WHEN %(instant)s::timestamptz IS NULL THEN activations.deactivated_at IS NULL
        ELSE activations.activated_at <= %(instant)s
            AND (activations.deactivated_at IS NULL OR %(instant)s < activations.deactivated_at)
    END
ORDER BY activations.engine_name, activations.scope;
