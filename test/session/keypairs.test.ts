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
  keypairs.promote(added, 'derived');
  return added;
}

function confirm(keypairs: Keypairs, of: Keypair): boolean {
  of.confirmedAt = of.createdAt + 50;
  return keypairs.promote(of, 'received');
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

  test('a peer that tries in vain does not push out the one that it goes on sending on', () => {
    const keypairs = new Keypairs();
    const before = initiated(keypairs, { generation: 1 });
    before.confirmedAt = before.createdAt;
    const later = initiated(keypairs, { generation: 2 });
    for (let i = 0; i < 30; i++) keypairs.add(keypair({ generation: 2 }));
    expect(keypairs.receiveOnly).toHaveLength(8);
    expect(keypairs.receiveOnly).toContain(before);
    expect(keypairs.sending).toBe(later);
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

describe('crossing handshakes', () => {
  /**
   * Both sides of two crossing handshakes over links that keep the order of messages, each with a
   * delay of its own, and with as much data as keeps both sides sending. Returns what each sends on.
   */
  function play(times: {
    smallerStarts: number;
    greaterStarts: number;
    toGreater: number;
    toSmaller: number;
  }): [string, string] {
    const { smallerStarts, greaterStarts, toGreater, toSmaller } = times;
    const smaller = new Side(true);
    const greater = new Side(false);
    type Step = { at: number; run: (at: number) => void };
    const steps: Step[] = [];
    const schedule = (at: number, run: (at: number) => void) => void steps.push({ at, run });
    const handshake = (from: Side, to: Side, name: string, start: number) => {
      const [there, back] = from === smaller ? [toGreater, toSmaller] : [toSmaller, toGreater];
      schedule(start + there, (answeredAt) => {
        to.answer(name, answeredAt);
        schedule(answeredAt + back, (derivedAt) => from.derive(name, start, derivedAt));
      });
    };
    handshake(smaller, greater, 'of the smaller', smallerStarts);
    handshake(greater, smaller, 'of the greater', greaterStarts);
    for (let at = 0; at < 1000; at += 5) {
      for (const [from, to, delay] of [
        [smaller, greater, toGreater],
        [greater, smaller, toSmaller],
      ] as const) {
        schedule(at, () => {
          const name = from.sendingName;
          if (name !== undefined)
            schedule(at + delay, (receivedAt) => to.receive(name, receivedAt));
        });
      }
    }
    for (;;) {
      steps.sort((x, y) => x.at - y.at); // stable: in the order in which they were sent
      const step = steps.shift();
      if (step === undefined) break;
      step.run(step.at);
    }
    return [smaller.sendingName ?? 'none', greater.sendingName ?? 'none'];
  }

  class Side {
    private readonly keypairs = new Keypairs();
    private readonly named = new Map<string, Keypair>();

    constructor(isSmaller: boolean) {
      this.keypairs.isSmaller = isSmaller;
    }
    get sendingName(): string | undefined {
      return [...this.named].find(([, k]) => k === this.keypairs.sending)?.[0];
    }
    answer(name: string, at: number): void {
      this.add(name, keypair({ createdAt: at }));
    }
    derive(name: string, startedAt: number, at: number): void {
      const made = this.add(name, keypair({ isInitiator: true, startedAt, createdAt: at }));
      this.keypairs.promote(made, 'derived');
    }
    receive(name: string, at: number): void {
      const on = this.named.get(name)!;
      if (on.confirmedAt !== undefined) return;
      on.confirmedAt = at;
      if (this.keypairs.sending !== on) this.keypairs.promote(on, 'received');
    }
    private add(name: string, made: Keypair): Keypair {
      this.named.set(name, made);
      this.keypairs.add(made);
      return made;
    }
  }

  test('settle on one session, whenever each begins and however long messages take', () => {
    const delay = fc.integer({ min: 1, max: 150 });
    const times = fc.record({
      smallerStarts: fc.nat(300),
      greaterStarts: fc.nat(300),
      toGreater: delay,
      toSmaller: delay,
    });
    fc.assert(
      fc.property(times, (times) => {
        const [smaller, greater] = play(times);
        expect(smaller).not.toBe('none');
        expect(greater).toBe(smaller);
      }),
      { numRuns: 300 },
    );
  });

  test('settle on the one of the smaller key if both begin at the same time', () => {
    const same = { smallerStarts: 0, greaterStarts: 0, toGreater: 50, toSmaller: 50 };
    expect(play(same)).toEqual(['of the smaller', 'of the smaller']);
  });

  test('but a later handshake of the greater key is a new session', () => {
    const later = { smallerStarts: 0, greaterStarts: 200, toGreater: 50, toSmaller: 50 };
    expect(play(later)).toEqual(['of the greater', 'of the greater']);
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
          if (isInitiator) keypairs.promote(made, 'derived');
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
