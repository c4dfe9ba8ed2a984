// Sign-in with providers in a real browser: from a page through redirects, back to the page.
// The application and the server are two hosts of one site behind TLS; the providers are elsewhere.
//
// Usage: node providers.mjs <port of the server's TLS> <port of the TLS of pages, all alike, with a link>
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const [server, pages] = process.argv.slice(2);
const AUTH = 'https://auth.example.test';
const APP = 'https://app.example.test';

const paths = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = paths.find(existsSync);
assert(executablePath, 'Chromium is not installed: run make test');
const browser = await chromium.launch({
    executablePath,
    args: [
        '--no-sandbox',
        '--ignore-certificate-errors',
        `--host-resolver-rules=MAP auth.example.test:443 127.0.0.1:${server},`
            + `MAP app.example.test:443 127.0.0.1:${pages},MAP evil.test:443 127.0.0.1:${pages}`,
    ],
});

// A person with a browser that knows nothing of the others.
async function person() {
    const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
    await page.goto(`${APP}/`);
    return page;
}

// Follows a link on the page, as far as the application.
async function follow(page, provider, parameters = {}, start = 'signin') {
    const redirectTo = `${APP}/done?from=test#part`;
    const query = new URLSearchParams({ redirectTo, state: 'mine', ...parameters });
    const url = `${AUTH}/${start}/provider/${provider}?${query}`;
    return land(page, url);
}

async function land(page, url) {
    await page.goto(`${APP}/`);
    const visited = [];
    const listen = (request) => request.isNavigationRequest() && visited.push(request.url());
    page.on('request', listen);
    await page.evaluate((href) => { document.querySelector('a').href = href; }, url);
    await page.click('a');
    await page.waitForURL(`${APP}/done**`);
    page.off('request', listen);
    assert(visited.length >= 3, `through the provider: ${visited}`);
    const target = new URL(page.url());
    assert.equal(target.hash, '#part');
    const query = Object.fromEntries(target.searchParams);
    assert.deepEqual([query.from, query.state], ['test', 'mine'], page.url());
    return { query, visited };
}

// What scripts of the page do.
function post(page, path, body, options = {}) {
    const call = async ([url, body, { token, credentials }]) => {
        const headers = { 'content-type': 'application/json' };
        if (token) headers.authorization = `Bearer ${token}`;
        const init = { method: 'POST', headers, credentials, body: JSON.stringify(body) };
        const response = await fetch(url, init);
        return { status: response.status, body: await response.json() };
    };
    return page.evaluate(call, [`${AUTH}${path}`, body, options]);
}

async function session(page, { query }) {
    const answer = await post(page, '/token', { refreshToken: query.refreshToken });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body;
}

async function step(name, work) {
    await work();
    console.log(`ok ${name}`);
}

// Of whatever path; those that this browser would send to the server.
const ours = async (page) => (await page.context().cookies())
    .filter(({ domain }) => domain === new URL(AUTH).hostname)
    .map(({ name }) => name);

try {
    const ann = await person();
    let annSession;

    await step('a session by the refresh token of the redirect', async () => {
        annSession = await session(ann, await follow(ann, 'github'));
        assert.equal(annSession.user.email, 'gh@x.test');
        assert.deepEqual(await ours(ann), [], 'the cookie has gone');
        const again = await session(ann, await follow(ann, 'github'));
        assert.equal(again.user.id, annSession.user.id);
    });

    await step('a session by a code, and no token in any address', async () => {
        await ann.goto(`${APP}/`);
        const { verifier, challenge } = await ann.evaluate(async () => {
            const encode = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)))
                .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
            const verifier = encode(crypto.getRandomValues(new Uint8Array(32)));
            const bytes = new TextEncoder().encode(verifier);
            return { verifier, challenge: encode(await crypto.subtle.digest('SHA-256', bytes)) };
        });
        const { query, visited } = await follow(ann, 'github', { codeChallenge: challenge });
        assert(visited.every((url) => !url.includes('refreshToken')), visited);
        const body = { code: query.code, codeVerifier: verifier };
        const answer = await post(ann, '/token/exchange', body);
        assert.equal(answer.body.session.user.id, annSession.user.id);
        assert.equal((await post(ann, '/token/exchange', body)).status, 400, 'once');
    });

    await step('Apple’s form comes back from another site, with the cookie and the name', async () => {
        const bob = await person();
        const { user } = await session(bob, await follow(bob, 'apple'));
        assert.deepEqual([user.email, user.displayName], ['apple@x.test', 'Ap Ple']);
        assert.deepEqual(await ours(bob), []);
    });

    await step('what the provider says no with is on the page', async () => {
        const { query } = await follow(ann, 'gitlab');
        assert.equal(query.error, 'oauth-provider-error');
        assert.equal(query.provider_error, 'access_denied');
        assert.equal(query.refreshToken, undefined);
    });

    await step('in another browser a callback opens nothing', async () => {
        const mallory = (await person()).request;
        const leads = async (url, headers) => {
            const options = { headers, maxRedirects: 0, ignoreHTTPSErrors: true };
            return (await mallory.get(url, options)).headers().location;
        };
        const begin = `https://127.0.0.1:${server}/signin/provider/discord`;
        const callback = await leads(await leads(begin, { host: 'auth.example.test' }));
        assert(callback.startsWith(`${AUTH}/signin/provider/discord/callback?code=`), callback);
        await ann.goto(callback);
        const { searchParams } = new URL(ann.url());
        assert.equal(searchParams.get('error'), 'invalid-state', ann.url());
        assert.equal(searchParams.get('refreshToken'), null);
    });

    await step('an identity is added without a token in any address', async () => {
        await ann.goto(`${APP}/`);
        const body = { redirectTo: `${APP}/done?from=test#part`, state: 'mine' };
        const options = { token: annSession.accessToken, credentials: 'include' };
        const answer = await post(ann, '/link/provider/discord', body, options);
        assert.equal(answer.status, 200, JSON.stringify(answer.body));
        assert.equal((await ours(ann)).length, 1, 'a cookie by script');
        const { query, visited } = await land(ann, answer.body.url);
        assert.equal(query.error, undefined);
        assert(visited.every((url) => !url.includes(annSession.accessToken)));
        const signedIn = await session(ann, await follow(ann, 'discord'));
        assert.equal(signedIn.user.id, annSession.user.id);
    });

    await step('the page of a stranger cannot begin that in somebody’s browser', async () => {
        await ann.goto('https://evil.test/');
        const options = { token: annSession.accessToken, credentials: 'include' };
        const answer = await post(ann, '/link/provider/strava', {}, options);
        assert.equal(answer.status, 400, JSON.stringify(answer.body));
        assert.deepEqual(await ours(ann), []);
    });
} finally {
    await browser.close();
}
