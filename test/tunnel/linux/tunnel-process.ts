import { uptime } from 'node:os';
import { LANE_PEER, type PacketMemory } from '../../../src/datapath/memory.ts';
import type { LinuxTunnel } from '../../../src/tunnel/linux/linux-tunnel.ts';
import { type LinuxTunnelOptions, openLinuxTunnel } from '../../../src/tunnel/linux/open.ts';

/**
 * A process of its own with one tunnel in it, so that a test can put it into a namespace and see
 * how it ends. Talks to the test over the IPC channel; see remote-tunnel.ts.
 */
export type OpenOptions = Omit<LinuxTunnelOptions, 'crypto' | 'random' | 'log' | 'onHandshake'>;

export interface Request {
  readonly id: number;
  readonly method: keyof typeof METHODS;
  readonly argument?: unknown;
}

let tunnel: LinuxTunnel;
const logs: string[] = [];
const handshakes: number[] = [];

const engine = (): object => Reflect.get(tunnel, 'engine') as object;

/** Packets to and from the first peer that each pair of workers has moved. */
function packetsByLane(): { sent: number; received: number }[] {
  const memory = Reflect.get(engine(), 'memory') as PacketMemory;
  return Array.from({ length: memory.layout.lanes }, (_, lane) => {
    const at = memory.lanePeer(lane, 0);
    return {
      sent: memory.f64[(at + LANE_PEER.txPackets) >> 3]!,
      received: memory.f64[(at + LANE_PEER.rxPackets) >> 3]!,
    };
  });
}

const METHODS = {
  async open(options: OpenOptions) {
    tunnel = await openLinuxTunnel({
      ...options,
      log: (message) => void logs.push(message),
      onHandshake: (_publicKey, generation) => void handshakes.push(generation),
    });
    void tunnel.closed.then((error) => {
      process.send?.({ closed: error?.message ?? null });
    });
  },
  configure: (change: Parameters<LinuxTunnel['configure']>[0]) => tunnel.configure(change),
  expireKeypairs: (before: number) => tunnel.expireKeypairs(before),
  async state() {
    const { name, mtu, isUp } = tunnel;
    return {
      name,
      mtu,
      isUp,
      ...tunnel.describe(),
      packetsByLane: packetsByLane(),
      logs,
      handshakes,
      status: tunnel.status(),
      memory: process.memoryUsage(),
      cpu: process.cpuUsage(),
    };
  },
  close: () => tunnel.close(),
  /** `seconds` from now. */
  async extendLease(seconds: number) {
    tunnel.extendLease(uptime() + seconds);
  },
  /** The thread that runs the device stands still: nothing of it is heard for `ms`. */
  async block(ms: number) {
    setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms));
  },
  async exit(code: number) {
    process.exit(code);
  },
  async throw() {
    setImmediate(() => {
      throw new Error('thrown in main');
    });
  },
  /** Makes a worker fail as a bug in it would: an operation on a peer that cannot exist. */
  async crashWorker(thread: number) {
    const workers = Reflect.get(engine(), 'workers') as {
      post(thread: number, batch: unknown): void;
    };
    workers.post(thread, { number: 0, acknowledge: false, operations: [undefined] });
  },
  async disconnect() {
    setImmediate(() => process.disconnect?.());
  },
};
export type State = Awaited<ReturnType<typeof METHODS.state>>;

process.on('message', ({ id, method, argument }: Request) => {
  (METHODS[method] as (argument: unknown) => Promise<unknown>)(argument).then(
    (value) => process.send?.({ id, value }),
    (error: Error) =>
      process.send?.({ id, error: error.message, code: Reflect.get(error, 'code') }),
  );
});
