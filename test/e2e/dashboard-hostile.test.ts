import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { printable } from '../../src/contract/printable.ts';
import { accepted } from '../../src/contract/problems.ts';
import { controllerSource } from '../../src/dashboard/controller-source.ts';
import { type Dashboard, startDashboard } from '../../src/dashboard/dashboard.ts';
import { EpochLog } from '../../src/dashboard/epoch-log.ts';
import type { DashboardSource } from '../../src/dashboard/source.ts';
import { TestMesh } from '../controller/support/test-mesh.ts';
import { HOSTILE, hostileSource } from '../dashboard/support/hostile-source.ts';
import { AxeBuilder, launchBrowser, openPage, signIn } from '../lab/browser.ts';
import { requires } from '../lab/requirements.ts';

/** Name, screen and scheme. */
type Look = [name: string, viewport: { width: number; height: number }, scheme: 'light' | 'dark'];

const LOOKS: readonly Look[] = [
  ['desktop', { width: 1280, height: 900 }, 'light'],
  ['phone', { width: 390, height: 844 }, 'dark'],
];

requires('chromium')('names, suites, reasons and rules of who means ill', () => {
  let browser: Browser;
  let dashboard: Dashboard;
  let mesh: TestMesh;
  let logFile: DashboardSource['logFile'];
  beforeAll(async () => {
    browser = await launchBrowser();
    const listen = { host: '127.0.0.1', port: 0 };
    dashboard = await startDashboard({ listen, onError: (error) => expect.fail(String(error)) });
    mesh = await TestMesh.start();
    const { services } = mesh.controller;
    for (const name of HOSTILE) {
      const asked = { event: 'asked', by: name, what: 'set_policy', about: name } as const;
      await services.store.record(services.clock.now(), asked);
      await services.store.record(services.clock.now(), { ...asked, event: name } as never);
    }
    logFile = (path) => controllerSource(services, new EpochLog(), '1.2.3').logFile(path);
  });
  afterAll(async () => {
    await browser?.close();
    await dashboard?.close();
    await mesh?.stop();
  });

  /** Signed in under such a name, too. */
  const open = async ([, viewport, colorScheme]: Look) => {
    dashboard.show(hostileSource(logFile));
    const opened = await openPage(browser, { viewport, colorScheme });
    onTestFinished(() => opened.page.context().close());
    await opened.page.goto(`${dashboard.url}#/sign-in`);
    await signIn(opened.page, 'a token');
    await opened.page.getByText('with the role admin').waitFor();
    return opened;
  };

  const PAGES: readonly (readonly [name: string, seen: string])[] = [
    ['mesh', 'What happened'],
    [`node/${encodeURIComponent(HOSTILE[2])}`, 'Save proof of epoch 100'],
    [`node/${encodeURIComponent(HOSTILE[5])}`, 'Save proof of epoch 100'],
    ['epochs', 'later it was written to the last stream'],
    ['policy', 'In force'],
    ['record', 'Verified here:'],
    ['record', 'Entries that it cosigned'],
    ['health', 'Refused requests'],
    ['sign-in', 'with the role admin'],
    [`${encodeURIComponent(HOSTILE[0])}`, 'There is nothing at this address'],
  ];

  test.each(LOOKS)(
    '%s: are text that stays where it is, on each page',
    async (...look) => {
      const { page, complaints } = await open(look);
      for (const [path, seen] of PAGES) {
        await page.goto(`${dashboard.url}#/${path}`);
        await page.reload(); // nothing of the page before is there
        await page.getByText(seen).first().waitFor();
        await mustBeHarmless(page);
      }
      expect(complaints).toEqual([]);
    },
    240_000,
  );

  test.each(LOOKS)(
    '%s: also in a replay, in the dialog that names who will be out, and in a failure',
    async (...look) => {
      const { page } = await open(look);
      await page.goto(`${dashboard.url}#/policy`);
      await page.getByRole('button', { name: 'Replay over the past' }).click();
      await page.getByRole('heading', { name: 'Operating curve' }).waitFor();
      await mustBeHarmless(page);
      await page.getByRole('button', { name: 'Apply …' }).click();
      await page.getByRole('dialog').waitFor();
      await mustBeHarmless(page);
      await page.keyboard.press('Escape');
      await page.goto(`${dashboard.url}#/node/constructor`);
      await page.getByRole('button', { name: 'Save proof of epoch 100' }).click();
      await page.getByRole('alert').waitFor();
      await mustBeHarmless(page);
    },
  );

  test.each(LOOKS)('%s: also as the evidence that a record is none', async (...look) => {
    logFile = async () => accepted(Buffer.from(HOSTILE.join('\n')));
    const { page } = await open(look);
    await page.goto(`${dashboard.url}#/record`);
    await page.getByText('Do not trust this record.').waitFor();
    await mustBeHarmless(page);
  });
});

/** Nothing ran, nothing is wider than the screen, and what is to be read hides nothing. */
async function mustBeHarmless(page: Page): Promise<void> {
  expect(await page.title()).not.toBe('owned');
  expect(await page.title()).toBe(printable(await page.title()));
  expect(
    await page.locator('img, iframe, object, script:not([src], [type=importmap])').count(),
  ).toBe(0);
  const text = String(await page.evaluate('document.body.innerText'));
  expect(printable(text)).toBe(text);
  expect(text).toContain('\ufffd');
  const overhang = 'document.documentElement.scrollWidth - innerWidth';
  expect(await page.evaluate(overhang)).toBeLessThanOrEqual(0);
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)])).toEqual([]);
}
