// Verifies tokens as a server does that keeps the published keys for ten minutes.
//
// Usage: node cached-jwks.mjs <file of [{node, now, token, jwks}]>
import { readFileSync } from 'node:fs';
import { createLocalJWKSet, jwtVerify } from 'jose';

const KEEPS_S = 600;
const caches = new Map();
let accepted = 0;
for (const { node, now, token, jwks } of JSON.parse(readFileSync(process.argv[2], 'utf8'))) {
    let cache = caches.get(node);
    if (!cache || now - cache.at >= KEEPS_S) {
        cache = { at: now, keys: createLocalJWKSet(jwks) };
        caches.set(node, cache);
    }
    const currentDate = new Date(now * 1000);
    await jwtVerify(token, cache.keys, { issuer: 'hasura-auth', currentDate });
    accepted += 1;
}
console.log(`${accepted} accepted`);
