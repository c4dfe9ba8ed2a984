#!/usr/bin/env bash
# Chromium for the tests of passkeys, unless there is one.
source "$(dirname "$0")/lib.sh"

for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && exit 0
done
step "Chromium is missing, installing it"
apt_install chromium
