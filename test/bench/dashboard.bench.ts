import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, CDPSession, Page } from 'playwright-core';
import { SIGNATURE_TAGS } from '../../src/contract/http-signature.ts';
import { parseJoinToken } from '../../src/contract/join-token.ts';
import { ControllerProcess } from '../controller/support/controller-process.ts';
import { call } from '../controller/support/test-mesh.ts';
import type { TestNode } from '../controller/support/test-node.ts';
import { launchBrowser, openPage } from '../lab/browser.ts';
import { freePort } from '../lab/free-ports.ts';
import { loadNow } from '../lab/machine.ts';
import { cpuTime } from '../lab/process-usage.ts';
import { programOptions } from '../lab/programs.ts';

/**
 * `npm run bench -- dashboard --nodes 1000 --seconds 60`: what the page costs its controller and who reads
 * it, while every node reports a score every ten seconds. A real controller and a real browser; nodes are
 * requests that are signed here.
 */
const values = programOptions({
  nodes: { type: 'string', default: '1000' },
  seconds: { type: 'string', default: '60' },
});

const REPORT_MS = 10_000;
const AT_ONCE = 16;

interface Figures {
  readonly nodes: number;
  /** As sent, compressed: until the page shows all nodes, and in a second after that, KB. */
  readonly firstKilobytes: number;
  readonly kilobytesPerSecond: number;
  /** From asking for the page, ms. */
  readonly firstPaintMs: number;
  readonly allNodesMs: number;
  /** CPU of the controller, % of one core: all it does, without and with a page that is open. */
  readonly controllerAlone: number;
  readonly controllerWatched: number;
  /** Of the page's main thread, % of one core, and the longest time between two frames, ms. */
  readonly page: number;
  readonly longestFrameMs: number;
  /** Processes that want to run, on average in the last minute, before anything was started. */
  readonly load: number;
}

async function measure(count: number, seconds: number): Promise<Figures> {
  const load = loadNow();
  const port = await freePort();
  const controller = new ControllerProcess([
    ...['--dashboard', `127.0.0.1:${port}`, '--tunnel-prefix', '10.10.0.0/16'],
  ]);
  const stop = new AbortController();
  let browser: Browser | undefined;
  try {
    await controller.start();
    await sleep(1100); // requests signed in the second of the start are refused
    const token = parseJoinToken(await controller.token())!;
    const nodes = await enrolled(controller, count);
    const reporting = report(controller, nodes, token.fingerprint, stop.signal);
    await sleep(REPORT_MS);
    await controller.admin('POST', '/v1/rotate');
    const controllerAlone = await cpuShare(() => cpuSeconds(controller.pid), seconds / 2);

    browser = await launchBrowser();
    const { page } = await openPage(browser, { viewport: { width: 1280, height: 900 } });
    const session = await page.context().newCDPSession(page);
    await session.send('Network.enable');
    await session.send('Performance.enable');
    let bytes = 0;
    session.on('Network.dataReceived', (event) => {
      bytes += event.encodedDataLength;
    });
    const asked = performance.now();
    await page.goto(`http://127.0.0.1:${port}/`);
    const last = page.locator('ul.tiles > li, ul.cards > li').nth(count - 1);
    await last.waitFor({ state: 'attached', timeout: 60_000 });
    const allNodesMs = performance.now() - asked;
    const firstPaintMs = Number(
      await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"),
    );
    const first = bytes;
    await watchFrames(page);
    const [controllerWatched, pageShare] = await Promise.all([
      cpuShare(() => cpuSeconds(controller.pid), seconds),
      cpuShare(() => taskSeconds(session), seconds),
    ]);
    const longestFrameMs = Number(await page.evaluate('globalThis.longestFrame'));
    stop.abort();
    await reporting;
    return {
      nodes: count,
      firstKilobytes: round(first / 1000),
      kilobytesPerSecond: round((bytes - first) / 1000 / seconds),
      firstPaintMs: Math.round(firstPaintMs),
      allNodesMs: Math.round(allNodesMs),
      controllerAlone: round(100 * controllerAlone),
      controllerWatched: round(100 * controllerWatched),
      page: round(100 * pageShare),
      longestFrameMs: Math.round(longestFrameMs),
      load: round(load),
    };
  } finally {
    stop.abort();
    await browser?.close();
    await controller.remove();
  }
}

/** Nodes that have fetched a config, as whoever is to be a member must. */
async function enrolled(controller: ControllerProcess, count: number): Promise<TestNode[]> {
  const nodes: TestNode[] = [];
  const lanes = Array.from({ length: AT_ONCE }, async (_, lane) => {
    for (let i = lane; i < count; i += AT_ONCE) {
      const node = await controller.enrol(`node-${String(i).padStart(4, '0')}`, i + 1);
      const url = `${controller.url}/v1/config/${node.nodeId}`;
      await call(url, { headers: node.signed(url, SIGNATURE_TAGS.config, Date.now()) });
      nodes.push(node);
    }
  });
  await Promise.all(lanes);
  return nodes;
}

/** Every node's score, spread over the interval, again and again: most pass, some are near the line. */
async function report(
  controller: ControllerProcess,
  nodes: readonly TestNode[],
  meshId: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  const lanes = Array.from({ length: AT_ONCE }, async (_, lane) => {
    const own = nodes.filter((_, i) => i % AT_ONCE === lane);
    const pause = REPORT_MS / own.length;
    let due = performance.now();
    for (let i = 0; !signal.aborted; i = (i + 1) % own.length) {
      const node = own[i]!;
      const score = Math.min(1, 0.75 + 0.25 * Math.random());
      const body = node.score(meshId, score, Date.now());
      await call(`${controller.url}/v1/benchmarks/${node.nodeId}`, { method: 'POST', body });
      due += pause;
      await sleep(Math.max(0, due - performance.now()));
    }
  });
  await Promise.all(lanes);
}

async function watchFrames(page: Page): Promise<void> {
  await page.evaluate(`
    globalThis.longestFrame = 0;
    let last = performance.now();
    const frame = (now) => {
      globalThis.longestFrame = Math.max(globalThis.longestFrame, now - last);
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  `);
}

function cpuSeconds(pid: number): number {
  const { user, system } = cpuTime(pid);
  return user + system;
}

async function taskSeconds(session: CDPSession): Promise<number> {
  const { metrics } = await session.send('Performance.getMetrics');
  return metrics.find(({ name }) => name === 'TaskDuration')!.value;
}

/** How much of the time was spent, 1: all of one core. */
async function cpuShare(spent: () => number | Promise<number>, seconds: number): Promise<number> {
  const before = await spent();
  const began = performance.now();
  await sleep(seconds * 1000);
  return (((await spent()) - before) * 1000) / (performance.now() - began);
}

const round = (value: number): number => Math.round(value * 10) / 10;

for (const count of values.nodes.split(',')) {
  const figures = await measure(Number(count), Number(values.seconds));
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}
