#!/usr/bin/env bash
# Runs the PgBouncer that scripts/install-pgbouncer.sh has found or fetched. It refuses to be root.
source "$(dirname "$0")/lib.sh"

into=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)/pgbouncer
for program in "$(command -v pgbouncer || true)" /usr/sbin/pgbouncer "$into/usr/sbin/pgbouncer"; do
    if [ -x "$program" ]; then
        # Absent folders do no harm.
        for libraries in "$into"/usr/lib/*-linux-*; do
            export LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
        done
        if [ "$(id -u)" = 0 ]; then
            exec "$program" -u nobody "$@"
        fi
        exec "$program" "$@"
    fi
done
fail "there is no PgBouncer (scripts/install-pgbouncer.sh fetches it)"
