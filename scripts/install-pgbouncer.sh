#!/usr/bin/env bash
# PgBouncer for the tests, unless there is one. On Debian its package would start a service of its own, so
# only its files are fetched, without root, into target/pgbouncer.
source "$(dirname "$0")/lib.sh"

into=${CARGO_TARGET_DIR:-target}/pgbouncer
for program in "$(command -v pgbouncer || true)" /usr/sbin/pgbouncer "$into/usr/sbin/pgbouncer"; do
    if [ -x "$program" ]; then
        exit 0
    fi
done

step "PgBouncer is missing, fetching it"
if command -v apt-get >/dev/null; then
    if ! apt-cache show pgbouncer >/dev/null 2>&1; then
        twice "apt-get update" as_root apt-get update -qq
    fi
    # Its libraries besides those that Postgres has too.
    mapfile -t packages < <(apt-cache depends --important pgbouncer |
        sed -n 's/^ *|\{0,1\}Depends: \(lib\(event\|c-ares\|cares\)[^ ]*\)$/\1/p')
    mkdir -p "$into/packages"
    download() { (cd "$into/packages" && apt-get download -qq pgbouncer "${packages[@]}"); }
    # Lists of last month name files that are gone.
    download || { as_root apt-get update -qq && twice "apt-get download" download; }
    for package in "$into"/packages/*.deb; do
        dpkg-deb --extract "$package" "$into"
    done
    "$(dirname "$0")/run-pgbouncer.sh" --version >/dev/null ||
        fail "PgBouncer was fetched and does not run: please install pgbouncer by hand"
elif command -v brew >/dev/null; then
    brew install pgbouncer
else
    fail "please install pgbouncer and run this again"
fi
