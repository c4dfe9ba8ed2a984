#!/usr/bin/env bash
# Every target of src/fuzz/ (or only those named) with libFuzzer, SECONDS_EACH (60) each: scripts/fuzz.sh [SECONDS_EACH [TARGET...]]
source "$(dirname "$0")/lib.sh"
export SQLX_OFFLINE=true

seconds=${1:-60}
shift || true
case $seconds in
    '' | *[!0-9]*) fail "usage: scripts/fuzz.sh [SECONDS_EACH [TARGET...]]" ;;
esac
command -v c++ >/dev/null || apt_install g++

# What libFuzzer sees coverage and comparisons by, and nothing that needs another compiler than the
# server's. Only for the target platform: macros and build scripts run without it.
host=$(rustc -vV | sed -n 's/^host: //p')
flags=(
    --cfg fuzzing
    -C passes=sancov-module
    -C llvm-args=-sanitizer-coverage-level=4
    -C llvm-args=-sanitizer-coverage-inline-8bit-counters
    -C llvm-args=-sanitizer-coverage-pc-table
    -C llvm-args=-sanitizer-coverage-trace-compares
    -C codegen-units=1
)
built=${CARGO_TARGET_DIR:-target}
step "Build"
# The versions that the server has.
[ fuzz/Cargo.lock -nt Cargo.lock ] || cp Cargo.lock fuzz/Cargo.lock
RUSTFLAGS="${flags[*]}" cargo build --manifest-path fuzz/Cargo.toml --target "$host" \
    --target-dir "$built"
program=$(cd "$built/$host/debug" && pwd)/fuzz

if [ $# = 0 ]; then
    mapfile -t targets < <("$program")
else
    targets=("$@")
fi

rows=()
failed=0
for target in "${targets[@]}"; do
    step "$target, $seconds seconds"
    corpus=fuzz/corpus/$target
    log=$built/steps/fuzz/$target.log
    mkdir -p "$corpus" "${log%/*}" fuzz/artifacts/"$target"
    result=ok
    # The seeds are written before libFuzzer reads the folder.
    FUZZ_TARGET=$target FUZZ_SEEDS=$corpus "$program" "$corpus" -max_total_time="$seconds" \
        -max_len=4096 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -report_slow_units=10 \
        -artifact_prefix="fuzz/artifacts/$target/" 2>&1 | tee "$log" || result=FAILED
    [ $result = ok ] || failed=1
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    rows+=("$target"$'\t'"$seconds"$'\t'"${runs:-?}"$'\t'"$(find "$corpus" -type f | wc -l)"$'\t'"$result")
done

printf '\n%-28s %8s %12s %8s\n' Target Seconds Inputs Corpus
printf '%s\n' "${rows[@]}" | awk -F '\t' '{ printf "%-28s %8s %12s %8s  %s\n", $1, $2, $3, $4, $5 }'
[ $failed = 0 ] || fail "the inputs that fail are in fuzz/artifacts"
