// Passkeys in a real browser, with virtual authenticators, against two servers on one database.
//
// Usage: node passkeys.mjs <server> <other server> <server whose ceremonies last one second>
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const [one, other, hasty] = process.argv.slice(2);
const ORIGIN = 'http://localhost:3000';
const WRONG_ORIGIN = 'http://localhost:3001';

// The official client as a page loads it.
const CLIENT = fileURLToPath(new URL('node_modules/@nhost/nhost-js/dist/nhost-js.umd.js', import.meta.url));

const PLATFORM = {
    protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true,
    isUserVerified: true, automaticPresenceSimulation: true,
};
const ROAMING = {
    protocol: 'ctap2', transport: 'usb', hasResidentKey: false, hasUserVerification: false,
    isUserVerified: false, automaticPresenceSimulation: true,
};

async function post(url, body = {}, token) {
    const headers = { 'content-type': 'application/json' };
    if (token) headers.authorization = `Bearer ${token}`;
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
    return { status: response.status, body: await response.json() };
}

async function ok(url, body, token) {
    const answer = await post(url, body, token);
    assert.equal(answer.status, 200, `${url}: ${JSON.stringify(answer.body)}`);
    return answer.body;
}

async function refused(url, body, token) {
    const answer = await post(url, body, token);
    assert.equal(answer.status, 400, `${url}: ${JSON.stringify(answer.body)}`);
    assert.equal(answer.body.error, 'invalid-request');
}

const paths = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = paths.find(existsSync);
assert(executablePath, 'Chromium is not installed: run make test');
// The pages come from nowhere, so that to the browser servers on this machine are foreign territory.
const args = ['--no-sandbox', '--disable-features=LocalNetworkAccessChecks'];
const browser = await chromium.launch({ executablePath, args });

// A person with one device; the pages need no server, only an origin.
class Person {
    static async with(options) {
        const person = new Person();
        person.page = await (await browser.newContext()).newPage();
        for (const origin of [ORIGIN, WRONG_ORIGIN]) {
            await person.page.route(`${origin}/**`, (route) =>
                route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>page</title>' }));
        }
        await person.page.goto(`${ORIGIN}/`);
        person.cdp = await person.page.context().newCDPSession(person.page);
        await person.cdp.send('WebAuthn.enable');
        await person.device(options);
        return person;
    }

    // Puts another authenticator in the place of the one before, whose keys are out of reach then.
    async device(options) {
        if (this.authenticator) {
            const id = { authenticatorId: this.authenticator };
            await this.cdp.send('WebAuthn.removeVirtualAuthenticator', id);
        }
        const made = await this.cdp.send('WebAuthn.addVirtualAuthenticator', { options });
        this.authenticator = made.authenticatorId;
    }

    create(options) {
        return this.page.evaluate(async (json) => {
            const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(json);
            return (await navigator.credentials.create({ publicKey })).toJSON();
        }, options);
    }

    get(options) {
        return this.page.evaluate(async (json) => {
            const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(json);
            return (await navigator.credentials.get({ publicKey })).toJSON();
        }, options);
    }
}

async function step(name, work) {
    await work();
    console.log(`ok ${name}`);
}

const userOf = (session) => session.user.id;
const elevated = (session) => {
    const claims = JSON.parse(Buffer.from(session.accessToken.split('.')[1], 'base64url'));
    return claims['https://hasura.io/jwt/claims']['x-hasura-auth-elevated'];
};

try {
    const ann = await Person.with(PLATFORM);
    const bob = await Person.with(PLATFORM);
    let annSession;
    let bobSession;

    await step('sign-up, begun on one server and finished on the other', async () => {
        const options = await ok(`${one}/signup/webauthn`, { email: 'ann@example.com' });
        const credential = await ann.create(options);
        annSession = (await ok(`${other}/signup/webauthn/verify`, { credential, nickname: 'laptop' })).session;
        const bobs = await bob.create(await ok(`${other}/signup/webauthn`, { email: 'bob@example.com' }));
        bobSession = (await ok(`${one}/signup/webauthn/verify`, { credential: bobs })).session;
    });

    await step('sign-in by e-mail, and without, each half on another server', async () => {
        for (const body of [{ email: 'ann@example.com' }, {}]) {
            const credential = await ann.get(await ok(`${other}/signin/webauthn`, body));
            const { session } = await ok(`${one}/signin/webauthn/verify`, { credential });
            assert.equal(userOf(session), userOf(annSession));
        }
    });

    await step('replay is refused on both servers', async () => {
        const credential = await ann.get(await ok(`${one}/signin/webauthn`, {}));
        await ok(`${other}/signin/webauthn/verify`, { credential });
        await refused(`${other}/signin/webauthn/verify`, { credential });
        await refused(`${one}/signin/webauthn/verify`, { credential });
    });

    await step('the key of another user is refused', async () => {
        const options = await ok(`${one}/signin/webauthn`, { email: 'ann@example.com' });
        const credential = await bob.get({ ...options, allowCredentials: [] });
        await refused(`${one}/signin/webauthn/verify`, { credential });
    });

    await step('another origin is refused', async () => {
        await ann.page.goto(`${WRONG_ORIGIN}/`);
        const credential = await ann.get(await ok(`${one}/signin/webauthn`, {}));
        await refused(`${one}/signin/webauthn/verify`, { credential });
        const body = { email: 'carol@example.com' };
        const created = await ann.create(await ok(`${one}/signup/webauthn`, body));
        await refused(`${one}/signup/webauthn/verify`, { credential: created });
        await ann.page.goto(`${ORIGIN}/`);
    });

    await step('elevation takes the own key and nobody else’s', async () => {
        const token = annSession.accessToken;
        const credential = await ann.get(await ok(`${one}/elevate/webauthn`, {}, token));
        await refused(`${other}/elevate/webauthn/verify`, { credential }, bobSession.accessToken);
        const { session } = await ok(`${other}/elevate/webauthn/verify`, { credential }, token);
        assert.equal(elevated(session), userOf(annSession));
        const his = await bob.get(await ok(`${one}/elevate/webauthn`, {}, bobSession.accessToken));
        await refused(`${one}/elevate/webauthn/verify`, { credential: his }, token);
        const again = await ann.get(await ok(`${one}/elevate/webauthn`, {}, token));
        await refused(`${one}/signin/webauthn/verify`, { credential: again });
    });

    await step('an expired ceremony is refused', async () => {
        const credential = await ann.get(await ok(`${hasty}/signin/webauthn`, {}));
        await new Promise((done) => setTimeout(done, 1_100));
        await refused(`${one}/signin/webauthn/verify`, { credential });
    });

    await step('fifty ceremonies begin at once', async () => {
        const urls = Array.from({ length: 50 }, (_, n) => `${n % 2 ? one : other}/signin/webauthn`);
        await Promise.all(urls.map((url) => ok(url, {})));
    });

    await step('a roaming key is added and signs in', async () => {
        const token = annSession.accessToken;
        await ann.device(ROAMING);
        const credential = await ann.create(await ok(`${one}/user/webauthn/add`, {}, token));
        const key = await ok(`${other}/user/webauthn/verify`, { credential, nickname: 'key ring' }, token);
        assert.equal(key.nickname, 'key ring');
        const options = await ok(`${one}/signin/webauthn`, { email: 'ann@example.com' });
        assert.equal(options.allowCredentials.length, 2);
        const proof = await ann.get(options);
        const { session } = await ok(`${one}/signin/webauthn/verify`, { credential: proof });
        assert.equal(userOf(session), userOf(annSession));
    });

    await step('keys of other algorithms that Chromium can make sign up and in', async () => {
        for (const alg of [-8, -257]) {
            const email = `alg${alg}@example.com`;
            const options = await ok(`${one}/signup/webauthn`, { email });
            const offered = options.pubKeyCredParams.filter((offer) => offer.alg === alg);
            assert.equal(offered.length, 1);
            const credential = await bob.create({ ...options, pubKeyCredParams: offered });
            assert.equal(credential.response.publicKeyAlgorithm, alg);
            const created = await ok(`${other}/signup/webauthn/verify`, { credential });
            const proof = await bob.get(await ok(`${other}/signin/webauthn`, { email }));
            const { session } = await ok(`${one}/signin/webauthn/verify`, { credential: proof });
            assert.equal(userOf(session), userOf(created.session));
        }
    });

    await step('the official client does every operation from the page', async () => {
        const dora = await Person.with(PLATFORM);
        await dora.page.addScriptTag({ path: CLIENT });
        const seen = await dora.page.evaluate(async ([one, other]) => {
            const email = 'dora@example.com';
            // Both keep their session in the storage of the page.
            const [here, there] = [one, other].map((authUrl) => NhostJs.createClient({ authUrl }).auth);
            const create = async (answer) => {
                const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(answer.body);
                return (await navigator.credentials.create({ publicKey })).toJSON();
            };
            const get = async (answer) => {
                const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(answer.body);
                return (await navigator.credentials.get({ publicKey })).toJSON();
            };
            const signUp = await create(await here.signUpWebauthn({ email }));
            const { body: up } = await there.verifySignUpWebauthn({
                credential: signUp, nickname: 'laptop', options: { displayName: 'Dora' },
            });
            const byEmail = await get(await there.signInWebauthn({ email }));
            const { body: first } = await here.verifySignInWebauthn({ credential: byEmail });
            const byKey = await get(await here.signInWebauthn());
            const { body: second } = await there.verifySignInWebauthn({ credential: byKey });
            const replayed = await here.verifySignInWebauthn({ credential: byKey }).catch((error) => error);
            const proof = await get(await here.elevateWebauthn());
            const { body: elevated } = await there.verifyElevateWebauthn({ credential: proof });
            const { body: user } = await here.getUser();
            return {
                users: [up, first, second, elevated].map(({ session }) => session.user.id),
                name: user.displayName, elevated: elevated.session, replayed: replayed.status,
            };
        }, [one, other]);
        assert.equal(new Set(seen.users).size, 1);
        assert.equal(seen.name, 'Dora');
        assert.equal(elevated(seen.elevated), seen.users[0]);
        assert.equal(seen.replayed, 400);
        // Another device, so that the key is not the one that is excluded.
        await dora.device(ROAMING);
        const nickname = await dora.page.evaluate(async (authUrl) => {
            const { auth } = NhostJs.createClient({ authUrl });
            const { body } = await auth.addSecurityKey();
            const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(body);
            const credential = (await navigator.credentials.create({ publicKey })).toJSON();
            const added = await auth.verifyAddSecurityKey({ credential, nickname: 'key ring' });
            return added.body.nickname;
        }, one);
        assert.equal(nickname, 'key ring');
    });
} finally {
    await browser.close();
}
