// The page for operators with three nodes, one of which is killed.
//
// Usage: node cluster.mjs <admin listener> <token> <process id of the node "victim"> [folder for pictures]
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import axe from 'axe-core';
import { chromium } from 'playwright-core';

const [admin, token, victim, pictures] = process.argv.slice(2);
const paths = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = paths.find(existsSync);
assert(executablePath, 'Chromium is not installed: run make test');
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
const errors = [];
const asked = new Set();
const statuses = [];

const open = async (options, change = async () => {}) => {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('console', (message) => {
        if (/Content Security Policy/.test(message.text())) errors.push(message.text());
    });
    page.on('request', (request) => asked.add(new URL(request.url()).origin));
    page.on('response', (response) => statuses.push(`${response.status()} ${new URL(response.url()).pathname}`));
    await change(page);
    await page.goto(`${admin}/ops`);
    await page.fill('#token', token);
    await page.keyboard.press('Enter');
    await page.waitForSelector('#nodes tbody tr:has-text("victim")');
    return page;
};

// Nothing that somebody who sees or points otherwise would stumble over.
const isAccessible = async (page, what) => {
    await page.evaluate(axe.source);
    const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
    const said = found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join(' | ')}`);
    assert.deepEqual(said, [], what);
    assert(found.passes.length > 15, what);
};

const picture = async (page, name) => {
    if (pictures) await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true });
};

const page = await open({ viewport: { width: 1300, height: 900 } });
await page.waitForSelector('#alarms :text("every node is well")');
assert.equal(await page.locator('#nodes tbody tr.live').count(), 3);
await page.waitForSelector('#settings tr:has-text("AUTH_SESSION_BATCH_MAX")');
console.log('ok all nodes are shown at a glance');

await page.waitForFunction(() => document.querySelectorAll('#plots canvas').length === 5);
assert.match(await page.getAttribute('#plots [role=img] >> nth=0', 'aria-label'), /Refreshes a second, newest: .*victim/);
await page.click('#figures summary');
await page.waitForSelector('#history tr:has-text("victim")');
await page.waitForFunction(() => document.querySelectorAll('#history tr').length === 15);
console.log('ok the last minutes are plotted and in a table');

await isAccessible(page, 'light');
await picture(page, 'light');
const dark = await open({ colorScheme: 'dark', viewport: { width: 1300, height: 900 } });
await dark.waitForSelector('#actors tr:has-text("shard-0")');
await dark.waitForFunction(() => document.querySelectorAll('#plots canvas').length === 5);
await isAccessible(dark, 'dark');
await picture(dark, 'dark');
await dark.context().close();
console.log('ok axe finds nothing, in light and dark');

await page.focus('#nodes button:has-text("victim")');
await page.keyboard.press('Enter');
await page.waitForSelector('h2:has-text("Actors of victim")');
await page.waitForFunction(() => document.querySelector('#nodes button[aria-pressed=true]').textContent === 'victim');
assert.equal(await page.evaluate(() => document.activeElement.textContent), 'victim', 'the focus stays');
assert.equal(await page.isDisabled('#scope-one'), true, 'another node is not set alone');
console.log('ok the tree of another node is a key press away');

const input = page.locator('#value-AUTH_SESSION_BATCH_MAX');
const from = page.locator('#settings tr:has-text("AUTH_SESSION_BATCH_MAX") td').nth(1);
await input.fill('128');
await input.press('Enter');
await page.waitForSelector('#change-result:has-text("256 → 128, for all nodes")');
await page.waitForSelector('#settings tr:has-text("AUTH_SESSION_BATCH_MAX"):has-text("set for all nodes")');
await page.click('#changes button');
await page.waitForSelector('#change-result:has-text("128 → 256, for all nodes, undone")');
await page.waitForFunction(() => document.querySelector('#value-AUTH_SESSION_BATCH_MAX').value === '256');
assert.equal(await from.textContent(), 'default');
await input.fill('0');
await input.press('Enter');
await page.waitForSelector('#change-result:has-text("Nothing was changed")');
assert.equal(await input.getAttribute('aria-invalid'), 'true');
await isAccessible(page, 'refused');
await input.press('Escape');
console.log('ok settings are changed in place, undone, and refused');

await page.click('#nodes button:has-text("(asked)")');
await page.waitForSelector('#scope-one:enabled');
await page.check('#scope-one');
await input.fill('64');
await page.click('button[aria-label="Set AUTH_SESSION_BATCH_MAX"]');
await page.waitForSelector('#change-result:has-text("256 → 64, for this node")');
await page.waitForSelector('#settings tr:has-text("AUTH_SESSION_BATCH_MAX"):has-text("set at this node")');
await page.click('button[aria-label="Take AUTH_SESSION_BATCH_MAX back"]');
await page.waitForSelector('#change-result:has-text("64 → 256, for this node")');
console.log('ok one node is set alone');

await page.click('#nodes button:has-text("victim")');
await page.waitForSelector('h2:has-text("Actors of victim")');
const killed = Date.now();
process.kill(Number(victim), 'SIGKILL');
await page.waitForSelector('#alarms li.bad:has-text("victim is gone")');
const took = Date.now() - killed;
assert(took < 5_500, `${took} ms: three seconds, and those of the page`);
await page.waitForSelector('#nodes tr.gone.bad:has-text("victim")');
await page.waitForFunction(() => !document.querySelector('#actors-title').textContent.includes('victim'));
assert.equal(await page.locator('#nodes tbody tr.live').count(), 2);
await isAccessible(page, 'gone');
await picture(page, 'gone');
console.log('ok a node that is killed is in the eye at once');

const plain = await open({}, async (other) => {
    await other.route('**/ops/page/uplot.*', (route) => route.abort());
});
await plain.waitForSelector('#history tr:has-text("Refreshes a second")');
await plain.waitForSelector('#actors tr:has-text("shard-0")');
assert.equal(await plain.locator('#plots canvas').count(), 0);
assert.equal(await plain.evaluate(() => document.querySelector('#figures').open), true);
console.log('ok without the library that plots there are tables');

assert.deepEqual(errors, []);
assert.deepEqual([...asked], [new URL(admin).origin], 'nothing comes from elsewhere');
const failed = statuses.filter((status) => status.startsWith('5') && !status.includes('/ops/nodes/'));
assert.deepEqual(failed, []);
await browser.close();
