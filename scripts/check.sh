#!/usr/bin/env bash
# Format, lints, and documentation.
source "$(dirname "$0")/lib.sh"
export SQLX_OFFLINE=true

step "Format"
cargo fmt --all --check
step "Lints (clippy, warnings are errors)"
cargo clippy --workspace --all-targets -- -D warnings
step "Documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
if cargo deny --version >/dev/null 2>&1; then
    step "Licences, sources, banned crates"
    cargo deny check bans licenses sources
else
    step "cargo-deny is not installed: licences are not checked (cargo install cargo-deny)"
fi
