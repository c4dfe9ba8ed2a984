#!/usr/bin/env python3
"""Fails if files import each other in a circle, or a folder imports one that stands above it.

What a file imports is read from `use` and from paths that begin with `crate::` or `super::`, tests aside.
A module and its own children may know each other.
"""

import pathlib
import re
import sys

# From the bottom up; names on one line may not know each other.
ORDER = {
    "src": [
        "domain settings drain threads totp http_client",
        "metrics clients sealing tokens",
        "oauth",
        "config",
        "passwords passkeys notify telemetry hasura",
        "persistence",
        "actors",
        "app",
        "reload vitals",
        "flows",
        "http",
        "node",
        "cli",
        "fuzz",
    ],
    "src/flows": [
        "guards",
        "tickets",
        "sessions",
        "email mfa",
        "passwords passkeys providers",
        "accounts sms",
    ],
    "src/http": ["message bounds", "input layers", "pipeline", "serve", "routes admin"],
    "src/actors": [
        "runtime cluster",
        "sessions limits passwords challenge_store courier housekeeping key_rotator parts signing_keys",
        "tree",
    ],
    "crates/bench/src": [],
}
# A folder with more files than this, other than of one kind, hides its rooms.
MOST_SIBLINGS = 15
OF_ONE_KIND = {"src/persistence", "src/domain", "src/oauth/providers", "src/config/rows", "src/config/sections"}

root = pathlib.Path(__file__).resolve().parent.parent
problems = []


def modules(source):
    found = {}
    for path in sorted(source.rglob("*.rs")):
        parts = list(path.relative_to(source).with_suffix("").parts)
        if "tests" in parts[-1]:
            continue
        if parts[-1] in ("mod", "lib", "main"):
            parts.pop()
        found[tuple(parts)] = path
    return found


def leaves(tree):
    """The paths of a `use` tree, its braces resolved."""
    tree = tree.strip()
    opened = tree.find("{")
    if opened < 0:
        return [re.sub(r"\s+as\s+\w+$", "", tree)]
    head, depth, piece, out = tree[:opened], 0, "", []
    for char in tree[opened + 1 : tree.rindex("}")] + ",":
        if char == "," and depth == 0:
            out += [head + leaf for leaf in leaves(piece)] if piece.strip() else []
            piece = ""
            continue
        depth += (char == "{") - (char == "}")
        piece += char
    return out


def imports(name, path, known):
    text = re.split(r"#\[cfg\(test\)\]\s*mod ", path.read_text())[0]
    text = re.sub(r"//.*", "", text)
    paths = [leaf for tree in re.findall(r"\buse\s+((?:crate|super|self)::[^;]+);", text) for leaf in leaves(tree)]
    paths += re.findall(r"\b(?:crate|super)(?:::\w+)+", text)
    for full in paths:
        parts, base = full.replace(" ", "").split("::"), list(name)
        if parts[0] == "crate":
            base, parts = [], parts[1:]
        while parts and parts[0] in ("super", "self"):
            base = base[:-1] if parts[0] == "super" else base
            parts = parts[1:]
        target = base + parts
        while target and tuple(target) not in known:
            target.pop()
        target = tuple(target)
        if target and target[: len(name)] != name and name[: len(target)] != target:
            yield target


def circles(edges):
    """Strongly connected groups of more than one file (Tarjan)."""
    index, low, stack, out = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in edges[node]:
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            out.append(sorted(group)) if len(group) > 1 else None

    for node in edges:
        if node not in index:
            visit(node)
    return out


sys.setrecursionlimit(10_000)
for folder, order in ORDER.items():
    parts = pathlib.PurePath(folder).parts
    crate = pathlib.Path(*parts[: parts.index("src") + 1])
    inside = parts[parts.index("src") + 1 :]
    known = modules(root / crate)
    edges = {name: set(imports(name, path, known)) for name, path in known.items()}
    if not inside:
        for group in circles(edges):
            problems.append("circle: " + ", ".join(f"{crate}/{'/'.join(name)}" for name in group))
    rank = {name: level for level, names in enumerate(order) for name in names.split()}
    depth = len(inside)
    for name, targets in sorted(edges.items()):
        if not rank or name[:depth] != inside or len(name) <= depth:
            continue
        own = name[depth]
        if own not in rank:
            problems.append(f"{folder}/{own} has no place in the order of scripts/imports.py")
            continue
        for target in sorted(targets):
            if target[:depth] != inside or len(target) <= depth or target[depth] == own:
                continue
            is_below = rank.get(target[depth], -1) < rank[own]
            # The actors of one level know the caches and figures of each other, which are no circle.
            if not is_below and not (folder == "src/actors" and rank[target[depth]] == rank[own]):
                problems.append(f"upward: {folder}: {'::'.join(name)} imports {'::'.join(target)}")

for folder in sorted({path.parent for path in (root / "src").rglob("*.rs")}):
    name = str(folder.relative_to(root))
    count = len([path for path in folder.glob("*.rs") if path.name != "mod.rs"])
    if count > MOST_SIBLINGS and name not in OF_ONE_KIND:
        problems.append(f"{name} has {count} files; at most {MOST_SIBLINGS} unless they are of one kind")

for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
