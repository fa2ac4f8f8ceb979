import { keyRecordOf, type NodeKeys } from '../../../src/agent/node-keys.ts';
import { type ConfigDocument, configEtag, peerListHash } from '../../../src/contract/config.ts';
import { toBase64 } from '../../../src/contract/encoding.ts';
import { type Envelope, PAYLOAD_TYPES, signEnvelope } from '../../../src/contract/envelope.ts';
import {
  readSignature,
  SIGNATURE_TAGS,
  signatureIsValid,
} from '../../../src/contract/http-signature.ts';
import { compareNodeIds, controllerFingerprint } from '../../../src/contract/ids.ts';
import { type KeyRecord, signKeyRecord } from '../../../src/contract/key-record.ts';
import { PROTOCOL } from '../../../src/contract/protocol.ts';
import {
  envelopeHash,
  requestHash,
  type SignedReceipt,
  signReceipt,
} from '../../../src/contract/receipt.ts';
import { sealPsks } from '../../../src/contract/sealed-psks.ts';
import { defaultProvider } from '../../../src/crypto/select.ts';
import type { SimClock } from '../../lab/agent-clock.ts';

const crypto = defaultProvider();

export function keysFrom(seed: number): NodeKeys {
  const key = (n: number) => new Uint8Array(32).fill(seed * 4 + n);
  return { wireguard: key(1), signing: key(2), sealing: key(3) };
}

export interface FakeNode {
  keys: NodeKeys;
  record: KeyRecord;
  envelope: Envelope;
  address: string;
  endpoint: string | null;
  allowed: boolean;
  since: number;
}

/** The controller's half of the contract in memory, with every dishonesty a test may want. */
export class FakeController {
  readonly seed = new Uint8Array(32).fill(200);
  readonly publicKey = crypto.ed25519Public(this.seed);
  readonly meshId = controllerFingerprint(crypto, this.publicKey);
  readonly nodes = new Map<string, FakeNode>();
  readonly requests: { target: string; etag: string | undefined; created: number }[] = [];
  readonly benchmarks: Record<string, unknown>[] = [];
  /** Events that nodes have shown. */
  readonly seen: Envelope[] = [];
  epoch = 1;
  version = 1;
  lifetimeS = 180;
  /** No call is answered. */
  down = false;
  /** Streams are accepted and stay open, but nothing ever comes. */
  mute = false;
  refuseStreams = false;
  tamper: (document: ConfigDocument) => ConfigDocument = (document) => document;
  signWith = this.seed;
  /** Sent in place of an answer. */
  replay: Envelope | undefined;
  lastAnswer: Envelope | undefined;
  /** ms that an answer takes. */
  delay = 0;
  private readonly clock: SimClock;
  private readonly streams = new Set<ReadableStreamDefaultController<Uint8Array>>();

  constructor(clock: SimClock) {
    this.clock = clock;
  }

  addNode(nodeId: string, seed: number, options: Partial<FakeNode> = {}): FakeNode {
    const keys = keysFrom(seed);
    const record = keyRecordOf(crypto, keys, this.meshId, nodeId);
    const node: FakeNode = {
      keys,
      record,
      envelope: signKeyRecord(crypto, keys.signing, record),
      address: `10.10.0.${this.nodes.size + 2}`,
      endpoint: `192.0.2.${this.nodes.size + 2}:51820`,
      allowed: true,
      since: this.epoch,
      ...options,
    };
    this.nodes.set(nodeId, node);
    return node;
  }

  psk(a: string, b: string): Uint8Array {
    return crypto.sha256(new TextEncoder().encode([a, b].sort().join() + this.epoch));
  }

  /** A new epoch; `change` is made between the two. */
  rotate(change: () => void = () => {}): void {
    const before = [...this.nodes].filter(([, node]) => node.allowed).map(([id]) => id);
    this.epoch++;
    this.version++;
    change();
    const removed = before.filter((id) => this.nodes.get(id)?.allowed !== true);
    this.push(this.event(removed));
  }

  event(removed: string[], fields: object = {}, seed = this.seed): Envelope {
    return signEnvelope(crypto, seed, PAYLOAD_TYPES.streamEvent, {
      mesh_id: toBase64(this.meshId),
      audience: 'members',
      epoch: this.epoch,
      version: this.version,
      issued_at: this.clock.trueWall(),
      removed,
      ...fields,
    });
  }

  push(event: Envelope): void {
    if (this.mute) return;
    this.write(`event: epoch\nid: 1\ndata: ${JSON.stringify(event)}\n\n`);
  }

  heartbeat(): void {
    if (!this.mute) this.write(': beat\n\n');
  }

  endStreams(): void {
    for (const stream of this.streams) stream.close();
    this.streams.clear();
  }

  get openStreams(): number {
    return this.streams.size;
  }

  readonly fetch = async (url: string, init: RequestInit): Promise<Response> => {
    const { pathname: target, search } = new URL(url);
    const headers = new Headers(init.headers);
    const read = readSignature(Object.fromEntries(headers));
    const created = read.ok ? read.value.parameters.created : 0;
    this.requests.push({ target, etag: headers.get('if-none-match') ?? undefined, created });
    if (this.down) throw new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED' } });
    if (this.delay > 0) await this.clock.sleep(this.delay, init.signal!);
    const [, , kind, nodeId] = target.split('/') as [string, string, string, string];
    if (target === '/v1/epoch/seen') {
      this.seen.push(JSON.parse(String(init.body)) as Envelope);
      return Response.json({ epoch: this.epoch, version: this.version });
    }
    const node = this.nodes.get(nodeId);
    if (!node) return problem(404, 'unknown_node');
    if (kind === 'benchmarks') {
      const envelope = JSON.parse(String(init.body)) as Envelope;
      this.benchmarks.push(JSON.parse(Buffer.from(envelope.payload, 'base64').toString()));
      return Response.json(this.receipt(envelopeHash(crypto, envelope), 'accepted'), {
        status: 202,
      });
    }
    const tag = kind === 'config' ? SIGNATURE_TAGS.config : SIGNATURE_TAGS.stream;
    const request = { method: 'GET', authority: new URL(url).host, path: target, query: search };
    if (!read.ok) return problem(401, read.problem.code);
    if (!signatureIsValid(crypto, node.record.signing, request, read.value, tag)) {
      return problem(401, 'signature_invalid');
    }
    const now = this.clock.trueWall();
    if (Math.abs(created * 1000 - now) > 30_000) {
      const hash = requestHash(crypto, headers.get('signature')!);
      return problem(401, 'signature_expired', this.receipt(hash, 'signature_expired'));
    }
    if (kind === 'stream') return this.stream(init.signal!);
    const etag = configEtag(nodeId, this.epoch, this.version);
    if (headers.get('if-none-match') === etag) return new Response(null, { status: 304 });
    const answer = this.replay ?? (await this.config(nodeId, read.value.parameters.nonce));
    this.lastAnswer = answer;
    return Response.json(answer, { headers: { etag } });
  };

  receipt(request: Uint8Array, code: string, last: number | null = null): SignedReceipt {
    return signReceipt(crypto, this.signWith, {
      mesh_id: toBase64(this.meshId),
      request: toBase64(request),
      code,
      last,
      server_time: this.clock.trueWall(),
    });
  }

  async config(nodeId: string, nonce: string): Promise<Envelope> {
    const node = this.nodes.get(nodeId)!;
    const others = [...this.nodes]
      .filter(([id]) => id !== nodeId)
      .sort(([a], [b]) => compareNodeIds(a, b));
    const members = node.allowed ? others.filter(([, other]) => other.allowed) : [];
    const peers = members.map(([id, other]) => ({
      nodeId: id,
      wireguard: other.record.wireguard,
      sinceEpoch: other.since,
    }));
    const sealed = members.length
      ? await sealPsks(
          node.record.sealing,
          members.map(([id]) => this.psk(nodeId, id)),
          {
            meshId: this.meshId,
            nodeId,
            epoch: this.epoch,
            version: this.version,
            peerList: peerListHash(crypto, peers),
          },
        )
      : null;
    const document: ConfigDocument = {
      protocol: PROTOCOL,
      mesh_id: toBase64(this.meshId),
      audience: nodeId,
      epoch: this.epoch,
      version: this.version,
      nonce,
      issued_at: this.clock.trueWall(),
      lifetime_s: this.lifetimeS,
      epoch_s: 60,
      grace_s: 20,
      allowed: node.allowed,
      reason: node.allowed ? 'qualified' : 'score_below_threshold',
      explanation: 'because',
      tunnel_address: node.address,
      tunnel_prefix: '10.10.0.0/24',
      peers: members.map(([id, other]) => ({
        node_id: id,
        record: other.envelope,
        tunnel_address: other.address,
        endpoint: other.endpoint,
        since_epoch: other.since,
      })),
      roster: others.map(([id, other]) => ({
        node_id: id,
        tunnel_address: other.address,
        allowed: other.allowed,
      })),
      sealed_psks: sealed,
      header: null,
    };
    return signEnvelope(crypto, this.signWith, PAYLOAD_TYPES.config, this.tamper(document));
  }

  private stream(signal: AbortSignal): Response {
    if (this.refuseStreams) return problem(503, 'overloaded');
    let mine: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        mine = controller;
        this.streams.add(controller);
      },
      cancel: () => void this.streams.delete(mine),
    });
    signal.addEventListener('abort', () => {
      if (this.streams.delete(mine)) mine.error(new DOMException('aborted', 'AbortError'));
    });
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  }

  private write(text: string): void {
    for (const stream of this.streams) stream.enqueue(new TextEncoder().encode(text));
  }
}

function problem(status: number, code: string, details: object = {}): Response {
  return Response.json({ code, title: code, ...details }, { status });
}
