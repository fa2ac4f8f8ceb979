import { AllowedIps } from '../../datapath/allowedips.ts';
import { BUFFER, NONE, type PacketMemory } from '../../datapath/memory.ts';
import { clearEndpoint } from '../../datapath/peer-endpoint.ts';
import type { DataPlane, NewKeypair, PeerActivity } from '../../device/data-plane.ts';
import type { Endpoint } from '../../wire/endpoint.ts';
import type { Prefix } from '../../wire/prefix.ts';
import {
  clearHandshakeWanted,
  clearPeer,
  forgetNextKeypair,
  peerEndpoint,
  readActivity,
  setPeerEndpoint,
  settleNextKeypair,
  writeKeypair,
} from '../slots-in-memory.ts';
import {
  type Batch,
  controlThread,
  type InboundOperation,
  inboundThread,
  type OutboundOperation,
  outboundThread,
  type SharedOperation,
} from './messages.ts';
import { RouteChanges } from './routes.ts';

/** Hands a batch to one data worker. */
export type PostBatch = (
  thread: number,
  batch: Batch<OutboundOperation> | Batch<InboundOperation>,
) => void;

interface Waiting {
  readonly number: number;
  readonly done: () => void;
}

/**
 * The data path in its worker threads, as control sees it. What control does in one turn of its
 * event loop goes to each worker as one batch, in order; a change is done once all workers have
 * said so.
 */
export class WorkerDataPlane implements DataPlane {
  /** As the workers' tables will be. */
  readonly allowedIps = new AllowedIps();
  private readonly memory: PacketMemory;
  private readonly post: PostBatch;
  /** Where an endpoint is put together before it is written to a peer's slot. */
  private readonly endpointAt: number;
  /** Last changes; they go before whatever is asked for next. */
  private readonly routes = new RouteChanges();
  /** What goes to each lane's workers next. */
  private outbound: OutboundOperation[][];
  private inbound: InboundOperation[][];
  private scheduled = false;
  /** Number of the batch that is being filled. */
  private number = 1;
  /** Highest batch that each worker has carried out. */
  private readonly carriedOut: number[];
  /** In the order of their numbers. */
  private waiting: Waiting[] = [];
  private open = true;

  constructor(memory: PacketMemory, post: PostBatch) {
    this.memory = memory;
    this.post = post;
    const { lanes } = memory.layout;
    this.endpointAt = memory.buffers(controlThread(lanes)) + BUFFER.outboundDriver;
    this.outbound = noOperations(lanes);
    this.inbound = noOperations(lanes);
    this.carriedOut = new Array<number>(lanes * 2).fill(0);
  }

  addPeer(peer: number): void {
    clearPeer(this.memory, peer);
    this.toAll({ op: 'addPeer', peer });
  }

  removePeer(peer: number, done: () => void): void {
    this.allowedIps.removePeer(peer);
    this.toAll({ op: 'removePeer', peer }, () => {
      clearEndpoint(this.memory, peer); // a worker may not have been told yet when inbound cleared it
      done();
    });
  }

  setEndpoint(peer: number, endpoint: Endpoint | undefined): void {
    setPeerEndpoint(this.memory, peer, this.endpointAt, endpoint);
  }

  getEndpoint(peer: number): Endpoint | undefined {
    return peerEndpoint(this.memory, peer, this.endpointAt);
  }

  allow(prefix: Prefix, peer: number): void {
    this.allowedIps.insert(prefix, peer);
    this.routes.add(prefix, peer);
    this.schedule();
  }

  disallow(prefix: Prefix): void {
    this.allowedIps.remove(prefix);
    this.routes.add(prefix, NONE);
    this.schedule();
  }

  installKeypair(keypair: NewKeypair, done: () => void): void {
    writeKeypair(this.memory, keypair);
    this.toAll({ op: 'installKeypair', slot: keypair.slot }, done);
  }

  sendOn(peer: number, slot: number, confirm: boolean): void {
    clearHandshakeWanted(this.memory, peer);
    settleNextKeypair(this.memory, peer, slot);
    this.outbound.forEach((_, lane) => {
      // One packet confirms the keypair, so one lane sends it.
      this.toOutbound({ op: 'sendOn', peer, slot, confirm: confirm && lane === 0 }, lane);
    });
  }

  removeKeypair(slot: number, done: () => void): void {
    forgetNextKeypair(this.memory, slot);
    this.toAll({ op: 'removeKeypair', slot }, done);
  }

  acceptHandshakeRequests(peer: number): void {
    clearHandshakeWanted(this.memory, peer);
  }

  sendKeepalive(peer: number): void {
    this.toOutbound({ op: 'keepalive', peer }, 0);
  }

  dropStaged(peer: number): void {
    this.toAllOutbound({ op: 'dropStaged', peer });
  }

  addTraffic(peer: number, txBytes: number, rxBytes: number): void {
    if (txBytes > 0) this.toOutbound({ op: 'addTraffic', peer, bytes: txBytes }, 0);
    if (rxBytes > 0) this.toInbound({ op: 'addTraffic', peer, bytes: rxBytes }, 0);
  }

  activity(peer: number, into: PeerActivity): void {
    readActivity(this.memory, peer, into);
  }

  setMtu(mtu: number): void {
    this.toAllOutbound({ op: 'mtu', mtu });
  }

  /**
   * Calls `done` once everything asked for so far has been carried out by all workers: at once where
   * nothing ever was, so that nobody waits for workers that are still getting ready.
   */
  settled(done: () => void): void {
    if (this.number === 1 && !this.scheduled) done();
    else this.toAll({ op: 'pass' }, done);
  }

  /** Has every worker look at what is in the memory. */
  wake(): void {
    this.toAll({ op: 'pass' });
  }

  /** A worker has carried out every batch up to `number`. */
  acknowledged(thread: number, number: number): void {
    this.carriedOut[thread] = number;
    const reached = Math.min(...this.carriedOut);
    const ready = this.waiting.filter((entry) => entry.number <= reached);
    this.waiting = this.waiting.slice(ready.length);
    for (const { done } of ready) done();
  }

  /**
   * The workers have ended: nothing is in their hands any more, so everything still waiting for
   * them is done, and so is whatever is asked from here on.
   */
  close(): void {
    this.open = false;
    const { waiting } = this;
    this.waiting = [];
    for (const { done } of waiting) done();
  }

  private toAll(operation: SharedOperation, done?: () => void): void {
    this.toAllOutbound(operation);
    this.inbound.forEach((_, lane) => {
      this.toInbound(operation, lane);
    });
    if (done === undefined) return;
    if (this.open) this.waiting.push({ number: this.number, done });
    else done();
  }

  /** Keeps the order: the route changes gathered so far become an operation. */
  private sealRoutes(): void {
    if (this.routes.isEmpty) return;
    const changes = this.routes.take();
    for (const operations of this.outbound) operations.push({ op: 'changeRoutes', changes });
    for (const operations of this.inbound) operations.push({ op: 'changeRoutes', changes });
  }

  private toAllOutbound(operation: OutboundOperation): void {
    this.outbound.forEach((_, lane) => {
      this.toOutbound(operation, lane);
    });
  }

  private toOutbound(operation: OutboundOperation, lane: number): void {
    this.sealRoutes();
    this.outbound[lane]!.push(operation);
    this.schedule();
  }

  private toInbound(operation: InboundOperation, lane: number): void {
    this.sealRoutes();
    this.inbound[lane]!.push(operation);
    this.schedule();
  }

  /** A microtask: after the present call into the device, before anything else happens. */
  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      this.flush();
    });
  }

  private flush(): void {
    this.sealRoutes();
    const number = this.number++;
    const acknowledge = this.waiting.at(-1)?.number === number;
    const { outbound, inbound } = this;
    this.outbound = noOperations(outbound.length);
    this.inbound = noOperations(inbound.length);
    if (!this.open) return;
    // Inbound first: it has to know a keypair before outbound can provoke an answer on it.
    inbound.forEach((operations, lane) => {
      if (operations.length === 0) return;
      this.post(inboundThread(lane), { number, acknowledge, operations });
    });
    outbound.forEach((operations, lane) => {
      if (operations.length === 0) return;
      this.post(outboundThread(lane), { number, acknowledge, operations });
    });
  }
}

function noOperations<Operation>(lanes: number): Operation[][] {
  return Array.from({ length: lanes }, () => []);
}
