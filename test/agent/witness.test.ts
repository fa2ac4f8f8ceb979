import type { Server } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Counters } from '../../src/agent/counters.ts';
import type { AgentEvent } from '../../src/agent/events.ts';
import { LogCheck } from '../../src/agent/log-check.ts';
import { Witness } from '../../src/agent/witness.ts';
import { serveWitness } from '../../src/agent/witness-server.ts';
import { fromBase64 } from '../../src/contract/encoding.ts';
import { nodeProvider as crypto } from '../../src/crypto/node.ts';
import { parseNote, parseSignatures, parseVerifierKey, verifyNote } from '../../src/record/note.ts';
import { encodeWitnessRequest } from '../../src/record/witness-request.ts';
import { memoryState } from '../lab/memory-state.ts';
import { controllerKey, logOf, meshId } from './support/told-log.ts';

const honest = logOf('');
const other = logOf('other ');
const identity = { meshId, controllerKey, nodeId: 'a' };

let state: ReturnType<typeof memoryState>;
let counters: Counters;
let events: AgentEvent[];
let log: LogCheck;
let witness: Witness;
let server: Server;
let url: string;

/** As after a start. */
async function open(): Promise<void> {
  server?.close();
  counters = new Counters();
  const emit = (event: AgentEvent) => void events.push(event);
  const fetch = async (oldSize: number, size: number) => ({ proof: other.proof(oldSize, size) });
  log = new LogCheck({ crypto, identity, state, counters, emit, fetch });
  const clock = { wall: () => 1_800_000_000_500 };
  const seed = new Uint8Array(32).fill(6);
  witness = new Witness({ crypto, identity, seed, state, log, clock, counters, emit });
  ({ server, url } = await serveWitness({ host: '127.0.0.1', port: 0 }, witness));
}

beforeEach(async () => {
  state = memoryState();
  events = [];
  await open();
});
afterEach(() => void server.close());

async function ask(checkpoint: string, oldSize: number, proof: readonly string[] = []) {
  const hashes = proof.map((hash) => fromBase64(hash, 32)!);
  const body = encodeWitnessRequest({ oldSize, proof: hashes, checkpoint });
  const answer = await fetch(`${url}/add-checkpoint`, { method: 'POST', body });
  return {
    status: answer.status,
    type: answer.headers.get('content-type'),
    text: await answer.text(),
  };
}

/** When it says to have cosigned it, s; undefined: it has not. */
function cosignedAt(checkpoint: string, lines: string): number | undefined {
  const key = parseVerifierKey(crypto, witness.verifierKey)!;
  const note = { ...parseNote(checkpoint)!, signatures: parseSignatures(lines)! };
  return verifyNote(crypto, note, key)?.timeS;
}

test('what extends all that was cosigned is cosigned, over a restart', async () => {
  const first = await ask(honest.at(3), 0);
  expect([first.status, cosignedAt(honest.at(3), first.text)]).toEqual([200, 1_800_000_000]);
  await open();
  const second = await ask(honest.at(9), 3, honest.proof(3, 9));
  expect(cosignedAt(honest.at(9), second.text)).toBe(1_800_000_000);
  const again = await ask(honest.at(9), 9);
  expect(cosignedAt(honest.at(9), again.text)).toBe(1_800_000_000);
});

test('a controller that has forgotten how far it was is told', async () => {
  await ask(honest.at(7), 0);
  expect(await ask(honest.at(9), 0)).toEqual({
    status: 409,
    type: 'text/x.tlog.size',
    text: '7\n',
  });
});

test('a fork is not cosigned: of one size it is kept, and this node acts on no config any more', async () => {
  await ask(honest.at(7), 0);
  expect((await ask(other.at(7), 7)).status).toBe(409);
  expect(log.fork).toBe('there are two logs of 7 leaves');
  expect(events).toEqual([{ event: 'forked_log', detail: log.fork }]);
  expect((await ask(honest.at(9), 7, honest.proof(7, 9))).status).toBe(409);
});

test('a longer fork is not cosigned: the controller is asked for the proof that it cannot give', async () => {
  await log.contradiction(honest.at(7));
  await ask(honest.at(7), 0);
  const refused = () => ask(other.at(9), 7, other.proof(7, 9));
  expect((await refused()).status).toBe(422);
  expect((await refused()).status).toBe(422);
  expect(log.fork).toContain('do not begin with the 7 told before');
  expect(events.map((one) => one.event)).toEqual(['witness_refused', 'forked_log']);
  expect(counters.get('witness_answered_422')).toBe(2);
});

test('an older checkpoint that somebody kept proves nothing, and is not cosigned', async () => {
  await log.contradiction(honest.at(9));
  await ask(honest.at(9), 0);
  expect((await ask(honest.at(5), 9)).status).toBe(400);
  expect((await ask(honest.at(5), 0)).status).toBe(409);
  expect(log.fork).toBeUndefined();
});

test('the log of a restored mesh is cosigned from its first leaf; the one before never again', async () => {
  await ask(honest.at(9), 0);
  const restored = logOf('', 1_000_005);
  const answer = await ask(restored.at(4), 0);
  expect(cosignedAt(restored.at(4), answer.text)).toBeDefined();
  expect((await ask(honest.at(10), 9, honest.proof(9, 10))).status).toBe(404);
});

test.each<[string, () => Promise<{ readonly status: number }>, number]>([
  ['rubbish', () => fetch(`${url}/add-checkpoint`, { method: 'POST', body: 'rubbish' }), 400],
  ['another mesh', () => ask(honest.at(3).replace(/log\/../, 'log/00'), 0), 404],
  ['another signature', () => ask(honest.at(3).replace('\n3\n', '\n4\n'), 0), 403],
  [
    'too much',
    () => fetch(`${url}/add-checkpoint`, { method: 'POST', body: 'x'.repeat(20_000) }),
    413,
  ],
  ['another question', () => fetch(url), 404],
  ['no checkpoint', () => fetch(`${url}/add-checkpoint`), 405],
])('%s is refused', async (_what, call, status) => {
  expect((await call()).status).toBe(status);
  expect(state.readCosigned()).toBeUndefined();
});

test('what cannot be kept is not cosigned', async () => {
  state.writeCosigned = () => Promise.reject(new Error('the disk is full'));
  expect((await ask(honest.at(3), 0)).status).toBe(500);
});
