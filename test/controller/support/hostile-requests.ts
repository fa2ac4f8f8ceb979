import { toBase64 } from '../../../src/contract/encoding.ts';
import { PAYLOAD_TYPES, signPayload } from '../../../src/contract/envelope.ts';
import { SIGNATURE_TAGS } from '../../../src/contract/http-signature.ts';
import { defaultProvider } from '../../../src/crypto/select.ts';
import type { TestNode } from './test-node.ts';

const crypto = defaultProvider();
const encoder = new TextEncoder();

export interface HostileOptions {
  /** In [0, 1). */
  readonly random: () => number;
  readonly host: string;
  readonly meshId: Uint8Array;
  /** Enrolled. */
  readonly nodes: readonly TestNode[];
  /** Bodies that were accepted once: whole, they are replays. */
  readonly spent: { readonly enrolment: unknown; readonly benchmark: unknown };
  /** A token that nobody has used. */
  readonly token: string;
  /** Controller's clock, ms. */
  readonly now: () => number;
}

export interface HostileRequest {
  readonly kind: string;
  readonly bytes: Uint8Array;
  /** Well-formed HTTP: the connection is expected to stay open. */
  readonly wellFormed: boolean;
}

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'PROPFIND', 'get'];
const PATHS = [
  '/v1/nodes',
  '/v1/benchmarks/a',
  '/v1/config/a',
  '/v1/stream/a',
  '/v1/epoch',
  '/v1/rotate',
  '/v1/tokens',
  '/v1/nodes/a',
  '/v1/nodes/a/reset-sequence',
  '/v1/nodes/a/reach',
  '/healthz',
  '/readyz',
  '/metrics',
  '/openapi.json',
  '/status.json',
  '/v1/config/%2e%2e%2fmesh.db',
  '/v1/config/..%00',
  '/../controller.key',
  '/v1/benchmarks/%ff',
  '/v1/config/__proto__',
  '/v1/stream/constructor',
  '//v1/epoch',
  '*',
];
const TEXTS = [
  '',
  'a',
  'A',
  '__proto__',
  'constructor',
  "' OR 1=1 --",
  '\u0000',
  '\ud800',
  '../../etc/passwd',
  '<script>',
  'a'.repeat(70),
  'é'.repeat(500),
  'x'.repeat(5000),
];
const NUMBERS = ['0', '-0', '-1', '1.5', '1e309', '-1e309', '9007199254740992', '1e-400', '0.7'];

/** Makes one request after another that no honest node sends; the same seed makes the same ones. */
export class HostileRequests {
  private readonly options: HostileOptions;

  constructor(options: HostileOptions) {
    this.options = options;
  }

  next(): HostileRequest {
    const kinds = [
      () => this.noise(),
      () => this.anything(),
      () => this.anything(),
      () => this.mutated(),
      () => this.mutated(),
      () => this.envelope(),
      () => this.envelope(),
      () => this.signedLie(),
      () => this.signedLie(),
      () => this.reachLie(),
      () => this.enrolment(),
      () => this.signedRequest(),
      () => this.replay(),
    ];
    return this.pick(kinds)();
  }

  private get random() {
    return this.options.random;
  }

  private below(n: number): number {
    return Math.floor(this.random() * n);
  }

  private pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  private request(
    kind: string,
    method: string,
    path: string,
    body?: string,
    headers = '',
  ): HostileRequest {
    const bytes = body === undefined ? undefined : encoder.encode(body);
    const content = bytes
      ? `content-type: application/json\r\ncontent-length: ${bytes.length}\r\n`
      : '';
    const head = `${method} ${path} HTTP/1.1\r\nhost: ${this.options.host}\r\n${content}${headers}\r\n`;
    const all = Buffer.concat([encoder.encode(head), bytes ?? new Uint8Array()]);
    return { kind, bytes: all, wellFormed: true };
  }

  private noise(): HostileRequest {
    const bytes = Uint8Array.from({ length: this.below(300) }, () => this.below(256));
    return { kind: 'noise', bytes, wellFormed: false };
  }

  /** Any method on any path with any JSON. */
  private anything(): HostileRequest {
    const path = `${this.pick(PATHS)}${this.random() < 0.2 ? `?${this.pick(TEXTS.slice(0, 5))}=1` : ''}`;
    const method = this.pick(METHODS);
    const body = method === 'POST' || this.random() < 0.3 ? this.json(4) : undefined;
    const safe = encodeURI(path).replace(/%25/g, '%');
    // HEAD answers have a length and no body: not on a connection that is used again.
    return { ...this.request('anything', method, safe, body), wellFormed: method !== 'HEAD' };
  }

  private json(depth: number): string {
    const choice = this.below(depth > 0 ? 8 : 5);
    if (choice === 0) return this.pick(NUMBERS);
    if (choice === 1) return JSON.stringify(this.pick(TEXTS));
    if (choice === 2) return this.pick(['null', 'true', 'false', 'NaN', 'undefined', '']);
    if (choice === 3) return JSON.stringify(this.options.spent.benchmark);
    if (choice === 4) return '['.repeat(this.below(2000));
    const items = Array.from({ length: this.below(5) }, () => this.json(depth - 1));
    if (choice === 5) return `[${items.join(',')}]`;
    const names = ['payload', 'payloadType', 'signatures', 'request', 'proof', ...TEXTS];
    return `{${items.map((item) => `${JSON.stringify(this.pick(names))}:${item}`).join(',')}}`;
  }

  /** A request that was fine once, with some bytes changed, cut out or put in. */
  private mutated(): HostileRequest {
    const { bytes } = this.pick([() => this.replay(), () => this.signedRequest()])();
    let data = Buffer.from(bytes);
    for (let n = 1 + this.below(4); n > 0; n--) {
      const at = this.below(data.length);
      const how = this.below(4);
      if (how === 0) data[at] = this.below(256);
      else if (how === 1) data = Buffer.concat([data.subarray(0, at), data.subarray(at + 1)]);
      else if (how === 2) {
        const piece = encoder.encode(this.pick([...TEXTS, '\r\n', '\r\n\r\n', ': ', ',']));
        data = Buffer.concat([data.subarray(0, at), piece, data.subarray(at)]);
      } else data = data.subarray(0, at);
      if (data.length === 0) break;
    }
    return { kind: 'mutated', bytes: data, wellFormed: false };
  }

  /** The right shape, hostile contents, and no valid signature. */
  private envelope(): HostileRequest {
    const node = this.pick(this.options.nodes);
    const sig = toBase64(Uint8Array.from({ length: 64 }, () => this.below(256)));
    const payload = Buffer.from(this.json(3)).toString('base64');
    const keyid = this.random() < 0.5 ? 'x' : this.pick(TEXTS).slice(0, 128);
    const type = this.pick([...Object.values(PAYLOAD_TYPES), 'x']);
    const signatures = Array.from({ length: this.below(10) }, () => ({ keyid, sig }));
    const envelope = JSON.stringify({ payloadType: type, payload, signatures });
    return this.request('envelope', 'POST', `/v1/benchmarks/${node.nodeId}`, envelope);
  }

  /** Properly signed by an enrolled node, and wrong in one field at least. */
  private signedLie(): HostileRequest {
    const { nodes, meshId, now } = this.options;
    const node = this.pick(nodes);
    const text = (value: unknown) => JSON.stringify(value);
    const fields: Record<string, string> = {
      mesh_id: text(toBase64(meshId)),
      audience: '"controller"',
      node_id: text(node.nodeId),
      suite: '"alignment"',
      score: '1',
      samples: '50',
      observed_at: String(now()),
      sequence: '1', // spent: whatever else is changed back to something valid, this is not
    };
    const wild = [
      ...NUMBERS,
      ...TEXTS.map(text),
      'null',
      '[]',
      '{}',
      text(this.pick(nodes).nodeId),
      '9007199254740991',
    ];
    for (let n = this.below(3); n >= 0; n--) {
      const name = this.pick(Object.keys(fields));
      const value = this.pick(wild);
      if (name !== 'sequence' || !/^[2-9]$/.test(value)) fields[name] = value;
      if (this.random() < 0.1) delete fields[name];
    }
    const payload = encoder.encode(objectOf(fields));
    const envelope = signPayload(crypto, node.signing, PAYLOAD_TYPES.benchmark, payload);
    return this.request('signed lie', 'POST', `/v1/benchmarks/${node.nodeId}`, text(envelope));
  }

  /** What a node tells of others, with anything in the place of one of its fields or of what it tells. */
  private reachLie(): HostileRequest {
    const { nodes, meshId, now } = this.options;
    const node = this.pick(nodes);
    const wild = () => this.pick([...NUMBERS, ...TEXTS.map((one) => JSON.stringify(one)), 'null']);
    const told: Record<string, string> = {
      node_id: JSON.stringify(this.pick(nodes).nodeId),
      echo: '"answered"',
      echo_age_s: '1',
      rtt_ms: '0.5',
      handshake_age_s: '1',
      path: '"192.0.2.1:51820"',
    };
    told[this.pick(Object.keys(told))] = wild();
    const fields: Record<string, string> = {
      mesh_id: JSON.stringify(toBase64(meshId)),
      audience: '"controller"',
      node_id: JSON.stringify(node.nodeId),
      reported_at: String(now()),
      others: `[${Array.from({ length: this.below(40) }, () => objectOf(told))}]`,
    };
    if (this.random() < 0.5) fields[this.pick(Object.keys(fields))] = wild();
    const payload = encoder.encode(objectOf(fields));
    const envelope = signPayload(crypto, node.signing, PAYLOAD_TYPES.reach, payload);
    const path = `/v1/nodes/${this.pick(nodes).nodeId}/reach`;
    return this.request('reach lie', 'PUT', path, JSON.stringify(envelope));
  }

  /** With a token that is good, and everything else by an impostor. */
  private enrolment(): HostileRequest {
    const { nodes, token, meshId } = this.options;
    const [thief, victim] = [this.pick(nodes), this.pick(nodes)];
    const keys = this.pick([{}, { nodeId: victim.nodeId }, victim.publicKeys]);
    const request = thief.enrolment(token, { record: thief.record(meshId, keys) });
    const body = JSON.stringify(request);
    const changed = this.random() < 0.5 ? body : body.replace(/[A-Za-z0-9]{4}/, this.json(1));
    return this.request('enrolment', 'POST', '/v1/nodes', changed);
  }

  /** Signed as it should be, with something about it changed. */
  private signedRequest(): HostileRequest {
    const { nodes, host, now } = this.options;
    const node = this.pick(nodes);
    const kind = this.pick(['config', 'epoch']);
    const path = kind === 'config' ? `/v1/config/${this.pick(nodes).nodeId}` : '/v1/epoch';
    const at = now() + this.pick([0, 0, 0, -61_000, 61_000, -1e9, 1e12]);
    const tag = this.pick(Object.values(SIGNATURE_TAGS));
    const signed = node.signed(`http://${host}${path}`, tag, at);
    let headers = Object.entries(signed).map(([name, value]) => `${name}: ${value}\r\n`);
    const how = this.below(6);
    if (how === 0) headers = headers.slice(1);
    if (how === 1) headers = [...headers, ...headers];
    if (how === 2) headers = headers.map((line) => line.replace('sig1', 'sig2'));
    if (how === 3) headers = headers.map((line) => line.replace(/keyid="[^"]*"/, 'keyid="x"'));
    if (how === 4) headers.push(`if-none-match: ${this.pick(['*', '""', '"a.1.1"'])}\r\n`);
    return this.request('signed request', 'GET', path, undefined, headers.join(''));
  }

  private replay(): HostileRequest {
    const { spent, nodes } = this.options;
    if (this.random() < 0.3) {
      return this.request('replay', 'POST', '/v1/nodes', JSON.stringify(spent.enrolment));
    }
    const path = `/v1/benchmarks/${nodes[0]!.nodeId}`;
    return this.request('replay', 'POST', path, JSON.stringify(spent.benchmark));
  }
}

/** JSON of an object whose values are JSON already, or are not. */
function objectOf(fields: Readonly<Record<string, string>>): string {
  return `{${Object.entries(fields).map(([name, value]) => `"${name}":${value}`)}}`;
}
