-- name: propose
-- Adds a proposal by Kronos within its bounds; its id.
SELECT kronos.propose_by_kronos(
    %(engine_name)s, %(base_config_id)s, %(body)s, %(rationale)s, %(about)s, %(new_evidence)s, %(most_per_day)s,
    %(most_per_engine)s, %(code_version)s
);

-- name: attempts
-- Everything that was proposed or tested for an engine (null: for all), by whomever.
SELECT engine_name, base_config_id, canonical_hash, created_by, as_of, mined_until, is_open
FROM kronos.tried_configs
WHERE %(engine_name)s::text IS NULL OR engine_name = %(engine_name)s
ORDER BY engine_name, base_config_id, canonical_hash, created_by, as_of;
