import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Keypair, Keypairs, MAX_RECEIVE_ONLY } from '../../src/session/keypairs.ts';

let slots = 0;

function keypair(fields: Partial<Keypair> = {}): Keypair {
  const slot = slots++;
  const createdAt = fields.createdAt ?? slot * 1000;
  return {
    slot,
    localIndex: slot,
    generation: 0,
    isInitiator: false,
    startedAt: createdAt,
    createdAt,
    rejectAt: createdAt + 180_000,
    confirmedAt: undefined,
    ...fields,
  };
}

/** As a device: an initiator sends on its keypair at once, a responder after the first packet. */
function initiated(keypairs: Keypairs, fields: Partial<Keypair> = {}): Keypair {
  const added = keypair({ ...fields, isInitiator: true });
  keypairs.add(added);
  keypairs.promote(added);
  return added;
}

function confirm(keypairs: Keypairs, of: Keypair): boolean {
  of.confirmedAt = of.createdAt + 50;
  return keypairs.promote(of);
}

describe('an unconfirmed responder keypair', () => {
  test('is not sent on, and displaces nothing, however many there are', () => {
    const keypairs = new Keypairs();
    const working = initiated(keypairs);
    working.confirmedAt = working.createdAt;
    for (let i = 0; i < 50; i++) {
      keypairs.add(keypair());
      expect(keypairs.sending).toBe(working);
    }
    expect(keypairs.all()).toContain(working);
    expect(keypairs.receiveOnly).toHaveLength(MAX_RECEIVE_ONLY);
  });

  test('is sent on after its first packet; the one before is still received on', () => {
    const keypairs = new Keypairs();
    const before = initiated(keypairs);
    const next = keypair();
    keypairs.add(next);
    expect(confirm(keypairs, next)).toBe(true);
    expect(keypairs.sending).toBe(next);
    expect(keypairs.receiveOnly).toEqual([before]);
  });
});

describe('generations', () => {
  test('an older one never replaces a newer one for sending', () => {
    const keypairs = new Keypairs();
    const old = keypair({ generation: 1 });
    keypairs.add(old);
    const current = initiated(keypairs, { generation: 2 });
    expect(confirm(keypairs, old)).toBe(false);
    expect(keypairs.sending).toBe(current);
    expect(keypairs.receiveOnly).toEqual([old]);
  });

  test('a newer one replaces an older one whenever it was made', () => {
    const keypairs = new Keypairs();
    initiated(keypairs, { generation: 1, createdAt: 5000 });
    const newer = keypair({ generation: 2, createdAt: 1000 });
    keypairs.add(newer);
    expect(confirm(keypairs, newer)).toBe(true);
  });
});

test('a late first packet on an earlier keypair does not take sending back to it', () => {
  const keypairs = new Keypairs();
  const [first, second] = [keypair(), keypair()];
  keypairs.add(first);
  keypairs.add(second);
  expect(confirm(keypairs, second)).toBe(true);
  expect(confirm(keypairs, first)).toBe(false);
  expect(keypairs.sending).toBe(second);
});

describe('at most eight are received on only', () => {
  test('beyond that the oldest goes, older generations first, never the new one', () => {
    const keypairs = new Keypairs();
    const late = keypair({ generation: 1, createdAt: 1e9 });
    const others = Array.from({ length: 7 }, () => keypair({ generation: 2 }));
    for (const each of [...others, late]) keypairs.add(each);
    const newest = Array.from({ length: 3 }, () => keypair({ generation: 2 }));
    expect(newest.flatMap((each) => keypairs.add(each))).toEqual([late, others[0], others[1]]);
    expect(keypairs.receiveOnly).toEqual([...others.slice(2), ...newest]);
  });

  test('crossing handshakes keep the one that the peer is about to send on', () => {
    const keypairs = new Keypairs();
    for (let generation = 1; generation <= 9; generation++) {
      initiated(keypairs, { generation }).confirmedAt = 0;
    }
    expect(keypairs.receiveOnly).toHaveLength(8);
    const theirs = keypair({ generation: 10 });
    keypairs.add(theirs);
    const ours = initiated(keypairs, { generation: 10 });
    expect(keypairs.all()).toContain(theirs);
    expect(keypairs.sending).toBe(ours);
  });

  test('when all are confirmed the oldest goes, never the new one', () => {
    const keypairs = new Keypairs();
    const working = Array.from({ length: 9 }, () => initiated(keypairs));
    for (const each of working) each.confirmedAt = each.createdAt;
    const newest = keypair();
    expect(keypairs.add(newest)).toEqual([working[0]]);
    expect(keypairs.receiveOnly).toContain(newest);
    expect(keypairs.sending).toBe(working[8]);
  });
});

test('removal takes out what matches, the sending one too, and nothing else', () => {
  const keypairs = new Keypairs();
  const old = initiated(keypairs, { generation: 1 });
  const kept = initiated(keypairs, { generation: 2 });
  expect(keypairs.remove((k) => k.generation < 2)).toEqual([old]);
  expect(keypairs.sending).toBe(kept);
  expect(keypairs.remove(() => true)).toEqual([kept]);
  expect(keypairs.sending).toBeUndefined();
  expect(keypairs.all()).toEqual([]);
});

/** What happens on one side of two crossing handshakes, in the order of its events. */
const EVENTS = ['theirs answered', 'ours derived', 'theirs confirmed'] as const;

describe('crossing handshakes', () => {
  /** Plays events on the side with the smaller or the greater key; returns what it sends on. */
  function play(isSmaller: boolean, order: readonly (typeof EVENTS)[number][]): 'ours' | 'theirs' {
    const keypairs = new Keypairs();
    keypairs.isSmaller = isSmaller;
    const at = (event: (typeof EVENTS)[number]) => 100 + order.indexOf(event) * 50;
    const ours = keypair({ isInitiator: true, startedAt: 0, createdAt: at('ours derived') });
    const theirs = keypair({ createdAt: at('theirs answered') });
    for (const event of order) {
      if (event === 'theirs answered') keypairs.add(theirs);
      else if (event === 'theirs confirmed') confirm(keypairs, theirs);
      else {
        keypairs.add(ours);
        keypairs.promote(ours);
      }
    }
    return keypairs.sending === ours ? 'ours' : 'theirs';
  }

  test.each([
    [['theirs answered', 'ours derived', 'theirs confirmed'] as const],
    [['theirs answered', 'theirs confirmed', 'ours derived'] as const],
  ])('both sides settle on the one that the smaller key initiated: %s', (order) => {
    expect(play(true, order)).toBe('ours');
    expect(play(false, order)).toBe('theirs');
  });
});

test('over any events: bounded, the sending one is the best of its generation, nothing is lost', () => {
  const event = fc.oneof(
    fc.record({ type: fc.constant('initiate' as const), newer: fc.boolean() }),
    fc.record({ type: fc.constant('answer' as const), newer: fc.boolean() }),
    fc.record({ type: fc.constant('confirm' as const), which: fc.nat(20) }),
  );
  fc.assert(
    fc.property(fc.boolean(), fc.array(event, { maxLength: 60 }), (isSmaller, events) => {
      const keypairs = new Keypairs();
      keypairs.isSmaller = isSmaller;
      let generation = 1;
      let now = 0;
      const live = new Set<Keypair>();
      for (const step of events) {
        now += 1000;
        const sendingBefore = keypairs.sending;
        if (step.type === 'confirm') {
          const waiting = keypairs.receiveOnly.filter((k) => k.confirmedAt === undefined);
          const chosen = waiting[step.which % Math.max(waiting.length, 1)];
          if (chosen !== undefined) confirm(keypairs, chosen);
        } else {
          if (step.newer) generation++;
          const isInitiator = step.type === 'initiate';
          const made = keypair({ generation, isInitiator, createdAt: now, startedAt: now - 1 });
          live.add(made);
          for (const dropped of keypairs.add(made)) {
            expect(dropped).not.toBe(sendingBefore);
            live.delete(dropped);
          }
          if (isInitiator) keypairs.promote(made);
        }
        expect(keypairs.receiveOnly.length).toBeLessThanOrEqual(MAX_RECEIVE_ONLY);
        expect(new Set(keypairs.all())).toEqual(live);
        const { sending } = keypairs;
        if (sendingBefore !== undefined) {
          expect(sending!.generation).toBeGreaterThanOrEqual(sendingBefore.generation);
        }
        if (sending !== undefined && !sending.isInitiator) {
          expect(sending.confirmedAt).toBeDefined();
        }
      }
    }),
  );
});
