-- name: present
-- Which of the named databases the server has.
SELECT datname FROM pg_database WHERE datname = ANY (%s);
