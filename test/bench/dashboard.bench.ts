import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { SIGNATURE_TAGS } from '../../src/contract/http-signature.ts';
import { parseJoinToken } from '../../src/contract/join-token.ts';
import { ControllerProcess } from '../controller/support/controller-process.ts';
import { call } from '../controller/support/test-mesh.ts';
import type { TestNode } from '../controller/support/test-node.ts';
import { launchBrowser, openPage } from '../lab/browser.ts';
import { CountingRelay } from '../lab/counting-relay.ts';
import { freePort } from '../lab/free-ports.ts';
import { loadNow } from '../lab/machine.ts';
import { cpuOfThreads, cpuTime } from '../lab/process-usage.ts';
import { programOptions } from '../lab/programs.ts';
import { publish, type Row } from '../lab/suite.ts';

/**
 * `npm run bench -- dashboard --nodes 1000 --seconds 60`: what the page costs its controller and who reads
 * it, while every node reports a score every ten seconds. CPU is in % of one core. A real controller and a
 * real browser; nodes are requests that are signed here.
 */
const values = programOptions({
  nodes: { type: 'string', default: '1000' },
  seconds: { type: 'string', default: '60' },
  /** How many times slower the page's processor is to be. */
  slower: { type: 'string', default: '1' },
});

const REPORT_MS = 10_000;
const AT_ONCE = 16;

async function measure(count: number, seconds: number): Promise<Row> {
  const load = loadNow();
  const port = await freePort();
  const controller = new ControllerProcess([
    ...['--dashboard', `127.0.0.1:${port}`, '--tunnel-prefix', '10.10.0.0/16'],
  ]);
  const stop = new AbortController();
  let browser: Browser | undefined;
  let relay: CountingRelay | undefined;
  try {
    await controller.start();
    await sleep(1100); // requests signed in the second of the start are refused
    const token = parseJoinToken(await controller.token())!;
    const nodes = await enrolled(controller, count);
    const reporting = Promise.all([
      report(controller, nodes, token.fingerprint, stop.signal),
      tellReach(controller, nodes, token.fingerprint, stop.signal),
    ]);
    await sleep(REPORT_MS);
    await controller.admin('POST', '/v1/rotate');
    const controllerAlone = await cpuShare(() => cpuSeconds(controller.pid), seconds);

    browser = await launchBrowser();
    relay = await CountingRelay.to(port);
    const { page } = await openPage(browser, { viewport: { width: 1280, height: 900 } });
    const session = await page.context().newCDPSession(page);
    await session.send('Emulation.setCPUThrottlingRate', { rate: Number(values.slower) });
    await watchTasks(page);
    await page.goto(relay.url);
    await page.locator('tbody tr').first().waitFor({ timeout: 60_000 });
    const allShownMs = Number(await page.evaluate('performance.now()'));
    const processes = await renderers(browser);
    const firstPaintMs = Number(
      await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"),
    );
    await sleep(3000); // the other pages' modules
    const first = relay.bytes;
    const [, longestAtFirstMs] = await longTasks(page);
    const [controllerWatched, pageShare] = await Promise.all([
      cpuShare(() => cpuSeconds(controller.pid), seconds),
      cpuShare(() => processes.reduce((sum, pid) => sum + cpuOfThreads(pid), 0), seconds),
    ]);
    const perSecond = (relay.bytes - first) / seconds;
    const [tasks, longestMs] = await longTasks(page);
    // Apart from the rest: to ask for every frame costs the page more than all it does.
    await watchFrames(page);
    await sleep(seconds * 1000);
    const [frames, dropped] = (await page.evaluate('[globalThis.frames, globalThis.dropped]')) as [
      number,
      number,
    ];
    stop.abort();
    await reporting;
    return {
      nodes: count,
      'at first, KB': round(first / 1000),
      'a second, KB': round(perSecond / 1000),
      'first paint, ms': Math.round(firstPaintMs),
      'all shown, ms': Math.round(allShownMs),
      'controller, not watched, %': round(100 * controllerAlone),
      'controller, watched, %': round(100 * controllerWatched),
      'page, %': round(100 * pageShare),
      'page slowed, times': Number(values.slower),
      'longest task at first, ms': longestAtFirstMs,
      'tasks over 50 ms, then': tasks,
      'longest of them, ms': longestMs,
      'frames dropped': `${dropped} of ${frames + dropped}`,
      'load before': round(load),
    };
  } finally {
    stop.abort();
    relay?.close();
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

/** What each node has of eight others, as often as nodes of so many tell it. */
async function tellReach(
  controller: ControllerProcess,
  nodes: readonly TestNode[],
  meshId: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  const pause = Math.max(15_000 / nodes.length, 1000 / 64);
  for (let i = 0; !signal.aborted; i = (i + 1) % nodes.length) {
    const node = nodes[i]!;
    const others = Array.from({ length: Math.min(8, nodes.length - 1) }, (_, j) => ({
      node_id: nodes[(i + 1 + j * 7) % nodes.length]!.nodeId,
      echo: Math.random() < 0.99 ? ('answered' as const) : ('unanswered' as const),
      echo_age_s: 4 * j,
      rtt_ms: 0.5,
    }));
    const body = node.reach(meshId, Date.now(), others);
    await call(`${controller.url}/v1/nodes/${node.nodeId}/reach`, { method: 'PUT', body });
    await sleep(pause);
  }
}

/** Tasks that hold up the page for more than 50 ms, as the browser itself sees them. */
async function watchTasks(page: Page): Promise<void> {
  await page.addInitScript(`
    globalThis.longTasks = [];
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) globalThis.longTasks.push(duration);
    }).observe({ entryTypes: ['longtask'] });
  `);
}

/** How many there were since this was asked last, and how long the longest took, ms. */
async function longTasks(page: Page): Promise<[number: number, longest: number]> {
  const tasks = (await page.evaluate('globalThis.longTasks.splice(0)')) as number[];
  return [tasks.length, Math.max(0, ...tasks)];
}

/** Frames, 60 of which are in a second, and those that were not drawn in time. */
async function watchFrames(page: Page): Promise<void> {
  await page.evaluate(`
    globalThis.frames = globalThis.dropped = 0;
    let last = performance.now();
    const frame = (now) => {
      globalThis.frames++;
      globalThis.dropped += Math.max(0, Math.round(((now - last) * 60) / 1000) - 1);
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

/** Of the browser's processes those that run pages; there is but one page. */
async function renderers(browser: Browser): Promise<number[]> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  return processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => id);
}

/** How much of the time was spent, 1: all of one core. */
async function cpuShare(spent: () => number, seconds: number): Promise<number> {
  const before = spent();
  const began = performance.now();
  await sleep(seconds * 1000);
  return ((spent() - before) * 1000) / (performance.now() - began);
}

const round = (value: number): number => Math.round(value * 10) / 10;

const rows: Row[] = [];
for (const count of values.nodes.split(',')) {
  rows.push(await measure(Number(count), Number(values.seconds)));
}
publish('The dashboard, while every node reports every ten seconds', rows);
