#!/usr/bin/env bash
# Writes the compile-time descriptions of all SQL (.sqlx), or checks that the committed ones are current.
# usage: scripts/sqlx.sh write|check
source "$(dirname "$0")/lib.sh"
mode=${1:?write or check}

# The descriptions come from a migrated database. The binary brings one up, and is built from the
# committed descriptions; when those do not compile any more, give a migrated DATABASE_URL.
describe() {
    touch src/lib.rs crates/*/src/lib.rs
    SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$1" cargo check --quiet --workspace --lib
}

fresh=$(mktemp -d)
stamp=$(mktemp)
touch -r src/lib.rs "$stamp"
trap 'rm -rf "$fresh" "$stamp"' EXIT
if [ -n "${DATABASE_URL:-}" ]; then
    describe "$fresh"
else
    SQLX_OFFLINE=true cargo build --quiet
    target=${CARGO_TARGET_DIR:-target}
    export -f describe
    "$target/debug/keywright" with-database -- bash -c 'describe "$0"' "$fresh"
fi
if [ "$mode" = write ]; then
    touch src/lib.rs crates/*/src/lib.rs
else
    # What was built from the committed descriptions is as good as before, if they are current.
    touch -r "$stamp" src/lib.rs crates/*/src/lib.rs
fi
[ -n "$(ls -A "$fresh")" ] || fail "no SQL was described"

if [ "$mode" = write ]; then
    rm -rf .sqlx
    mkdir .sqlx
    cp "$fresh"/* .sqlx/
    echo "$(find .sqlx -type f | wc -l) descriptions written to .sqlx"
elif ! diff -rq "$fresh" .sqlx; then
    fail ".sqlx is not current: run 'make sqlx' and commit it"
fi
