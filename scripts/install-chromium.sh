#!/usr/bin/env bash
# Chromium for the tests of passkeys, unless there is one.
source "$(dirname "$0")/lib.sh"

for program in /usr/bin/chromium /usr/bin/chromium-browser /usr/bin/google-chrome; do
    if [ -x "$program" ]; then
        exit 0
    fi
done
step "Chromium is missing, installing it"
apt_install chromium
