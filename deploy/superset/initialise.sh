#!/bin/sh
# Database, administrator, roles, and the connection to the serving file; running it again changes nothing.
set -eu
superset db upgrade
superset fab create-admin --username admin --firstname Costlake --lastname Admin --email admin@localhost --password "$SUPERSET_ADMIN_PASSWORD"
superset fab reset-password --username admin --password "$SUPERSET_ADMIN_PASSWORD"
superset init
# publish replaces the file as a whole, so a reader never blocks a writer; access_mode makes sure of the other direction.
superset set-database-uri --database_name costlake --uri "duckdb:////lake/serving/costlake.duckdb?access_mode=read_only"
