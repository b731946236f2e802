#!/bin/sh
# Run once by the PostgreSQL container in an empty database: the roles of docs/operations.md.
set -eu
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname rootstock \
    --set owner="$OWNER_PASSWORD" --set app="$APP_PASSWORD" <<'SQL'
CREATE ROLE rootstock_owner LOGIN NOSUPERUSER NOBYPASSRLS CREATEROLE PASSWORD :'owner';
CREATE ROLE rootstock_app LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'app';
CREATE ROLE rootstock_lookup NOLOGIN NOSUPERUSER NOBYPASSRLS;
GRANT rootstock_lookup TO rootstock_owner;
ALTER DATABASE rootstock OWNER TO rootstock_owner;
CREATE EXTENSION vector;
SQL
