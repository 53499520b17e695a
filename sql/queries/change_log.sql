-- name: begin
-- Says who changes what in this transaction, why, and what it rests on; one such transaction at a time.
SELECT kronos.begin_change(%(author)s, %(reason)s, %(run_id)s, %(lake_version)s, %(code_version)s, %(token)s);

-- name: entries
-- The chain, first to last; lake_version and detail as the text that was hashed.
SELECT entry_id, subject, subject_id, from_status, to_status, author, acted_as, logged_at, evidence, run_id,
    lake_version::text AS lake_version, code_version, detail::text AS detail, previous_hash, hash
FROM kronos.change_log
ORDER BY entry_id;

-- name: newest
-- The last entries, of one subject or, for null, of all, oldest first.
SELECT * FROM (
    SELECT entry_id, subject, subject_id, from_status, to_status, author, acted_as, logged_at, evidence, run_id,
        lake_version::text AS lake_version, code_version, detail::text AS detail, previous_hash, hash
    FROM kronos.change_log
    WHERE %(subject_id)s::text IS NULL OR subject_id = %(subject_id)s
    ORDER BY entry_id DESC
    LIMIT %(count)s
) AS newest
ORDER BY entry_id;

-- name: subjects
-- Ids of the log's subjects that begin so.
SELECT DISTINCT subject_id FROM kronos.change_log WHERE starts_with(subject_id, %(prefix)s) ORDER BY 1 LIMIT 3;
