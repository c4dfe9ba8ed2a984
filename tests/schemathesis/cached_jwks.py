"""Verifies tokens as a server does that keeps the published keys for ten minutes.

Usage: cached_jwks.py <file of [{node, now, token, jwks}]>
"""

import json
import sys

import jwt

KEEPS_S = 600
# The times of the tokens are those of the test's clock.
WITHOUT_TIMES = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}

caches = {}
accepted = 0
with open(sys.argv[1], encoding="utf-8") as file:
    entries = json.load(file)
for entry in entries:
    cache = caches.get(entry["node"])
    if cache is None or entry["now"] - cache["at"] >= KEEPS_S:
        cache = {"at": entry["now"], "keys": jwt.PyJWKSet.from_dict(entry["jwks"])}
        caches[entry["node"]] = cache
    header = jwt.get_unverified_header(entry["token"])
    key = cache["keys"][header["kid"]]
    jwt.decode(
        entry["token"],
        key.key,
        algorithms=[header["alg"]],
        issuer="hasura-auth",
        options=WITHOUT_TIMES,
    )
    accepted += 1
print(f"{accepted} accepted")
