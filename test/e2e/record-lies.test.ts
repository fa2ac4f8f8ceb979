import { cpSync, readFileSync } from 'node:fs';
import {
  type AddressInfo,
  createConnection,
  createServer,
  type Server,
  type Socket,
} from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { toBase64 } from '../../src/contract/encoding.ts';
import type { Controller } from '../../src/controller/controller.ts';
import { leafHash } from '../../src/record/merkle.ts';
import { parseVerifierKey } from '../../src/record/note.ts';
import { crypto } from '../agent/support/rig.ts';
import { meshnet } from '../cli/support/run-meshnet.ts';
import { NodeRig, type StartedNode } from './node-rig.ts';

/** The way of one node to its controller, which leads to whichever the liar wants. */
class Way {
  private port: number;
  private readonly server: Server;
  private readonly open = new Set<Socket>();

  private constructor(to: number) {
    this.port = to;
    this.server = createServer((near) => {
      const far = createConnection(this.port, '127.0.0.1');
      near.pipe(far).pipe(near);
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.open.add(one);
        one.on('error', () => {});
        one.on('close', () => {
          this.open.delete(one);
          other.destroy();
        });
      }
    });
  }

  /** From here on it leads there, also for who is under way. */
  leadTo(port: number): void {
    this.port = port;
    for (const socket of this.open) socket.destroy();
  }

  static async to(port: number): Promise<Way> {
    const way = new Way(port);
    await new Promise<void>((resolve) => way.server.listen(0, '127.0.0.1', resolve));
    return way;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.leadTo(0);
    this.server.close();
  }
}

const soon = { timeout: 15_000, interval: 20 };
let rig: NodeRig;
let closing: (() => unknown)[];
beforeEach(async () => {
  rig = await NodeRig.open({ epochS: 1.5, lifetimeS: 6 });
  closing = [];
});
afterEach(async () => {
  for (const close of closing) await close();
  await rig.close();
});

async function wayTo({ port }: Controller): Promise<Way> {
  const way = await Way.to(port);
  closing.push(() => way.close());
  return way;
}

const isMember = ({ node }: StartedNode) => node.status().state === 'member';
const forkOf = ({ node }: StartedNode) => node.status().log.fork;
const meshId = () => toBase64(rig.controller.meshId);

/** What a third party makes of what a node has kept, knowing nothing but the mesh's id. */
const evidenceOf = (nodeId: string) => join(rig.directory.path, nodeId, 'forked-logs.json');
const judged = (nodeId: string) => meshnet('log', 'check', evidenceOf(nodeId), '--mesh', meshId());

test('two histories for two members: a member that is a witness notices, and so does who hears both', async () => {
  const listen = { host: '127.0.0.1', port: 0 };
  const a = await rig.node('a', () => 0.9, { witness: listen });
  const way = await wayTo(rig.controller);
  const b = await rig.node('b', () => 0.9, { controllerUrl: way.url });
  await expect.poll(() => isMember(a) && isMember(b), soon).toBe(true);
  const said = a.events.find((one) => one.event === 'witness')!;
  const witnesses = [{ key: parseVerifierKey(crypto, said.key)!, url: said.url }];

  // The state is copied, and both go on from there: to b only the copy is shown.
  const copy = join(rig.directory.path, 'copy');
  way.leadTo(0);
  let common = 0;
  await rig.restart(
    () => {
      cpSync(rig.state, copy, { recursive: true });
      common = leavesIn(join(copy, 'mesh.db'));
    },
    { witnesses },
  );
  const liar = await rig.another(copy, 0, { witnesses });
  closing.push(() => liar.close());
  way.leadTo(liar.port);

  // At the next epoch: one of the two has a checkpoint that does not extend what was cosigned.
  await expect.poll(() => forkOf(a), soon).not.toBeNull();
  // b has heard only one of them so far; from here on it hears the other.
  await expect.poll(() => b.node.status().log.leaves, soon).toBeGreaterThan(common);
  expect(forkOf(b)).toBeNull();
  way.leadTo(rig.controller.port);
  // By its headers or by its log, whichever it hears first.
  const noticed = () => forkOf(b) !== null || b.node.status().split_view;
  await expect.poll(noticed, soon).toBe(true);
  // Neither acts on a config any more: both are out at the end of their lifetime.
  await expect
    .poll(() => [a, b].map(({ node }) => node.status().state), soon)
    .toEqual(['expired', 'expired']);
  for (const id of forkOf(b) === null ? ['a'] : ['a', 'b']) {
    const { code, out, err } = await judged(id);
    const [{ held, other }] = JSON.parse(readFileSync(evidenceOf(id), 'utf8'));
    const sizes = [held, other].map((text: string) => text.split('\n')[1]);
    expect(out.match(/signed by the mesh/g)).toHaveLength(2);
    // Of one size they convict by themselves; of two, one of them is not in the log that is shown.
    const seen = async (url: string) =>
      (await meshnet('log', 'verify', url, '--mesh', meshId(), '--seen', evidenceOf(id))).code;
    if (sizes[0] === sizes[1])
      expect([code, err]).toEqual([1, expect.stringContaining('two logs')]);
    else expect([await seen(rig.controller.url), await seen(liar.url)]).toContain(1);
  }
});

test('a leaf that is rewritten: every member notices with its next config, and keeps both sides', async () => {
  const a = await rig.node('a', () => 0.9);
  await expect.poll(() => isMember(a) && a.node.status().log.leaves > 3, soon).toBe(true);
  await rig.restart(() => rewriteEnrolment(join(rig.state, 'mesh.db')));
  await expect.poll(() => forkOf(a), soon).toMatch(/do not begin with|two logs/);
  expect(a.events.some((one) => one.event === 'forked_log')).toBe(true);
  const { out } = await judged('a');
  expect(out.match(/signed by the mesh/g)).toHaveLength(2);
  const { code, err } = await meshnet(
    ...['log', 'verify', rig.controller.url, '--mesh', meshId()],
    ...['--seen', evidenceOf('a')],
  );
  expect([code, err]).toEqual([1, expect.stringContaining('there are two logs')]);
});

function leavesIn(path: string): number {
  const database = new DatabaseSync(path);
  const { leaves } = database.prepare('SELECT count(*) AS leaves FROM log_entries').get()!;
  database.close();
  return leaves as number;
}

/** As somebody with the database and the key would: another address for the node, under right hashes. */
function rewriteEnrolment(path: string): void {
  const database = new DatabaseSync(path);
  const rows = database.prepare('SELECT id, content FROM log_entries').all();
  const row = rows.find(({ content }) => Buffer.from(content as Uint8Array).includes('enrolled'))!;
  const text = Buffer.from(row.content as Uint8Array).toString();
  const content = Buffer.from(text.replace('10.10.0.2', '10.10.0.9'));
  expect(content.toString()).not.toBe(text);
  const id = row.id as number;
  database.prepare('UPDATE log_entries SET content = ? WHERE id = ?').run(content, id);
  database
    .prepare('UPDATE log_hashes SET hash = ? WHERE level = 0 AND id = ?')
    .run(leafHash(crypto, content), id);
  database.close();
}
