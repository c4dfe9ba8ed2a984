// The official client, older and newer, signs in with providers and with id tokens.
// usage: node providers-client.mjs <auth URL> <id tokens as JSON>
import assert from "node:assert/strict";
import { createClient as createOlder } from "@nhost/nhost-js";
import { MemoryStorage as OlderStorage } from "@nhost/nhost-js/session";
import { createClient as createNewer } from "nhost-js-newer";
import { generatePKCEPair } from "nhost-js-newer/auth";
import { MemoryStorage as NewerStorage } from "nhost-js-newer/session";

const [authUrl, tokens] = process.argv.slice(2);
const idTokens = JSON.parse(tokens);
const older = () => createOlder({ authUrl, storage: new OlderStorage() });
const newer = () => createNewer({ authUrl, storage: new NewerStorage() });
const bearer = (session) => ({ headers: { Authorization: `Bearer ${session.accessToken}` } });

// What a browser does: follows redirects with its cookies, as far as the application.
async function browse(url) {
  const cookies = new Map();
  for (let steps = 0; !url.startsWith("http://localhost:3000"); steps++) {
    assert.ok(steps < 10, `astray at ${url}`);
    const cookie = [...cookies].map((pair) => pair.join("=")).join("; ");
    // A browser names the page that leads there.
    const headers = { cookie, referer: "http://localhost:3000/" };
    const answer = await fetch(url, { redirect: "manual", headers });
    for (const cookie of answer.headers.getSetCookie()) {
      const [name, value] = cookie.split(";")[0].split("=");
      cookies.set(name, value);
    }
    assert.equal(answer.status, 302, `${url}: ${await answer.clone().text()}`);
    url = new URL(answer.headers.get("location"), url).href;
  }
  return Object.fromEntries(new URL(url).searchParams);
}

async function refused(promise, status, error) {
  await assert.rejects(promise, (failure) => {
    assert.deepEqual([failure.status, failure.body.error], [status, error]);
    return true;
  });
}

const flows = {
  async "a session from the redirect"() {
    for (const client of [older(), newer()]) {
      const url = client.auth.signInProviderURL("github", {
        redirectTo: "http://localhost:3000/in?page=1",
        state: "a b&c",
        allowedRoles: ["me", "user"],
        metadata: { plan: "free" },
        displayName: "By Client",
      });
      const query = await browse(url);
      assert.deepEqual([query.page, query.state], ["1", "a b&c"]);
      const { body } = await client.auth.refreshToken({ refreshToken: query.refreshToken });
      assert.equal(body.user.email, "gh@x.test");
      assert.equal(body.user.displayName, "By Client");
      assert.deepEqual(body.user.metadata, { plan: "free" });
      assert.deepEqual(body.user.roles.sort(), ["me", "user"]);
      assert.equal(client.getUserSession().user.id, body.user.id);
    }
  },

  async "a session from the code exchange"() {
    const client = newer();
    const { verifier, challenge } = await generatePKCEPair();
    const url = client.auth.signInProviderURL("github", { codeChallenge: challenge });
    const query = await browse(url);
    assert.deepEqual(Object.keys(query), ["code"]);
    const wrong = await generatePKCEPair();
    const wrongly = { code: query.code, codeVerifier: wrong.verifier };
    await refused(newer().auth.tokenExchange(wrongly), 400, "invalid-request");
    const { body } = await client.auth.tokenExchange({ code: query.code, codeVerifier: verifier });
    assert.equal(body.session.user.email, "gh@x.test");
    assert.equal(client.getUserSession().refreshToken, body.session.refreshToken);
    const refreshed = await client.refreshSession(0);
    assert.equal(refreshed.user.id, body.session.user.id);
  },

  async "sign-up, once"() {
    const client = newer();
    const url = client.auth.signUpProviderURL("strava", { locale: "en" });
    const { refreshToken } = await browse(url);
    assert.equal((await client.auth.refreshToken({ refreshToken })).body.user.email, undefined);
    assert.equal((await browse(url)).error, "user-already-exists");
  },

  async "an identity that is connected, and its tokens"() {
    const client = newer();
    const { refreshToken } = await browse(client.auth.signInProviderURL("github"));
    const session = (await client.auth.refreshToken({ refreshToken })).body;
    const connect = client.auth.signInProviderURL("discord", { connect: session.accessToken });
    assert.deepEqual(await browse(connect), {});
    assert.equal((await browse(connect)).error, "provider-account-already-linked");
    const told = (await client.auth.getProviderTokens("discord", bearer(session))).body;
    assert.ok(told.accessToken && new Date(told.expiresAt) > new Date(), JSON.stringify(told));
    const request = { refreshToken: told.refreshToken };
    const fresh = await client.auth.refreshProviderToken("discord", request, bearer(session));
    assert.notEqual(fresh.body.accessToken, told.accessToken);
    const empty = (await client.auth.getProviderTokens("discord", bearer(session))).body;
    assert.equal(empty.accessToken, "");
  },

  async "id tokens"() {
    for (const client of [older(), newer()]) {
      const { body } = await client.auth.signInIdToken({
        provider: "google",
        idToken: idTokens.google,
        nonce: "a raw nonce",
      });
      assert.equal(body.session.user.email, "google@x.test");
      assert.equal(client.getUserSession().user.id, body.session.user.id);
    }
    const google = { provider: "google", idToken: idTokens.google, nonce: "another" };
    await refused(newer().auth.signInIdToken(google), 400, "invalid-request");
    const apple = { provider: "apple", idToken: idTokens.apple };
    const { session } = (await newer().auth.signUpIdToken(apple)).body;
    assert.equal(session.user.email, "apple@x.test");
    await refused(newer().auth.signUpIdToken(apple), 409, "user-already-exists");
    const second = { provider: "google", idToken: idTokens.second };
    assert.equal((await newer().auth.linkIdToken(second, bearer(session))).body, "OK");
    const linked = (await newer().auth.signInIdToken(second)).body.session;
    assert.equal(linked.user.id, session.user.id);
  },
};

for (const [name, flow] of Object.entries(flows)) {
  await flow();
  console.log(`ok: ${name}`);
}
