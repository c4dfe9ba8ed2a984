#!/usr/bin/env bash
# No circles of files, no folder that imports one above it, no crowded folder
source "$(dirname "$0")/lib.sh"
python3 scripts/imports.py || fail "see ARCHITECTURE.md, Layers; scripts/imports.py has the order"
