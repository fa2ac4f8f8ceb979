import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PAYLOAD_TYPES } from '../../../src/contract/envelope.ts';
import type { Epoch, NodeVerdict } from '../../../src/controller/epoch.ts';
import type { HistoryLimits } from '../../../src/controller/store/history-limits.ts';
import {
  type BenchmarkRecord,
  MAX_SEQUENCE_STEP,
  type NodeRecord,
  type Store,
} from '../../../src/controller/store/store.ts';

const envelope = { payloadType: PAYLOAD_TYPES.keyRecord, payload: 'e30=', signatures: [] };

export function epochOf(epoch: number, fields: Partial<Epoch> = {}): Epoch {
  return {
    epoch,
    version: epoch,
    startedAt: 1000 * epoch,
    decisions: [],
    removed: [],
    secret: new Uint8Array(32).fill(epoch),
    ...fields,
  };
}

function nodeOf(nodeId: string, key: number, enrolledAt = 5): Omit<NodeRecord, 'tunnelAddress'> {
  const bytes = (n: number) => new Uint8Array(32).fill(n);
  return {
    nodeId,
    record: envelope,
    wireguard: bytes(key),
    signing: bytes(key + 1),
    sealing: bytes(key + 2),
    endpoint: null,
    enrolledAt,
  };
}

const addresses = ['10.0.0.2', '10.0.0.3', '10.0.0.4'];

/** What every store must do. `open` gives a new, empty one; without limits it keeps all of the past. */
export function storeConformance(name: string, open: (history?: HistoryLimits) => Store): void {
  describe(`${name} as a store`, () => {
    let store: Store;
    let tokens = 0;
    beforeEach(() => {
      store = open();
    });
    afterEach(() => store.close());

    const addToken = async (expiresAt = 1e9) => {
      const id = `token-${++tokens}`;
      const secret = new Uint8Array(32).fill(9);
      await store.addToken({ id, secret, nodeId: null, expiresAt, usesLeft: 1 }, 0);
      return id;
    };
    const enrol = async (node: Omit<NodeRecord, 'tunnelAddress'>) =>
      (await store.enrol(node, await addToken(), addresses)).outcome;
    const benchmark = (fields: Partial<BenchmarkRecord> = {}): BenchmarkRecord => ({
      nodeId: 'a',
      suite: 'alignment',
      signer: 'k',
      sequence: 1,
      observedAt: 100,
      receivedAt: 100,
      score: 0.7,
      samples: 3,
      evidence: envelope,
      ...fields,
    });

    test('belongs to one mesh', async () => {
      const mesh = new Uint8Array(32).fill(1);
      expect(await store.mesh()).toBeUndefined();
      expect(await store.claim(mesh)).toBe(true);
      expect(await store.claim(mesh)).toBe(true);
      expect(await store.claim(new Uint8Array(32).fill(2))).toBe(false);
      expect(await store.mesh()).toEqual(mesh);
    });

    describe('epochs', () => {
      test('are committed by compare-and-set', async () => {
        expect(await store.currentEpoch()).toBeUndefined();
        expect(await store.commitEpoch(epochOf(1), epochOf(2))).toBe(false);
        expect(await store.commitEpoch(undefined, epochOf(1))).toBe(true);
        expect(await store.commitEpoch(undefined, epochOf(2))).toBe(false);
        expect(await store.commitEpoch(epochOf(1), epochOf(2))).toBe(true);
        expect(await store.commitEpoch(epochOf(1), epochOf(3))).toBe(false);
        expect(await store.commitEpoch({ epoch: 2, version: 1 }, epochOf(3))).toBe(false);
        expect(await store.currentEpoch()).toEqual(epochOf(2));
      });

      test('of ten that are committed at once, one wins', async () => {
        const all = Array.from({ length: 10 }, () => store.commitEpoch(undefined, epochOf(1)));
        expect((await Promise.all(all)).filter(Boolean)).toHaveLength(1);
      });

      test('never go back, and neither do versions', async () => {
        await store.commitEpoch(undefined, epochOf(5));
        for (const bad of [epochOf(5), epochOf(4), epochOf(6, { version: 5 })]) {
          await expect(store.commitEpoch(epochOf(5), bad)).rejects.toThrow(RangeError);
        }
        expect(await store.currentEpoch()).toEqual(epochOf(5));
      });

      test('keep what was decided', async () => {
        const decision = { nodeId: 'a', allowed: true, reason: 'x', explanation: 'é"\n' };
        const epoch = epochOf(1, {
          decisions: [{ ...decision, sinceEpoch: 1 }],
          removed: ['b'],
          secret: undefined,
        });
        await store.commitEpoch(undefined, epoch);
        expect(await store.currentEpoch()).toEqual(epoch);
      });

      test('give out copies of the secret', async () => {
        await store.commitEpoch(undefined, epochOf(1));
        (await store.currentEpoch())!.secret!.fill(0);
        expect((await store.currentEpoch())!.secret).toEqual(epochOf(1).secret);
      });
    });

    describe('enrolment', () => {
      test('uses the token and gives the first address that is free', async () => {
        const first = await store.enrol(nodeOf('a', 10), await addToken(), addresses);
        const second = await store.enrol(nodeOf('b', 20), await addToken(), addresses);
        const node = { ...nodeOf('a', 10), tunnelAddress: '10.0.0.2' };
        expect(first).toMatchObject({ outcome: 'enrolled', node });
        expect(second).toMatchObject({ node: { tunnelAddress: '10.0.0.3' } });
        expect(await store.node('a')).toEqual(node);
        expect((await store.roster()).nodes.map((node) => node.nodeId)).toEqual(['a', 'b']);
      });

      test('a token is good for one node, however many ask at once', async () => {
        const id = await addToken();
        const both = await Promise.all([
          store.enrol(nodeOf('a', 10), id, addresses),
          store.enrol(nodeOf('b', 20), id, addresses),
        ]);
        expect(both.map((one) => one.outcome)).toEqual(['enrolled', 'token_used']);
        expect(await store.token(id)).toMatchObject({ usesLeft: 0, secret: undefined });
        expect((await store.enrol(nodeOf('c', 30), 'none', addresses)).outcome).toBe('token_used');
      });

      test('refuses names and keys that are taken, for whatever use, and keeps the token', async () => {
        await enrol(nodeOf('a', 10));
        expect(await enrol(nodeOf('a', 20))).toBe('node_exists');
        for (const use of ['wireguard', 'signing', 'sealing'] as const) {
          for (const taken of [10, 11, 12]) {
            const thief = { ...nodeOf('b', 20), [use]: new Uint8Array(32).fill(taken) };
            expect(await enrol(thief)).toBe('key_in_use');
          }
        }
        expect(await store.openTokens(0)).toHaveLength(10);
        expect((await store.roster()).nodes).toHaveLength(1);
      });

      test('ends when no address is left', async () => {
        await enrol(nodeOf('a', 10));
        await enrol(nodeOf('b', 20));
        await enrol(nodeOf('c', 30));
        expect(await enrol(nodeOf('d', 40))).toBe('addresses_exhausted');
      });
    });

    test('a removed node is gone with its epoch; its id, address and keys are reserved', async () => {
      await enrol(nodeOf('a', 10));
      await store.recordBenchmark(benchmark({ sequence: 7 }));
      await store.commitEpoch(undefined, epochOf(1));
      const removal = { nodeId: 'a', reservedUntil: 9000 };
      expect(await store.commitEpoch(undefined, epochOf(2), { removals: [removal] })).toBe(false);
      expect(await store.node('a')).toBeDefined();
      expect(await store.commitEpoch(epochOf(1), epochOf(2), { removals: [removal] })).toBe(true);
      expect(await store.node('a')).toBeUndefined();
      expect(await store.scoresOf('a')).toEqual([]);
      expect(await store.recordBenchmark(benchmark({ sequence: 8 }))).toEqual({
        ok: false,
        reason: 'unknown_node',
      });
      expect(await enrol(nodeOf('a', 20, 8999))).toBe('node_id_reserved');
      expect(await enrol(nodeOf('b', 10, 8999))).toBe('key_in_use');
      const other = await store.enrol(nodeOf('b', 20, 8999), await addToken(), addresses);
      expect(other).toMatchObject({ node: { tunnelAddress: '10.0.0.3' } });
      const again = await store.enrol(nodeOf('a', 10, 9000), await addToken(), addresses);
      expect(again).toMatchObject({ node: { tunnelAddress: '10.0.0.2' } });
      expect(await store.recordBenchmark(benchmark({ sequence: 1 }))).toEqual({ ok: true });
    });

    describe('the roster', () => {
      test('has a number that grows with whatever changes who is enrolled, or where', async () => {
        const revisions = [await store.rosterRevision()];
        const next = async (revision: number | undefined) => {
          expect(await store.rosterRevision()).toBe(revision);
          expect((await store.roster()).revision).toBe(revision);
          revisions.push(revision!);
        };
        const enrolled = await store.enrol(nodeOf('a', 10), await addToken(), addresses);
        await next('revision' in enrolled ? enrolled.revision : undefined);
        await next(await store.setPlaces('a', { endpoint: '192.0.2.1:5' }, 6));
        expect((await store.node('a'))?.endpoint).toBe('192.0.2.1:5');
        await store.commitEpoch(undefined, epochOf(1));
        await next(revisions.at(-1)); // an epoch is no change
        revisions.pop();
        const removal = { nodeId: 'a', reservedUntil: 9000 };
        await store.commitEpoch(epochOf(1), epochOf(2), { removals: [removal] });
        await next(revisions.at(-1)! + 1);
        expect(revisions).toEqual(revisions.map((_, i) => revisions[0]! + i));
        expect(await store.setPlaces('a', { endpoint: null }, 6)).toBeUndefined();
        expect(await enrol(nodeOf('a', 40))).toBe('node_id_reserved');
        await next(revisions.at(-1));
      });

      test('must be the one that was judged when an epoch is committed', async () => {
        const seen = await store.rosterRevision();
        await enrol(nodeOf('a', 10)); // by another controller
        expect(await store.commitEpoch(undefined, epochOf(1), { revision: seen })).toBe(false);
        expect(await store.currentEpoch()).toBeUndefined();
        const removal = { nodeId: 'a', reservedUntil: 9000 };
        const stale = { revision: seen, removals: [removal] };
        expect(await store.commitEpoch(undefined, epochOf(1), stale)).toBe(false);
        expect(await store.node('a')).toBeDefined();
        const revision = await store.rosterRevision();
        expect(await store.commitEpoch(undefined, epochOf(1), { revision })).toBe(true);
        expect(await store.rosterRevision()).toBe(revision);
      });

      test('remembers the signing keys of removed nodes beyond their reservation', async () => {
        await enrol(nodeOf('a', 10));
        await store.commitEpoch(undefined, epochOf(1), {
          removals: [{ nodeId: 'a', reservedUntil: 1000 }],
        });
        const signing = nodeOf('a', 10).signing;
        expect((await store.roster()).removedKeys).toEqual([signing]);
        await enrol(nodeOf('b', 20, 5000));
        await store.commitEpoch(epochOf(1), epochOf(7));
        expect((await store.roster()).removedKeys).toEqual([signing]);
        expect(await enrol({ ...nodeOf('c', 30, 8000), signing })).toBe('enrolled');
        expect((await store.roster()).removedKeys).toEqual([]);
      });
    });

    describe('tokens', () => {
      test('are listed without secrets while they can be used', async () => {
        const id = await addToken(50);
        const listed = { id, nodeId: null, expiresAt: 50, usesLeft: 1 };
        expect(await store.openTokens(49)).toEqual([listed]);
        expect(await store.openTokens(50)).toEqual([]);
        expect((await store.token(id))?.secret).toEqual(new Uint8Array(32).fill(9));
      });

      test('can be withdrawn until they are used', async () => {
        const id = await addToken();
        expect(await store.deleteToken(id)).toBe(true);
        expect(await store.deleteToken(id)).toBe(false);
        expect(await store.token(id)).toBeUndefined();
        const used = await addToken();
        await store.enrol(nodeOf('a', 10), used, addresses);
        expect(await store.deleteToken(used)).toBe(false);
      });

      test('lose their secret with the first epoch after they expired', async () => {
        const [over, open] = [await addToken(1000), await addToken(1001)];
        await store.commitEpoch(undefined, epochOf(1, { startedAt: 1000 }));
        expect((await store.token(over))?.secret).toBeUndefined();
        expect((await store.token(open))?.secret).toBeDefined();
      });

      test('are forgotten some time after they expired', async () => {
        const id = await addToken(50);
        const other = { id: 'other', nodeId: null, secret: undefined, usesLeft: 1 };
        await store.addToken({ ...other, expiresAt: 500 }, 51);
        expect(await store.token(id)).toBeUndefined();
        expect(await store.token('other')).toBeDefined();
      });
    });

    describe('scores', () => {
      beforeEach(() => enrol(nodeOf('a', 10)));

      test('the newest of each signer about each node and suite counts', async () => {
        await store.recordBenchmark(benchmark());
        await store.recordBenchmark(benchmark({ sequence: 2, score: 0.8, observedAt: 101 }));
        await store.recordBenchmark(benchmark({ signer: 'l', score: 0.2 }));
        await store.recordBenchmark(benchmark({ suite: 'health', score: 1 }));
        const found = await store.scoresOf('a');
        expect(found.map((one) => [one.suite, one.signer, one.score]).sort()).toEqual([
          ['alignment', 'k', 0.8],
          ['alignment', 'l', 0.2],
          ['health', 'k', 1],
        ]);
        expect((await store.scores()).get('a')).toEqual(found);
      });

      test.each([
        [5, { ok: false, reason: 'sequence_replayed', last: 5 }],
        [1, { ok: false, reason: 'sequence_replayed', last: 5 }],
        [6, { ok: true }],
        [5 + MAX_SEQUENCE_STEP, { ok: true }],
        [6 + MAX_SEQUENCE_STEP, { ok: false, reason: 'sequence_too_far', last: 5 }],
        [Number.MAX_SAFE_INTEGER, { ok: false, reason: 'sequence_too_far', last: 5 }],
      ])('sequence %d after 5', async (sequence, outcome) => {
        await store.recordBenchmark(benchmark({ sequence: 5 }));
        const before = await store.scoresOf('a');
        expect(await store.recordBenchmark(benchmark({ sequence, score: 0.1 }))).toEqual(outcome);
        if (!outcome.ok) expect(await store.scoresOf('a')).toEqual(before);
      });

      test('sequences count apart for each signer, node and suite', async () => {
        await enrol(nodeOf('b', 20));
        await store.recordBenchmark(benchmark({ sequence: 900 }));
        for (const other of [{ signer: 'l' }, { nodeId: 'b' }, { suite: 'health' }]) {
          expect(await store.recordBenchmark(benchmark(other))).toEqual({ ok: true });
        }
      });

      test('of two at once with one sequence, one is taken', async () => {
        const both = [store.recordBenchmark(benchmark()), store.recordBenchmark(benchmark())];
        expect((await Promise.all(both)).filter((one) => one.ok)).toHaveLength(1);
      });

      test('observation times never decrease, not even after a reset of the sequence', async () => {
        await store.recordBenchmark(benchmark({ sequence: 5 }));
        const older = benchmark({ sequence: 6, observedAt: 99 });
        const refused = { ok: false, reason: 'observed_decreasing' };
        expect(await store.recordBenchmark(older)).toEqual({ ...refused, last: 5 });
        expect(await store.resetSequences('a', 1)).toBe(true);
        expect(await store.recordBenchmark({ ...older, sequence: 1 })).toMatchObject(refused);
        expect(await store.recordBenchmark(benchmark({ sequence: 1 }))).toEqual({ ok: true });
        expect(await store.resetSequences('nobody', 1)).toBe(false);
      });
    });

    describe('history', () => {
      const decision = { allowed: false, reason: 'x', explanation: 'é"\n', sinceEpoch: null };
      const decided = (epoch: number, nodeIds = ['a']) =>
        epochOf(epoch, { decisions: nodeIds.map((nodeId) => ({ nodeId, ...decision })) });
      const judged = (score: number, nodeIds = ['a']) => {
        const suites = [{ suite: 'alignment', score, age_s: 3.5, samples: 9, passed: false }];
        const sentence = { reason: 'score_below_threshold', explanation: 'why' } as const;
        const verdict = { allowed: false, ...sentence, score, ageS: 3.5, suites };
        return { verdicts: new Map<string, NodeVerdict>(nodeIds.map((id) => [id, { verdict }])) };
      };
      beforeEach(() => enrol(nodeOf('a', 10)));

      test('keeps every accepted score with its evidence, whatever comes after it', async () => {
        const bad = benchmark({ score: 0.1, evidence: { ...envelope, payload: 'YmFk' } });
        const good = benchmark({ sequence: 2, receivedAt: 101, observedAt: 101 });
        const other = benchmark({ signer: 'l', receivedAt: 102 });
        for (const one of [bad, good, good, other]) await store.recordBenchmark(one);
        expect(await store.evidenceOf('a', 9)).toEqual([other, good, bad]);
        expect(await store.evidenceOf('a', 2)).toEqual([other, good]);
        expect(await store.evidenceOf('b', 9)).toEqual([]);
      });

      test('gives the scores of all enrolled nodes since a time, oldest first', async () => {
        await enrol(nodeOf('b', 20));
        for (const [i, receivedAt] of [100, 200, 300].entries()) {
          await store.recordBenchmark(benchmark({ sequence: i + 1, receivedAt, score: i / 10 }));
        }
        await store.recordBenchmark(benchmark({ nodeId: 'b', receivedAt: 300, score: 0.9 }));
        const since = await store.scoresSince(200);
        expect(since.get('a')?.map((one) => one.score)).toEqual([0.1, 0.2]);
        expect(since.get('b')).toEqual(await store.scoresOf('b'));
        expect(await store.scoresSince(301)).toEqual(new Map());
      });

      test('gives the scores a page at a time, the last accepted first, of who is enrolled', async () => {
        await enrol(nodeOf('b', 20));
        for (let i = 1; i <= 3; i++) {
          const receivedAt = i * 100;
          await store.recordBenchmark(benchmark({ sequence: i, receivedAt, score: i / 10 }));
        }
        await store.recordBenchmark(benchmark({ nodeId: 'b', receivedAt: 250, score: 0.9 }));
        const first = await store.scorePage(null, 3);
        expect(first.scores.map((one) => [one.nodeId, one.score])).toEqual([
          ['b', 0.9],
          ['a', 0.3],
          ['a', 0.2],
        ]);
        const second = await store.scorePage(first.end, 3);
        expect(second.scores.map((one) => one.score)).toEqual([0.1]);
        expect(second.end).toBeNull();
        const all = [...first.scores, ...second.scores].filter((one) => one.nodeId === 'a');
        const known = (await store.scoresSince(0)).get('a')!;
        expect(all.map(({ nodeId: _, ...score }) => score)).toEqual(known.toReversed());
      });

      test('gives the same scores however often it is asked, of whatever time', async () => {
        await enrol(nodeOf('b', 20));
        const slowly = async (since: number) => {
          const found = new Map<string, readonly number[]>();
          for (const id of ['a', 'b']) {
            const all = (await store.evidenceOf(id, 999)).toReversed();
            const scores = all.filter((one) => one.receivedAt >= since).map((one) => one.score);
            if (scores.length > 0) found.set(id, scores);
          }
          return found;
        };
        let sequence = 0;
        const report = (nodeId: string, receivedAt: number) => {
          const score = ++sequence / 1000;
          return store.recordBenchmark(benchmark({ nodeId, sequence, receivedAt, score }));
        };
        for (const [round, since] of [0, 100, 100, 150, 290, 120, 300, 900, 400].entries()) {
          const at = 10 + round * 50;
          const asked = [report('a', at), report('b', at + 1), report('a', at + 1)];
          // Half of them are on the disk already when it is asked.
          if (round % 2 === 0) await Promise.all(asked);
          const answers = await store.scoresSince(since);
          await Promise.all(asked);
          const scores = new Map([...answers].map(([id, of]) => [id, of.map((one) => one.score)]));
          if (round % 2 === 0) expect(scores, `${round}`).toEqual(await slowly(since));
          const later = await store.scoresSince(since);
          const again = new Map([...later].map(([id, of]) => [id, of.map((one) => one.score)]));
          expect(again, `${round}`).toEqual(await slowly(since));
        }
      });

      test('keeps what each epoch decided, and what the policy saw', async () => {
        await store.commitEpoch(undefined, decided(1), judged(0.3));
        await store.commitEpoch(epochOf(1), decided(2), judged(0.4));
        await store.commitEpoch(epochOf(2), decided(3));
        await store.commitEpoch(epochOf(2), decided(4), judged(0.5)); // somebody else was first
        const of = (epoch: number, score: number) => ({
          epoch,
          version: epoch,
          startedAt: 1000 * epoch,
          nodeId: 'a',
          ...decision,
          inputs: {
            passed: false,
            score,
            ageS: 3.5,
            suites: judged(score).verdicts.get('a')!.verdict.suites,
          },
        });
        const last = { ...of(3, 0), inputs: null };
        expect(await store.verdictsOf('a', 9)).toEqual([last, of(2, 0.4), of(1, 0.3)]);
        expect(await store.verdictsOf('a', 1)).toEqual([last]);
        expect(await store.recentVerdicts(2)).toEqual(new Map([['a', [of(2, 0.4), last]]]));
      });

      test('outlives the node, and is not taken for that of another with its name', async () => {
        await store.recordBenchmark(benchmark());
        await store.commitEpoch(undefined, decided(1), judged(0.3));
        const removal = { nodeId: 'a', reservedUntil: 3000 };
        await store.commitEpoch(epochOf(1), decided(2, []), { removals: [removal] });
        for (const isAgain of [false, true]) {
          if (isAgain) expect(await enrol(nodeOf('a', 40, 3000))).toBe('enrolled');
          expect(await store.evidenceOf('a', 9)).toEqual([benchmark()]);
          expect((await store.verdictsOf('a', 9)).map((one) => one.epoch)).toEqual([1]);
          expect(await store.scoresSince(0)).toEqual(new Map());
          expect(await store.recentVerdicts(9)).toEqual(new Map());
        }
        const later = benchmark({ receivedAt: 3500, observedAt: 3500 });
        await store.recordBenchmark(later);
        await store.commitEpoch(epochOf(2), decided(4), judged(0.6));
        expect((await store.scoresSince(0)).get('a')).toHaveLength(1);
        expect((await store.recentVerdicts(9)).get('a')?.map((one) => one.epoch)).toEqual([4]);
        expect(await store.evidenceOf('a', 9)).toEqual([later, benchmark()]);
      });

      test.each([
        ['is too old', { maxAgeMs: 3000, maxBytes: Number.POSITIVE_INFINITY, minAgeMs: 0 }, 3],
        ['is too much', { maxAgeMs: 1e9, maxBytes: 0, minAgeMs: 4000 }, 4],
      ])('what %s goes a little at a time', async (_what, limits, seconds) => {
        await store.close();
        store = open(limits);
        const names = Array.from({ length: 300 }, (_, i) => `n${i}`);
        await enrol(nodeOf('a', 10));
        const first = Array.from({ length: 600 }, (_, i) => benchmark({ sequence: i + 1 }));
        await Promise.all(first.map((one) => store.recordBenchmark(one)));
        const [before, minute] = [epochOf(1), 100_000];
        await store.commitEpoch(undefined, { ...before, decisions: decided(1, names).decisions });
        await store.commitEpoch(before, epochOf(2, { startedAt: minute }), judged(0.3));
        const left = async () => (await store.evidenceOf('a', 1000)).length;
        expect(await left()).toBe(600);
        await store.recordBenchmark(benchmark({ sequence: 700, receivedAt: minute }));
        expect(await left()).toBeLessThan(600);
        expect(await left()).toBeGreaterThan(590);
        for (let i = 0; i < 4; i++) await store.scrub();
        expect((await store.evidenceOf('a', 9)).map((one) => one.sequence)).toEqual([700]);
        expect(await store.verdictsOf('n7', 9)).toEqual([]);
        // What is young enough stays, however often.
        const young = benchmark({ sequence: 701, receivedAt: minute + 1000 * seconds });
        await store.recordBenchmark(young);
        await store.recordBenchmark({ ...young, sequence: 702, receivedAt: young.receivedAt + 1 });
        expect((await store.evidenceOf('a', 9)).map((one) => one.sequence)).toEqual([702, 701]);
      });
    });

    test('knows the newest time that it holds', async () => {
      expect(await store.latestTime()).toBe(0);
      await store.commitEpoch(undefined, epochOf(1, { startedAt: 70 }));
      expect(await store.latestTime()).toBe(70);
      await enrol(nodeOf('a', 10, 80));
      expect(await store.latestTime()).toBe(80);
      await store.recordBenchmark(benchmark({ receivedAt: 95, observedAt: 99 }));
      expect(await store.latestTime()).toBe(95);
    });
  });
}
