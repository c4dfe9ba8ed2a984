// The official client through every first-party flow.
// usage: node flows.mjs <auth URL> <development inbox URL>
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createClient } from "@nhost/nhost-js";
import { MemoryStorage } from "@nhost/nhost-js/session";

const [authUrl, inboxUrl] = process.argv.slice(2);
const password = "a-long-Passw0rd";
const stamp = Date.now();
const client = () => createClient({ authUrl, storage: new MemoryStorage() }).auth;
const bearer = (session) => ({ headers: { Authorization: `Bearer ${session.accessToken}` } });
const seen = new Set();

// The next message to this address or number.
async function message(to) {
  for (let attempt = 0; attempt < 200; attempt++) {
    const inbox = await (await fetch(inboxUrl)).json();
    const found = inbox.find((one) => one.to === to && !seen.has(one.id));
    if (found) {
      seen.add(found.id);
      return { ...found, headers: Object.fromEntries(found.headers) };
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`no message to ${to}`);
}

// Follows a mailed link as a browser would, and trades what it leads to for a session.
async function followed(mail, type) {
  const answer = await fetch(mail.headers["X-Link"], { redirect: "manual" });
  assert.equal(answer.status, 302);
  const query = new URL(answer.headers.get("location")).searchParams;
  assert.equal(query.get("type"), type, answer.headers.get("location"));
  return query;
}

async function follow(mail, type) {
  const query = await followed(mail, type);
  return (await client().refreshToken({ refreshToken: query.get("refreshToken") })).body;
}

async function refused(promise, status, error) {
  await assert.rejects(promise, (failure) => {
    assert.deepEqual([failure.status, failure.body.error], [status, error]);
    return true;
  });
}

// RFC 6238, as an authenticator application does it.
function totp(secret, at = Date.now()) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret].map((c) => alphabet.indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 30000)));
  const hash = createHmac("sha1", key).update(counter).digest();
  const offset = hash.at(-1) & 15;
  const number = (hash.readUInt32BE(offset) & 0x7fffffff) % 1000000;
  return number.toString().padStart(6, "0");
}

const flows = {
  async "magic link"() {
    const email = `link-${stamp}@example.com`;
    const { body } = await client().signInPasswordlessEmail({
      email,
      options: { displayName: "Link", redirectTo: "http://localhost:3000/in" },
    });
    assert.equal(body, "OK");
    const session = await follow(await message(email), "passwordlessEmail");
    assert.deepEqual([session.user.email, session.user.emailVerified], [email, true]);
  },

  async "code by mail"() {
    const email = `code-${stamp}@example.com`;
    await client().signInOTPEmail({ email });
    const otp = (await message(email)).headers["X-Ticket"];
    const wrong = otp === "000000" ? "000001" : "000000";
    await refused(client().verifySignInOTPEmail({ email, otp: wrong }), 401, "invalid-ticket");
    const { body } = await client().verifySignInOTPEmail({ email, otp });
    assert.equal(body.session.user.email, email);
    await refused(client().verifySignInOTPEmail({ email, otp }), 401, "invalid-ticket");
  },

  async "code by SMS"() {
    const phoneNumber = `+1555${String(stamp).slice(-7)}`;
    await client().signInPasswordlessSms({ phoneNumber });
    const otp = (await message(phoneNumber)).text.match(/\d{6}/)[0];
    const { body } = await client().verifySignInPasswordlessSms({ phoneNumber, otp });
    assert.equal(body.session.user.phoneNumber, phoneNumber);
    assert.equal(body.session.user.phoneNumberVerified, true);
  },

  async "anonymous user who registers"() {
    const email = `guest-${stamp}@example.com`;
    const auth = client();
    const { session: guest } = (await auth.signInAnonymous({ displayName: "Guest" })).body;
    assert.equal(guest.user.isAnonymous, true);
    const request = { signInMethod: "email-password", email, password };
    assert.equal((await auth.deanonymizeUser(request, bearer(guest))).body, "OK");
    const session = await follow(await message(email), "verifyEmail");
    assert.equal(session.user.id, guest.user.id);
    assert.equal(session.user.isAnonymous, false);
    await refused(auth.deanonymizeUser(request, bearer(guest)), 400, "user-not-anonymous");
  },

  async "reset of a password, by link and by ticket"() {
    const email = `reset-${stamp}@example.com`;
    await registered(email);
    const redirectTo = "http://localhost:3000/new-password";
    await client().sendPasswordResetEmail({ email, options: { redirectTo } });
    const session = await follow(await message(email), "passwordReset");
    const newPassword = "another-Passw0rd";
    await client().changeUserPassword({ newPassword }, bearer(session));
    await client().signInEmailPassword({ email, password: newPassword });

    await client().sendPasswordResetEmail({ email });
    const ticket = (await message(email)).headers["X-Ticket"];
    await client().changeUserPassword({ newPassword: password, ticket });
    await client().signInEmailPassword({ email, password });
    await refused(
      client().signInEmailPassword({ email, password: newPassword }),
      401,
      "invalid-email-password",
    );
  },

  async "another address"() {
    const email = `old-${stamp}@example.com`;
    const newEmail = `new-${stamp}@example.com`;
    const session = await registered(email);
    await client().changeUserEmail({ newEmail }, bearer(session));
    // The link signs in nobody but who follows it as the one who asked; the session goes on.
    const query = await followed(await message(newEmail), "emailConfirmChange");
    assert.equal(query.get("refreshToken"), null);
    const { body: changed } = await client().refreshToken({ refreshToken: session.refreshToken });
    assert.equal(changed.user.email, newEmail);
    await client().signInEmailPassword({ email: newEmail, password });
  },

  async "second verification mail"() {
    const email = `again-${stamp}@example.com`;
    await client().signUpEmailPassword({ email, password });
    await message(email);
    await client().sendVerificationEmail({ email });
    await follow(await message(email), "verifyEmail");
    await refused(client().sendVerificationEmail({ email }), 400, "email-already-verified");
  },

  async "personal access token"() {
    const session = await registered(`pat-${stamp}@example.com`);
    const request = { expiresAt: "2090-01-01T00:00:00Z", metadata: { name: "deploy" } };
    const { body } = await client().createPAT(request, bearer(session));
    assert.notEqual(body.id, body.personalAccessToken);
    const { personalAccessToken } = body;
    const signedIn = await client().signInPAT({ personalAccessToken });
    assert.equal(signedIn.body.session.user.id, session.user.id);
  },

  async "second factor"() {
    const email = `mfa-${stamp}@example.com`;
    const session = await registered(email);
    const { body: enrolment } = await client().changeUserMfa(bearer(session));
    assert.match(enrolment.imageUrl, /^data:image\/png;base64,/);
    const activate = { activeMfaType: "totp", code: totp(enrolment.totpSecret) };
    await client().verifyChangeUserMfa(activate, bearer(session));
    const challenged = (await client().signInEmailPassword({ email, password })).body;
    assert.equal(challenged.session, undefined);
    const { ticket } = challenged.mfa;
    await refused(client().verifySignInMfaTotp({ ticket, otp: activate.code }), 401, "invalid-totp");
    // The next period's code is taken already, so nobody has to wait for it.
    const otp = totp(enrolment.totpSecret, Date.now() + 30000);
    const { body } = await client().verifySignInMfaTotp({ ticket, otp });
    assert.equal(body.session.user.activeMfaType, "totp");
  },
};

async function registered(email) {
  await client().signUpEmailPassword({ email, password });
  return follow(await message(email), "verifyEmail");
}

for (const [name, flow] of Object.entries(flows)) {
  await flow();
  console.log(`ok: ${name}`);
}
