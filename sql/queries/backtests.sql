-- name: save_spec
-- Keeps the spec of a backtest; the same again changes nothing.
INSERT INTO kronos.backtest_specs (experiment_id, digest, spec) VALUES (%(experiment_id)s, %(digest)s, %(spec)s)
ON CONFLICT (experiment_id, digest) DO NOTHING;

-- name: specs
-- The specs of an experiment's backtests, oldest first.
SELECT spec FROM kronos.backtest_specs WHERE experiment_id = %(experiment_id)s ORDER BY created_at, digest;

-- name: neighbours
-- Which of some configs are neighbours in the backtests of which experiments, with the experiments' engine.
SELECT DISTINCT experiment.engine_name, experiment.experiment_id::text, subject ->> 'config_id'
FROM kronos.backtest_specs AS spec
JOIN kronos.experiments AS experiment ON experiment.experiment_id = spec.experiment_id
CROSS JOIN LATERAL jsonb_array_elements(spec.spec -> 'subjects') AS subject
WHERE subject ->> 'config_id' = ANY(%(config_ids)s) AND subject -> 'roles' @> '["neighbour"]';

-- name: admit
-- Begins an attempt of an experiment that was just moved to RUNNING_BACKTESTS.
INSERT INTO kronos.backtest_attempts (experiment_id, attempt, node, batch, leave_by, pieces, pieces_before)
VALUES (%(experiment_id)s, %(attempt)s, %(node)s, %(batch)s, %(leave_by)s, %(pieces)s, %(pieces_before)s);

-- name: take_up
-- A run takes an attempt up; no row when another one has, or the attempt is over.
UPDATE kronos.backtest_attempts SET started_at = clock_timestamp(), run_id = %(run_id)s
WHERE experiment_id = %(experiment_id)s AND attempt = %(attempt)s AND started_at IS NULL AND outcome IS NULL
RETURNING experiment_id;

-- name: plan_pieces
-- How many pieces the backtest has, and how many of them stand, once its run knows.
UPDATE kronos.backtest_attempts SET pieces = %(pieces)s, pieces_before = %(pieces_before)s
WHERE experiment_id = %(experiment_id)s AND attempt = %(attempt)s AND outcome IS NULL;

-- name: renew
-- The attempt's worker is alive: prolongs its lease and tells what the scheduler wants; no row when it lost the experiment.
UPDATE kronos.experiments AS experiment SET
    leased_until = clock_timestamp() + make_interval(secs => %(lease_seconds)s),
    run_id = coalesce(attempt.run_id, experiment.run_id)
FROM kronos.backtest_attempts AS attempt
WHERE experiment.experiment_id = %(experiment_id)s AND experiment.attempt = %(attempt)s
    AND experiment.status = 'RUNNING_BACKTESTS' AND attempt.experiment_id = experiment.experiment_id
    AND attempt.attempt = experiment.attempt AND attempt.outcome IS NULL
RETURNING attempt.told_at IS NOT NULL AS told, coalesce(attempt.told_why, '') AS why, attempt.forced,
    extract(epoch FROM attempt.leave_by - clock_timestamp())::double precision AS seconds_left;

-- name: tell
-- Tells a run to leave; once told it stays so, but may yet be forced.
UPDATE kronos.backtest_attempts SET
    told_at = coalesce(told_at, clock_timestamp()),
    told_why = coalesce(told_why, %(why)s),
    forced = forced OR %(forced)s
WHERE experiment_id = %(experiment_id)s AND attempt = %(attempt)s AND outcome IS NULL
    AND (told_at IS NULL OR (%(forced)s AND NOT forced));

-- name: end
-- Ends the open attempt of an experiment; no row when it is over already.
UPDATE kronos.backtest_attempts AS attempt SET
    ended_at = clock_timestamp(),
    outcome = %(outcome)s,
    why = %(why)s,
    pieces_after = greatest(attempt.pieces_before, (
        SELECT count(*) FROM kronos.backtest_pieces AS piece
        WHERE piece.experiment_id = attempt.experiment_id AND piece.attempt <= attempt.attempt
            AND (piece.digest, piece.code_version) IN (
                SELECT newest.digest, newest.code_version FROM kronos.backtest_pieces AS newest
                WHERE newest.experiment_id = attempt.experiment_id ORDER BY newest.recorded_at DESC LIMIT 1
            )
    ))
WHERE experiment_id = %(experiment_id)s AND outcome IS NULL
    AND (%(attempt)s::integer IS NULL OR attempt.attempt = %(attempt)s)
RETURNING attempt;

-- name: attempts_of
-- Every attempt of one experiment, in order, with its last checkpoint and how many it made.
SELECT attempt.*, made.last_piece_at, made.pieces_made
FROM kronos.backtest_attempts AS attempt CROSS JOIN LATERAL (
    SELECT max(piece.recorded_at) AS last_piece_at, count(*) AS pieces_made FROM kronos.backtest_pieces AS piece
    WHERE piece.experiment_id = attempt.experiment_id AND piece.attempt = attempt.attempt
) AS made
WHERE attempt.experiment_id = %(experiment_id)s ORDER BY attempt.attempt;

-- name: running
-- The open attempts with their experiments, as of one moment, oldest first.
SELECT to_jsonb(held) || (
        SELECT jsonb_build_object('last_piece_at', max(piece.recorded_at), 'pieces_made', count(*))
        FROM kronos.backtest_pieces AS piece
        WHERE piece.experiment_id = held.experiment_id AND piece.attempt = held.attempt
    ) AS attempt,
    to_jsonb(experiment) AS experiment,
    experiment.leased_until < clock_timestamp() AS lapsed,
    EXISTS (SELECT FROM kronos.backtest_attempts AS member
        WHERE member.batch = held.batch AND member.lead_attempt = held.lead_attempt
            AND member.started_at IS NOT NULL) AS begun
FROM kronos.backtest_attempts AS held JOIN kronos.experiments AS experiment USING (experiment_id)
WHERE held.outcome IS NULL
ORDER BY held.admitted_at, held.experiment_id;

-- name: queued
-- The experiments in the queue, with when they were last asked for.
SELECT to_jsonb(experiment) AS experiment, coalesce((
    SELECT log.logged_at FROM kronos.change_log AS log
    WHERE log.subject = 'experiment' AND log.subject_id = experiment.experiment_id::text
        AND log.to_status = 'QUEUED_FOR_BACKTEST' AND log.from_status <> 'RUNNING_BACKTESTS'
    ORDER BY log.entry_id DESC LIMIT 1
), experiment.status_since) AS queued_at
FROM kronos.experiments AS experiment
WHERE experiment.status = 'QUEUED_FOR_BACKTEST'
ORDER BY experiment.experiment_id;

-- name: attempts_of_queued
-- The ended attempts of the experiments in the queue, in order, with their last checkpoints.
SELECT attempt.*, (
    SELECT max(piece.recorded_at) FROM kronos.backtest_pieces AS piece
    WHERE piece.experiment_id = attempt.experiment_id AND piece.attempt = attempt.attempt
) AS last_piece_at
FROM kronos.backtest_attempts AS attempt JOIN kronos.experiments USING (experiment_id)
WHERE status = 'QUEUED_FOR_BACKTEST'
ORDER BY attempt.experiment_id, attempt.attempt;

-- name: runtimes
-- Seconds that the newest completed backtests of each engine and class took, attempts added up, oldest first: from
-- admission to end, but in a batch, whose members are admitted together and run one after the other, from when their turn
-- came. What was asked for again and had only to look up pieces made earlier tells nothing of a runtime.
WITH steps AS (
    SELECT part.experiment_id, part.ended_at, part.outcome = 'COMPLETED' AS completed, part.pieces,
        extract(epoch FROM part.ended_at - CASE
            WHEN part.batch = part.experiment_id THEN part.admitted_at ELSE coalesce(part.started_at, part.ended_at)
        END)::double precision AS seconds,
        coalesce(made.pieces, 0) AS made,
        count(*) FILTER (WHERE part.outcome = 'COMPLETED') OVER (
            PARTITION BY part.experiment_id ORDER BY part.attempt ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS round
    FROM kronos.backtest_attempts AS part
    LEFT JOIN (
        SELECT experiment_id, attempt, count(*) AS pieces FROM kronos.backtest_pieces GROUP BY experiment_id, attempt
    ) AS made USING (experiment_id, attempt)
), rounds AS (
    SELECT experiment_id, max(ended_at) AS ended_at, sum(seconds) AS seconds FROM steps
    GROUP BY experiment_id, round
    HAVING bool_or(completed) AND sum(made) >= max(pieces) FILTER (WHERE completed)
), numbered AS (
    SELECT experiment.engine_name, experiment.resource_class, experiment_id, rounds.ended_at, rounds.seconds,
        row_number() OVER (
            PARTITION BY experiment.engine_name, experiment.resource_class ORDER BY rounds.ended_at DESC, experiment_id
        ) AS place
    FROM rounds JOIN kronos.experiments AS experiment USING (experiment_id)
)
SELECT engine_name, resource_class, seconds FROM numbered WHERE place <= %(newest)s
ORDER BY ended_at, experiment_id;

-- name: record_piece
-- Records a checkpoint whose rows are in the lake.
INSERT INTO kronos.backtest_pieces (
    experiment_id, digest, code_version, piece, attempt, lake, counts, seconds, refused, found, failed
) VALUES (
    %(experiment_id)s, %(digest)s, %(code_version)s, %(piece)s, %(attempt)s, %(lake)s, %(counts)s, %(seconds)s,
    %(refused)s, %(found)s, %(failed)s
) ON CONFLICT (experiment_id, digest, code_version, piece) DO NOTHING;

-- name: pieces
-- The checkpoints of a backtest, by piece.
SELECT piece, attempt, lake, counts, seconds, refused, found, failed FROM kronos.backtest_pieces
WHERE experiment_id = %(experiment_id)s AND digest = %(digest)s AND code_version = %(code_version)s
ORDER BY piece;
