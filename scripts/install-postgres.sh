#!/usr/bin/env bash
# Installs the PostgreSQL programs if this machine has none. No cluster is made or started.
source "$(dirname "$0")/lib.sh"

for program in "$(command -v postgres || true)" /usr/lib/postgresql/*/bin/postgres \
    /opt/homebrew/opt/postgresql*/bin/postgres /usr/local/opt/postgresql*/bin/postgres; do
    if [ -x "$program" ]; then
        exit 0
    fi
done

step "PostgreSQL is missing, installing it"
if command -v apt-get >/dev/null; then
    apt_install postgresql-common
    # The package would make and start a cluster of its own, which nothing here needs.
    as_root sh -c 'mkdir -p /etc/postgresql-common/createcluster.d &&
        echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.d/keywright.conf'
    apt_install postgresql
elif command -v brew >/dev/null; then
    brew install postgresql@16
else
    fail "please install PostgreSQL 13 or newer (server and contrib modules) and run this again"
fi
