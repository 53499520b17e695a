-- name: propose
-- Adds a proposal; its id.
SELECT kronos.propose_config(
    %(engine_name)s, %(base_config_id)s, %(body)s, %(author)s, %(rationale)s, %(about)s, %(code_version)s, %(token)s
);

-- name: matching
-- The proposals whose id begins so; three are enough to say that it is not one.
SELECT proposal_id, engine_name, base_config_id, proposed_config_body, created_at, created_by, status, metadata
FROM kronos.config_proposals
WHERE starts_with(proposal_id::text, %(prefix)s)
ORDER BY proposal_id
LIMIT 3;

-- name: list
-- Proposals of one engine and status (null: of all), oldest first.
SELECT proposal_id, engine_name, base_config_id, proposed_config_body, created_at, created_by, status, metadata
FROM kronos.config_proposals
WHERE (%(engine_name)s::text IS NULL OR engine_name = %(engine_name)s)
    AND (%(status)s::text IS NULL OR status = %(status)s)
ORDER BY created_at, proposal_id;

-- name: settle
-- Takes a proposal that awaits review out of it; no row when someone was quicker.
UPDATE kronos.config_proposals SET status = %(target)s
WHERE proposal_id = %(proposal_id)s AND status = 'PENDING_REVIEW'
RETURNING proposal_id, engine_name, base_config_id, proposed_config_body, created_at, created_by, status, metadata;
