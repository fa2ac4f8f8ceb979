import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { siteOf } from '../../deploy/site/site.ts';
import { AxeBuilder, launchBrowser, openPage } from '../lab/browser.ts';
import { requires } from '../lab/requirements.ts';

const PHONE = { viewport: { width: 390, height: 844 } };
const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html',
  css: 'text/css',
  svg: 'image/svg+xml',
  png: 'image/png',
};

requires('chromium')('the site of the pages, on a phone', () => {
  const { files } = siteOf(resolve(import.meta.dirname, '../..'));
  const server = createServer(({ url }, response) => {
    const path = url!.slice(1);
    const content = files.get(path);
    const type = TYPES[path.split('.').at(-1)!] ?? 'application/octet-stream';
    response.writeHead(content === undefined ? 404 : 200, { 'content-type': type }).end(content);
  });
  let browser: Awaited<ReturnType<typeof launchBrowser>>;
  beforeAll(async () => {
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    server.close();
    server.closeAllConnections();
  });
  const urlOf = (path: string) =>
    `http://127.0.0.1:${(server.address() as AddressInfo).port}/${path}`;

  test('no page is wider than it, lacks a picture, or asks another host', async () => {
    const { page, complaints } = await openPage(browser, PHONE);
    await page.route('**/favicon.ico', (route) => route.fulfill({ status: 204 }));
    for (const path of files.keys()) {
      if (!path.endsWith('.html')) continue;
      await page.goto(urlOf(path));
      const width = await page.evaluate('document.documentElement.scrollWidth');
      expect(width, path).toBeLessThanOrEqual(PHONE.viewport.width);
      expect(complaints, path).toEqual([]);
    }
  });

  test.for(['index.html', 'docs/DEMO.html', 'docs/DEPLOY.html'])(
    '%s is accessible',
    async (path) => {
      const { page } = await openPage(browser, PHONE);
      await page.goto(urlOf(path));
      await page.locator('summary').click(); // the list of all pages
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(violations.map(({ id, nodes }) => [id, nodes[0]?.html])).toEqual([]);
      const picture = process.env.MESHNET_PICTURES;
      if (picture) await page.screenshot({ path: `${picture}/site-${path.replace('/', '-')}.png` });
    },
  );
});
