#!/usr/bin/env bash
# Dear dependencies are built once: for macros as for the server, for tests as for running
set -euo pipefail
cd "$(dirname "$0")/.."

# Those of which a second build costs seconds. sqlx-core and sqlx-postgres are built twice on purpose:
# the macros have no TLS.
dear='aws-lc-sys aws-lc-rs rustls time tokio'

# packages KINDS: one line for each crate and set of features, with these kinds of dependencies.
packages() {
    cargo tree --locked --target all --edges "$1" --prefix none --format '{p} {f}' |
        sed -E 's/ \(\*\)$//; s/ \(proc-macro\)//' | sort -u
}

status=0
with=$(packages normal,build,dev)
without=$(packages normal,build)
for crate in $dear; do
    builds=$(grep -E "^$crate v" <<<"$without" || true)
    versions=$(cut -d ' ' -f 2 <<<"$builds" | sort -u | wc -l)
    if [ "$(wc -l <<<"$builds")" != "$versions" ]; then
        printf '%s has other features for macros than for the server (see [build-dependencies]):\n%s\n' \
            "$crate" "$builds" >&2
        status=1
    fi
done
if ! grep '^sqlx-core v' <<<"$without" | grep -qv _tls; then
    echo "some feature of sqlx switches TLS on for its macros: aws-lc is built twice in dist" \
        "(see sqlx-core in Cargo.toml)" >&2
    status=1
fi
changed=$(comm -23 <(printf '%s\n' "$without") <(printf '%s\n' "$with"))
if [ -n "$changed" ]; then
    printf 'a dev-dependency adds features to these, which builds them anew for tests:\n%s\n' "$changed" >&2
    status=1
fi
exit $status
