import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nodeProvider as crypto } from '../../src/crypto/node.ts';
import { parseCheckpoint } from '../../src/record/checkpoint.ts';
import { verifyConsistency } from '../../src/record/merkle.ts';
import {
  cosignNote,
  formatSignature,
  type NoteKey,
  parseNote,
  verifyNote,
} from '../../src/record/note.ts';
import { parseWitnessRequest, SIZE_MEDIA_TYPE } from '../../src/record/witness-request.ts';
import { settled } from './support/sim-clock.ts';
import { call, TestMesh } from './support/test-mesh.ts';
import type { TestNode } from './support/test-node.ts';

const seed = new Uint8Array(32).fill(3);
const key: NoteKey = {
  name: 'witness.example',
  algorithm: 'cosignature',
  publicKey: crypto.ed25519Public(seed),
};

/** A witness as C2SP tlog-witness says, of one log whose signatures it trusts. */
class SmallWitness {
  size = 0;
  root: Uint8Array = crypto.sha256();
  /** Requests wait while this is set. */
  stalled: Promise<void> | undefined;
  readonly asked: number[] = [];
  readonly server: Server;

  constructor() {
    this.server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      await this.stalled;
      const { oldSize, proof, checkpoint } = parseWitnessRequest(body)!;
      this.asked.push(oldSize);
      if (oldSize !== this.size) {
        response.writeHead(409, { 'content-type': SIZE_MEDIA_TYPE }).end(`${this.size}\n`);
        return;
      }
      const { text } = parseNote(checkpoint)!;
      const { size, root } = parseCheckpoint(text)!;
      if (!verifyConsistency(crypto, oldSize, this.root, size, root, proof)) {
        response.writeHead(422).end();
        return;
      }
      Object.assign(this, { size, root });
      response.end(formatSignature(cosignNote(crypto, seed, key, text, 1_800_000_000)));
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }
}

let mesh: TestMesh;
let witness: SmallWitness;
beforeEach(async () => {
  witness = new SmallWitness();
  witness.server.listen(0, '127.0.0.1');
  await once(witness.server, 'listening');
  mesh = await TestMesh.start();
});
afterEach(async () => {
  await mesh.stop();
  witness.server.closeAllConnections();
  witness.server.close();
});

const witnesses = () => [{ url: witness.url, key }];
const restart = () => mesh.restart({ witnesses: witnesses() });

async function isCosigned(): Promise<boolean> {
  const text = await mesh.controller.services.log.checkpoint();
  return verifyNote(crypto, parseNote(text)!, key) !== undefined;
}

/** Until the witness's turn is over, whatever came of it. */
async function untilAsked(times: number): Promise<void> {
  const { spine } = mesh.controller.services;
  while (witness.asked.length < times) await settled();
  await spine.drained(5000);
}

test('every epoch is cosigned, by proof from the one before', async () => {
  await restart();
  await untilAsked(1);
  expect(await isCosigned()).toBe(true);
  const { size } = witness;
  await mesh.rotate();
  await untilAsked(2);
  expect(await isCosigned()).toBe(true);
  expect(witness.asked).toEqual([0, size]);
});

test('a controller that has forgotten what was cosigned is told by the witness', async () => {
  await restart();
  await untilAsked(1);
  const { size } = witness;
  await restart();
  await untilAsked(3);
  expect(witness.asked).toEqual([0, 0, size]);
  expect(await isCosigned()).toBe(true);
});

test('a witness that has seen another log refuses, and that is told', async () => {
  Object.assign(witness, { size: 2, root: new Uint8Array(32) });
  await restart();
  await untilAsked(2);
  expect(await isCosigned()).toBe(false);
  expect(mesh.log.join('')).toContain('witness witness.example: it answers 422');
});

test('a witness that has forgotten what it cosigned, as from a backup, counts no more, and that is told', async () => {
  await restart();
  await untilAsked(1);
  const { size, root } = witness;
  await mesh.rotate();
  await untilAsked(2);
  const cosigned = witness.size;
  Object.assign(witness, { size, root });
  for (const times of [3, 4]) {
    await mesh.rotate();
    await untilAsked(times);
    expect(await isCosigned()).toBe(false);
  }
  expect(witness.asked).toEqual([0, size, cosigned, cosigned]);
  expect(mesh.log.join('')).toContain(
    `witness witness.example: it cosigned ${cosigned} leaves, and knows of ${size} now`,
  );
});

test('a log that went back is told, too', async () => {
  witness.size = 1000;
  await restart();
  await untilAsked(1);
  expect(mesh.log.join('')).toContain('it has cosigned 1000 leaves, and the log has');
});

test('epochs do not wait for a witness that hangs', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  witness.stalled = promise;
  await restart();
  const before = mesh.controller.services.governor.current!.epoch;
  for (let i = 0; i < 5; i++) await mesh.rotate();
  expect(mesh.controller.services.governor.current!.epoch).toBe(before + 5);
  expect(await isCosigned()).toBe(false);
  resolve();
  await untilAsked(2);
  expect(await isCosigned()).toBe(true);
});

describe('a policy that one witness keeps up within two epochs', () => {
  const ruled = (isBinding: boolean) =>
    mesh.restart({
      witnesses: witnesses(),
      settings: { witness: { needed: 1, withinEpochs: 2, isBinding } },
    });
  const config = async (node: TestNode) => (await mesh.configCall(node)).status;
  const shown = async () => (await mesh.epoch()).witnesses;

  test('shows who does, and who does not', async () => {
    await ruled(false);
    await untilAsked(1);
    await mesh.clock.advance(1000);
    const { size } = witness;
    expect(await shown()).toEqual({
      needed: 1,
      within_epochs: 2,
      binding: false,
      fault: null,
      each: [{ witness: key.name, leaves: size, behind_epochs: 0 }],
    });
    witness.size = 1000; // of another log
    for (let i = 0; i < 3; i++) await mesh.rotate();
    expect(await shown()).toMatchObject({
      fault: 'Of 1 witnesses 0 cosigned the log within 2 epochs, and 1 must.',
      each: [{ leaves: size, behind_epochs: 3 }],
    });
    const a = await mesh.enrol('a', 1);
    expect(await config(a)).toBe(200);
    const metrics = (await call(`${mesh.url}/metrics`)).text;
    expect(metrics).toContain('meshnet_log_witnessed 0');
    expect(metrics).toContain(`meshnet_log_witness_behind_epochs{witness="${key.name}"} 3`);
  });

  test('and is binding gives nothing out while it is not so; who fails is cut all the same', async () => {
    const [a, b] = [await mesh.enrol('a', 1), await mesh.enrol('b', 2)];
    await ruled(true);
    await untilAsked(1);
    await mesh.report(0.9, a, b);
    await mesh.rotate();
    await untilAsked(2);
    expect(await config(a)).toBe(200);
    const { size } = witness;
    witness.size = 1000;
    await mesh.report(0.2, b);
    for (let i = 0; i < 3; i++) await mesh.rotate();
    expect(await config(a)).toBe(503);
    const { nodes, not_ready } = await mesh.epoch();
    expect(nodes.map((one) => one.allowed)).toEqual([true, false]);
    expect(not_ready).toContain('Of 1 witnesses 0 cosigned the log');
    expect((await call(`${mesh.url}/readyz`)).status).toBe(503);
    witness.size = size;
    await mesh.rotate();
    while (!(await isCosigned())) await settled();
    await mesh.clock.advance(1000);
    expect(await config(a)).toBe(200);
  });

  test('that asks for more witnesses than there are is refused', async () => {
    const settings = { witness: { needed: 2, withinEpochs: 2, isBinding: false } };
    await expect(mesh.restart({ witnesses: witnesses(), settings })).rejects.toThrow(
      'no more than the 1 witnesses that are asked',
    );
    await mesh.open();
  });
});
