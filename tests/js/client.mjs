// The official client against a running server: signs up, verifies, signs in, refreshes, reads the
// user and signs out. usage: node client.mjs <auth URL> <development inbox URL>
import assert from "node:assert/strict";
import { createClient } from "@nhost/nhost-js";
import { MemoryStorage } from "@nhost/nhost-js/session";

const [authUrl, inboxUrl] = process.argv.slice(2);
const email = `client-${Date.now()}@example.com`;
const password = "a-long-Passw0rd";
const nhost = createClient({ authUrl, storage: new MemoryStorage() });

// Sign up: no session before the address is verified.
const signedUp = await nhost.auth.signUpEmailPassword({
  email,
  password,
  options: { displayName: "Client Test", metadata: { plan: "free" } },
});
assert.deepEqual(signedUp.body, {});
await assert.rejects(nhost.auth.signInEmailPassword({ email, password }), (error) => {
  assert.equal(error.status, 401);
  assert.equal(error.body.error, "unverified-user");
  return true;
});

// Verify: follow the mailed link as a browser would.
let mail;
for (let attempt = 0; attempt < 100 && !mail; attempt++) {
  const inbox = await (await fetch(inboxUrl)).json();
  mail = inbox.find((message) => message.to.includes(email));
  if (!mail) await new Promise((resolve) => setTimeout(resolve, 100));
}
assert.ok(mail, "the verification mail arrived");
const link = Object.fromEntries(mail.headers)["X-Link"];
const followed = await fetch(link, { redirect: "manual" });
assert.equal(followed.status, 302);
const target = new URL(followed.headers.get("location"));
assert.equal(target.searchParams.get("type"), "verifyEmail");
const linked = await nhost.auth.refreshToken({
  refreshToken: target.searchParams.get("refreshToken"),
});
assert.equal(linked.body.user.email, email);

// A link works once.
const again = await fetch(link, { redirect: "manual" });
assert.equal(new URL(again.headers.get("location")).searchParams.get("error"), "invalid-ticket");

// Sign in.
const signedIn = await nhost.auth.signInEmailPassword({ email, password });
const first = signedIn.body.session;
assert.equal(first.user.displayName, "Client Test");
assert.deepEqual(first.user.metadata, { plan: "free" });
assert.equal(nhost.getUserSession().refreshToken, first.refreshToken);

// Refresh, by the client's own session keeper.
const second = await nhost.refreshSession(0);
assert.notEqual(second.refreshToken, first.refreshToken);
assert.equal(second.refreshTokenId, first.refreshTokenId);

// Read the user and verify the token.
const { body: user } = await nhost.auth.getUser();
assert.equal(user.email, email);
assert.equal(user.emailVerified, true);
assert.equal((await nhost.auth.verifyToken({ token: second.accessToken })).body, "OK");

// Sign out: the session is over.
await nhost.auth.signOut({ refreshToken: second.refreshToken });
await assert.rejects(nhost.auth.refreshToken({ refreshToken: second.refreshToken }), (error) => {
  assert.equal(error.status, 401);
  assert.equal(error.body.error, "invalid-refresh-token");
  return true;
});

console.log("the official client is content");
