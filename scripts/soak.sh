#!/usr/bin/env bash
# The fault tests of `make test`, for longer: MINUTES (10) in all, each test its share. Ends with a table.
source "$(dirname "$0")/lib.sh"
export SQLX_OFFLINE=true

minutes=${1:-10}
tests=(
    sessions::refresh_promise::interleavings::every
    sessions::refresh_promise::crashes
    sessions::refresh_promise::spread
    endurance::nodes
    endurance::actors
    node::restarts::a_rolling
)
out=target/soak
rm -rf "$out"
mkdir -p "$out"

scripts/install-postgres.sh
step "Build"
cargo test --test it --no-run

failed=()
for test in "${tests[@]}"; do
    step "$test"
    log=$out/${test//::/-}.log
    if ! KEYWRIGHT_SOAK=$((minutes * 60 / ${#tests[@]})) \
        cargo test --quiet --test it -- --nocapture "$test" 2>&1 | tee "$log"; then
        failed+=("$test")
    fi
done

{
    printf '# Soak of %s, %s minutes\n\n' "$(date --utc +%Y-%m-%dT%H:%MZ)" "$minutes"
    for table in "$out"/*.md; do
        cat "$table"
        echo
    done
    for test in "${tests[@]}"; do
        seeds=$(grep -c KEYWRIGHT_SEED= "$out/${test//::/-}.log" || true)
        [ "$seeds" = 0 ] || printf -- '- `%s`: %s seeds\n' "$test" "$seeds"
    done
    [ ${#failed[@]} = 0 ] || printf -- '- FAILED: %s\n' "${failed[@]}"
} > target/soak.md
step "target/soak.md"
cat target/soak.md
[ ${#failed[@]} = 0 ] || fail "failed: ${failed[*]} (a seed in $out makes the choices again)"
