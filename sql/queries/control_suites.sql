-- name: insert
-- Records a suite whose controls are all judged; the database counts what is not as expected.
INSERT INTO kronos.control_suites (
    suite_id, engine_name, period, seed, policy_digest, code_version, outcomes, planned
) VALUES (
    %(suite_id)s, %(engine_name)s, %(period)s, %(seed)s, %(policy_digest)s, %(code_version)s, %(outcomes)s,
    %(planned)s
);

-- name: suites
-- Recorded suites of an engine and week (null: of all), by completion.
SELECT suite_id, engine_name, period, seed, policy_digest, code_version, outcomes, unexpected, missed_positives,
    completed_at
FROM kronos.control_suites
WHERE (%(engine_name)s::text IS NULL OR engine_name = %(engine_name)s)
    AND (%(period)s::text IS NULL OR period = %(period)s)
ORDER BY completed_at, suite_id;

-- name: members
-- The controls of every suite that is not recorded and either belongs to a week or still has an open control, each with
-- its verdict under the suite's own policy and by its code.
WITH members AS (
    SELECT *, metadata #>> '{suite,suite_id}' AS suite_id FROM kronos.experiments
    WHERE evidence = 'CONTROL' AND metadata ? 'suite'
)
SELECT members.experiment_id, members.status, members.created_at, members.metadata -> 'suite' AS about,
    members.metadata ->> 'reason' AS reason, judged.verdict_id, judged.verdict, judged.refused_by,
    kronos.gate_verdict(judged.report, members.metadata #>> '{suite,expected_gate}') AS gate_verdict,
    kronos.gate_reasons(judged.report, members.metadata #>> '{suite,expected_gate}') AS gate_reasons, judged.ran_by
FROM members
LEFT JOIN LATERAL (
    SELECT verdict_id, verdict, refused_by, report, kronos.code_of_evidence(each_verdict) AS ran_by
    FROM kronos.experiment_verdicts AS each_verdict
    WHERE each_verdict.experiment_id = members.experiment_id AND each_verdict.attempt = members.attempt
        AND each_verdict.policy_digest = members.metadata #>> '{suite,policy_digest}'
        AND each_verdict.code_version = members.metadata #>> '{suite,code_version}'
    ORDER BY judged_at DESC LIMIT 1
) AS judged ON true
WHERE NOT EXISTS (SELECT FROM kronos.control_suites AS recorded WHERE recorded.suite_id::text = members.suite_id)
    AND (
        members.metadata #>> '{suite,period}' = %(period)s
        OR members.suite_id IN (SELECT suite_id FROM members WHERE status NOT IN ('APPROVED', 'REJECTED'))
    )
ORDER BY members.suite_id, members.created_at, members.experiment_id;

-- name: candidates
-- Open experiments that are no controls, each with its verdict in force and all that stands against promoting it.
SELECT experiments.experiment_id, experiments.engine_name, experiments.proposed_config_id, experiments.status,
    judged.evidence, judged.verdict, judged.judged_at,
    ARRAY(SELECT why FROM kronos.against_promotion(experiments.experiment_id)) AS reasons
FROM kronos.experiments
JOIN LATERAL kronos.verdict_in_force(experiments.experiment_id) AS judged ON true
WHERE experiments.status IN ('AWAITING_REVIEW', 'APPROVED') AND experiments.evidence <> 'CONTROL'
ORDER BY experiments.engine_name, judged.judged_at, experiments.experiment_id;

-- name: promotable
-- The same question as kronos.against_promotion answers, asked of the tables alone: open experiments whose verdict in
-- force lets them through, on evidence that counts, by code that is proven, with an open latch, and that are neither
-- scheduled nor rolled back since.
SELECT experiments.experiment_id
FROM kronos.experiments
JOIN LATERAL kronos.verdict_in_force(experiments.experiment_id) AS judged ON true
JOIN LATERAL kronos.gate_policy_in_force(experiments.engine_name) AS policy ON true
LEFT JOIN kronos.config_activations AS active ON active.engine_name = experiments.engine_name
    AND active.scope = '*' AND active.deactivated_at IS NULL
WHERE experiments.status IN ('AWAITING_REVIEW', 'APPROVED') AND experiments.evidence <> 'CONTROL'
    AND judged.attempt = experiments.attempt AND judged.verdict = 'PASS' AND judged.expires_at > clock_timestamp()
    AND judged.policy_digest = policy.digest
    AND kronos.verdict_proven(judged)
    AND judged.incumbent IS NOT DISTINCT FROM active.config_id
    AND NOT EXISTS (SELECT FROM kronos.latch_causes(experiments.engine_name))
    AND NOT EXISTS (
        SELECT FROM kronos.promotions
        WHERE promotions.experiment_id = experiments.experiment_id AND promotions.status = 'SCHEDULED'
            OR kind = 'ROLLBACK' AND expected_incumbent = experiments.proposed_config_id AND settled_at > judged.judged_at
    )
ORDER BY experiments.experiment_id;
