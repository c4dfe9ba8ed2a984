# Room on the disk. A full one ends Postgres, and then every test fails for a reason that none of them
# can name. To be sourced after steps.sh and tidy.sh.

# What a run takes at most, in MB: what cargo builds, and the databases of the tests.
readonly room_to_build=5000
readonly room_to_test=12000

# room: a step that fails at once where the run would fail in the middle.
room() {
    local target=${CARGO_TARGET_DIR:-target} built build
    mkdir -p "$target"
    built=$(du -sm "$target" | cut -f1)
    build=$((built < room_to_build ? room_to_build - built : 0))
    if [ "$(disk_of "$target")" = "$(disk_of "$TMPDIR")" ]; then
        need $((build + room_to_test)) "$target" "what is built and the databases of the tests"
    else
        need $build "$target" "what is built"
        need $room_to_test "$TMPDIR" "the databases of the tests"
    fi
    seen "$(left_on "$TMPDIR") MB left"
}

# need MB FOLDER WHAT
need() {
    local left
    left=$(left_on "$2")
    [ "$left" -ge "$1" ] || fail "the disk of $2 has $left MB left, and $3 may take $1 MB: make room"
}

# say_if_full: for the end of a run that failed.
say_if_full() {
    local folder
    for folder in "${CARGO_TARGET_DIR:-target}" "$TMPDIR"; do
        [ "$(left_on "$folder")" -ge 200 ] || printf '\nThe disk of %s is full: make room and try again.\n' "$folder"
    done
}

left_on() { df --output=avail -BM "$1" | tail -1 | tr -dc 0-9; }
disk_of() { df --output=source "$1" | tail -1; }
