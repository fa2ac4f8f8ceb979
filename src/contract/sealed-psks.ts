import { Chacha20Poly1305 } from '@hpke/chacha20poly1305';
import { CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import type { SealedPsks } from './config.ts';
import { concat, fromBase64, shortField, toBase64, u64be } from './encoding.ts';

/** What a seal is bound to besides its recipient. */
export interface SealContext {
  /** 32 bytes. */
  readonly meshId: Uint8Array;
  readonly nodeId: string;
  readonly epoch: number;
  readonly version: number;
  /** `peerListHash` of the config's peers. */
  readonly peerList: Uint8Array;
}

// RFC 9180 base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305.
const suite = new CipherSuite({
  kem: new DhkemX25519HkdfSha256(),
  kdf: new HkdfSha256(),
  aead: new Chacha20Poly1305(),
});

const encoder = new TextEncoder();
const INFO_LABEL = encoder.encode('aligned-meshnet psks v1\0');

function info(context: SealContext): ArrayBuffer {
  return buffer(concat(INFO_LABEL, context.meshId));
}

function additionalData(context: SealContext): ArrayBuffer {
  return buffer(
    concat(
      shortField(encoder.encode(context.nodeId)),
      u64be(context.epoch),
      u64be(context.version),
      context.peerList,
    ),
  );
}

/** Seals `psks` (32 bytes each, in the order of the config's peers) to a node's sealing key. */
export async function sealPsks(
  sealingPublic: Uint8Array,
  psks: readonly Uint8Array[],
  context: SealContext,
): Promise<SealedPsks> {
  const plaintext = concat(...psks);
  try {
    const sender = await suite.createSenderContext({
      recipientPublicKey: await suite.kem.deserializePublicKey(buffer(sealingPublic)),
      info: info(context),
    });
    const ciphertext = await sender.seal(plaintext.buffer, additionalData(context));
    return {
      enc: toBase64(new Uint8Array(sender.enc)),
      ciphertext: toBase64(new Uint8Array(ciphertext)),
    };
  } finally {
    plaintext.fill(0);
  }
}

/** The `count` PSKs of 32 bytes, or undefined if the seal is not for this key and context. */
export async function openPsks(
  sealingPrivate: Uint8Array,
  sealed: SealedPsks,
  count: number,
  context: SealContext,
): Promise<Uint8Array[] | undefined> {
  const enc = fromBase64(sealed.enc, 32);
  const ciphertext = fromBase64(sealed.ciphertext, 32 * count + 16);
  if (!enc || !ciphertext) return undefined;
  let plaintext: Uint8Array;
  try {
    const recipient = await suite.createRecipientContext({
      recipientKey: await suite.kem.deserializePrivateKey(buffer(sealingPrivate)),
      enc: buffer(enc),
      info: info(context),
    });
    plaintext = new Uint8Array(await recipient.open(buffer(ciphertext), additionalData(context)));
  } catch {
    return undefined;
  }
  return Array.from({ length: count }, (_, i) => plaintext.subarray(32 * i, 32 * i + 32));
}

/** The library takes whole ArrayBuffers: a copy that is exactly these bytes. */
function buffer(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
