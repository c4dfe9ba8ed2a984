# Runs functions as numbered steps, and ends with a table of them, also when one fails.
# To be sourced after lib.sh:
#
#     begin check            # names the folder of its output, target/steps/check
#     add "Format" format    # a title and a function
#     run_steps
#
# A step may set `seen` to what it has seen, for the table; else it counts the tests of its output.

titles=()
functions=()
rows=()

begin() {
    log=${CARGO_TARGET_DIR:-target}/steps/$1
    rm -rf "$log"
    mkdir -p "$log"
    log=$(cd "$log" && pwd)
    export KEYWRIGHT_TEST_CRASHES=$log/crashes.txt
    running=
    trap 'finish $?' EXIT
}

add() {
    titles+=("$1")
    functions+=("$2")
}

run_steps() {
    local i
    for i in "${!titles[@]}"; do
        running=${titles[$i]}
        step "$((i + 1))/${#titles[@]} $running"
        began=$SECONDS
        output=$log/$((i + 1)).log
        seen_file=$log/$((i + 1)).seen
        # Standard error stays a terminal, if it was one, for cargo's bar.
        ( set -euo pipefail; "${functions[$i]}" ) | tee "$output"
        row ok
        running=
    done
}

# seen TEXT: what the table says of the running step.
seen() { printf '%s' "$*" >"$seen_file"; }

row() {
    local what
    if [ -s "$seen_file" ]; then
        what=$(cat "$seen_file")
    else
        what=$(count_tests "$output")
    fi
    rows+=("$running"$'\t'"$((SECONDS - began))"$'\t'"$1"$'\t'"$what")
}

# count_tests FILE: from the lines that cargo's tests end with.
count_tests() {
    awk '/^test result:/ { passed += $4; failed += $6; ignored += $8; n++ }
         END { if (n) { printf "%d tests", passed + failed
                        if (failed) printf ", %d failed", failed
                        if (ignored) printf ", %d ignored", ignored } }' "$1"
}

finish() {
    local status=$1
    trap - EXIT
    # A step that was interrupted has a row too.
    [ -z "$running" ] || row FAILED
    printf '\n%-52s %7s  %-6s  %s\n' Step Seconds '' What
    printf '%s\n' "${rows[@]}" | awk -F '\t' '{ printf "%-52s %7d  %-6s  %s\n", $1, $2, $3, $4 }'
    printf '%-52s %7d\n' All "$SECONDS"
    if [ -s "$KEYWRIGHT_TEST_CRASHES" ]; then
        printf '\nNot our fault, and tried once more:\n'
        sed 's/^/  /' "$KEYWRIGHT_TEST_CRASHES"
    fi
    if declare -F tidy_up >/dev/null; then
        tidy_up || status=1
    fi
    exit "$status"
}
