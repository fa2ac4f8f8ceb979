import type { Page } from 'playwright-core';

/** In the page: notes its controls; gives what reacts to a pointer and has no focus. */
const LOOK_AT_CONTROLS = `(() => {
  const isShown = (one) => one.checkVisibility({ visibilityProperty: true });
  const all = 'a[href], button:enabled, input:enabled, select:enabled, textarea:enabled, summary, [tabindex="0"]';
  window.controls = [...(document.querySelector('dialog[open]') ?? document).querySelectorAll(all)].filter((one) => isShown(one) && one.tabIndex >= 0);
  window.reached = new Set();
  const pointed = [...document.querySelectorAll('body *')].filter(
    (one) => isShown(one) && getComputedStyle(one).cursor === 'pointer' && !one.closest(all + ', label'));
  return pointed.map((one) => one.outerHTML);
})()`;
/** Notes what has the focus; gives its text if it has no name, or nobody sees that it is in focus. */
const LOOK_AT_FOCUS = `(() => {
  const one = document.activeElement;
  if (one === document.body) return null;
  window.reached.add(one);
  const { outlineStyle, outlineWidth } = getComputedStyle(one);
  const labels = [...(one.labels ?? [])].map((label) => label.textContent).join(' ');
  const name = one.getAttribute('aria-label') ?? (labels || one.textContent || one.title);
  const isSeen = outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1;
  return name.trim() !== '' && isSeen ? null : one.outerHTML;
})()`;
/** What was noted, is still there, and was not reached. */
const MISSED =
  'window.controls.filter((one) => one.isConnected && !window.reached.has(one)).map((one) => one.outerHTML)';

/** What of a page, or of the dialog open on it, a keyboard does not reach, or reaches unseen or unnamed. */
export async function keyboardFaults(page: Page): Promise<string[]> {
  const faults = (await page.evaluate(LOOK_AT_CONTROLS)) as string[];
  const count = (await page.evaluate('window.controls.length')) as number;
  for (let i = 0; i < count + 10; i++) {
    await page.keyboard.press('Tab');
    const unseen = (await page.evaluate(LOOK_AT_FOCUS)) as string | null;
    if (unseen !== null) faults.push(unseen);
  }
  return [...faults, ...((await page.evaluate(MISSED)) as string[])];
}

/** Presses Tab until what has this name has the focus. */
export async function tabTo(page: Page, name: string | RegExp): Promise<void> {
  for (let i = 0; i < 100; i++) {
    await page.keyboard.press('Tab');
    const text = (await page.evaluate(NAME_OF_FOCUS)) as string;
    if (typeof name === 'string' ? text === name : name.test(text)) return;
  }
  throw new Error(`the keyboard does not reach ${name}`);
}

const NAME_OF_FOCUS = `(() => {
  const one = document.activeElement;
  const labels = [...(one.labels ?? [])].map((label) => label.textContent).join(' ');
  return (one.getAttribute('aria-label') ?? (labels || one.textContent)).trim();
})()`;
