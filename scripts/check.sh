#!/usr/bin/env bash
# Format, lints, documentation, and every scripts/check-*.sh: whoever adds a check adds such a file, and
# nothing here. The second line of such a file, a comment, is its title.
source "$(dirname "$0")/lib.sh"
source scripts/steps.sh
source scripts/checks.sh

begin check
add_checks
run_steps
