#!/bin/sh
# Runs once, when the database cluster is made: Superset's own user and database beside Airflow's.
set -eu
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --set password="$SUPERSET_DB_PASSWORD" <<'SQL'
CREATE USER superset PASSWORD :'password';
CREATE DATABASE superset OWNER superset;
SQL
