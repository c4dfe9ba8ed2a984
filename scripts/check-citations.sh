#!/usr/bin/env bash
# Comments and documents cite what is in the repository: ids and tests that are named exist.
source "$(dirname "$0")/lib.sh"

page=docs/reference-behaviour.md
bad=0
complain() { printf '%s\n' "$*" >&2; bad=1; }

everything=(. ':!Cargo.lock' ':!*package-lock.json' ':!scripts/check-citations.sh')

# A document that is named is tracked; `make soak` writes its own.
tracked=$(git ls-files '*.md' | sed 's#.*/##' | sort -u; echo soak.md)
documents=$(git grep -ohIE '\b[A-Za-z0-9_-]+\.md\b' -- "${everything[@]}" | sort -u)
for document in $documents; do
    grep -qxF -- "$document" <<<"$tracked" ||
        complain "$document is not in the repository:"$'\n'"$(git grep -nIF -- "$document" "${everything[@]}")"
done

# Rows of such a document: "S-07", "Q26". S256 is an algorithm and has a digit more.
if hits=$(git grep -nIE '\b[SQ]-?[0-9]{1,2}[a-z]?\b' -- "${everything[@]}"); then
    complain "these cite rows of a document that is not in the repository:"$'\n'"$hits"
fi
names='\bfn [sq][0-9]{1,2}[a-z]?_'
if hits=$(git grep -nE "$names" -- src tests); then
    complain "these are named by a row instead of by behaviour:"$'\n'"$hits"
fi

ids=$(grep -oE '<a id="[a-z0-9-]+"' "$page" | cut -d '"' -f 2 | sort)
twice=$(uniq -d <<<"$ids")
[ -z "$twice" ] || complain "$page has these ids twice: $twice"

# Headings are anchors too.
headings=$(grep -E '^#+ ' "$page" | sed -E 's/^#+ //; s/[^A-Za-z0-9 -]//g; s/ /-/g' | tr '[:upper:]' '[:lower:]')
anchors=$(printf '%s\n%s\n' "$ids" "$headings")
cited=$({
    git grep -hoIE 'reference-behaviour\.md#[A-Za-z0-9_-]+' -- . | cut -d '#' -f 2
    grep -oE '\]\(#[^)]+' "$page" | cut -d '#' -f 2
} | sort -u)
for id in $cited; do
    # `#id` is how documents write about citations.
    [ "$id" = id ] || grep -qxF -- "$id" <<<"$anchors" || complain "$page has no id: $id"
done

# The last column of each row names tests.
rows=$(grep -E '^\| <a id=' "$page")
untested=$(grep -vE '\| [^|]*`[a-z0-9_]+`[^|]* \|$' <<<"$rows" || true)
[ -z "$untested" ] || complain "these rows name no test:"$'\n'"$untested"
functions=$(git grep -hoE '\bfn [a-z0-9_]+' -- src tests | cut -d ' ' -f 2 | sort -u)
tests=$(sed -E 's/.*\| ([^|]*) \|$/\1/' <<<"$rows" | grep -oE '`[a-z0-9_]+`' | tr -d '`' | sort -u)
for test in $tests; do
    grep -qxF -- "$test" <<<"$functions" || complain "$page names a test that does not exist: $test"
done

[ "$bad" = 0 ] || fail "citations are broken"
printf '%s ids, %s tests: all there\n' "$(wc -l <<<"$ids")" "$(wc -w <<<"$tests")"
