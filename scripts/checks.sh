# The steps of `make check`, which the other runs have too. To be sourced after steps.sh.
export SQLX_OFFLINE=true

format() { cargo fmt --all --check; }
lints() { cargo clippy --workspace --all-targets -- -D warnings; }
rust_docs() { RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet; }
licences() {
    if cargo deny --version >/dev/null 2>&1; then
        cargo deny check bans licenses sources
    else
        seen "skipped: cargo-deny is not installed (cargo install --locked cargo-deny)"
    fi
}

# Known weaknesses of what we depend on. Their list changes every day and comes from the network, so it
# is no part of this repository: without cargo-deny, or without a list, the table says what was not done.
advisories() {
    if ! cargo deny --version >/dev/null 2>&1; then
        seen "skipped: cargo-deny is not installed (cargo install --locked cargo-deny)"
        return
    fi
    local lists=${CARGO_HOME:-$HOME/.cargo}/advisory-dbs
    if cargo deny fetch db; then
        cargo deny check --disable-fetch advisories
    elif [ -n "$(ls -A "$lists" 2>/dev/null)" ]; then
        cargo deny check --disable-fetch advisories
        seen "with the list of $(date -r "$lists" +%F): a newer one could not be fetched"
    else
        seen "skipped: the list of advisories could not be fetched, and there is none in $lists"
    fi
}

# Every scripts/check-*.sh, by its own title.
own_checks() {
    local check
    for check in scripts/check-*.sh; do
        printf -- '-- %s\n' "$(sed -n '2s/^# *//p' "$check")"
        bash "$check"
    done
    seen "$(find scripts -name 'check-*.sh' | wc -l) checks"
}

add_quick_checks() {
    add "Format (cargo fmt)" format
    add "Own checks (scripts/check-*.sh)" own_checks
    add "Lints (cargo clippy, warnings are errors)" lints
}

add_checks() {
    add_quick_checks
    add "Documentation of the code (cargo doc)" rust_docs
    add "Licences, sources, banned crates (cargo deny)" licences
    add "Known weaknesses of dependencies (cargo deny)" advisories
}
