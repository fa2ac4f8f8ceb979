import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { MeshView } from '../../src/dashboard/documents.ts';
import { meshnet } from '../cli/support/run-meshnet.ts';
import { ControllerProcess } from '../controller/support/controller-process.ts';
import { AxeBuilder, launchBrowser, openPage } from '../lab/browser.ts';
import { freePort } from '../lab/free-ports.ts';
import { keyboardFaults } from '../lab/keyboard.ts';
import { requires } from '../lab/requirements.ts';
import { DemoRun } from './mesh-demo-support.ts';

/** Where pictures of the pages go, for docs/DEMO.md; unset: none are made. */
const PICTURES = process.env.MESHNET_PICTURES;
const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };
const WALL = { width: 2560, height: 1440 };
/** The other two are for pictures only: for axe they are what these are. */
const LOOKS = [
  ['desktop', DESKTOP, 'light'],
  ['phone', PHONE, 'dark'],
  ...(PICTURES === undefined
    ? []
    : ([
        ['desktop', DESKTOP, 'dark'],
        ['phone', PHONE, 'light'],
      ] as const)),
] as const;

requires('chromium')('the dashboard in a browser', () => {
  let browser: Browser;
  let demo: DemoRun;
  let url: string;
  const begun = async (one: DemoRun) =>
    (await one.event(({ event }) => event === 'begin')).dashboard as string;
  beforeAll(async () => {
    browser = await launchBrowser();
    demo = new DemoRun(['--userspace', '--epoch', '4', '--scenario', 'decay']);
    url = await begun(demo);
    await demo.event(({ event, epoch }) => event === 'epoch' && (epoch as number) >= 2);
  });
  afterAll(async () => {
    await browser?.close();
    demo.kill('SIGTERM');
    await demo.ended;
  });

  /** What the page shows of the echoes of one node to another. */
  const reaches = async (page: Page, from: string, to: string, what: string | RegExp) => {
    const table = page.getByRole('region', { name: 'Who reaches whom' });
    const heads = table.getByRole('columnheader');
    await heads.filter({ hasText: to }).waitFor({ timeout: 40_000 });
    const column = (await heads.allTextContents()).indexOf(to);
    const row = table.getByRole('row').filter({ has: page.getByRole('rowheader', { name: from }) });
    const cell = row
      .getByRole('cell')
      .nth(column - 1)
      .filter({ hasText: what });
    await cell.waitFor({ timeout: 40_000 });
  };

  const see = (page: Page, text: string | RegExp) =>
    page.getByText(text).first().waitFor({ timeout: 40_000 });

  test('shows an exclusion as it happens, without being asked again', async () => {
    const { page, complaints } = await openPage(browser, { viewport: DESKTOP });
    onTestFinished(() => page.close());
    await page.goto(url);
    await card(page, 'node-c', 'denied').waitFor();
    await card(page, 'node-b', 'denied').waitFor({ timeout: 40_000 });
    const happened = page.getByRole('listitem').filter({ hasText: 'node-b' });
    await happened.filter({ hasText: /shut out: .*below the threshold of 0\.70/ }).waitFor();
    expect(complaints).toEqual([]);
  });

  test('shows how a node that was out recovers and is let in again', async () => {
    const recovery = new DemoRun(['--userspace', '--epoch', '4', '--scenario', 'recover']);
    const { page, complaints } = await openPage(browser, { viewport: DESKTOP });
    onTestFinished(async () => {
      await page.close();
      recovery.kill('SIGTERM');
      await recovery.ended;
    });
    const address = await begun(recovery);
    await recovery.event(({ event }) => event === 'epoch'); // then there is a page
    await page.goto(address);
    await card(page, 'node-c', 'denied').waitFor();
    await reaches(page, 'node-a', 'node-b', / ms$/);
    await reaches(page, 'node-a', 'node-c', 'no answer');
    await reaches(page, 'node-c', 'node-a', 'no answer');
    await card(page, 'node-c', 'member').waitFor({ timeout: 60_000 });
    await reaches(page, 'node-a', 'node-c', / ms$/);
    await page.goto(`${address}#/node/node-c`);
    const row = page
      .getByRole('row')
      .filter({ has: page.getByRole('rowheader', { name: 'node-a' }) });
    await row.filter({ hasText: /ms, asked \d+ s ago.*127\.0\.0\.1:\d+/ }).waitFor();
    await page.goto(address);
    const happened = page.getByRole('listitem').filter({ hasText: 'node-c' });
    await happened.filter({ hasText: /let in: .*at least 0\.70/ }).waitFor();
    expect(complaints).toEqual([]);
  }, 120_000);

  test.each([
    ['mesh', /1 member|2 members/],
    ['node/node-c', /To be back it must pass alignment/],
    ['epochs', /later it was written to the last stream/],
    ['record', /Verified here:/],
    ['health', /How many nodes have a score of each suite/],
  ])('%s: nothing for axe to find, nothing cut off on a phone', async (path, text) => {
    for (const [name, viewport, colorScheme] of LOOKS) {
      const { page, complaints } = await openPage(browser, { viewport, colorScheme });
      await page.goto(`${url}#/${path}`);
      await see(page, text);
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)])).toEqual([]);
      const overhang = 'document.documentElement.scrollWidth - innerWidth';
      expect(await page.evaluate(overhang)).toBeLessThanOrEqual(0);
      expect(complaints).toEqual([]);
      if (PICTURES !== undefined) {
        mkdirSync(PICTURES, { recursive: true });
        const file = `${path.replace(/\/.*/, '')}-${name}-${colorScheme}.png`;
        await page.screenshot({ path: join(PICTURES, file) });
      }
      await page.close();
    }
  });

  test('verifies the record itself, and says red what is another one than it saw', async () => {
    const { page, complaints } = await openPage(browser, { viewport: DESKTOP });
    onTestFinished(() => page.close());
    await page.goto(`${url}#/record`);
    await see(page, 'Verified here:');
    await see(page, /grew out of the \d+ entries that this browser saw/); // at the next epoch
    await page.evaluate(`
      const name = Object.keys(localStorage).find((key) => key.startsWith('record '));
      const seen = JSON.parse(localStorage.getItem(name));
      localStorage.setItem(name, JSON.stringify({ ...seen, root: btoa('x'.repeat(32)) }));
    `);
    await page.getByRole('alert').filter({ hasText: 'It was rewritten.' }).waitFor();
    await page.screenshot(PICTURES === undefined ? {} : { path: join(PICTURES, 'fork.png') });
    expect(complaints).toEqual([]);
  });

  test('saves the proof of a verdict, which meshnet log check finds true', async () => {
    const { page, complaints } = await openPage(browser, { viewport: DESKTOP });
    const folder = mkdtempSync(join(tmpdir(), 'meshnet-proof-'));
    onTestFinished(async () => {
      await page.context().close();
      rmSync(folder, { recursive: true });
    });
    await page.goto(`${url}#/node/node-c`);
    const saved = page.waitForEvent('download');
    await page
      .getByRole('button', { name: /^Save proof of epoch \d+$/ })
      .first()
      .click();
    const download = await saved;
    expect(download.suggestedFilename()).toMatch(/^node-c-\d+\.proof\.json$/);
    const file = join(folder, 'proof.json');
    await download.saveAs(file);
    const { epoch } = (await (await fetch(`${url}api/mesh`)).json()) as MeshView;
    const checked = await meshnet('log', 'check', file, '--mesh', epoch.meshId);
    expect(checked).toMatchObject({ code: 0, err: '' });
    expect(checked.out).toContain('node-c was denied in epoch');
    expect(complaints).toEqual([]);
  });

  test('can be used with the keyboard alone', async () => {
    const { page } = await openPage(browser, { viewport: DESKTOP });
    onTestFinished(() => page.close());
    await page.goto(url);
    await see(page, /members?,/);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter'); // skips to the content
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await expect.poll(() => page.url()).toMatch(/#\/node\/node-[abc]$/);
    await see(page, /Scores: alignment/);
  });

  test.each([
    ['mesh', /1 member|2 members/],
    ['node/node-c', /To be back it must pass alignment/],
    ['epochs', /later it was written to the last stream/],
    ['policy', /In force/],
    ['record', /Verified here:/],
    ['health', /How many nodes have a score of each suite/],
  ])(
    '%s: the keyboard reaches every control, seen and named, on a wall screen, too',
    async (path, text) => {
      const { page } = await openPage(browser, { viewport: WALL });
      onTestFinished(() => page.close());
      await page.goto(`${url}#/${path}`);
      await see(page, text);
      expect(await keyboardFaults(page)).toEqual([]);
      expect(await page.locator('.u-value').allTextContents()).not.toContain('--');
      expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBe(0);
    },
  );

  test('is light: everything under 200 KB as it is sent', async () => {
    const { page } = await openPage(browser, { viewport: DESKTOP });
    onTestFinished(() => page.close());
    const session = await page.context().newCDPSession(page);
    await session.send('Network.enable');
    let bytes = 0;
    session.on('Network.loadingFinished', (event) => {
      bytes += event.encodedDataLength;
    });
    await page.goto(`${url}#/epochs`);
    await see(page, /epochs?, the last with/);
    expect(bytes).toBeGreaterThan(20_000);
    expect(bytes).toBeLessThan(200_000);
  });
});

requires('chromium')('the dashboard of a controller that tells two stories', () => {
  test('is red for whoever saw the other one', async () => {
    const browser = await launchBrowser();
    const port = await freePort();
    const controller = new ControllerProcess(['--dashboard', `127.0.0.1:${port}`]);
    const backup = `${controller.state}.before`;
    onTestFinished(async () => {
      await browser.close();
      await controller.remove();
    });
    await controller.start();
    await controller.enrol('a', 1);
    const { page } = await openPage(browser, { viewport: DESKTOP });
    const read = async (text: string | RegExp) => {
      await page.goto(`http://127.0.0.1:${port}/#/record`);
      await page.reload();
      await page.getByText(text).first().waitFor({ timeout: 20_000 });
    };
    await read('Verified here:');
    await controller.stop();
    cpSync(controller.state, backup, { recursive: true, preserveTimestamps: true });

    // One history: node b. This browser sees it.
    await controller.start();
    await controller.enrol('b', 2);
    await controller.admin('POST', '/v1/rotate');
    await read(/It grew out of the \d+ entries/);
    await controller.stop();

    // Another one from the same beginning, signed by the same key: node c, and more of it.
    rmSync(controller.state, { recursive: true });
    cpSync(backup, controller.state, { recursive: true, preserveTimestamps: true });
    await controller.start();
    for (const [i, name] of ['c', 'd', 'e'].entries()) await controller.enrol(name, 3 + i);
    for (let i = 0; i < 3; i++) await controller.admin('POST', '/v1/rotate');
    await read('Do not trust this record.');
    const alert = page.getByRole('alert').filter({ hasText: 'It was rewritten.' });
    const border = await page.evaluate(
      'getComputedStyle(document.querySelector(".fault")).borderTopColor',
    );
    const [red, green, blue] = String(border).match(/\d+/g)!.map(Number);
    expect(red).toBeGreaterThan(1.5 * Math.max(green!, blue!));
    expect(await alert.locator('pre').count()).toBe(2); // both signed checkpoints
  });
});

requires('chromium')('the dashboard of a controller that was killed', () => {
  test('says that it is away, since when, and goes on when it is back', async () => {
    const browser = await launchBrowser();
    const port = await freePort();
    const controller = new ControllerProcess(['--dashboard', `127.0.0.1:${port}`]);
    onTestFinished(async () => {
      await browser.close();
      await controller.remove();
    });
    await controller.start();
    await controller.enrol('a', 1);
    const { page } = await openPage(browser, { viewport: DESKTOP });
    await page.goto(`http://127.0.0.1:${port}/`);
    await card(page, 'a', 'not yet decided').waitFor();
    await controller.kill();
    const away = page.getByText(/The controller was last heard at .*, \d+ s ago/);
    await away.waitFor();
    await card(page, 'a', 'not yet decided').waitFor(); // what it said last
    await controller.start();
    await away.waitFor({ state: 'detached' });
    await card(page, 'a', 'denied').waitFor(); // the start decided an epoch, and it has no score
  });
});

function card(page: Page, node: string, words: string) {
  return page.getByRole('link', { name: new RegExp(`${node} .* ${words}$`) });
}
