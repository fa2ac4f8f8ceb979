import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { TokenAnswer } from '../../src/contract/admin.ts';
import { type EpochDocument, epochInPages } from '../../src/contract/epoch.ts';
import { controllerFingerprint } from '../../src/contract/ids.ts';
import { openState } from '../../src/controller/controller.ts';
import { signingKey } from '../../src/controller/state-directory.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { call } from '../controller/support/test-mesh.ts';
import { TestNode } from '../controller/support/test-node.ts';
import { residentMemory } from '../lab/process-usage.ts';
import { type Distribution, distribution, median } from '../lab/statistics.ts';
import { fillStore, playedName } from './fill-store.ts';
import { ProofMesh } from './mesh.ts';
import { type Part, program } from './part.ts';
import type { StreamsPart } from './streams-process.ts';

/** Nodes that enrol by real calls; the others are in the store when the controller starts. */
const ENROLLING = 100;
const REMOVALS = 5;
const READS = 5;
const OPEN_TIMEOUT_MS = 300_000;

export interface ScaleResult {
  readonly members: number;
  /** Processor time of the controller for a token and the enrolment with it, ms. */
  readonly enrolmentCpuMs: number;
  /** Real streams that were open, and how long it took until all were, s. */
  readonly streams: number;
  readonly openedAfterS: number;
  /** ms from the commit of a removal until the last stream's bytes were with the system. */
  readonly pushed: Distribution;
  /** Processor time of that, ms, and of reading it from all streams. */
  readonly pushCpuMs: number;
  readonly readCpuMs: number;
  /** ms until a program on the same processors had read it: from all streams, and from the last of each removal. */
  readonly removal: Distribution;
  readonly lastRemoval: Distribution;
  /** Processor time of the controller for one page of `/v1/epoch`, and for all pages; bytes of a page. */
  readonly pageCpuMs: number;
  readonly pagesCpuMs: number;
  readonly pageBytes: number;
  /** Of the controller with all streams open. */
  readonly residentMb: number;
}

/** A controller, and an event stream over a socket for each of so many members. */
export async function measureScale(members: number): Promise<ScaleResult> {
  const settings = {
    observeOnly: true,
    pairwiseUpTo: 256,
    tunnelPrefix: '10.0.0.0/16',
    epochS: 3600,
  };
  const prepare = (state: string) => prepared(state, members - ENROLLING);
  return ProofMesh.with({ nodes: [], namespaces: false, settings, prepare }, async (mesh) => {
    await delay(1100); // what is signed in the second of the start is refused
    const enrolmentCpuMs = await enrolling(mesh, members);
    const { controllerUrl } = mesh.place;
    const part: StreamsPart = { controllerUrl, from: 0, to: members };
    const startedAt = performance.now();
    const streams = mesh.startPart('streams', 'hub', program('streams-process.ts', part));
    const { opened } = await streams.said({ opened: members }, OPEN_TIMEOUT_MS);
    const openedAfterS = Number(((performance.now() - startedAt) / 1000).toFixed(1));
    await mesh.rotate();
    const [pushed, pushCpu, readCpu, all, last]: number[][] = [[], [], [], [], []];
    for (let i = 0; i < REMOVALS; i++) {
      await delay(3000); // the keys of the epoch before have gone out
      const name = playedName(members - 1 - i);
      const before = await streamsCpuMs(streams);
      const { at, pushedAt, pushCpuMs } = await mesh.remove(name);
      pushed!.push(pushedAt - at);
      pushCpu!.push(pushCpuMs);
      const heard = await told(streams, name, members - i);
      readCpu!.push((await streamsCpuMs(streams)) - before);
      all!.push(...heard.map((time) => time - at));
      last!.push(Math.max(...heard) - at);
    }
    return {
      members,
      enrolmentCpuMs,
      streams: opened as number,
      openedAfterS,
      pushed: distribution(pushed!),
      pushCpuMs: rounded(median(pushCpu!)),
      readCpuMs: rounded(median(readCpu!)),
      removal: distribution(all!),
      lastRemoval: distribution(last!),
      ...(await reading(mesh)),
      residentMb: Math.round(residentMemory(mesh.controller.pid).now),
    };
  });
}

async function prepared(directory: string, count: number): Promise<void> {
  const state = openState(directory);
  const crypto = defaultProvider();
  const random = (length: number) => new Uint8Array(randomBytes(length));
  const seed = await signingKey(state.store, join(directory, 'controller.key'), crypto, random);
  const meshId = controllerFingerprint(crypto, crypto.ed25519Public(seed));
  const nodes = Array.from({ length: count }, (_, i) => new TestNode(playedName(i), i));
  await fillStore(
    state.store,
    meshId,
    nodes.map((node) => ({ nodeId: node.nodeId, keys: node })),
  );
  await state.close();
}

async function enrolling(mesh: ProofMesh, members: number): Promise<number> {
  const before = await cpuMs(mesh);
  for (let i = members - ENROLLING; i < members; i++) {
    const node = new TestNode(playedName(i), i);
    const body = { node_id: node.nodeId, ttl_s: 3600 };
    const { token } = await mesh.admin<TokenAnswer>('POST', '/v1/tokens', body);
    const url = `${mesh.place.controllerUrl}/v1/nodes`;
    const answer = await call(url, { method: 'POST', body: node.enrolment(token) });
    if (answer.status !== 201) throw new Error(answer.text);
  }
  return rounded(((await cpuMs(mesh)) - before) / ENROLLING);
}

async function streamsCpuMs(streams: Part): Promise<number> {
  return (await streams.ask({ command: 'cpu' }, 60_000)).cpuMs as number;
}

/** When each of `count` streams told of the removal of `name`. */
async function told(streams: Part, name: string, count: number): Promise<number[]> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const { at } = await streams.ask({ removed: name }, 60_000);
    const times = at as number[];
    // Whoever is removed has its own stream ended; it may have been told, or not.
    if (times.length >= count - 1) return times;
    if (performance.now() > deadline) throw new Error(`${times.length} of ${count} streams told`);
    await delay(250);
  }
}

async function reading(mesh: ProofMesh) {
  const [one, all, bytes]: number[][] = [[], [], []];
  const ask = (target: string) => mesh.admin<EpochDocument>('GET', target);
  for (let i = 0; i < READS; i++) {
    await delay(1100); // ages are a second older: it is made anew
    const before = await cpuMs(mesh);
    const page = await ask('/v1/epoch?limit=500');
    const between = await cpuMs(mesh);
    await epochInPages(ask);
    one!.push(between - before);
    all!.push((await cpuMs(mesh)) - between);
    bytes!.push(JSON.stringify(page).length);
  }
  return {
    pageCpuMs: rounded(median(one!)),
    pagesCpuMs: rounded(median(all!)),
    pageBytes: median(bytes!),
  };
}

async function cpuMs(mesh: ProofMesh): Promise<number> {
  return (await mesh.controller.ask({ command: 'cpu' }, 60_000)).cpuMs as number;
}

const rounded = (value: number): number => Number(value.toFixed(2));
