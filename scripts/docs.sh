#!/usr/bin/env bash
# Renders the documents as a book, target/book/html. Its chapters are docs/SUMMARY.md.
source "$(dirname "$0")/lib.sh"

step "Links"
bash scripts/check-links.sh

if ! command -v mdbook >/dev/null; then
    step "mdbook is missing, installing it (once, some minutes)"
    cargo install --locked 'mdbook@^0.5'
fi

step "Book"
# A book has one folder, and documents stand in two: they are copied side by side, as they link to
# each other, and so are the paths of the chapters.
out=${CARGO_TARGET_DIR:-target}/book
rm -rf "$out"
mkdir -p "$out/src"
cp book.toml "$out/"
cp ./*.md LICENSE "$out/src/"
cp -r docs "$out/src/docs"
mkdir -p "$out/src/tests/it"
cp tests/it/README.md "$out/src/tests/it/"
rm "$out/src/docs/SUMMARY.md"
sed -E -e 's|\]\(([^)]+)\)|](docs/\1)|' -e 's|\(docs/\.\./|(|' docs/SUMMARY.md >"$out/src/SUMMARY.md"
mdbook build "$out" --dest-dir "$(realpath "$out")/html"
echo "open $out/html/index.html"
