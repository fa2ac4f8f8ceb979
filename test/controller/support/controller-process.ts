import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { EpochDocument } from '../../../src/contract/epoch.ts';
import { openDescriptors, residentMemory } from '../../lab/process-usage.ts';
import { type Answer, call } from './test-mesh.ts';
import { TestNode } from './test-node.ts';

const MESHNET = new URL('../../../src/cli/meshnet.ts', import.meta.url).pathname;

/** A controller as a process of its own, that can be killed. */
export class ControllerProcess {
  readonly state = join(mkdtempSync(join(tmpdir(), 'meshnet-process-')), 'controller');
  /** Lines of its log, by all starts. */
  readonly log: string[] = [];
  stderr = '';
  port = 0;
  private readonly parameters: readonly string[];
  private process: ChildProcess | undefined;

  private readonly nodeOptions: readonly string[];

  constructor(parameters: readonly string[], nodeOptions: readonly string[] = []) {
    this.parameters = parameters;
    this.nodeOptions = nodeOptions;
  }

  get pid(): number {
    return this.process?.pid ?? 0;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get socket(): string {
    return join(this.state, 'admin.sock');
  }

  /** Starts it on the port it had before; returns when it answers, and has said where. */
  async start(): Promise<void> {
    this.launch();
    const child = this.process;
    const deadline = performance.now() + 20_000;
    while (performance.now() < deadline) {
      if (child?.exitCode !== null) throw new Error(`the controller ended: ${this.stderr}`);
      const answer = await this.admin('GET', '/healthz').catch(() => undefined);
      if (answer?.status === 200 && this.port !== 0) return;
      await delay(10);
    }
    throw new Error('the controller does not start');
  }

  /** Starts it, and does not wait for anything. */
  launch(): void {
    const own = ['controller', '--state', this.state, '--listen', `127.0.0.1:${this.port}`];
    const all = [...this.nodeOptions, MESHNET, ...own, '--stop-with-stdin', ...this.parameters];
    const child = spawn(process.execPath, all, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.process = child;
    child.stdin?.on('error', () => {});
    let rest = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop()!;
      this.log.push(...lines);
      for (const line of lines) {
        const port = /listening at https?:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
        if (port !== undefined) this.port = Number(port);
      }
    });
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      this.stderr += chunk;
    });
  }

  /** SIGKILL, and waits until it is gone. */
  async kill(): Promise<void> {
    await this.end((child) => child.kill('SIGKILL'));
  }

  async stop(): Promise<void> {
    await this.end((child) => child.stdin?.end());
  }

  /** Stops it and removes its state. */
  async remove(): Promise<void> {
    if (this.process) await this.kill();
    rmSync(join(this.state, '..'), { recursive: true, force: true });
  }

  signal(name: NodeJS.Signals): void {
    this.process?.kill(name);
  }

  admin(method: string, path: string, body?: unknown): Promise<Answer> {
    const options = body === undefined ? { method } : { method, body };
    return call({ socketPath: this.socket, path }, options);
  }

  async epoch(): Promise<EpochDocument> {
    return JSON.parse((await this.admin('GET', '/v1/epoch')).text) as EpochDocument;
  }

  async token(ttl_s = 3600): Promise<string> {
    const answer = await this.admin('POST', '/v1/tokens', { node_id: null, ttl_s });
    return (JSON.parse(answer.text) as { token: string }).token;
  }

  async enrol(nodeId: string, seed: number): Promise<TestNode> {
    const node = new TestNode(nodeId, seed);
    const body = node.enrolment(await this.token());
    const answer = await call(`${this.url}/v1/nodes`, { method: 'POST', body });
    if (answer.status !== 201) throw new Error(answer.text);
    return node;
  }

  /** Resident memory, bytes. */
  get resident(): number {
    return residentMemory(this.pid).now * 2 ** 20;
  }

  get openFiles(): number {
    return openDescriptors(this.pid);
  }

  private async end(ask: (child: ChildProcess) => void): Promise<void> {
    const child = this.process;
    this.process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'close');
    ask(child);
    await gone;
    if (existsSync(`/proc/${child.pid}`)) throw new Error('it is still there');
  }
}
