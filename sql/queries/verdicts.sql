-- name: insert
-- Records a verdict; the same evidence under the same policy by the same code is no second one, and gives no row.
INSERT INTO kronos.experiment_verdicts (
    verdict_id, experiment_id, attempt, incumbent, verdict, recommendation, report, policy_engine, policy_version,
    policy_digest, evidence_digest, data_until, lake, code_version
) VALUES (
    %(verdict_id)s, %(experiment_id)s, %(attempt)s, %(incumbent)s, %(verdict)s, %(recommendation)s, %(report)s,
    %(policy_engine)s, %(policy_version)s, %(policy_digest)s, %(evidence_digest)s, %(data_until)s, %(lake)s,
    %(code_version)s
)
ON CONFLICT ON CONSTRAINT experiment_verdicts_once DO NOTHING
RETURNING *;

-- name: of_experiment
-- The verdicts on an experiment, the one in force first, then the newest.
SELECT * FROM kronos.experiment_verdicts WHERE experiment_id = %(experiment_id)s
ORDER BY verdict_id = (SELECT verdict_id FROM kronos.verdict_in_force(%(experiment_id)s)) DESC, judged_at DESC, verdict_id;

-- name: standing
-- The verdict on this evidence under this policy that counts: by code that a suite of controls has proven, else by this.
SELECT * FROM kronos.experiment_verdicts
WHERE experiment_id = %(experiment_id)s AND attempt = %(attempt)s AND evidence_digest = %(evidence_digest)s
    AND policy_digest = %(policy_digest)s
    AND (code_version = %(code)s OR kronos.code_proven(engine_name, policy_digest, code_version))
ORDER BY kronos.code_proven(engine_name, policy_digest, code_version) DESC, judged_at DESC, verdict_id LIMIT 1;

-- name: looks
-- How often fresh evidence of an experiment could be looked at, judged or not, and the looks within a year at the
-- engine's others: one row per look. A control can promote nothing: it spends nothing of the others' budget, nor they
-- of its.
WITH looks AS (
    SELECT experiment_id, evidence, seen.attempt, seen_at,
        row_number() OVER (PARTITION BY experiment_id ORDER BY seen.attempt) AS look
    FROM kronos.experiments CROSS JOIN LATERAL kronos.attempts_seen(experiment_id) AS seen
    WHERE engine_name = %(engine_name)s
)
SELECT experiment_id, attempt, look FROM looks
WHERE experiment_id = %(experiment_id)s
    OR (
        evidence <> 'CONTROL' AND seen_at > clock_timestamp() - make_interval(years => 1)
        AND NOT EXISTS (
            SELECT FROM kronos.experiments AS mine
            WHERE mine.experiment_id = %(experiment_id)s AND mine.evidence = 'CONTROL'
        )
    )
ORDER BY experiment_id, attempt;

-- name: unjudged
-- Experiments that have awaited review for a while without a verdict on their last attempt under the policy in force,
-- whose digest is empty before there is any policy, and whose run is at no other attempt of its batch and has not been
-- for as long. A verdict by other code counts if a suite of controls has proven that; one from before the newest weekly
-- or monthly run, whose request is told, does not: evidence ages, the LIVE record goes on, and trials are added. A
-- control is judged by the code of its suite alone: others have nothing to say of it.
WITH newest AS (
    SELECT request_key, requested_at FROM kronos.meta_runs WHERE cadence IN ('weekly', 'monthly')
    ORDER BY requested_at DESC, request_key LIMIT 1
)
SELECT experiment.experiment_id, experiment.attempt, coalesce(policy.digest, '') AS policy_digest,
    coalesce((SELECT request_key FROM newest), '') AS since
FROM kronos.experiments AS experiment
LEFT JOIN LATERAL kronos.gate_policy_in_force(experiment.engine_name) AS policy ON true
WHERE experiment.status = 'AWAITING_REVIEW'
    AND coalesce(experiment.metadata #>> '{suite,code_version}', %(code)s) = %(code)s
    AND experiment.status_since < clock_timestamp() - make_interval(secs => %(seconds)s)
    AND NOT EXISTS (
        SELECT FROM kronos.backtest_attempts AS mine
        JOIN kronos.backtest_attempts AS other USING (batch, lead_attempt)
        WHERE mine.experiment_id = experiment.experiment_id AND mine.attempt = experiment.attempt
            AND coalesce(other.ended_at, 'infinity') >= clock_timestamp() - make_interval(secs => %(seconds)s)
    )
    AND NOT EXISTS (
        SELECT FROM kronos.experiment_verdicts AS verdict
        WHERE verdict.experiment_id = experiment.experiment_id AND verdict.attempt = experiment.attempt
            AND verdict.policy_digest = policy.digest
            AND verdict.judged_at >= coalesce((SELECT requested_at FROM newest), '-infinity')
            AND (
                verdict.code_version = %(code)s
                OR kronos.code_proven(verdict.engine_name, verdict.policy_digest, verdict.code_version)
            )
    )
ORDER BY experiment.status_since, experiment.experiment_id;

-- name: duplicates
-- Configs of the engine's real search with the very parameters that an experiment proposes, where testing them again is
-- testing nothing new: the incumbent, the active config, and what another experiment proposed that was seen within the
-- last year and before this one ever was. Seen is what has results, judged or not: they could be read. What nobody saw
-- before takes nothing from it.
WITH seen AS (
    SELECT experiment_id, recorded_at AS seen_at FROM kronos.experiment_results
    UNION ALL SELECT experiment_id, recorded_at FROM kronos.superseded_results
    UNION ALL SELECT experiment_id, judged_at FROM kronos.experiment_verdicts
)
SELECT other.config_id FROM kronos.experiments AS experiment
JOIN kronos.engine_configs AS mine ON mine.config_id = experiment.proposed_config_id
JOIN kronos.engine_configs AS other ON other.engine_name = mine.engine_name AND other.config_id <> mine.config_id
    AND other.family = 'REAL' AND kronos.canonical_hash(other.config_body) = kronos.canonical_hash(mine.config_body)
WHERE experiment.experiment_id = %(experiment_id)s AND (
    other.status = 'ACTIVE' OR other.config_id = %(incumbent)s OR EXISTS (
        SELECT FROM kronos.experiments AS rival JOIN seen USING (experiment_id)
        WHERE rival.proposed_config_id = other.config_id
        GROUP BY experiment_id
        HAVING max(seen_at) > clock_timestamp() - make_interval(years => 1) AND min(seen_at) < coalesce((
            SELECT min(own.seen_at) FROM seen AS own WHERE own.experiment_id = experiment.experiment_id
        ), 'infinity')
    )
)
ORDER BY other.config_id;

-- name: mined_until
-- Until when Kronos had looked at the data when it proposed this experiment's config by itself; no row otherwise.
SELECT (proposal.metadata ->> 'mined_until')::date FROM kronos.experiments AS experiment
JOIN kronos.config_proposals AS proposal USING (proposal_id)
WHERE experiment.experiment_id = %(experiment_id)s AND proposal.created_by = 'Kronos'
    AND proposal.metadata ? 'mined_until';
