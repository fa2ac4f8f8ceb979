import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { fromBase64 } from '../../src/contract/encoding.ts';
import { readKeyFile } from '../../src/contract/key-file.ts';
import { nodeProvider as crypto } from '../../src/crypto/node.ts';
import { openCheckpoint, signCheckpoint } from '../../src/record/checkpoint.ts';
import {
  keyHash,
  type NoteKey,
  parseNote,
  parseVerifierKey,
  verifierKeyText,
  verifyNote,
} from '../../src/record/note.ts';
import { encodeWitnessRequest, type WitnessRequest } from '../../src/record/witness-request.ts';
import { ControllerProcess } from '../controller/support/controller-process.ts';
import { call } from '../controller/support/test-mesh.ts';
import type { TestNode } from '../controller/support/test-node.ts';
import { freePort } from '../lab/free-ports.ts';
import { requires } from '../lab/requirements.ts';

const run = promisify(execFile);
const EPOCHS = 1000;
const CRASHES = 10;

requires('go')('a log that a controller wrote through a thousand epochs and crashes', () => {
  let tools: string;
  let directory: string;
  const controller = new ControllerProcess(['--epoch', '60', '--freshness', '3600']);
  let url: string;
  let key: string;
  let early: string;

  beforeAll(async () => {
    tools = builtTools();
    directory = mkdtempSync(join(tmpdir(), 'meshnet-foreign-eyes-'));
    await controller.start();
    url = `${controller.url}/log/`;
    const meshId = fromBase64((await controller.epoch()).mesh_id)!;
    const nodes: TestNode[] = [];
    for (let i = 0; i < 4; i++) nodes.push(await controller.enrol(`node-${i}`, i + 1));
    for (let crash = 0; crash < CRASHES; crash++) {
      for (const node of nodes) {
        const body = node.score(meshId, 0.9 - 0.1 * crash, Date.now());
        const report = `${controller.url}/v1/benchmarks/${node.nodeId}`;
        expect((await call(report, { method: 'POST', body })).status).toBe(202);
      }
      for (let i = 0; i < EPOCHS / CRASHES; i++) await controller.admin('POST', '/v1/rotate');
      if (crash === 3) early = await text('checkpoint');
      await controller.kill();
      await controller.start();
    }
    key = (await text('key')).trim();
  }, 600_000);
  afterAll(async () => {
    await controller.remove();
    rmSync(directory, { recursive: true });
  });

  const text = (path: string): Promise<string> => textAt(`${url}${path}`);

  test('is a log to golang.org/x/mod and torchwood, which extends what was seen before', async () => {
    const seen = join(directory, 'early');
    writeFileSync(seen, early);
    const { stdout } = await run(join(tools, 'foreign-eyes'), [url, key, seen]);
    const found = JSON.parse(stdout) as Record<string, number>;
    expect(found.size).toBeGreaterThan(EPOCHS);
    expect(found.extends).toBeGreaterThan(300);
    expect(found.whole).toBe(Math.floor(found.size! / 256) * 256);
    expect(found.included).toBeGreaterThan(30);
  });

  test('has no fault that fsck of tessera finds', async () => {
    const file = join(directory, 'key');
    writeFileSync(file, key);
    const where = ['--storage_url', url, '--public_key', file];
    const { stderr } = await run(join(tools, 'fsck'), [...where, '--ui=false', '--logtostderr']);
    expect(stderr).toMatch(/successful/i);
  });
});

requires('go')('omniwitness', () => {
  const directory = mkdtempSync(join(tmpdir(), 'meshnet-omniwitness-'));
  const witnessSeed = new Uint8Array(32).fill(9);
  const publicKey = crypto.ed25519Public(witnessSeed);
  const name = 'witness.example/omni';
  const witness: NoteKey = { name, algorithm: 'cosignature', publicKey };
  let controller: ControllerProcess;
  let omniwitness: ChildProcess;
  let address: string;
  let log: NoteKey;
  let seed: Uint8Array;

  beforeAll(async () => {
    const tools = builtTools();
    const [port, metrics] = [await freePort(), await freePort()];
    address = `http://127.0.0.1:${port}`;
    const option = `${verifierKeyText(crypto, witness)} ${address}`;
    controller = new ControllerProcess(['--epoch', '60', '--witness', option]);
    await controller.start();
    const keyText = await textAt(`${controller.url}/log/key`);
    log = parseVerifierKey(crypto, keyText.trim())!;
    seed = readKeyFile(join(controller.state, 'controller.key'))!;
    const logs = join(directory, 'logs.yaml');
    const entry = [
      `Origin: ${log.name}`,
      'URL: http://127.0.0.1:9/',
      `PublicKey: ${keyText.trim()}`,
    ];
    writeFileSync(logs, `Logs:\n  - ${[...entry, 'Feeder: none'].join('\n    ')}\n`);
    // A note's signer key says Ed25519, also that of a witness.
    const signer = { ...witness, algorithm: 'ed25519' } as const;
    const secret = Buffer.concat([Buffer.from([1]), witnessSeed]).toString('base64');
    const keyFile = join(directory, 'key');
    const hash = Buffer.from(keyHash(crypto, signer)).toString('hex');
    writeFileSync(keyFile, `PRIVATE+KEY+${name}+${hash}+${secret}\n`);
    const listen = ['--listen', `127.0.0.1:${port}`, '--metrics_listen', `127.0.0.1:${metrics}`];
    const own = ['--private_key_path', keyFile, '--db_file', join(directory, 'witness.db')];
    omniwitness = spawn(
      join(tools, 'omniwitness'),
      [...listen, ...own, '--additional_logs', logs, '--logtostderr'],
      { stdio: 'ignore' },
    );
    await vi.waitFor(() => fetch(address), { timeout: 60_000, interval: 100 });
  }, 600_000);
  afterAll(async () => {
    const gone = once(omniwitness, 'exit');
    omniwitness.kill();
    await gone;
    await controller.remove();
    rmSync(directory, { recursive: true });
  });

  const checkpoint = (): Promise<string> => textAt(`${controller.url}/log/checkpoint`);

  /** The newest checkpoint, once it has been cosigned. */
  const cosigned = () =>
    vi.waitFor(
      async () => {
        const text = await checkpoint();
        expect(verifyNote(crypto, parseNote(text)!, witness)).toBeDefined();
        return openCheckpoint(crypto, log, text)!;
      },
      { timeout: 20_000, interval: 50 },
    );

  const ask = async (request: WitnessRequest): Promise<number> => {
    const body = encodeWitnessRequest(request);
    return (await fetch(`${address}/add-checkpoint`, { method: 'POST', body })).status;
  };

  const signed = (size: number, root: Uint8Array): string =>
    signCheckpoint(crypto, seed, { origin: log.name, size, root });

  test('cosigns every epoch, also of a controller that has forgotten how far it was', async () => {
    await controller.admin('POST', '/v1/rotate');
    const first = await cosigned();
    await controller.admin('POST', '/v1/rotate');
    expect((await cosigned()).size).toBeGreaterThan(first.size);
    await controller.kill();
    await controller.start();
    await controller.admin('POST', '/v1/rotate');
    expect((await cosigned()).size).toBeGreaterThan(first.size + 1);
  });

  test('refuses a fork, a rollback and a changed byte', async () => {
    const { size, root } = await cosigned();
    const other = root.map((byte) => byte ^ 1);
    expect(await ask({ oldSize: size, proof: [], checkpoint: signed(size, other) })).toBe(422);
    expect(await ask({ oldSize: 2, proof: [], checkpoint: signed(2, other) })).toBe(409);
    const proof = [other];
    expect(await ask({ oldSize: size, proof, checkpoint: signed(size + 1, other) })).toBe(422);
    const changed = signed(size, root).replace(`\n${size}\n`, `\n${size + 1}\n`);
    // A signature that does not hold: 403 by the specification, but this witness says 500.
    expect(await ask({ oldSize: size, proof, checkpoint: changed })).toBe(500);
    expect(await ask({ oldSize: size, proof: [], checkpoint: signed(size, root) })).toBe(200);
  });
});

function builtTools(): string {
  return execFileSync(join(import.meta.dirname, 'foreign-eyes/build.sh'), {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
}

async function textAt(url: string): Promise<string> {
  return (await fetch(url)).text();
}
