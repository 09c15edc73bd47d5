#!/bin/sh
# Makes the role that Bellhop's processes connect as, or gives it a new password. Its rights come from
# `bellhop migrate --role bellhop_app`. Run by the image of PostgreSQL when the database is first made.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$APPLICATION_PASSWORD" -U "$POSTGRES_USER" -d "$POSTGRES_DB" <<'SQL'
SELECT 'CREATE ROLE bellhop_app LOGIN'
WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'bellhop_app') \gexec
ALTER ROLE bellhop_app PASSWORD :'password';
SQL
