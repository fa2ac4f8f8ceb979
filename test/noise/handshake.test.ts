import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nobleProvider } from '../../src/crypto/noble.ts';
import { nodeProvider } from '../../src/crypto/node.ts';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import { Initiator } from '../../src/noise/initiator.ts';
import { ZERO_PSK } from '../../src/noise/protocol.ts';
import { Responder } from '../../src/noise/responder.ts';
import { SymmetricState } from '../../src/noise/symmetric-state.ts';
import { seededBytes } from '../lab/random.ts';

const NONE = new Uint8Array(0);

function makePair(crypto: CryptoProvider, seed: number, prologue?: Uint8Array) {
  const random = seededBytes(seed);
  const [initiatorStatic, responderStatic, ephemeral, answering] = [1, 2, 3, 4].map(() =>
    crypto.x25519PrivateKey(random(32)),
  ) as [KeyOf, KeyOf, KeyOf, KeyOf];
  const staticStatic = initiatorStatic.agree(responderStatic.publicKey)!;
  const own = prologue === undefined ? {} : { prologue };
  const initiator = new Initiator({
    crypto,
    localStatic: initiatorStatic,
    remoteStatic: responderStatic.publicKey,
    staticStatic,
    ephemeral,
    ...own,
  });
  const responder = (): Responder =>
    new Responder({ crypto, localStatic: responderStatic, ...own });
  return { initiator, responder, initiatorStatic, responderStatic, staticStatic, answering };
}
type KeyOf = ReturnType<CryptoProvider['x25519PrivateKey']>;

const psk = fc.uint8Array({ minLength: 32, maxLength: 32 });
const payload = fc.uint8Array({ maxLength: 100 });

describe.each([
  [nobleProvider, nobleProvider],
  [nodeProvider, nobleProvider],
  [nobleProvider, nodeProvider],
])('a handshake', (mine, theirs) => {
  test(`between ${mine.name} and ${theirs.name} gives both sides the same keys`, () => {
    fc.assert(
      fc.property(fc.nat(), payload, psk, payload, payload, (seed, prologue, key, one, two) => {
        const a = makePair(mine, seed, prologue);
        const b = makePair(theirs, seed, prologue);
        const first = a.initiator.writeMessage(one)!;
        const responder = b.responder();
        expect(responder.readStatic(first.ephemeral, first.encryptedStatic)).toEqual(
          a.initiatorStatic.publicKey,
        );
        expect(responder.readPayload(first.payload, b.staticStatic)).toEqual(one);
        const second = responder.writeMessage(b.answering, two, key)!;
        const read = a.initiator.readMessage(second.ephemeral, second.payload, key)!;
        expect(read.payload).toEqual(two);
        expect(read.keys.sendKey).toEqual(second.keys.receiveKey);
        expect(read.keys.receiveKey).toEqual(second.keys.sendKey);
        expect(read.keys.sendKey).not.toEqual(read.keys.receiveKey);
      }),
      { numRuns: 15 },
    );
  });
});

describe('a response', () => {
  const setUp = () => {
    const pair = makePair(nodeProvider, 5);
    const first = pair.initiator.writeMessage(NONE)!;
    const responder = pair.responder();
    responder.readStatic(first.ephemeral, first.encryptedStatic);
    responder.readPayload(first.payload, pair.staticStatic);
    return { ...pair, second: responder.writeMessage(pair.answering, NONE, ZERO_PSK)! };
  };

  test('under another pre-shared key, or damaged, is refused; the true one is still taken', () => {
    const { initiator, second } = setUp();
    const otherPsk = new Uint8Array(32).fill(1);
    expect(initiator.readMessage(second.ephemeral, second.payload, otherPsk)).toBeUndefined();
    for (let bit = 0; bit < 32 * 8; bit++) {
      const wrong = second.ephemeral.slice();
      wrong[bit >> 3]! ^= 1 << (bit & 7);
      expect(initiator.readMessage(wrong, second.payload, ZERO_PSK)).toBeUndefined();
    }
    for (let bit = 0; bit < 16 * 8; bit++) {
      const wrong = second.payload.slice();
      wrong[bit >> 3]! ^= 1 << (bit & 7);
      expect(initiator.readMessage(second.ephemeral, wrong, ZERO_PSK)).toBeUndefined();
    }
    const read = initiator.readMessage(second.ephemeral, second.payload, ZERO_PSK)!;
    expect(read.keys.sendKey).toEqual(second.keys.receiveKey);
  });

  test('with a small-order ephemeral is refused', () => {
    const { initiator, second } = setUp();
    expect(initiator.readMessage(new Uint8Array(32), second.payload, ZERO_PSK)).toBeUndefined();
  });

  test('after zeroize is refused', () => {
    const { initiator, second } = setUp();
    initiator.zeroize();
    expect(initiator.readMessage(second.ephemeral, second.payload, ZERO_PSK)).toBeUndefined();
  });
});

test('an initiation to another responder, or under another prologue, is not understood', () => {
  const pair = makePair(nodeProvider, 6);
  const first = pair.initiator.writeMessage(NONE)!;
  const other = makePair(nodeProvider, 7).responder();
  expect(other.readStatic(first.ephemeral, first.encryptedStatic)).toBeUndefined();
  const elsewhere = makePair(nodeProvider, 6, Uint8Array.of(1)).responder();
  expect(elsewhere.readStatic(first.ephemeral, first.encryptedStatic)).toBeUndefined();
});

test('a small-order static or ephemeral key ends the handshake before anything is sent', () => {
  const pair = makePair(nodeProvider, 8);
  const toNobody = new Initiator({
    crypto: nodeProvider,
    localStatic: pair.initiatorStatic,
    remoteStatic: new Uint8Array(32),
    staticStatic: new Uint8Array(32),
    ephemeral: pair.answering,
  });
  expect(toNobody.writeMessage(NONE)).toBeUndefined();
  const first = pair.initiator.writeMessage(NONE)!;
  expect(pair.responder().readStatic(new Uint8Array(32), first.encryptedStatic)).toBeUndefined();
});

describe('the symmetric state', () => {
  const protocol = (length: number) => new Uint8Array(length).fill(0x41);

  test('a protocol name of up to 32 bytes is padded, a longer one hashed (Noise 5.2)', () => {
    for (const length of [0, 1, 31, 32, 33, 37, 64]) {
      const states = [0, 1].map(() => new SymmetricState(nobleProvider, protocol(length), NONE));
      const other = new SymmetricState(nobleProvider, protocol(length + 1), NONE);
      const key = new Uint8Array(32).fill(9);
      for (const state of [...states, other]) state.mixKey(key);
      const [sealed, same, different] = [...states, other].map((s) => s.encryptAndHash(key));
      expect(sealed).toEqual(same);
      expect(sealed).not.toEqual(different);
    }
  });

  test('a clone goes its own way', () => {
    const state = new SymmetricState(nobleProvider, protocol(5), NONE);
    state.mixKey(new Uint8Array(32).fill(1));
    const clone = state.clone();
    const reference = state.clone();
    clone.mixKey(new Uint8Array(32).fill(2));
    clone.zeroize();
    const text = Uint8Array.of(1, 2, 3);
    expect(state.encryptAndHash(text)).toEqual(reference.encryptAndHash(text));
  });

  test('several payloads under one key use successive nonces', () => {
    const [writer, reader] = [0, 1].map(() => {
      const state = new SymmetricState(nobleProvider, protocol(5), NONE);
      state.mixKey(new Uint8Array(32).fill(1));
      return state;
    }) as [SymmetricState, SymmetricState];
    const text = Uint8Array.of(1, 2, 3);
    const sealed = [1, 2, 3].map(() => writer.encryptAndHash(text));
    expect(new Set(sealed.map((bytes) => bytes.toHex())).size).toBe(3);
    for (const bytes of sealed) expect(reader.decryptAndHash(bytes)).toEqual(text);
  });
});
