import { AxeBuilder } from '@axe-core/playwright';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { findExecutable } from './requirements.ts';

export { AxeBuilder };

/** Debian's Chromium. As root it cannot keep a sandbox of its own; it sees nothing but our pages. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: findExecutable('chromium')!, args: ['--no-sandbox'] });
}

/** A page, and what it complained about: errors in scripts, refused resources, the console. */
export async function openPage(
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<{ readonly page: Page; readonly complaints: string[] }> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() !== 'log') complaints.push(message.text());
  });
  page.on('request', (request) => {
    const isOwn = new URL(request.url()).hostname === '127.0.0.1';
    if (!isOwn) complaints.push(`asked another host: ${request.url()}`);
  });
  return { page, complaints };
}

/** Signs in on the page that asks for it. */
export async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel('Access token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
}
