"""Checks relative links and anchors of all Markdown files of the repository, and of docs/SUMMARY.md.

Addresses of the web are not asked: a check must not fail because somebody else is away.
"""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^\[[^\]]+\]:\s+(\S+)")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
ANCHOR = re.compile(r"<a\s+(?:name|id)=\"([^\"]+)\"|\bid=\"([^\"]+)\"")


def prose(path):
    """Lines with their numbers, without blocks of code."""
    fence = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        mark = re.match(r"^\s*(```+|~~~+)", line)
        if mark and fence is None:
            fence = mark[1]
        elif mark and mark[1].startswith(fence):
            fence = None
        elif fence is None:
            yield number, line


def slug(heading):
    """The anchor that GitHub and mdbook give a heading."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    text = re.sub(r"[`*]", "", text).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(path):
    seen = {}
    found = set()
    for _, line in prose(path):
        if heading := HEADING.match(line):
            name = slug(heading[1])
            count = seen.get(name, 0)
            seen[name] = count + 1
            found.add(name if count == 0 else f"{name}-{count}")
        for match in ANCHOR.finditer(line):
            found.add(match[1] or match[2])
    return found


def links(path):
    for number, line in prose(path):
        line = re.sub(r"`[^`]*`", "", line)
        for match in LINK.finditer(line):
            yield number, match[1]
        if match := REFERENCE.match(line):
            yield number, match[1]


def main():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        capture_output=True, text=True,
    )
    names = listed.stdout.splitlines() or [str(path) for path in Path("docs").rglob("*.md")]
    files = [Path(name) for name in names if Path(name).exists()]
    known = {}
    bad = []
    count = 0
    for path in files:
        for number, target in links(path):
            if re.match(r"^[a-z][a-z0-9+.-]*:", target):
                continue
            count += 1
            file, _, anchor = unquote(target).partition("#")
            to = path if not file else path.parent / file
            if not to.exists():
                bad.append(f"{path}:{number}: {target}: no such file")
            elif anchor and to.suffix == ".md":
                if to not in known:
                    known[to] = anchors(to)
                if anchor not in known[to]:
                    bad.append(f"{path}:{number}: {target}: no such heading")

    summary = Path("docs/SUMMARY.md")
    if summary.exists():
        chapters = {(summary.parent / target).resolve() for _, target in links(summary)}
        for page in sorted(Path("docs").rglob("*.md")):
            if page != summary and page.resolve() not in chapters:
                bad.append(f"{page}: docs/SUMMARY.md does not list it, so the book does not have it")

    print(f"{count} links in {len(files)} files")
    for line in bad:
        print(line, file=sys.stderr)
    return 1 if bad else 0


sys.exit(main())
