import { KEYPAIR, LANE_PEER, type PacketMemory } from '../../src/datapath/memory.ts';
import { REPLAY_WINDOW_LENGTH } from '../../src/session/replay-window.ts';
import type { TunnelCore } from '../../src/tunnel/tunnel-core.ts';
import { MESSAGE_TYPE, messageType } from '../../src/wire/message-type.ts';
import type { SimulatedNode, Simulation } from './simulation.ts';
import { snapshot } from './snapshot.ts';

/** The memory of a core's data path, which nothing outside it needs but tests of what is in it. */
export const memoryOf = (core: TunnelCore): PacketMemory =>
  (core as unknown as { memory: PacketMemory }).memory;

/** Keypair slots in which a key is not zero. */
export function slotsWithKeys(core: TunnelCore): number[] {
  const memory = memoryOf(core);
  const slots: number[] = [];
  for (let slot = 0; slot < memory.layout.maxKeypairs; slot++) {
    const at = memory.keypair(slot);
    if (memory.u8.subarray(at + KEYPAIR.sendKey, at + 64).some((byte) => byte !== 0)) {
      slots.push(slot);
    }
  }
  return slots;
}

/** The slot that packets to the first peer are sent on, or -1. */
export function sendingSlot(core: TunnelCore, peer = 0): number {
  const memory = memoryOf(core);
  return memory.i32[(memory.lanePeer(0, peer) + LANE_PEER.sendKeypair) >> 2]!;
}

/** Sets the next counter of a keypair slot. */
export function setSendCounter(core: TunnelCore, slot: number, counter: bigint): void {
  const memory = memoryOf(core);
  const at = memory.keypair(slot);
  memory.u32[(at + KEYPAIR.sendCounterLow) >> 2] = Number(counter & 0xffff_ffffn);
  memory.u32[(at + KEYPAIR.sendCounterHigh) >> 2] = Number(counter >> 32n);
}

/** Keypair and peer slots as they are in memory, and the replay windows of the former. */
export function slotBytes(core: TunnelCore): string {
  const memory = memoryOf(core);
  const hex = (from: number, to: number) => new Uint8Array(memory.u8.subarray(from, to)).toHex();
  const parts = [hex(memory.keypair(0), memory.scratch(0))];
  const windows = new Uint8Array(memory.windows);
  for (let slot = 0; slot < memory.layout.maxKeypairs; slot++) {
    // All windows together are megabytes, of which all but those of slots in use are zero.
    if (memory.u32[(memory.keypair(slot) + KEYPAIR.localIndex) >> 2] === 0) continue;
    const at = slot * REPLAY_WINDOW_LENGTH;
    parts.push(windows.slice(at, at + REPLAY_WINDOW_LENGTH).toHex());
  }
  return parts.join('');
}

/**
 * All that a core knows: control, index tables, replay windows, staged packets and what is in the
 * slots. Left out are counters of drops, the time of the last look at the data path's activity, and
 * buffers, in which a rejected packet may leave its traces.
 */
export function stateOf(core: TunnelCore): string {
  const { device, outbound, inbound } = core as unknown as Record<string, unknown>;
  const left = [
    'rejects',
    'options',
    'plane',
    'sampledAt',
    'memory',
    'windows', // they lie in the memory
    'coalescer',
    'segmenter',
    'comparedPeer',
  ];
  return snapshot([device, outbound, inbound], left) + slotBytes(core);
}

const KINDS: Record<number, Seen['kind']> = {
  [MESSAGE_TYPE.initiation]: 'initiation',
  [MESSAGE_TYPE.response]: 'response',
  [MESSAGE_TYPE.cookieReply]: 'cookie reply',
};

export interface Seen {
  /** ms since the tap was made. */
  readonly at: number;
  readonly from: SimulatedNode;
  readonly kind: 'initiation' | 'response' | 'cookie reply' | 'keepalive' | 'data';
  readonly datagram: Uint8Array;
}

/** Writes down every datagram that nodes put on the wire. */
export class Tap {
  readonly seen: Seen[] = [];
  private readonly since: number;

  constructor(simulation: Simulation) {
    this.since = simulation.now;
    for (const node of simulation.nodes) {
      node.onSent = (datagram) => {
        const kind =
          KINDS[messageType(datagram)] ?? (datagram.length === 32 ? 'keepalive' : 'data');
        const at = simulation.now - this.since;
        this.seen.push({ at, from: node, kind, datagram: datagram.slice() });
      };
    }
  }

  of(kind: Seen['kind'], from?: SimulatedNode): Seen[] {
    return this.seen.filter((s) => s.kind === kind && (from === undefined || s.from === from));
  }

  /** When datagrams of a kind were sent, in whole seconds, rounded to the nearest. */
  seconds(kind: Seen['kind'], from?: SimulatedNode): number[] {
    return this.of(kind, from).map(({ at }) => Math.round(at / 1000));
  }

  clear(): void {
    this.seen.length = 0;
  }
}
