#!/bin/sh
# Creates the owner of the database, the roles of the services and of readers, and the monitoring user, without superuser
# rights, and sets their passwords. Runs once, when the database is created; repeat it after a password has changed in
# docker/.env, or to update an older installation: README.md says how.
set -eu

psql --set=ON_ERROR_STOP=1 --quiet --username="${POSTGRES_USER:-postgres}" --dbname="$POSTGRES_DB" \
    --set=owner_password="$TIRIS_POSTGRES_PASSWORD" \
    --set=api_password="$TIRIS_POSTGRES_API_PASSWORD" \
    --set=ingest_password="$TIRIS_POSTGRES_INGEST_PASSWORD" \
    --set=read_password="$TIRIS_POSTGRES_READ_PASSWORD" \
    --set=monitor_password="$TIRIS_POSTGRES_MONITOR_PASSWORD" \
    --set=database="$POSTGRES_DB" <<'SQL'
-- The owner of older installations, which was the user of the services too.
SELECT 'ALTER ROLE tiris RENAME TO tiris_owner'
WHERE to_regrole('tiris') IS NOT NULL AND to_regrole('tiris_owner') IS NULL \gexec
SELECT format('CREATE ROLE %I', name)
FROM unnest(ARRAY['tiris_owner', 'tiris_api', 'tiris_ingest', 'tiris_read', 'monitor']) AS name
WHERE to_regrole(name) IS NULL \gexec

ALTER ROLE tiris_owner LOGIN PASSWORD :'owner_password';
ALTER ROLE tiris_api LOGIN PASSWORD :'api_password';
ALTER ROLE tiris_ingest LOGIN PASSWORD :'ingest_password';
ALTER ROLE tiris_read LOGIN CONNECTION LIMIT 10 PASSWORD :'read_password';
ALTER ROLE monitor LOGIN CONNECTION LIMIT 5 PASSWORD :'monitor_password';
GRANT pg_monitor TO monitor;
ALTER DATABASE :"database" OWNER TO tiris_owner;
SQL
