-- name: identify
-- Whose token it is; no row for an unknown or revoked one.
SELECT name, kind, role, created_at, created_by, rotated_at, revoked_at, revoked_by FROM kronos.identify(%(token)s);

-- name: begin
-- The first admin of a database; true when it was added, false while there is one.
SELECT kronos.begin_principals(%(name)s, %(token_hash)s, %(code_version)s);

-- name: add
-- A new principal, by an admin.
SELECT kronos.add_principal(%(token)s, %(name)s, %(kind)s, %(role)s, %(token_hash)s, %(code_version)s);

-- name: rotate
-- A new token for a principal, by himself or an admin.
SELECT kronos.rotate_principal(%(token)s, %(name)s, %(token_hash)s, %(code_version)s);

-- name: revoke
-- Ends a principal's rights for good, by an admin.
SELECT kronos.revoke_principal(%(token)s, %(name)s, %(reason)s, %(code_version)s);

-- name: list
-- Every principal there is or was, by name.
SELECT name, kind, role, created_at, created_by, rotated_at, revoked_at, revoked_by
FROM kronos.principals ORDER BY lower(name);
