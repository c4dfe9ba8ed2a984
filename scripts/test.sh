#!/usr/bin/env bash
# Everything that must hold before a change lands. Installs what it needs.
source "$(dirname "$0")/lib.sh"

scripts/install-postgres.sh
if ! command -v cc >/dev/null; then
    step "A C compiler is missing, installing it"
    apt_install gcc libc6-dev
fi
if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
    step "Node.js is missing, installing it"
    apt_install nodejs npm
fi
step "The official JavaScript client (npm)"
npm ci --prefix tests/js --no-audit --no-fund --loglevel=error
scripts/install-chromium.sh
step "Schemathesis (PyPI)"
if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    step "Python is missing, installing it"
    apt_install python3 python3-venv
fi
[ -x tests/schemathesis/.venv/bin/pip ] || python3 -m venv tests/schemathesis/.venv
tests/schemathesis/.venv/bin/pip install --quiet --disable-pip-version-check \
    --requirement tests/schemathesis/requirements.txt

scripts/check.sh
step "Committed .sqlx"
scripts/sqlx.sh check
export SQLX_OFFLINE=true
step "Benchmarks, each once"
cargo test --benches
step "Tests"
cargo test --workspace --lib --bins --tests
