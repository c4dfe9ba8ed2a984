# What a run of tests leaves behind: temporary files, processes. To be sourced after
# steps.sh, with room.sh.

# prepare_tidying: temporary files go to a folder of this run; its processes carry a mark.
prepare_tidying() {
    KEYWRIGHT_TEST_RUN=$$-$(date +%s)
    TMPDIR=$(mktemp -d /tmp/keywright-tests-XXXXXX)
    # Postgres runs as another user where this one is root, and has to walk through.
    chmod 711 "$TMPDIR"
    export KEYWRIGHT_TEST_RUN TMPDIR
}

# tidy_up: waits for what is ending (gigabytes of databases take their time to go); what does not end by itself is named, ended, and a failure.
tidy_up() {
    local left=() pid tries
    say_if_full
    for ((tries = 0; tries < 240; tries++)); do
        mapfile -t left < <(processes_of_this_run)
        [ ${#left[@]} -gt 0 ] || break
        sleep 0.5
    done
    for pid in "${left[@]}"; do
        printf 'left behind: process %s: %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c1-200)"
        kill -KILL "$pid" 2>/dev/null || true
    done
    local files
    files=$(ls -A "$TMPDIR" 2>/dev/null || true)
    [ -z "$files" ] || printf 'left behind and removed: %s\n' $files
    rm -rf "$TMPDIR"
    [ ${#left[@]} = 0 ]
}

# processes_of_this_run: those that inherited its mark, this shell and its own children aside.
processes_of_this_run() {
    local environment pid
    for environment in /proc/[0-9]*/environ; do
        pid=${environment#/proc/}
        pid=${pid%/environ}
        [ "$pid" != $$ ] && [ "$pid" != "$BASHPID" ] || continue
        # A tee that still writes is ours too, and ends with us.
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != tee ] || continue
        if tr '\0' '\n' 2>/dev/null <"$environment" | grep -qx "KEYWRIGHT_TEST_RUN=$KEYWRIGHT_TEST_RUN"; then
            [ "$(awk '/^PPid:/ { print $2 }' "/proc/$pid/status" 2>/dev/null)" = $$ ] || echo "$pid"
        fi
    done 2>/dev/null
}
