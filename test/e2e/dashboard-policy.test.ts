import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { controllerSource } from '../../src/dashboard/controller-source.ts';
import { type Dashboard, startDashboard } from '../../src/dashboard/dashboard.ts';
import { EpochLog } from '../../src/dashboard/epoch-log.ts';
import { TestMesh } from '../controller/support/test-mesh.ts';
import { AxeBuilder, launchBrowser, openPage, signIn } from '../lab/browser.ts';
import { keyboardFaults, tabTo } from '../lab/keyboard.ts';
import { requires } from '../lab/requirements.ts';

/** Where pictures of the pages go, for docs/DEMO.md; unset: none are made. */
const PICTURES = process.env.MESHNET_PICTURES;
const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };

requires('chromium')('the policy in a browser', () => {
  let browser: Browser;
  let mesh: TestMesh;
  let dashboard: Dashboard;
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    const suites = [{ suite: 'alignment', threshold: 0.7, maxAgeS: 600 }];
    mesh = await TestMesh.start({ epochS: 60, suites, brake: null });
    const onError = (error: unknown) => {
      throw error;
    };
    dashboard = await startDashboard({ listen: { host: '127.0.0.1', port: 0 }, onError });
    dashboard.show(controllerSource(mesh.controller.services, new EpochLog(), '1.2.3'));
    const names = ['node-a', 'node-b', 'node-c', 'node-d'];
    const nodes = await Promise.all(names.map((name, i) => mesh.enrol(name, i + 1)));
    for (const b of [0.9, 0.74, 0.9, 0.72, 0.9, 0.6, 0.9]) {
      for (const [i, score] of [0.95, b, 0.73, 0.91].entries()) {
        await mesh.report(score, nodes[i]!);
      }
      await mesh.clock.advance(60_000);
    }
  });
  afterEach(async () => {
    await dashboard.close();
    await mesh.stop();
  });

  const open = async (
    role?: string,
    viewport = DESKTOP,
    colorScheme: 'light' | 'dark' = 'light',
  ) => {
    const opened = await openPage(browser, { viewport, colorScheme });
    onTestFinished(() => opened.page.context().close());
    const { page } = opened;
    if (role !== undefined) {
      const asked = { name: `an-${role}`, role, ttl_s: null };
      const answer = await mesh.admin('POST', '/v1/access', asked);
      await page.goto(`${dashboard.url}#/sign-in`);
      await signIn(page, (JSON.parse(answer.text) as { token: string }).token);
      await page.getByText(`with the role ${role}`).waitFor();
    }
    await page.goto(`${dashboard.url}#/policy`);
    await page.getByText('alignment: ').first().waitFor();
    return opened;
  };
  const propose = async (page: Page, threshold: number) => {
    const suites = [{ suite: 'alignment', threshold, max_age_s: 600 }];
    const document = { version: 2, suites, brake: null };
    await page.getByLabel('Proposed').fill(JSON.stringify(document, null, 2));
  };
  const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name });
  const threshold = () => mesh.controller.services.settings.policy.suites[0]!.threshold;

  test('an admin replays a proposed one, is told who will be out, and sets it', async () => {
    const { page, complaints } = await open('admin');
    await propose(page, 0.75);
    await button(page, 'Replay over the past').click();
    const cut = page.getByRole('row', { name: /^node-b / });
    await cut.waitFor();
    expect(await cut.innerText()).toMatch(/node-b\s+1\s+3\s/);
    await page.getByRole('heading', { name: 'Operating curve' }).waitFor();
    await button(page, 'Apply …').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('1 of 4 members is out then').waitFor();
    expect(await dialog.getByRole('listitem').allInnerTexts()).toContain('node-c');
    expect(threshold()).toBe(0.7);
    await picture(page, 'policy-apply-desktop-light');
    await dialog.getByRole('button', { name: 'Apply, and cut 1 node' }).click();
    await page.getByText('Set: judged by it from the next epoch on.').waitFor();
    await page.getByText(/alignment: .*>= 0\.75/).waitFor();
    expect(threshold()).toBe(0.75);
    const asked = mesh.controller.services.recent.all.filter((one) => one.event === 'asked');
    expect(asked.at(-1)).toMatchObject({ what: 'set_policy', by: 'an-admin' });
    await mesh.rotate();
    expect(await mesh.members()).toEqual(['node-a', 'node-b', 'node-d']);
    expect(complaints).toEqual([]);
  });

  test('an admin tries and sets one with the keyboard alone', async () => {
    const { page } = await open('admin');
    await propose(page, 0.75);
    await page.locator('h1').focus();
    await tabTo(page, 'Replay over the past');
    await page.keyboard.press('Enter');
    await page.getByRole('row', { name: /^node-b / }).waitFor();
    expect(await keyboardFaults(page)).toEqual([]);
    await tabTo(page, 'Apply …');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').getByText('1 of 4 members is out then').waitFor();
    expect(await keyboardFaults(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(threshold()).toBe(0.7);
    await tabTo(page, 'Apply …');
    await page.keyboard.press('Enter');
    await tabTo(page, 'Apply, and cut 1 node');
    await page.keyboard.press('Enter');
    await page.getByText('Set: judged by it from the next epoch on.').waitFor();
    expect(threshold()).toBe(0.75);
  });

  test('what would cut more than the brake believes is set only by saying that it is meant', async () => {
    const { page } = await open('admin');
    await propose(page, 0.92);
    await button(page, 'Apply …').click();
    const deed = button(page, 'Apply, and cut 3 nodes');
    await deed.waitFor();
    expect(await deed.isDisabled()).toBe(true);
    await button(page, 'Leave it as it is').click();
    expect(threshold()).toBe(0.7);
    await button(page, 'Apply …').click();
    await page.getByRole('checkbox').check();
    await deed.click();
    await page.getByText('Set: judged by it').waitFor();
    expect(threshold()).toBe(0.92);
  });

  test.each([undefined, 'view', 'operate'])(
    'the role %s may try it, and not set it',
    async (role) => {
      const { page } = await open(role);
      await propose(page, 0.75);
      await button(page, 'Replay over the past').click();
      await page.getByRole('row', { name: /^proposed 3 / }).waitFor();
      expect(await button(page, 'Apply …').isDisabled()).toBe(true);
      // Nor by going around the page.
      const body =
        '{"document":{"version":2,"suites":[{"suite":"alignment"}]},"dry_run":false,"confirmed":true}';
      const status = await page.evaluate(`fetch('/api/policy', {
      method: 'PUT', body: ${JSON.stringify(body)}, headers: { 'content-type': 'application/json' },
    }).then((answer) => answer.status)`);
      expect(status).toBe(role === undefined ? 401 : 403);
      expect(threshold()).toBe(0.7);
    },
  );

  test('what is wrong is named by its field, as text whatever it says', async () => {
    const { page } = await open();
    const failure = page.getByRole('status').filter({ hasText: 'expected' });
    await propose(page, 7);
    await button(page, 'Replay over the past').click();
    await failure.filter({ hasText: 'suites[0].threshold: expected' }).waitFor();
    const hostile = '<img src=x onerror=document.title=1>';
    const field = { version: 2, [hostile]: 1 };
    await page.getByLabel('Proposed').fill(JSON.stringify(field));
    await button(page, 'Replay over the past').click();
    await failure.filter({ hasText: hostile }).waitFor();
    expect(await page.locator('img').count()).toBe(0);
    await page.getByLabel('Proposed').fill('{"version": 2,');
    await button(page, 'Replay over the past').click();
    await page.getByText(/This is no JSON: /).waitFor();
    await button(page, 'Back to the one in force').click();
    expect(await page.getByLabel('Proposed').inputValue()).toContain('"threshold": 0.7');
  });

  test.each([
    ['desktop', DESKTOP, 'light'],
    ['phone', PHONE, 'dark'],
  ] as const)(
    'nothing for axe to find on a %s, with a replay and about to apply',
    async (name, viewport, scheme) => {
      const { page, complaints } = await open('admin', viewport, scheme);
      await propose(page, 0.75);
      await button(page, 'Replay over the past').click();
      const heading = page.getByRole('heading', { name: 'Over the past' });
      await heading.waitFor();
      await mustBeClean(page);
      await heading.scrollIntoViewIfNeeded();
      await page.evaluate(`document.querySelector('#proposal').scrollIntoView()`);
      await picture(page, `policy-${name}-${scheme}`);
      await button(page, 'Apply …').click();
      await page.getByRole('dialog').waitFor();
      await mustBeClean(page);
      expect(complaints).toEqual([]);
    },
  );
});

async function mustBeClean(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)])).toEqual([]);
  const overhang = 'document.documentElement.scrollWidth - innerWidth';
  expect(await page.evaluate(overhang)).toBeLessThanOrEqual(0);
}

async function picture(page: Page, name: string): Promise<void> {
  if (PICTURES === undefined) return;
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: join(PICTURES, `${name}.png`) });
}
