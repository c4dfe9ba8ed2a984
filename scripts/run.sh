#!/usr/bin/env bash
# Builds the development server and starts it.
source "$(dirname "$0")/lib.sh"
export SQLX_OFFLINE=true

scripts/install-postgres.sh
if [ -x "${CARGO_TARGET_DIR:-target}/debug/keywright" ]; then
    step "Building what changed (seconds; a minute or so after a change of many files)"
else
    step "Building Keywright and its dependencies (the first time about 4 minutes on two cores;" \
        "later seconds, and 'make test' finds what was built here)"
fi
cargo build --bin keywright
step "Starting the development server (the first time it makes a database; Ctrl-C ends it)"
# By cargo, so that it is found wherever cargo puts it.
exec cargo run --quiet --bin keywright -- dev "$@"
