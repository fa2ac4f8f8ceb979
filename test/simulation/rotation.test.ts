import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { TRANSPORT_DATA } from '../../src/wire/transport-data.ts';
import { type RotationReport, RotationRun, SCENARIOS } from '../lab/rotation.ts';

/** Simulations compute; on a busy machine that takes its time. */
vi.setConfig({ testTimeout: 90_000 });

/** `npm run prove -- rotation` does this with a thousand rotations and a packet every millisecond. */
function expectNothingLost(report: RotationReport): void {
  expect(report).toMatchObject({
    lost: 0,
    duplicated: 0,
    altered: 0,
    misdelivered: 0,
    acceptedFromDenied: 0,
  });
}

/** Attempts of a node that was nearly an epoch ahead pushed out the keypair it went on sending on. */
const AN_EPOCH_AHEAD = {
  seed: 507_857_753,
  epochMs: 19_843,
  members: 2,
  skew: 0.9972498407599859,
  handshakeLoss: 0,
  keepaliveLoss: 0,
  duplication: 0,
  minDelay: 78,
  jitter: 78,
};

describe('rotations lose nothing', () => {
  test.each(SCENARIOS)('$name', (scenario) => {
    const rotations = scenario.denied ? 5 : 15;
    const report = new RotationRun(scenario, 7, 200).run(rotations);
    expectNothingLost(report);
    expect(report.packetsSent).toBeGreaterThan(20);
    if (scenario.passes === undefined) expect(report.incomplete).toBe(0);
    if (scenario.restarts) expect(report.restarts).toBeGreaterThan(0);
    if (scenario.name.startsWith('crossing')) expect(report.bothBegan).toBe(15);
    if (scenario.denied) expect(report.drops.underLoadCookieSent).toBeGreaterThan(1000);
  });

  test('whatever becomes of handshakes and keepalives, and whenever nodes learn of an epoch', () => {
    const share = fc.double({ min: 0, max: 0.4, noNaN: true });
    const settings = fc.record({
      seed: fc.nat(),
      epochMs: fc.integer({ min: 1500, max: 20_000 }),
      members: fc.integer({ min: 2, max: 3 }),
      skew: fc.double({ min: 0, max: 1, noNaN: true }),
      handshakeLoss: share,
      keepaliveLoss: share,
      duplication: share,
      minDelay: fc.nat(80),
      jitter: fc.nat(80),
    });
    fc.assert(
      fc.property(settings, (s) => {
        const run = new RotationRun(
          {
            name: 'any',
            epochMs: s.epochMs,
            members: s.members,
            flows: 'both',
            link: {
              loss: 0,
              duplication: s.duplication,
              minDelay: s.minDelay + 1,
              maxDelay: s.minDelay + s.jitter + 1,
            },
            learnAfter: (_, random, epochMs) => s.skew * epochMs * random(),
            passes: (datagram, _, random) => {
              if (datagram[0] !== 4) return random() >= s.handshakeLoss;
              if (datagram.length !== TRANSPORT_DATA.overhead) return true;
              return random() >= s.keepaliveLoss;
            },
          },
          s.seed,
          50,
        );
        expectNothingLost(run.run(12));
      }),
      { numRuns: 15, examples: [[AN_EPOCH_AHEAD]] },
    );
  });
});
