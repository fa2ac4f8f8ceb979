import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/agent/clock.ts';
import { ControllerClient } from '../../src/agent/controller-client.ts';
import { enrol } from '../../src/agent/enrol.ts';
import { ensureNodeKeys } from '../../src/agent/node-keys.ts';
import { toBase64 } from '../../src/contract/encoding.ts';
import { readKeyFile, writeKeyFile } from '../../src/contract/key-file.ts';
import { type Controller, openState, startController } from '../../src/controller/controller.ts';
import { issueToken } from '../../src/controller/operations/tokens.ts';
import { orRefuse } from '../../src/controller/problem-error.ts';
import { defaultProvider } from '../../src/crypto/select.ts';

const crypto = defaultProvider();
const random = (length: number) => new Uint8Array(randomBytes(length));
const program = join(import.meta.dirname, '../../bin/meshnet');

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A controller whose suite `red-team` is for one evaluator, with two nodes that are only enrolled. */
export class EvaluatorRig {
  readonly directory = mkdtempSync(join(tmpdir(), 'meshnet-evaluator-'));
  readonly key = join(this.directory, 'evaluator.key');
  controller!: Controller;

  static async open(): Promise<EvaluatorRig> {
    const rig = new EvaluatorRig();
    writeKeyFile(rig.key, random(32));
    await rig.startController();
    for (const name of ['node-a', 'node-b']) await rig.enrol(name);
    return rig;
  }

  /** `port`: of the one that was closed before. */
  async startController(port = 0): Promise<void> {
    this.controller = await startController({
      state: openState(join(this.directory, 'controller')),
      listen: { host: '127.0.0.1', port },
      settings: {
        suites: [{ suite: 'red-team', minSamples: 1, signers: 'evaluators' }],
        evaluators: [crypto.ed25519Public(readKeyFile(this.key))],
      },
      crypto,
      random,
    });
  }

  scoresOf(node: string) {
    return this.controller.services.store.scoresOf(node);
  }

  /** Runs `meshnet COMMAND` with the evaluator's key in a process of its own, to its end. */
  run(command: string, parameters: readonly string[], input = ''): Promise<Ended> {
    return new Promise((resolve) => {
      const all = [command, ...this.common(), ...parameters];
      const child = execFile(program, all, (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code), out, err });
      });
      child.stdin!.end(input);
    });
  }

  /** The same, running on. */
  start(command: string, parameters: readonly string[]): ChildProcess {
    return spawn(program, [command, ...this.common(), ...parameters]);
  }

  async close(): Promise<void> {
    await this.controller.close();
    rmSync(this.directory, { recursive: true });
  }

  private common(): string[] {
    const { meshId, url } = this.controller;
    const reports = ['--key', this.key, '--suite', 'red-team'];
    return [...reports, '--mesh', toBase64(meshId), '--controller', url];
  }

  private async enrol(nodeId: string): Promise<void> {
    const asked = { node_id: nodeId, ttl_s: 3600 };
    const issued = await issueToken(this.controller.services, { kind: 'admin' }, asked);
    const { token } = orRefuse(issued);
    const client = new ControllerClient({
      fetch,
      clock: systemClock,
      crypto,
      random,
      url: this.controller.url,
      timeoutMs: 5000,
    });
    await enrol(
      {
        client,
        crypto,
        clock: systemClock,
        random: Math.random,
        keys: ensureNodeKeys(join(this.directory, nodeId), random),
        nodeId,
        token,
        endpoint: null,
        listenPort: 51_820,
        waiting: () => {},
      },
      new AbortController().signal,
    );
  }
}
