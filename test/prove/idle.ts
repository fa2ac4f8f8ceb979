// npm run prove -- idle: what a device costs that has nothing to do, however many peers it has.

import { setTimeout as delay } from 'node:timers/promises';
import { defaultProvider } from '../../src/crypto/select.ts';
import { createTunnel, peerChange } from '../../src/tunnel/create-tunnel.ts';
import { programOptions } from '../lab/programs.ts';
import { median } from '../lab/statistics.ts';
import { observeMachine } from './priority.ts';

const values = programOptions({
  peers: { type: 'string', default: '0,1000,10000' },
  seconds: { type: 'string', default: '20' },
  json: { type: 'boolean', default: false },
});
const WINDOWS = 5;
/** Short, so that pairs soon fall quiet. */
const EPOCH_MS = 2000;
/** What configuring has left is collected by then. */
const SETTLE_MS = 10_000;
const crypto = defaultProvider();

/** Processor time (ms) in each second of a device whose peers are all quiet, and at no address: median of five windows. */
async function idleCost(peers: number, seconds: number): Promise<number> {
  const tunnel = await createTunnel({
    mode: 'userspace',
    privateKey: new Uint8Array(32).fill(1),
    addresses: ['10.0.0.1/16'],
    maxPeers: Math.max(1, peers),
    requirePsk: true,
    rotation: { epoch: EPOCH_MS, grace: EPOCH_MS / 3, quietPairsWait: true },
  });
  try {
    const presharedKeyOf = () => new Uint8Array(32).fill(2);
    await tunnel.configure({
      epoch: { generation: 1, presharedKeyOf },
      peers: Array.from({ length: peers }, (_, i) => ({
        ...peerChange({
          publicKey: crypto.x25519Public(crypto.sha256(Buffer.from(`peer ${i}`))),
          allowedIps: [`10.0.${(i + 2) >> 8}.${(i + 2) & 255}/32`],
        }),
        generation: 1,
      })),
    });
    // Pairs fall quiet when nothing was said in two epochs.
    for (const generation of [2, 3, 4]) {
      await delay(EPOCH_MS);
      await tunnel.configure({ epoch: { generation, presharedKeyOf } });
    }
    await delay(SETTLE_MS);
    const costs: number[] = [];
    for (let i = 0; i < WINDOWS; i++) {
      const before = process.cpuUsage();
      await delay((seconds * 1000) / WINDOWS);
      const { user, system } = process.cpuUsage(before);
      costs.push((user + system) / 1000 / (seconds / WINDOWS));
    }
    return Number(median(costs).toFixed(2));
  } finally {
    await tunnel.close();
  }
}

const machine = observeMachine();
const rows = [];
for (const peers of values.peers.split(',').map(Number)) {
  rows.push({ peers, cpuMsPerSecond: await idleCost(peers, Number(values.seconds)) });
}
process.stdout.write(
  `${JSON.stringify({ rows, machine: machine() }, null, values.json ? 0 : 2)}\n`,
);
