import type { BenchmarkDocument } from '../../../src/contract/benchmark.ts';
import { toBase64, toBase64Url } from '../../../src/contract/encoding.ts';
import { createEnrolment, type EnrolmentRequest } from '../../../src/contract/enrolment.ts';
import { type Envelope, PAYLOAD_TYPES, signEnvelope } from '../../../src/contract/envelope.ts';
import {
  type SignatureTag,
  signRequest,
  splitTarget,
} from '../../../src/contract/http-signature.ts';
import { parseJoinToken } from '../../../src/contract/join-token.ts';
import { type KeyRecord, signKeyRecord } from '../../../src/contract/key-record.ts';
import type { ReachDocument, Reached } from '../../../src/contract/reach.ts';
import { defaultProvider } from '../../../src/crypto/select.ts';
import { seededBytes } from '../../lab/random.ts';

const crypto = defaultProvider();

/** No two nodes have one endpoint. */
let nextPort = 1024;

/** A node as the controller sees it: keys, and whatever can be signed with them. */
export class TestNode {
  readonly nodeId: string;
  readonly wireguard: Uint8Array;
  readonly signing: Uint8Array;
  readonly sealing: Uint8Array;
  sequence = 0;
  private readonly port: number;
  private readonly random: (length: number) => Uint8Array;

  /** The same seed makes the same keys. */
  constructor(nodeId: string, seed: number) {
    this.nodeId = nodeId;
    this.port = nextPort++;
    this.random = seededBytes(seed);
    this.wireguard = this.random(32);
    this.signing = this.random(32);
    this.sealing = this.random(32);
  }

  get publicKeys() {
    return {
      wireguard: crypto.x25519Public(this.wireguard),
      signing: crypto.ed25519Public(this.signing),
      sealing: crypto.x25519Public(this.sealing),
    };
  }

  record(meshId: Uint8Array, fields: Partial<KeyRecord> = {}): Envelope {
    const record = { meshId, nodeId: this.nodeId, ...this.publicKeys, ...fields };
    return signKeyRecord(crypto, this.signing, record);
  }

  nonce(): string {
    return toBase64Url(this.random(16));
  }

  enrolment(
    tokenText: string,
    fields: { record?: Envelope; nonce?: string } = {},
  ): EnrolmentRequest {
    const token = parseJoinToken(tokenText)!;
    return createEnrolment(crypto, this.signing, token, {
      node_id: this.nodeId,
      nonce: this.nonce(),
      record: this.record(token.fingerprint),
      endpoint: `127.0.0.1:${this.port}`,
      ...fields,
    });
  }

  /** A score of this node, signed by `seed` (its own key unless told otherwise). */
  score(
    meshId: Uint8Array,
    score: number,
    at: number,
    fields: Partial<BenchmarkDocument> = {},
    seed = this.signing,
  ): Envelope {
    const document: BenchmarkDocument = {
      mesh_id: toBase64(meshId),
      audience: 'controller',
      node_id: this.nodeId,
      suite: 'alignment',
      score,
      samples: 50,
      observed_at: at,
      sequence: fields.sequence ?? ++this.sequence,
      ...fields,
    };
    return signEnvelope(crypto, seed, PAYLOAD_TYPES.benchmark, document);
  }

  /** What this node tells of others at `at`, ms since 1970. */
  reach(
    meshId: Uint8Array,
    at: number,
    others: readonly (Partial<Reached> & Pick<Reached, 'node_id'>)[],
    fields: Partial<ReachDocument> = {},
    seed = this.signing,
  ): Envelope {
    const unknown = { echo_age_s: null, rtt_ms: null, handshake_age_s: null, path: null };
    const document: ReachDocument = {
      mesh_id: toBase64(meshId),
      audience: 'controller',
      node_id: this.nodeId,
      reported_at: at,
      others: others.map((one) => ({ echo: 'not_asked', ...unknown, ...one })),
      ...fields,
    };
    return signEnvelope(crypto, seed, PAYLOAD_TYPES.reach, document);
  }

  /** Headers that sign a GET of `url`; `at`: ms since 1970. */
  signed(
    url: string,
    tag: SignatureTag,
    at: number,
    parameters: { nonce?: string; method?: string } = {},
  ): Record<string, string> {
    const { host, pathname, search } = new URL(url);
    const request = {
      method: parameters.method ?? 'GET',
      authority: host,
      ...splitTarget(pathname + search),
    };
    const created = Math.floor(at / 1000);
    const nonce = parameters.nonce ?? this.nonce();
    return signRequest(crypto, this.signing, request, { created, nonce, tag });
  }
}
