import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fromBase64, toBase64 } from '../../src/contract/encoding.ts';
import { PROBLEMS } from '../../src/contract/problems.ts';
import { ControllerProcess } from '../controller/support/controller-process.ts';
import { type HostileRequest, HostileRequests } from '../controller/support/hostile-requests.ts';
import { call } from '../controller/support/test-mesh.ts';
import { TestNode } from '../controller/support/test-node.ts';
import { seededRandom } from '../lab/random.ts';

export interface FuzzResult {
  readonly sent: number;
  /** Answers by status; 0: hung up without one. */
  readonly statuses: Readonly<Record<number, number>>;
  readonly codes: Readonly<Record<string, number>>;
  /** What must not be: at most a few of each, whole. */
  readonly failures: readonly string[];
  readonly perSecond: number;
  /** Resident memory of the controller, MB, after each tenth. */
  readonly residentMb: readonly number[];
  readonly openFiles: readonly [before: number, after: number];
}

export interface FuzzOptions {
  readonly count: number;
  readonly seed: number;
  readonly progress?: (done: number) => void;
}

const CONNECTIONS = 16;
const MAX_FAILURES = 20;

/** Sends `count` hostile requests to a controller in a process of its own. */
export async function fuzzHttp(options: FuzzOptions): Promise<FuzzResult> {
  // So little room that what is kept for every request shows soon, as growth or as a crash.
  const heap = ['--max-old-space-size=48', '--max-semi-space-size=2'];
  const controller = new ControllerProcess(['--epoch', '3600'], heap);
  try {
    await controller.start();
    return await new Fuzz(options, controller).run();
  } finally {
    await controller.remove();
  }
}

class Fuzz {
  private readonly options: FuzzOptions;
  private readonly controller: ControllerProcess;
  private readonly random: () => number;
  private readonly statuses: Record<number, number> = {};
  private readonly codes: Record<string, number> = {};
  private readonly failures: string[] = [];
  /** Answers that differ, with the time taken out: what was told, for the search for secrets. */
  private readonly told = new Set<string>();
  private sent = 0;

  constructor(options: FuzzOptions, controller: ControllerProcess) {
    this.options = options;
    this.controller = controller;
    this.random = seededRandom(options.seed);
  }

  async run(): Promise<FuzzResult> {
    const { controller, options } = this;
    const seed = readFileSync(join(controller.state, 'controller.key'), 'latin1').trim();
    const meshId = fromBase64((await controller.epoch()).mesh_id)!;
    const a = new TestNode('a', 1);
    const enrolment = a.enrolment(await controller.token());
    await this.expectStatus('/v1/nodes', enrolment, 201);
    const b = await controller.enrol('b', 2);
    const benchmark = a.score(meshId, 0.9, Date.now());
    await this.expectStatus('/v1/benchmarks/a', benchmark, 202);
    await this.expectStatus('/v1/benchmarks/b', b.score(meshId, 0.9, Date.now()), 202);
    await controller.admin('POST', '/v1/rotate');
    const token = await controller.token();
    const before = await this.snapshot();
    const hostile = new HostileRequests({
      random: this.random,
      host: `127.0.0.1:${controller.port}`,
      meshId,
      nodes: [a, b],
      spent: { enrolment, benchmark },
      token,
      now: Date.now,
    });
    const residentMb: number[] = [];
    const openFiles = controller.openFiles;
    const started = performance.now();
    const tenth = Math.ceil(options.count / 10);
    while (this.sent < options.count) {
      const until = Math.min(options.count, this.sent + tenth);
      const lanes = Array.from({ length: CONNECTIONS }, () => this.lane(hostile, until));
      await Promise.all(lanes);
      residentMb.push(Math.round(controller.resident / 1e6));
      options.progress?.(this.sent);
    }
    const seconds = (performance.now() - started) / 1000;
    const openFilesAfter = controller.openFiles;
    const after = await this.snapshot();
    if (after !== before) this.fail(`the epoch document changed: ${before} -> ${after}`);
    // The honest go on.
    await this.expectStatus('/v1/benchmarks/a', a.score(meshId, 0.9, Date.now()), 202);
    await controller.stop();
    this.searchSecrets([
      fromBase64(seed, 32)!,
      Buffer.from(token.split('.')[1]!, 'base64url'),
      ...[a, b].flatMap((node) => [node.wireguard, node.signing, node.sealing]),
      ...this.stateAfterwards(),
    ]);
    for (const line of controller.log) {
      if ((JSON.parse(line) as { level: number }).level >= 50) this.fail(`logged: ${line}`);
    }
    if (controller.stderr !== '') this.fail(`stderr: ${controller.stderr}`);
    return {
      sent: this.sent,
      statuses: this.statuses,
      codes: this.codes,
      failures: this.failures,
      perSecond: Math.round(this.sent / seconds),
      residentMb,
      openFiles: [openFiles, openFilesAfter],
    };
  }

  private async expectStatus(path: string, body: unknown, status: number): Promise<void> {
    const answer = await call(`${this.controller.url}${path}`, { method: 'POST', body });
    if (answer.status !== status) this.fail(`${path}: ${answer.status} ${answer.text}`);
  }

  /** What members see, without what time alone changes. */
  private async snapshot(): Promise<string> {
    const { now: _, nodes, ...rest } = await this.controller.epoch();
    const plain = nodes.map(({ age_s: _, suites: __, ...node }) => node);
    const tokens = (await this.controller.admin('GET', '/v1/tokens')).text;
    return JSON.stringify([rest, plain, tokens]);
  }

  /** Checks what the database holds, and returns the secrets in it. */
  private stateAfterwards(): Uint8Array[] {
    const database = new DatabaseSync(join(this.controller.state, 'mesh.db'));
    const rows = (sql: string) => database.prepare(sql).all() as Record<string, unknown>[];
    const nodes = rows('SELECT node_id FROM nodes').map((row) => row.node_id);
    if (nodes.join() !== 'a,b') this.fail(`nodes afterwards: ${nodes.join()}`);
    const sequences = rows('SELECT node_id, sequence FROM sequences');
    const found = sequences.map((row) => `${row.node_id}${row.sequence}`).join();
    if (found !== 'a2,b1') this.fail(`sequences afterwards: ${found}`);
    const secrets = rows('SELECT secret FROM epoch').map((row) => row.secret as Uint8Array);
    database.close();
    return secrets;
  }

  private searchSecrets(secrets: readonly Uint8Array[]): void {
    const places = { log: this.controller.log.join('\n'), answers: [...this.told].join('\n') };
    for (const secret of secrets) {
      for (const form of [toBase64(secret), Buffer.from(secret).toString('hex')]) {
        const url = form.replaceAll('+', '-').replaceAll('/', '_');
        for (const needle of [form.replace(/=+$/, ''), url.replace(/=+$/, '')]) {
          for (const [place, text] of Object.entries(places)) {
            if (text.includes(needle)) this.fail(`a secret is in the ${place}`);
          }
        }
      }
    }
  }

  /** One connection after another, each used as long as it lasts. */
  private async lane(hostile: HostileRequests, until: number): Promise<void> {
    let connection: Connection | undefined;
    while (this.sent < until) {
      this.sent++;
      const request = hostile.next();
      connection ??= new Connection(this.controller.port, 2 + (this.sent % 250));
      const answer = await connection.exchange(request);
      this.judge(request, answer);
      if (!request.wellFormed || !connection.isOpen) {
        connection.close();
        connection = undefined;
      }
    }
    connection?.close();
  }

  private judge(request: HostileRequest, answer: string): void {
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);
    this.statuses[status] = (this.statuses[status] ?? 0) + 1;
    const wrong = (what: string) => {
      const text = Buffer.from(request.bytes).toString('latin1').slice(0, 600);
      this.fail(`${what}: ${request.kind}: ${JSON.stringify(text)} -> ${answer.slice(0, 400)}`);
    };
    if (status === 0) {
      if (answer !== '' || request.wellFormed) wrong('no answer');
      return;
    }
    if (status >= 500) wrong('5xx');
    if (status === 202) wrong('accepted');
    if (status < 400 || answer.endsWith('\r\n\r\n')) return;
    // What follows the first answer answers the rest of a request that was cut in two.
    const start = answer.indexOf('\r\n\r\n') + 4;
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(answer)?.[1]);
    const body = answer.slice(start, start + length);
    if (this.told.size < 200_000) this.told.add(body.replace(/"server_time":\d+/, ''));
    try {
      const problem = JSON.parse(body) as { code: string; status: number };
      if (!Object.hasOwn(PROBLEMS, problem.code) || problem.status !== status) wrong('problem');
      this.codes[problem.code] = (this.codes[problem.code] ?? 0) + 1;
    } catch {
      wrong('no problem document');
    }
  }

  private fail(what: string): void {
    if (this.failures.length < MAX_FAILURES) this.failures.push(what);
  }
}

/** A raw connection that knows just enough HTTP to see where an answer ends. */
class Connection {
  isOpen = true;
  private readonly socket: Socket;
  private received = '';
  private wake: () => void = () => {};

  /** Of many addresses of this machine: each has ports of its own to use up. */
  constructor(port: number, address: number) {
    this.socket = connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${address}` });
    this.socket.setEncoding('latin1');
    this.socket.setNoDelay(true);
    this.socket.on('data', (chunk: string) => {
      this.received += chunk;
      this.wake();
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.isOpen = false;
      this.wake();
    });
  }

  async exchange({ bytes, wellFormed }: HostileRequest): Promise<string> {
    this.received = '';
    this.socket.write(bytes);
    // Broken ones may leave the server waiting for more; it learns that no more comes.
    if (!wellFormed) this.socket.end();
    const timer = setTimeout(() => this.socket.destroy(), 20_000);
    while (this.isOpen && !(wellFormed && this.isWhole())) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    clearTimeout(timer);
    if (/\r\nconnection: close\r\n/i.test(this.received)) this.isOpen = false;
    return this.received;
  }

  close(): void {
    this.socket.destroy();
  }

  private isWhole(): boolean {
    const end = this.received.indexOf('\r\n\r\n');
    if (end < 0) return false;
    const length = /\r\ncontent-length: (\d+)/i.exec(this.received)?.[1];
    if (length === undefined) return /^HTTP\/1\.1 (?:204|304)/.test(this.received);
    return this.received.length >= end + 4 + Number(length);
  }
}
