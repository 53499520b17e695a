-- name: lock
-- Whether this transaction is the one that plans; another scheduler planning at the same time gets false.
SELECT pg_try_advisory_xact_lock(hashtextextended('kronos backtest scheduler', 0));

-- name: now
-- The database's clock: the only one that leases and plans go by.
SELECT clock_timestamp();

-- name: read_node
-- Stores a machine's newest reading.
INSERT INTO kronos.node_readings (node, reading) VALUES (%(node)s, %(reading)s)
ON CONFLICT (node) DO UPDATE SET reading = excluded.reading, taken_at = clock_timestamp();

-- name: nodes
-- The newest reading of every machine.
SELECT node, taken_at, reading FROM kronos.node_readings ORDER BY node;

-- name: save_state
-- Stores what a plan saw.
INSERT INTO kronos.scheduler_state (planned_at, nodes, tier1, windows, counts)
VALUES (%(planned_at)s, %(nodes)s, %(tier1)s, %(windows)s, %(counts)s)
ON CONFLICT (singleton) DO UPDATE SET planned_at = excluded.planned_at, nodes = excluded.nodes,
    tier1 = excluded.tier1, windows = excluded.windows, counts = excluded.counts;

-- name: state
-- What the last plan saw.
SELECT planned_at, nodes, tier1, windows, counts FROM kronos.scheduler_state;

-- name: decide
-- Stores decisions: one that says what the last one of its experiment and attempt said prolongs it.
WITH told AS (
    SELECT * FROM unnest(
        %(ids)s::uuid[], %(attempts)s::integer[], %(actions)s::text[], %(reasons)s::text[], %(blockers)s::text[],
        %(nodes)s::text[], %(starts)s::timestamptz[], %(leaves)s::timestamptz[]
    ) AS one (experiment_id, attempt, action, reason, blocker, node, expected_start, leave_by)
), last AS (
    SELECT DISTINCT ON (decision.experiment_id) decision.* FROM kronos.scheduling_decisions AS decision
    WHERE decision.experiment_id = ANY (%(ids)s::uuid[])
    ORDER BY decision.experiment_id, decision.decision_id DESC
), same AS (
    SELECT last.decision_id, told.* FROM told JOIN last
        USING (experiment_id, attempt, action, reason, blocker, node)
), prolonged AS (
    UPDATE kronos.scheduling_decisions AS decision
    SET last_at = %(now)s, expected_start = same.expected_start, leave_by = same.leave_by
    FROM same WHERE decision.decision_id = same.decision_id
    RETURNING decision.experiment_id
)
INSERT INTO kronos.scheduling_decisions (
    experiment_id, attempt, action, reason, blocker, node, expected_start, leave_by, first_at, last_at
)
SELECT experiment_id, attempt, action, reason, blocker, node, expected_start, leave_by, %(now)s, %(now)s FROM told
WHERE experiment_id NOT IN (SELECT experiment_id FROM prolonged);

-- name: last_decisions
-- The newest decision about every experiment that waits or runs.
SELECT DISTINCT ON (decision.experiment_id) decision.experiment_id, decision.attempt, decision.action,
    decision.reason, decision.blocker, decision.node, decision.expected_start, decision.leave_by, decision.first_at,
    decision.last_at
FROM kronos.scheduling_decisions AS decision JOIN kronos.experiments AS experiment USING (experiment_id)
WHERE experiment.status IN ('QUEUED_FOR_BACKTEST', 'RUNNING_BACKTESTS')
ORDER BY decision.experiment_id, decision.decision_id DESC;

-- name: decisions_of
-- Every decision about one experiment, oldest first.
SELECT experiment_id, attempt, action, reason, blocker, node, expected_start, leave_by, first_at, last_at
FROM kronos.scheduling_decisions WHERE experiment_id = %(experiment_id)s ORDER BY decision_id;

-- name: one_moment
-- Everything this transaction reads is of one moment.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
