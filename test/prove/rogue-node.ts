import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { openBackend } from '../../src/agent/backend.ts';
import { systemClock } from '../../src/agent/clock.ts';
import { startNode } from '../../src/agent/node.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { presharedKeyBytes } from '../../src/device/preshared-key.ts';
import type { DeviceChange, PeerChange, Tunnel } from '../../src/tunnel/create-tunnel.ts';
import { listen, partOptions, say } from './part.ts';

/**
 * A node that does not obey: it takes every key it is given, but never lets go of a peer or a
 * session. What it is told of its own exclusion changes nothing about what it sends.
 */
export interface RoguePart {
  readonly state: string;
  readonly name: string;
  readonly controllerUrl: string;
  readonly advertise: string;
  readonly listenPort: number;
  readonly pollMs: number;
  readonly push: boolean;
}

const options = partOptions<RoguePart>();
const stop = new AbortController();

const copy = ({ publicKey, presharedKey }: PeerChange): PeerChange => ({
  publicKey: new Uint8Array(publicKey),
  presharedKey: new Uint8Array(presharedKeyBytes(presharedKey!)),
});

function withoutRemovals(change: DeviceChange): DeviceChange {
  const { replacePeers: _, peers = [], ...rest } = change;
  const kept = peers.filter((peer) => !peer.remove);
  return { ...rest, peers: kept.map(({ expireBefore: _, ...peer }) => peer) };
}

/** Every pre-shared key it was ever given, with whose it is. */
const remembered: PeerChange[] = [];
let real: Pick<Tunnel, 'configure'>;

/** Tries each of them again, as if it were the newest. */
async function shakeHandsWithOldKeys(): Promise<number> {
  let generation = 1_000_000;
  for (const { publicKey, presharedKey } of [...remembered]) {
    await real.configure({
      peers: [{ publicKey, presharedKey: presharedKey!, generation: generation++ }],
    });
    await delay(200);
  }
  return remembered.length;
}

const node = await startNode(
  {
    stateDirectory: options.state,
    nodeId: options.name,
    ...(process.env.MESHNET_TOKEN === undefined ? {} : { token: process.env.MESHNET_TOKEN }),
    controllerUrl: options.controllerUrl,
    advertise: options.advertise,
    listenPort: options.listenPort,
    emitMs: 10_000,
    pollMs: options.pollMs,
    probeMs: 600_000,
    sources: [],
    push: options.push,
  },
  {
    fetch,
    clock: systemClock,
    crypto: defaultProvider(),
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
    random: Math.random,
    emit: (event) => say(event),
    openBackend: async (settings) => {
      const backend = await openBackend({ ...settings, kind: 'linux', name: 'mesh0' });
      const { tunnel: device } = backend;
      real = device;
      const tunnel: Pick<Tunnel, 'configure' | 'status' | 'expireKeypairs' | 'close' | 'closed'> = {
        configure: (change) => {
          const kept = withoutRemovals(change);
          for (const peer of kept.peers ?? []) if (peer.presharedKey) remembered.push(copy(peer));
          return device.configure(kept);
        },
        status: () => device.status(),
        expireKeypairs: async () => {},
        close: () => device.close(),
        closed: device.closed,
      };
      return { ...backend, tunnel };
    },
  },
  stop.signal,
);
listen(
  ({ id }) => {
    void shakeHandsWithOldKeys().then((keys) => say({ id, keys }));
  },
  () => stop.abort(),
);
await node.ended;
