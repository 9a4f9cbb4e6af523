#!/bin/bash
# The first start makes the database that the variables of the official image name.
set -euo pipefail
data=/var/lib/postgresql/data
if [[ ! -s "$data/PG_VERSION" ]]; then
    [[ -n "${POSTGRES_PASSWORD:-}" ]] || { echo "POSTGRES_PASSWORD is not set" >&2; exit 1; }
    initdb -D "$data" -U "$POSTGRES_USER" -E UTF8 --locale=C --auth-local=trust --auth-host=scram-sha-256 --pwfile=<(printf %s "$POSTGRES_PASSWORD")
    echo 'host all all all scram-sha-256' >>"$data/pg_hba.conf"
    pg_ctl -D "$data" -o "-c listen_addresses=''" -w start
    createdb -U "$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl -D "$data" -w stop
fi
exec postgres -D "$data" -c 'listen_addresses=*'
