import { describe, expect, test } from 'vitest';
import { nobleProvider } from '../../src/crypto/noble.ts';
import { nodeProvider } from '../../src/crypto/node.ts';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import type { RejectReason } from '../../src/device/rejects.ts';
import { INITIATION } from '../../src/wire/initiation.ts';
import { RESPONSE } from '../../src/wire/response.ts';
import { snapshot } from '../lab/snapshot.ts';
import { fromHex, readVectors } from '../lab/vectors.ts';
import type { Recording, Scenario, Step } from './recording.ts';
import { receiveStep, replayUntil } from './replay.ts';
import type { StandIn } from './stand-in.ts';

const { scenarios } = readVectors<Recording>('wireguard-go.json');
const providers = [nobleProvider, nodeProvider];
/** The lowest and the highest bit: X25519 itself ignores the highest bit of a public key. */
const FLIPS = [0x01, 0x80];

type HandshakeStep = Exclude<Step, { type: 'transport' }>;

/** Every handshake message that the recorded receiver took. */
const accepted = scenarios.flatMap((scenario) =>
  scenario.steps
    .filter((step): step is HandshakeStep => step.type !== 'transport')
    .filter((step) => step.outcome === 'accepted')
    .map((step) => ({
      scenario,
      step,
      title: `${scenario.name}, step ${step.step}: ${step.type}`,
    })),
);

/** Bytes that a receiver checks by other means than what comes before and after them. */
const mac2Start = ({ type, message }: HandshakeStep) =>
  type === 'cookie-reply' ? message.length / 2 : message.length / 2 - 16;

function ready(crypto: CryptoProvider, scenario: Scenario, step: HandshakeStep): StandIn {
  const standIn = replayUntil(crypto, scenario, step.to, step.step);
  standIn.receive(new Uint8Array(INITIATION.length)); // so that nothing is left to be done
  return standIn;
}

const stateOf = (standIn: StandIn): string =>
  snapshot([standIn.device, standIn.plane], ['rejects', 'options']);

/** Flips `bytes` of the message one by one; each time it must be rejected and change nothing. */
function expectRejected(
  standIn: StandIn,
  step: HandshakeStep,
  bytes: readonly [from: number, to: number],
  options: { reasons: readonly RejectReason[]; repairMac1?: boolean; answers?: number },
): void {
  const before = stateOf(standIn);
  for (let at = bytes[0]; at < bytes[1]; at++) {
    for (const flip of FLIPS) {
      const message = fromHex(step.message);
      message[at]! ^= flip;
      if (options.repairMac1) standIn.repairMac1(message);
      const rejects = { ...standIn.device.rejects };

      standIn.receive(message, 0);

      const where = `byte ${at} flipped by ${flip}`;
      expect(standIn.takeSent().length, where).toBe(options.answers ?? 0);
      const reasons = Object.entries(standIn.device.rejects)
        .filter(([reason, count]) => count !== rejects[reason as RejectReason])
        .map(([reason]) => reason);
      expect(reasons, where).toHaveLength(1);
      expect(options.reasons, where).toContain(reasons[0]);
      if (stateOf(standIn) !== before) expect(stateOf(standIn), where).toBe(before);
    }
  }
}

describe.each(providers)('$name', (crypto) => {
  test.each(accepted)(
    '$title: each single byte flipped is rejected, and changes no state',
    ({ scenario, step }) => {
      const standIn = ready(crypto, scenario, step);
      const reasons: RejectReason[] =
        step.type === 'cookie-reply'
          ? ['handshakeMalformed', 'cookieReplyReceiverUnknown', 'cookieReplyInvalid']
          : ['handshakeMalformed', 'mac1Invalid'];
      expectRejected(standIn, step, [0, mac2Start(step)], { reasons });
      const before = stateOf(standIn);
      receiveStep(standIn, scenario, step); // the true message still works
      expect(stateOf(standIn)).not.toBe(before);
    },
  );

  test.each(accepted.filter(({ step }) => step.type !== 'cookie-reply'))(
    '$title: under load each byte of mac2 flipped is answered by a cookie reply only',
    ({ scenario, step }) => {
      const standIn = ready(crypto, scenario, step);
      standIn.secrets.allowAnything();
      standIn.putUnderLoad();
      const unknown = fromHex(step.message).fill(0xee, mac2Start(step));
      standIn.receive(unknown); // makes the cookie secret
      expect(standIn.takeSent()).toHaveLength(1);
      expectRejected(standIn, step, [mac2Start(step), step.message.length / 2], {
        reasons: ['underLoadCookieSent'],
        answers: 1,
      });
    },
  );

  // Anybody who knows the public key can compute mac1; what is behind it must hold by itself.
  test.each(accepted.filter(({ scenario }) => ['with-psk', 'without-psk'].includes(scenario.name)))(
    '$title: with mac1 made to fit, each byte of what is encrypted is still rejected',
    ({ scenario, step }) => {
      const standIn = ready(crypto, scenario, step);
      const repairMac1 = true;
      if (step.type === 'initiation') {
        const { ephemeral, encryptedTimestamp, mac1 } = INITIATION;
        const reasons = ['staticUndecryptable'] as const;
        expectRejected(standIn, step, [ephemeral, encryptedTimestamp], { reasons, repairMac1 });
        expectRejected(standIn, step, [encryptedTimestamp, mac1], {
          reasons: ['timestampUndecryptable'],
          repairMac1,
        });
      } else {
        const { receiver, ephemeral, mac1 } = RESPONSE;
        expectRejected(standIn, step, [receiver, ephemeral], {
          reasons: ['responseReceiverUnknown'],
          repairMac1,
        });
        const reasons = ['responseUnauthenticated'] as const;
        expectRejected(standIn, step, [ephemeral, mac1], { reasons, repairMac1 });
      }
      receiveStep(standIn, scenario, step);
    },
  );

  test.each(accepted.filter(({ scenario }) => scenario.name === 'without-psk'))(
    '$title: every other length is rejected',
    ({ scenario, step }) => {
      const standIn = ready(crypto, scenario, step);
      const before = stateOf(standIn);
      const message = fromHex(step.message);
      for (let length = 0; length <= message.length + 16; length++) {
        if (length === message.length) continue;
        const other = new Uint8Array(length);
        other.set(message.subarray(0, length));
        standIn.receive(other, 0);
      }
      expect(standIn.takeSent()).toEqual([]);
      expect(stateOf(standIn)).toBe(before);
      receiveStep(standIn, scenario, step);
    },
  );
});
