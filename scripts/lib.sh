# Shared by the scripts beside it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() { printf '\n== %s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# as_root COMMAND...: runs it as root, by sudo where needed.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "root is needed to run: $*"
    fi
}

# twice NAME COMMAND...: for what depends on a network. A second failure counts.
twice() {
    local name=$1
    shift
    "$@" && return
    note_crash "$name failed (exit code $?) and was started once more"
    "$@"
}

# note_crash TEXT: for the end of the run. Tests write to the same file (tests/it/support/tool.rs).
note_crash() {
    printf '%s\n' "$*" >&2
    [ -z "${KEYWRIGHT_TEST_CRASHES:-}" ] || printf '%s\n' "$*" >>"$KEYWRIGHT_TEST_CRASHES"
}

# apt_install PACKAGE...
apt_install() {
    command -v apt-get >/dev/null || fail "please install by hand: $*"
    twice "apt-get update" as_root apt-get update -qq
    twice "apt-get install" as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@"
}
