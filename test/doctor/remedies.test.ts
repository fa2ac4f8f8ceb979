import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/agent/clock.ts';
import { ensureNodeKeys } from '../../src/agent/node-keys.ts';
import type { PingAnswer } from '../../src/agent/socket/ping-node.ts';
import type { PeerView } from '../../src/agent/status.ts';
import { reachOf } from '../../src/doctor/controller-reach.ts';
import type { Finding } from '../../src/doctor/finding.ts';
import { examineNode } from '../../src/doctor/node.ts';
import { udpOf } from '../../src/doctor/paths.ts';
import { crypto, temporaryDirectory } from '../agent/support/rig.ts';

const random = (length: number) => globalThis.crypto.getRandomValues(new Uint8Array(length));

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
  chmodSync(directory.path, 0o700);
  ensureNodeKeys(directory.path, random);
});
afterEach(() => directory.remove());

const never = async (): Promise<never> => {
  throw new Error('asked in vain');
};

/** What a node's doctor finds that is no good; its controller is asked by `fetch`. */
const troubles = async (): Promise<Finding[]> => {
  const found = await examineNode({
    state: directory.path,
    controllerUrl: 'https://192.0.2.1:8440',
    status: undefined,
    ping: never,
    fetch: never,
    clock: systemClock,
    crypto,
    random,
    environment: {},
  });
  return found.filter(({ level, subject }) => level === 'problem' && subject !== 'running');
};

test('a state that others may write is told as that alone, and nobody is blamed for what follows', async () => {
  chmodSync(directory.path, 0o777);
  const found = await troubles();
  expect(found).toMatchObject([{ subject: 'rights' }]);
  expect(found[0]!.found).toContain('run: chmod 700');
});

test('a memory that is spoilt is named, and nobody is blamed for what follows', async () => {
  writeFileSync(join(directory.path, 'mark.json'), '{"epoch":');
  const found = await troubles();
  expect(found).toMatchObject([{ subject: 'state', remedy: 'do what the message says' }]);
  expect(found[0]!.found).toContain('mark.json: is not JSON; restore it from a backup');
});

test.for([
  'its certificate is not of this mesh, nor trusted here (CERT_HAS_EXPIRED)',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
])('a certificate that is not believed is no matter of firewalls: %s', async (message) => {
  const [found] = await reachOf({
    url: 'https://192.0.2.1:8440',
    meshId: undefined,
    fetch: async () => {
      throw new Error(message);
    },
    clock: systemClock,
    environment: {},
  });
  expect(found!.remedy).toContain('NODE_EXTRA_CA_CERTS');
});

test('a member that was heard in an earlier epoch, and not since, is a matter of UDP', async () => {
  const peer = { node_id: 'b', generation: 7, tx_bytes: 1, rx_bytes: 1 } as PeerView;
  const answer = { error: null, rtt_ms: null, endpoint: '192.0.2.2:7', handshake_age_s: 20 };
  const at = async (epoch: number) => {
    const [found] = await udpOf({ peers: [peer], epoch }, async () => answer as PingAnswer);
    return found!;
  };
  expect((await at(9)).found).toBe(
    'b: shook hands in epoch 7, and not in 9: UDP to 192.0.2.2:7 goes unanswered',
  );
  expect((await at(9)).remedy).toContain('open that UDP port');
  expect((await at(7)).remedy).toContain('does its own firewall drop ICMP');
});
