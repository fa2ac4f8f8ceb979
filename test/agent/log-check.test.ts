import { beforeEach, expect, test } from 'vitest';
import type { AgentEvent } from '../../src/agent/events.ts';
import { LogCheck } from '../../src/agent/log-check.ts';
import { nodeProvider as crypto } from '../../src/crypto/node.ts';
import { memoryState } from '../lab/memory-state.ts';
import { controllerKey, logOf, meshId } from './support/told-log.ts';

const honest = logOf('');
const other = logOf('other ');

let check: LogCheck;
let state: ReturnType<typeof memoryState>;
let events: AgentEvent[];
let kept: unknown[];
let proofs: (oldSize: number, size: number) => Promise<unknown>;

const open = () =>
  new LogCheck({
    crypto,
    identity: { meshId, controllerKey },
    state: { ...state, keepForkedLog: async (value) => void kept.push(value) },
    counters: { add: () => {} } as never,
    emit: (event) => void events.push(event),
    fetch: (oldSize, size) => proofs(oldSize, size),
  });

beforeEach(() => {
  state = memoryState();
  events = [];
  kept = [];
  proofs = async (oldSize, size) => ({ proof: honest.proof(oldSize, size) });
  check = open();
});

/** The proof that was asked for has come, or has not. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test('a log that grows is followed, step by step, over a restart', async () => {
  for (const size of [2, 3, 7, 7, 20]) {
    expect(await check.contradiction(honest.at(size))).toBeUndefined();
    await settled();
    expect(check.size).toBe(size);
  }
  check = open();
  expect(check.size).toBe(20);
  expect(await check.contradiction(other.at(20))).toContain('two logs of 20 leaves');
});

test('growth that does not go together with what was told is a fork: both sides are kept', async () => {
  await check.contradiction(honest.at(7));
  proofs = async (oldSize, size) => ({ proof: other.proof(oldSize, size) });
  expect(await check.contradiction(other.at(9))).toBeUndefined(); // not proven yet
  await settled();
  expect(check.fork).toContain('do not begin with the 7 told before');
  expect(await check.contradiction(honest.at(7))).toBe(check.fork); // whatever it says from now on
  expect(events).toEqual([{ event: 'forked_log', detail: check.fork }]);
  expect(kept).toEqual([
    { controller_key: controllerKey.toBase64(), held: honest.at(7), other: other.at(9) },
  ]);
});

test('a log that goes back, or that two are of, is a fork at once', async () => {
  await check.contradiction(honest.at(7));
  expect(await check.contradiction(honest.at(6))).toContain('went back from 7 to 6');
  check = open();
  await check.contradiction(honest.at(7));
  expect(await check.contradiction(other.at(7))).toContain('two logs');
});

test.each<[string, () => Promise<unknown>]>([
  ['no answer', () => Promise.reject(new Error('timeout'))],
  ['no proof', async () => ({ proof: ['x'] })],
])('%s proves nothing: the next config asks again', async (_what, answer) => {
  await check.contradiction(honest.at(3));
  const honestProofs = proofs;
  proofs = answer;
  expect(await check.contradiction(honest.at(5))).toBeUndefined();
  await settled();
  expect([check.size, check.fork]).toEqual([3, undefined]);
  proofs = honestProofs;
  await check.contradiction(honest.at(6));
  await settled();
  expect(check.size).toBe(6);
});

test('a restored mesh has a log of another name, and never goes back to the old one', async () => {
  await check.contradiction(honest.at(9));
  expect(await check.contradiction(logOf('', 1_000_005).at(4))).toBeUndefined();
  expect(check.size).toBe(4);
  expect(await check.contradiction(honest.at(10))).toContain('went back');
});

test('what is not of this mesh, or is missing where there was one, is not acted upon', async () => {
  expect(await check.contradiction(undefined)).toBeUndefined(); // a controller that has no log
  expect(await check.contradiction('rubbish')).toContain('not signed');
  const foreign = honest.at(3).replace(/log\/../, 'log/00');
  expect(await check.contradiction(foreign)).toContain('not signed');
  expect(check.fork).toBeUndefined();
  await check.contradiction(honest.at(3));
  expect(await check.contradiction(undefined)).toContain('has no checkpoint');
});

test('what headers say of the log goes on, and that it does is proven with the next lease', async () => {
  const asked: string[] = [];
  proofs = async (oldSize, size) => {
    asked.push(`${oldSize} to ${size}`);
    return { proof: honest.proof(oldSize, size) };
  };
  expect(await check.ofHeader(undefined, undefined)).toBeUndefined(); // of a controller before that
  expect(await check.ofHeader(undefined, honest.at(3))).toBeUndefined();
  await check.contradiction(honest.at(5));
  expect(await check.ofHeader(honest.at(3), honest.at(8))).toBeUndefined();
  expect(await check.ofHeader(honest.at(8), honest.at(8))).toBeUndefined();
  expect(asked).toEqual([]);
  await check.contradiction(honest.at(9));
  await settled();
  expect([asked, check.size]).toEqual([['5 to 8', '8 to 9'], 9]);
  expect(await check.ofHeader(honest.at(8), honest.at(9))).toBeUndefined(); // as the lease said
  expect(await check.ofHeader(honest.at(9), logOf('', 1_000_005).at(4))).toBeUndefined();
  expect([asked.length, check.fork]).toEqual([2, undefined]);
});

test.each<[string, string, string]>([
  ['an older log', honest.at(7), honest.at(5)],
  ['another log of as many leaves', honest.at(7), other.at(7)],
  ['the log before a restore', logOf('', 1_000_005).at(7), honest.at(9)],
])('a header that tells of %s is a fork: both checkpoints are kept', async (_what, held, told) => {
  expect(await check.ofHeader(undefined, held)).toBeUndefined();
  expect(await check.ofHeader(held, told)).toMatch(/went back from 7|two logs of 7 leaves/);
  expect(kept).toEqual([{ controller_key: controllerKey.toBase64(), held, other: told }]);
  expect(await check.contradiction(held)).toBe(check.fork);
});

test('a header without a checkpoint after one with one, or with one of somebody else, is not taken', async () => {
  expect(await check.ofHeader(honest.at(7), undefined)).toContain('has no checkpoint');
  const foreign = honest.at(7).replace(/log\/../, 'log/00');
  expect(await check.ofHeader(undefined, foreign)).toContain('not signed');
  expect(check.fork).toBeUndefined();
});

test('headers tell no other story than leases do', async () => {
  await check.contradiction(honest.at(7));
  expect(await check.ofHeader(undefined, other.at(7))).toContain('two logs of 7 leaves');
  state = memoryState();
  check = open();
  await check.contradiction(honest.at(7));
  expect(await check.ofHeader(undefined, other.at(9))).toBeUndefined(); // not held against it yet
  expect(await check.contradiction(honest.at(12))).toBeUndefined();
  await settled();
  expect(check.fork).toContain('9 leaves do not begin with the 7 told before');
});
