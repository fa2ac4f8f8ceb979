import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { slotsWithKeys } from '../lab/inspect.ts';
import { Ledger } from '../lab/ledger.ts';
import { connect, PERFECT_LINK, type SimulatedNode, Simulation } from '../lab/simulation.ts';

/** Simulations compute; on a busy machine that takes its time. */
vi.setConfig({ testTimeout: 90_000 });

/**
 * Devices on a bad network, with clocks of their own: whatever happens, no packet is delivered
 * twice, altered or to somebody else, and when the network recovers everybody can talk.
 */
const PSK = new Uint8Array(32).fill(0x33);

const faults = fc.record({
  loss: fc.double({ min: 0, max: 0.7, noNaN: true }),
  duplication: fc.double({ min: 0, max: 0.5, noNaN: true }),
  minDelay: fc.nat(200),
  spread: fc.nat(2000),
});

const clock = fc.record({
  clockSkew: fc.integer({ min: -86_400_000, max: 86_400_000 }),
  clockRate: fc.double({ min: 0.98, max: 1.02, noNaN: true }),
});

/** What happens at a random time; `who` and `other` choose nodes. */
const event = fc.record({
  type: fc.constantFrom(
    'send',
    'send',
    'send',
    'burst',
    'step the clock',
    'roam',
    'suspend',
    'change the PSK',
    'handshake',
    'partition',
  ),
  wait: fc.nat(20_000),
  who: fc.nat(2),
  other: fc.nat(1),
  amount: fc.integer({ min: -3_600_000, max: 3_600_000 }),
});
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;

function happen(simulation: Simulation, ledger: Ledger, step: Event, pair: SimulatedNode[]): void {
  const [who, other] = pair as [SimulatedNode, SimulatedNode];
  switch (step.type) {
    case 'send':
      ledger.send(who, other);
      break;
    case 'burst':
      for (let i = 0; i < 30; i++) ledger.send(who, other);
      break;
    case 'step the clock':
      who.clockSkew += step.amount;
      break;
    case 'roam':
      who.endpoint = { ...who.endpoint, port: 1024 + Math.abs(step.amount % 60_000) };
      break;
    case 'suspend':
      who.core.expireAllSessions(who.clock);
      who.wake();
      break;
    case 'change the PSK': {
      const presharedKey = new Uint8Array(32).fill(1 + Math.abs(step.amount % 250));
      who.configure({ peers: [{ publicKey: other.publicKey, presharedKey }] });
      simulation.after(Math.abs(step.amount) % 10_000, () =>
        other.configure({ peers: [{ publicKey: who.publicKey, presharedKey }] }),
      );
      break;
    }
    case 'handshake':
      who.core.device.handshakeWanted(0, who.clock);
      who.wake();
      break;
    case 'partition':
      simulation.filter = (_, from) => from !== who;
      simulation.after(Math.abs(step.amount) % 60_000, () => {
        simulation.filter = () => true;
      });
      break;
  }
}

const run = fc.record({
  seed: fc.nat(),
  faults,
  clocks: fc.tuple(clock, clock, clock),
  events: fc.array(event, { maxLength: 40 }),
});

test('no packet twice, altered or to the wrong peer; a working session once faults are over', () => {
  fc.assert(
    fc.property(run, ({ seed, faults, clocks, events }) => {
      const simulation = new Simulation(seed);
      const nodes = clocks.map((options) => simulation.addNode(options));
      const pairs = [
        [0, 1],
        [0, 2],
        [1, 2],
      ].map(([i, j]) => [nodes[i!]!, nodes[j!]!] as const);
      for (const [x, y] of pairs) connect(x, y, { presharedKey: PSK });
      const ledger = new Ledger(simulation);
      const { loss, duplication, minDelay, spread } = faults;
      simulation.faults = { loss, duplication, minDelay, maxDelay: minDelay + spread };
      for (const step of events) {
        simulation.runFor(step.wait);
        const others = nodes.filter((_, i) => i !== step.who);
        happen(simulation, ledger, step, [nodes[step.who]!, others[step.other]!]);
      }
      expect(ledger.violations).toEqual({ duplicated: 0, altered: 0, misdelivered: 0 });

      // The faults are over, and both sides have the same PSK again.
      simulation.runFor(70_000);
      simulation.faults = { ...PERFECT_LINK };
      simulation.filter = () => true;
      for (const [x, y] of pairs) connect(x, y, { presharedKey: PSK });
      // Data notices a dead session after 15 s at most; then one handshake.
      for (let i = 0; i < 30; i++) {
        for (const [x, y] of pairs) {
          ledger.send(x, y);
          ledger.send(y, x);
        }
        simulation.runFor(1000);
      }
      const before = ledger.missing;
      for (const [x, y] of pairs) {
        ledger.send(x, y);
        ledger.send(y, x);
      }
      simulation.runFor(1000);
      expect(ledger.missing).toBe(before);
      expect(ledger.violations).toEqual({ duplicated: 0, altered: 0, misdelivered: 0 });
      for (const node of nodes) expect(slotsWithKeys(node.core).length).toBeLessThanOrEqual(2 * 9);
    }),
    { numRuns: 60 },
  );
});
