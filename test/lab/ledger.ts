import type { SimulatedNode, Simulation } from './simulation.ts';
import { innerPacket } from './simulation.ts';

const HEADER_LENGTH = 20;
const PAYLOAD_LENGTH = 32;

interface Flow {
  readonly from: SimulatedNode;
  readonly to: SimulatedNode;
  readonly template: Uint8Array;
  sent: number;
  /** Of those that count. */
  delivered: number;
  excused: number;
  /** Bits of each packet: DELIVERED, EXCUSED. */
  seen: Uint8Array;
}
const DELIVERED = 1;
const EXCUSED = 2;

/** What went wrong with delivered packets. */
export interface Violations {
  /** Delivered again. */
  duplicated: number;
  /** Never sent like this. */
  altered: number;
  /** Delivered to somebody else than it was sent to. */
  misdelivered: number;
}

/**
 * Sends numbered packets between simulated nodes and holds every delivered one against what was
 * sent: each packet at most once, unaltered, at the node it was sent to.
 */
export class Ledger {
  readonly violations: Violations = { duplicated: 0, altered: 0, misdelivered: 0 };
  /** Called for every packet that was delivered as it should be. */
  onDelivered: (from: SimulatedNode, to: SimulatedNode, number: number) => void = () => {};

  private readonly flows = new Map<number, Flow>();

  /** Watches all nodes that the simulation has now. */
  constructor(simulation: Simulation) {
    for (const node of simulation.nodes) {
      node.onPacket = (packet) => this.delivered(node, packet);
    }
  }

  /** An `excused` packet need not arrive; if it does, all else must be right. */
  send(from: SimulatedNode, to: SimulatedNode, excused = false): void {
    const flow = this.flow(from, to);
    const packet = flow.template;
    const number = flow.sent++;
    if (excused) {
      mark(flow, number, EXCUSED);
      flow.excused++;
    }
    fill(packet, from.id, to.id, number);
    from.sendPacket(packet);
  }

  sent(from: SimulatedNode, to: SimulatedNode): number {
    return this.flow(from, to).sent;
  }

  deliveredCount(from: SimulatedNode, to: SimulatedNode): number {
    return this.flow(from, to).delivered;
  }

  /** Packets sent and not delivered (yet), over all flows. */
  get missing(): number {
    let missing = 0;
    for (const { sent, excused, delivered } of this.flows.values()) {
      missing += sent - excused - delivered;
    }
    return missing;
  }

  get totalSent(): number {
    let sent = 0;
    for (const flow of this.flows.values()) sent += flow.sent;
    return sent;
  }

  /** Which packets of a flow are missing. */
  missingOf(from: SimulatedNode, to: SimulatedNode): number[] {
    const flow = this.flow(from, to);
    const missing: number[] = [];
    for (let i = 0; i < flow.sent; i++) if ((flow.seen[i] ?? 0) === 0) missing.push(i);
    return missing;
  }

  private flow(from: SimulatedNode, to: SimulatedNode): Flow {
    const key = from.id * 256 + to.id;
    let flow = this.flows.get(key);
    if (flow === undefined) {
      const payload = new Uint8Array(PAYLOAD_LENGTH);
      const template = innerPacket(from.prefix.address, to.prefix.address, payload);
      flow = { from, to, template, sent: 0, delivered: 0, excused: 0, seen: new Uint8Array(1024) };
      this.flows.set(key, flow);
    }
    return flow;
  }

  private delivered(node: SimulatedNode, packet: Uint8Array): void {
    const from = packet[HEADER_LENGTH]!;
    const to = packet[HEADER_LENGTH + 1]!;
    const flow = this.flows.get(from * 256 + to);
    const number = readNumber(packet);
    if (flow === undefined || number >= flow.sent || !isIntact(packet, flow, number)) {
      this.violations.altered++;
    } else if (to !== node.id) {
      this.violations.misdelivered++;
    } else if (mark(flow, number, DELIVERED)) {
      this.violations.duplicated++;
    } else {
      if ((flow.seen[number]! & EXCUSED) === 0) flow.delivered++;
      this.onDelivered(flow.from, flow.to, number);
    }
  }
}

/** True if the packet was marked so before. */
function mark(flow: Flow, number: number, bit: number): boolean {
  if (number >= flow.seen.length) {
    const grown = new Uint8Array(Math.max(number + 1, flow.seen.length * 2));
    grown.set(flow.seen);
    flow.seen = grown;
  }
  const before = flow.seen[number]!;
  flow.seen[number] = before | bit;
  return (before & bit) !== 0;
}

/** Both ids, the packet's number, and bytes that depend on all three. */
function fill(packet: Uint8Array, from: number, to: number, number: number): void {
  packet[HEADER_LENGTH] = from;
  packet[HEADER_LENGTH + 1] = to;
  let mixed = number;
  for (let i = 4; i < PAYLOAD_LENGTH; i++) {
    if (i < 8) {
      packet[HEADER_LENGTH + i] = number >>> ((i - 4) * 8);
    } else {
      mixed = Math.imul(mixed ^ (from << 8) ^ to, 0x9e3779b1) + i;
      packet[HEADER_LENGTH + i] = mixed >>> 24;
    }
  }
}

function readNumber(packet: Uint8Array): number {
  const at = HEADER_LENGTH + 4;
  return (
    (packet[at]! | (packet[at + 1]! << 8) | (packet[at + 2]! << 16) | (packet[at + 3]! << 24)) >>> 0
  );
}

const expected = new Uint8Array(HEADER_LENGTH + PAYLOAD_LENGTH);

function isIntact(packet: Uint8Array, flow: Flow, number: number): boolean {
  if (packet.length !== flow.template.length) return false;
  expected.set(flow.template);
  fill(expected, flow.from.id, flow.to.id, number);
  for (let i = 0; i < packet.length; i++) if (packet[i] !== expected[i]) return false;
  return true;
}
