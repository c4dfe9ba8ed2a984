// Passkeys in a real browser, with virtual authenticators, against two servers on one database.
//
// Usage: node passkeys.mjs <server> <other server> <server whose ceremonies last one second>
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const [one, other, hasty] = process.argv.slice(2);
const ORIGIN = 'http://localhost:3000';
const WRONG_ORIGIN = 'http://localhost:3001';

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
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });

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
} finally {
    await browser.close();
}
