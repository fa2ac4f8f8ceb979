import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { ControllerProcess } from '../controller/support/controller-process.ts';
import { AxeBuilder, launchBrowser, openPage, signIn } from '../lab/browser.ts';
import { freePort } from '../lab/free-ports.ts';
import { keyboardFaults, tabTo } from '../lab/keyboard.ts';
import { requires } from '../lab/requirements.ts';

/** Where pictures of the pages go, for docs/DEMO.md; unset: none are made. */
const PICTURES = process.env.MESHNET_PICTURES;
const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };

requires('chromium')('the dashboard beyond loopback', () => {
  let browser: Browser;
  let controller: ControllerProcess;
  let url: string;
  beforeAll(async () => {
    browser = await launchBrowser();
    const port = await freePort();
    controller = new ControllerProcess(['--dashboard', `0.0.0.0:${port}`]);
    await controller.start();
    await controller.enrol('a', 1);
    url = `https://127.0.0.1:${port}/`;
  });
  afterAll(async () => {
    await browser?.close();
    await controller.remove();
  });

  const open = async (viewport = DESKTOP, colorScheme: 'light' | 'dark' = 'light') => {
    const opened = await openPage(browser, { viewport, colorScheme, ignoreHTTPSErrors: true });
    onTestFinished(() => opened.page.context().close());
    await opened.page.goto(url);
    await heading(opened.page, 'Sign in').waitFor();
    return opened;
  };
  const tokenOf = async (name: string) => {
    const asked = { name, role: 'view', ttl_s: null };
    const answer = await controller.admin('POST', '/v1/access', asked);
    return JSON.parse(answer.text) as { token: string; id: string };
  };

  test('shows the mesh to who signs in, and keeps the token nowhere', async () => {
    const { page, complaints } = await open();
    const { token } = await tokenOf('eve');
    expect(await page.getByRole('link', { name: /^a / }).count()).toBe(0);
    await signIn(page, token);
    await page.getByRole('link', { name: /^a .* not yet decided$/ }).waitFor();
    const [cookie] = await page.context().cookies();
    expect(cookie).toMatchObject({ httpOnly: true, secure: true, sameSite: 'Strict' });
    const kept = await page.evaluate(`JSON.stringify([
      location.href, document.cookie, document.documentElement.outerHTML,
      { ...localStorage }, { ...sessionStorage },
      [...document.querySelectorAll('input')].map((one) => one.value),
    ])`);
    expect(kept).not.toContain(token.split('.')[2]);
    expect(kept).not.toContain(cookie!.value);
    await page.reload(); // and is still signed in
    await page.getByRole('link', { name: /^a .* not yet decided$/ }).waitFor();
    expect(complaints).toEqual([]);
  });

  test('is signed in to and left with the keyboard alone', async () => {
    const { page } = await open();
    expect(await keyboardFaults(page)).toEqual([]);
    await tabTo(page, 'Access token');
    await page.keyboard.type((await tokenOf('kim')).token);
    await page.keyboard.press('Enter');
    await page.getByRole('link', { name: /^a / }).waitFor();
    await tabTo(page, 'kim');
    await page.keyboard.press('Enter');
    await page.getByText('with the role view').waitFor();
    expect(await keyboardFaults(page)).toEqual([]);
    await tabTo(page, 'Sign out');
    await page.keyboard.press('Enter');
    await heading(page, 'Sign in').waitFor();
  });

  test('tells who signs in with what is no token so, and forgets it', async () => {
    const { page } = await open();
    await signIn(page, '<img src=x onerror=alert(1)>');
    await page.getByRole('alert').filter({ hasText: 'an access token of this mesh' }).waitFor();
    expect(await page.getByLabel('Access token').inputValue()).toBe('');
    expect(page.url()).not.toContain('img');
  });

  test('asks to sign in again when the token was revoked', async () => {
    const { page } = await open();
    const { token, id } = await tokenOf('mallory');
    await signIn(page, token);
    await page.getByRole('link', { name: /^a / }).waitFor();
    await controller.admin('DELETE', `/v1/access/${id}`);
    await heading(page, 'Sign in').waitFor();
    expect(await page.getByRole('link', { name: /^a / }).count()).toBe(0);
  });

  test('is left by signing out', async () => {
    const { page, complaints } = await open();
    await signIn(page, (await tokenOf('bob')).token);
    await page.getByRole('link', { name: 'bob' }).click();
    await page.getByText('with the role view').waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await heading(page, 'Sign in').waitFor();
    expect(await page.context().cookies()).toEqual([]);
    expect(complaints).toEqual([]);
  });

  test.each([
    ['desktop', DESKTOP, 'light'],
    ['phone', PHONE, 'dark'],
  ] as const)('signing in: nothing for axe to find on a %s', async (name, viewport, scheme) => {
    const { page } = await open(viewport, scheme);
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)])).toEqual([]);
    const overhang = 'document.documentElement.scrollWidth - innerWidth';
    expect(await page.evaluate(overhang)).toBeLessThanOrEqual(0);
    if (PICTURES === undefined) return;
    mkdirSync(PICTURES, { recursive: true });
    await page.screenshot({ path: join(PICTURES, `sign-in-${name}-${scheme}.png`) });
  });
});

function heading(page: Page, name: string) {
  return page.getByRole('heading', { name, level: 1 });
}
