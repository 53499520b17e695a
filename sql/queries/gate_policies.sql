-- name: in_force
-- The policy an engine is judged by now; no row before there is any.
SELECT engine_name, version, digest, body, created_at, created_by, reason
FROM kronos.gate_policy_in_force(%(engine_name)s);

-- name: history
-- Every version, of one engine (and of all: `*`) or of everyone, newest first.
SELECT engine_name, version, digest, body, created_at, created_by, reason FROM kronos.gate_policies
WHERE %(engine_name)s::text IS NULL OR engine_name IN (%(engine_name)s, '*')
ORDER BY created_at DESC, engine_name, version DESC;

-- name: begin
-- The defaults become version 1 for all engines where there is no policy yet.
SELECT kronos.begin_gate_policy(%(body)s);

-- name: set
-- A new version for an engine or for all, in place of the expected one.
SELECT kronos.set_gate_policy(
    %(token)s, %(engine_name)s, %(body)s, %(expected)s, %(reason)s, %(code_version)s
);
