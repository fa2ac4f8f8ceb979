import { describe, expect, test } from 'vitest';
import { nobleProvider } from '../../src/crypto/noble.ts';
import { nodeProvider } from '../../src/crypto/node.ts';
import { Initiator } from '../../src/noise/initiator.ts';
import { CONSTRUCTION, type TransportKeys } from '../../src/noise/protocol.ts';
import { Responder } from '../../src/noise/responder.ts';
import { fromHex, readVectors, toHex } from '../lab/vectors.ts';

interface NoiseFile {
  protocol_name: string;
  vectors: {
    name: string;
    prologue: string;
    preshared_key: string;
    initiator_static_private: string;
    initiator_ephemeral_private: string;
    responder_static_private: string;
    responder_ephemeral_private: string;
    messages: { from: 'initiator' | 'responder'; payload: string; ciphertext: string }[];
  }[];
}
const NONE = new Uint8Array(0);
const { protocol_name, vectors } = readVectors<NoiseFile>('noise-ikpsk2.json');

test('the vectors are of the protocol that is implemented', () => {
  expect(new TextDecoder().decode(CONSTRUCTION)).toBe(protocol_name);
});

describe.each([nobleProvider, nodeProvider])('$name', (crypto) => {
  test.each(vectors)('Noise_IKpsk2 as another implementation has it: $name', (vector) => {
    const [first, second, ...transport] = vector.messages;
    const prologue = fromHex(vector.prologue);
    const presharedKey = fromHex(vector.preshared_key);
    const privateKey = (hex: string) => crypto.x25519PrivateKey(fromHex(hex));
    const initiatorStatic = privateKey(vector.initiator_static_private);
    const responderStatic = privateKey(vector.responder_static_private);
    const staticStatic = initiatorStatic.agree(responderStatic.publicKey)!;

    const initiator = new Initiator({
      crypto,
      prologue,
      localStatic: initiatorStatic,
      remoteStatic: responderStatic.publicKey,
      staticStatic,
      ephemeral: privateKey(vector.initiator_ephemeral_private),
    });
    const written = initiator.writeMessage(fromHex(first!.payload))!;
    expect(toHex(written.ephemeral) + toHex(written.encryptedStatic) + toHex(written.payload)).toBe(
      first!.ciphertext,
    );

    const responder = new Responder({ crypto, prologue, localStatic: responderStatic });
    const message = fromHex(first!.ciphertext);
    expect(toHex(responder.readStatic(message.subarray(0, 32), message.subarray(32, 80))!)).toBe(
      toHex(initiatorStatic.publicKey),
    );
    expect(toHex(responder.readPayload(message.subarray(80), staticStatic)!)).toBe(first!.payload);
    const answer = responder.writeMessage(
      privateKey(vector.responder_ephemeral_private),
      fromHex(second!.payload),
      presharedKey,
    )!;
    expect(toHex(answer.ephemeral) + toHex(answer.payload)).toBe(second!.ciphertext);

    const response = fromHex(second!.ciphertext);
    const wrong = presharedKey.slice();
    wrong[31]! ^= 1;
    const [ephemeral, payload] = [response.subarray(0, 32), response.subarray(32)];
    expect(initiator.readMessage(ephemeral, payload, wrong)).toBeUndefined();
    const read = initiator.readMessage(ephemeral, payload, presharedKey)!;
    expect(toHex(read.payload)).toBe(second!.payload);

    const keys: Record<'initiator' | 'responder', TransportKeys> = {
      initiator: read.keys,
      responder: answer.keys,
    };
    const counters = { initiator: 0n, responder: 0n };
    for (const { from, payload, ciphertext } of transport) {
      const to = from === 'initiator' ? 'responder' : 'initiator';
      const counter = counters[from]++;
      const sealed = crypto.aeadSeal(keys[from].sendKey, counter, fromHex(payload), NONE);
      expect(toHex(sealed)).toBe(ciphertext);
      const opened = crypto.aeadOpen(keys[to].receiveKey, counter, fromHex(ciphertext), NONE);
      expect(toHex(opened!)).toBe(payload);
    }
  });
});
