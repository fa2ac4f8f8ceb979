import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Dashboard, startDashboard } from '../../src/dashboard/dashboard.ts';
import { meshView, nodeDetail } from '../../src/dashboard/mesh-view.ts';
import type { DashboardSource } from '../../src/dashboard/source.ts';
import { largeMesh, reported } from '../dashboard/support/large-mesh.ts';
import { AxeBuilder, launchBrowser, openPage } from '../lab/browser.ts';
import { CountingRelay } from '../lab/counting-relay.ts';
import { keyboardFaults } from '../lab/keyboard.ts';
import { requires } from '../lab/requirements.ts';

/** Where pictures of the pages go, for docs/DEMO.md; unset: none are made. */
const PICTURES = process.env.MESHNET_PICTURES;
const NODES = 1000;
/** They are fetched once the first is drawn; then there is nothing more to fetch. */
const PAGES = ['record', 'epochs', 'policy', 'health', 'node'].map(
  (name) => `/dashboard/page/${name}-page.ts`,
);
const DESKTOP = { width: 1280, height: 900 };

const MIDNIGHT_UTC = Date.UTC(2026, 6, 1);

/** A mesh of a thousand of which a hundred report between two looks, once somebody says so. */
class Thousand implements Pick<DashboardSource, 'mesh' | 'node' | 'epochs' | 'changes' | 'marks'> {
  reports = 0;
  private document = largeMesh(NODES);

  async mesh() {
    if (this.reports > 0) {
      this.reports--;
      this.document = reported(this.document, (this.document.now / 10) % NODES, 100);
    }
    return meshView(this.document, undefined);
  }
  async node(id: string) {
    const verdict = {
      epoch: 3,
      at: MIDNIGHT_UTC,
      allowed: true,
      reason: 'passed',
      explanation: '',
    };
    const present = nodeDetail(this.document, id) ?? null;
    const verdicts = present === null ? [] : [verdict];
    return { id, present, reaches: [], reachedBy: [], scores: [], verdicts };
  }
  epochs = () => [];
  changes = () => [];
  marks = () => [];
}

/** A controller that has just been started, and nothing has happened. */
class Nothing extends Thousand {
  override async mesh() {
    return meshView({ ...largeMesh(0), epoch: 0 }, undefined);
  }
}

requires('chromium')('a mesh of a thousand nodes in a browser', () => {
  let browser: Browser;
  let dashboard: Dashboard;
  let source: Thousand;
  beforeAll(async () => {
    browser = await launchBrowser();
    const listen = { host: '127.0.0.1', port: 0 };
    dashboard = await startDashboard({ listen, onError: (error) => expect.fail(String(error)) });
  });
  afterAll(async () => {
    await dashboard?.close();
    await browser?.close();
  });
  const open = async (url: string, options: Parameters<typeof openPage>[1]) => {
    source = new Thousand();
    dashboard.show(source as unknown as DashboardSource);
    const { page, complaints } = await openPage(browser, options);
    onTestFinished(() => page.close());
    await page.goto(url);
    await matrix(page).waitFor();
    return { page, complaints };
  };

  test('is under 200 KB until all are shown, and 5 KB for each second of reports', async () => {
    const relay = await CountingRelay.to(Number(new URL(dashboard.url).port));
    onTestFinished(() => relay.close());
    const { page, complaints } = await open(relay.url, { viewport: DESKTOP });
    await page.evaluate(`Promise.all([${PAGES.map((name) => `import('${name}')`)}])`);
    const first = relay.bytes;
    expect(first).toBeLessThan(200_000);
    const rounds = 3;
    source.reports = rounds;
    await expect.poll(() => source.reports, { timeout: 30_000 }).toBe(0);
    await expect.poll(() => relay.bytes).toBeGreaterThan(first);
    expect(relay.bytes - first).toBeLessThan(rounds * 5000);
    expect(complaints).toEqual([]);
  });

  test.each([
    ['light', DESKTOP],
    ['dark', { width: 390, height: 844 }],
  ] as const)('%s: nothing for axe to find, nothing cut off', async (colorScheme, viewport) => {
    const { page, complaints } = await open(dashboard.url, { viewport, colorScheme });
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)])).toEqual([]);
    expect(
      await page.evaluate('document.documentElement.scrollWidth - innerWidth'),
    ).toBeLessThanOrEqual(0);
    expect(complaints).toEqual([]);
    if (PICTURES === undefined || viewport !== DESKTOP) return;
    await page.screenshot({ path: join(PICTURES, `thousand-desktop-${colorScheme}.png`) });
  });

  test('the keyboard reaches every control, seen and named', async () => {
    const { page } = await open(dashboard.url, { viewport: DESKTOP });
    expect(await keyboardFaults(page)).toEqual([]);
  });

  test('every node is reached with the keyboard: pages of the table, or its name', async () => {
    const { page } = await open(dashboard.url, { viewport: DESKTOP });
    const rows = page.locator('tbody tr');
    const place = page.getByRole('navigation', { name: 'Pages of the table' });
    await place.getByText('1 to 50 of 1,000 nodes').waitFor();
    expect(await rows.count()).toBe(50);
    await expect.poll(() => rows.first().textContent()).toMatch(/denied/); // who is out comes first
    await place.getByRole('button', { name: 'Farther from it' }).focus();
    await page.keyboard.press('Enter');
    await place.getByText('51 to 100 of 1,000 nodes').waitFor();
    await page.getByRole('searchbox').fill('0777');
    await expect.poll(() => rows.count()).toBe(1);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'node-0777' }).waitFor();
    await page.getByText('10.10.3.11').waitFor();
  });

  test.each([
    ['Asia/Tokyo', '7/1/2026, 9:00:00 AM'],
    ['America/New_York', '6/30/2026, 8:00:00 PM'],
  ])('times are those of the reader: in %s', async (timezoneId, shown) => {
    const { page } = await open(dashboard.url, { viewport: DESKTOP, timezoneId, locale: 'en-US' });
    await page.goto(`${dashboard.url}#/node/node-0001`);
    await page.getByRole('cell', { name: shown }).waitFor();
  });

  test('where there is nothing yet, it says so', async () => {
    dashboard.show(new Nothing() as unknown as DashboardSource);
    const { page } = await openPage(browser, { viewport: DESKTOP });
    onTestFinished(() => page.close());
    for (const [path, text] of [
      ['mesh', 'Nobody is enrolled yet.'],
      ['epochs', 'No epoch has been decided yet.'],
      ['epochs', 'Nobody was let in or shut out yet.'],
      ['node/nobody', 'There is no such node, and there was none that is remembered.'],
      ['nowhere', 'There is nothing at this address.'],
    ]) {
      await page.goto(`${dashboard.url}#/${path}`);
      await page.getByText(text!).waitFor();
    }
  });

  test('a square says whose it is, and leads there', async () => {
    const { page } = await open(dashboard.url, { viewport: DESKTOP });
    const canvas = page.locator('canvas');
    await expect.poll(async () => (await canvas.boundingBox())?.height).toBeGreaterThan(300);
    await canvas.hover({ position: { x: 27 * 3 + 5, y: 5 } });
    await expect.poll(() => canvas.getAttribute('title')).toMatch(/^node-0003: member/);
    await canvas.click({ position: { x: 27 * 3 + 5, y: 5 } });
    await page.getByRole('heading', { name: 'node-0003' }).waitFor();
  });
});

function matrix(page: Page) {
  return page.getByRole('img', { name: /^1,000 nodes/ });
}
