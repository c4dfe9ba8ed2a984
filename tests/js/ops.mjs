// The page for operators in a real browser.
//
// Usage: node ops.mjs <admin listener> <token>
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const [admin, token] = process.argv.slice(2);
const paths = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = paths.find(existsSync);
assert(executablePath, 'Chromium is not installed: run make test');
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
const page = await browser.newPage();
const errors = [];
const asked = new Set();
page.on('pageerror', (error) => errors.push(error.message));
page.on('request', (request) => asked.add(new URL(request.url()).origin));

const give = async (text) => {
    await page.fill('#token', text);
    await page.click('text=Show');
};

await page.goto(`${admin}/ops`);
await give('a wrong token');
await page.waitForSelector('#problem:has-text("not the right one")');
assert.equal(await page.isVisible('#tree'), false);
console.log('ok a wrong token shows nothing');

await give(token);
await page.waitForSelector('tr:has-text("shard-0")');
const names = await page.$$eval('#actors tr', (rows) => rows.map((row) => row.cells[0].textContent));
assert.deepEqual(names.slice(0, 5), ['root', 'key_rotator', 'change_feed', 'session_registry', 'shard-0']);
const courier = await page.textContent('#actors tr:has-text("courier")');
assert.match(courier, /crash requested/, courier);
console.log('ok the tree is shown with the last failure');

await page.reload();
await page.waitForSelector('tr:has-text("shard-0")');
await page.click('text=Forget the token');
assert.equal(await page.isVisible('#tree'), false);
await page.reload();
assert.equal(await page.isVisible('#ask'), true);
console.log('ok the tab keeps the token until it is told to forget it');

assert.deepEqual(errors, []);
assert.deepEqual([...asked], [new URL(admin).origin], 'nothing comes from elsewhere');
await browser.close();
