import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
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
import { TestMesh } from './support/test-mesh.ts';

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

const restart = () => mesh.restart({ witnesses: [{ url: witness.url, key }] });

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
