import type { CryptoProvider } from '../../crypto/provider.ts';
import { concat, fromBase64, shortField, toBase64, u64be } from '../encoding.ts';
import { type Envelope, PAYLOAD_TYPES } from '../envelope.ts';
import { candidatesField, endpointField } from '../fields.ts';
import { isNodeId, signingKeyId } from '../ids.ts';
import { type KeyRecord, keyRecordPayload } from '../key-record.ts';
import { violation } from '../schema.ts';

/** A member as the mesh is told of it: what a leaf of the membership tree says. */
export interface MemberEntry {
  readonly nodeId: string;
  /** X25519, 32 bytes. */
  readonly wireguard: Uint8Array;
  /** Ed25519, 32 bytes. */
  readonly signing: Uint8Array;
  /** X25519, 32 bytes. */
  readonly sealing: Uint8Array;
  /** The node's own signature (64 bytes) of its key record; all zero where there is none. */
  readonly recordSignature: Uint8Array;
  readonly tunnelAddress: string;
  readonly endpoint: string | null;
  /** Where it may be as well, `MAX_CANDIDATES` at most; none without an endpoint. */
  readonly candidates?: readonly string[];
  /** Epoch since which it has been a member without a break. */
  readonly sinceEpoch: number;
}

const SIGNATURE_LENGTH = 64;
const KEYS_LENGTH = 3 * 32;
const FIXED_LENGTH = KEYS_LENGTH + SIGNATURE_LENGTH + 4 + 8;
/** Bytes that an entry takes at most. */
export const MAX_ENTRY_LENGTH = 1 + 63 + FIXED_LENGTH + 1 + 255;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * The one form of an entry as bytes: u8 length and id, WireGuard, signing and sealing key (32 each),
 * signature of the record (64), tunnel address (4), u64be since_epoch, u8 length and the endpoint with its
 * candidates, commas between them (empty: none). Throws a `RangeError` for fields that no entry has.
 */
export function encodeMemberEntry(entry: MemberEntry): Uint8Array {
  const { wireguard, signing, sealing, recordSignature } = entry;
  const keysFit = [wireguard, signing, sealing].every((key) => key.length === 32);
  if (!keysFit || recordSignature.length !== SIGNATURE_LENGTH) {
    throw new RangeError('keys have 32 bytes and signatures 64');
  }
  return concat(
    shortField(encoder.encode(entry.nodeId)),
    wireguard,
    signing,
    sealing,
    recordSignature,
    Uint8Array.from(entry.tunnelAddress.split('.').map(Number)),
    u64be(entry.sinceEpoch),
    shortField(encoder.encode([entry.endpoint ?? '', ...(entry.candidates ?? [])].join(','))),
  );
}

/** The entry in exactly these bytes, or undefined if they are none. */
export function decodeMemberEntry(bytes: Uint8Array): MemberEntry | undefined {
  const idEnd = 1 + (bytes[0] ?? 0);
  const endpointAt = idEnd + FIXED_LENGTH;
  const endpointLength = bytes[endpointAt];
  if (endpointLength === undefined || bytes.length !== endpointAt + 1 + endpointLength) {
    return undefined;
  }
  const nodeId = decoder.decode(bytes.subarray(1, idEnd));
  const [first = '', ...candidates] = decoder.decode(bytes.subarray(endpointAt + 1)).split(',');
  const endpoint = first === '' ? null : first;
  const rest = new Uint8Array(bytes.subarray(idEnd, endpointAt)); // a Buffer's slice is no copy
  const view = new DataView(rest.buffer);
  const sinceEpoch = Number(view.getBigUint64(FIXED_LENGTH - 8));
  if (!isNodeId(nodeId) || !Number.isSafeInteger(sinceEpoch)) return undefined;
  if (violation(endpointField, endpoint) || violation(candidatesField, candidates))
    return undefined;
  if (endpoint === null && candidates.length > 0) return undefined;
  return {
    nodeId,
    wireguard: rest.subarray(0, 32),
    signing: rest.subarray(32, 64),
    sealing: rest.subarray(64, 96),
    recordSignature: rest.subarray(KEYS_LENGTH, KEYS_LENGTH + SIGNATURE_LENGTH),
    tunnelAddress: rest.subarray(FIXED_LENGTH - 12, FIXED_LENGTH - 8).join('.'),
    endpoint,
    ...(candidates.length === 0 ? {} : { candidates }),
    sinceEpoch,
  };
}

/** The signature (64 bytes) by which `envelope` carries a record of `signing`; zeros without one. */
export function recordSignatureIn(
  crypto: CryptoProvider,
  envelope: Envelope,
  signing: Uint8Array,
): Uint8Array {
  const keyid = signingKeyId(crypto, signing);
  const own = envelope.signatures.find((one) => one.keyid === keyid);
  return (own && fromBase64(own.sig, SIGNATURE_LENGTH)) ?? new Uint8Array(SIGNATURE_LENGTH);
}

/** The key record that an entry speaks of, as its node signed it: to be opened like any other. */
export function recordEnvelopeOf(
  crypto: CryptoProvider,
  meshId: Uint8Array,
  entry: MemberEntry,
): Envelope {
  const record: KeyRecord = { meshId, ...entry };
  return {
    payloadType: PAYLOAD_TYPES.keyRecord,
    payload: toBase64(keyRecordPayload(record)),
    signatures: [
      { keyid: signingKeyId(crypto, entry.signing), sig: toBase64(entry.recordSignature) },
    ],
  };
}
