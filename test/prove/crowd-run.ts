import { createHash, generateKeyPairSync } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import {
  createTunnel,
  type PeerChange,
  type UserspaceTunnel,
} from '../../src/tunnel/create-tunnel.ts';

export interface CrowdResult {
  readonly nodes: number;
  readonly pairs: number;
  readonly grace_s: number;
  /** Seconds from when the nodes were told until every pair sends on the new generation. */
  readonly all_pairs_after_s: number;
  /** Of all pairs, how many were on it after 0.5, 1, 2 and 5 s. */
  readonly pairs_after: Readonly<Record<string, number>>;
  /** Most handshakes completed in 100 ms, times ten. */
  readonly peak_handshakes_per_s: number;
  readonly mean_handshakes_per_s: number;
  readonly cpu_s: number;
  /** Messages dropped or answered with a cookie during the rotation, by reason. */
  readonly drops: Readonly<Record<string, number>>;
  readonly passed: boolean;
}

const SAMPLE_MS = 100;
const TIMEOUT_MS = 60_000;

/** A full mesh in one process, userspace tunnels over loopback, makes one rotation. */
export async function rotateCrowd(nodes: number): Promise<CrowdResult> {
  const rotation = { grace: 20_000, epoch: 60_000 };
  const tunnels: UserspaceTunnel[] = [];
  try {
    for (let i = 0; i < nodes; i++) {
      tunnels.push(
        await createTunnel({
          mode: 'userspace',
          name: `node-${i}`,
          privateKey: privateKey(),
          addresses: [`10.0.0.${i + 1}/24`],
          requirePsk: true,
          rotation,
        }),
      );
    }
    await tell(tunnels, 1);
    await settled(tunnels, 1);
    await delay(2000);
    return await rotate(tunnels, rotation.grace);
  } finally {
    await Promise.all(tunnels.map((tunnel) => tunnel.close()));
  }
}

async function rotate(tunnels: readonly UserspaceTunnel[], graceMs: number): Promise<CrowdResult> {
  const pairs = (tunnels.length * (tunnels.length - 1)) / 2;
  const dropsBefore = drops(tunnels);
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  await tell(tunnels, 2);
  const { samples, seconds } = await settled(tunnels, 2, startedAt);
  const { user, system } = process.cpuUsage(cpuBefore);
  const after = drops(tunnels);
  const differences = Object.entries(after).map(([reason, count]): [string, number] => [
    reason,
    count - (dropsBefore[reason] ?? 0),
  ]);
  const dropped = Object.fromEntries(differences.filter(([, count]) => count > 0));
  const reached = (limit: number) =>
    samples.findLast((sample) => sample.seconds <= limit)?.pairs ?? 0;
  let peak = 0;
  for (const [i, sample] of samples.entries()) {
    const before = samples[i - 1] ?? { seconds: 0, pairs: 0 };
    const span = Math.max(sample.seconds - before.seconds, SAMPLE_MS / 1000);
    peak = Math.max(peak, (sample.pairs - before.pairs) / span);
  }
  return {
    nodes: tunnels.length,
    pairs,
    grace_s: graceMs / 1000,
    all_pairs_after_s: Number(seconds.toFixed(2)),
    pairs_after: { '0.5': reached(0.5), '1': reached(1), '2': reached(2), '5': reached(5) },
    peak_handshakes_per_s: Math.round(peak),
    mean_handshakes_per_s: Math.round(pairs / seconds),
    cpu_s: Number(((user + system) / 1e6).toFixed(2)),
    drops: dropped,
    passed:
      seconds < graceMs / 1000 &&
      dropped.underLoadCookieSent === undefined &&
      dropped.handshakeQueueOverflow === undefined,
  };
}

/** Gives every node the pair keys of a generation. */
async function tell(tunnels: readonly UserspaceTunnel[], generation: number): Promise<void> {
  for (const [i, tunnel] of tunnels.entries()) {
    const peers = tunnels.flatMap((other, j): PeerChange[] => {
      if (i === j) return [];
      const pair = `${generation} ${Math.min(i, j)} ${Math.max(i, j)}`;
      const change: PeerChange = {
        publicKey: new Uint8Array(Buffer.from(other.publicKey, 'base64')),
        presharedKey: new Uint8Array(createHash('sha256').update(pair).digest()),
        generation,
      };
      if (generation > 1) return [change];
      const address = Uint8Array.of(127, 0, 0, 1);
      return [
        {
          ...change,
          endpoint: { family: 4, address, port: other.listenPort, scope: 0 },
          allowedIps: [{ prefix: { address: Uint8Array.of(10, 0, 0, j + 1), length: 32 } }],
        },
      ];
    });
    await tunnel.configure({ peers });
  }
}

interface Sample {
  readonly seconds: number;
  readonly pairs: number;
}

/** Waits until both ends of every pair send on `generation`. */
async function settled(
  tunnels: readonly UserspaceTunnel[],
  generation: number,
  startedAt = performance.now(),
): Promise<{ samples: Sample[]; seconds: number }> {
  const ends = tunnels.length * (tunnels.length - 1);
  const samples: Sample[] = [];
  for (;;) {
    const there = tunnels.reduce(
      (sum, tunnel) =>
        sum + tunnel.status().peers.filter((peer) => peer.generation === generation).length,
      0,
    );
    const seconds = (performance.now() - startedAt) / 1000;
    samples.push({ seconds, pairs: Math.floor(there / 2) });
    if (there === ends) return { samples, seconds };
    if (seconds * 1000 > TIMEOUT_MS) throw new Error(`${there} of ${ends} ends after a minute`);
    await delay(SAMPLE_MS);
  }
}

function drops(tunnels: readonly UserspaceTunnel[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const tunnel of tunnels) {
    for (const [reason, count] of Object.entries(tunnel.status().drops)) {
      sum[reason] = (sum[reason] ?? 0) + count;
    }
  }
  return sum;
}

function privateKey(): Uint8Array {
  const { d } = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' });
  return new Uint8Array(Buffer.from(d!, 'base64url'));
}
