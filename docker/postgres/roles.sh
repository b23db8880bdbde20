#!/bin/sh
# Runs once, when the database is created: adds its owner and the monitoring user, without superuser rights.
set -eu

psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" \
    --set=owner_password="$TIRIS_POSTGRES_PASSWORD" \
    --set=monitor_password="$TIRIS_POSTGRES_MONITOR_PASSWORD" \
    --set=database="$POSTGRES_DB" <<'SQL'
CREATE ROLE tiris LOGIN PASSWORD :'owner_password';
ALTER DATABASE :"database" OWNER TO tiris;
CREATE ROLE monitor LOGIN CONNECTION LIMIT 5 PASSWORD :'monitor_password' IN ROLE pg_monitor;
SQL
