import { BUFFER, NONE, type PacketMemory } from '../../datapath/memory.ts';
import { clearEndpoint, readEndpoint, writeEndpoint } from '../../datapath/peer-endpoint.ts';
import type { DataPlane, NewKeypair, PeerActivity } from '../../device/data-plane.ts';
import { decodeEndpoint, type Endpoint, encodeEndpoint } from '../../wire/endpoint.ts';
import type { Prefix } from '../../wire/prefix.ts';
import { clearHandshakeWanted, readActivity, writeKeypair } from '../slots-in-memory.ts';
import {
  type Batch,
  type InboundOperation,
  type OutboundOperation,
  type SharedOperation,
  THREAD,
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
 * The data path in its two worker threads, as control sees it. What control does in one turn of
 * its event loop goes to each worker as one batch, in order; a change is done once both workers
 * have said so.
 */
export class WorkerDataPlane implements DataPlane {
  private readonly memory: PacketMemory;
  private readonly post: PostBatch;
  /** Where an endpoint is put together before it is written to a peer's slot. */
  private readonly endpointAt: number;
  /** Last changes; they go before whatever is asked for next. */
  private readonly routes = new RouteChanges();
  private outbound: OutboundOperation[] = [];
  private inbound: InboundOperation[] = [];
  private scheduled = false;
  /** Number of the batch that is being filled. */
  private number = 1;
  /** Highest batch that each worker has carried out. */
  private readonly carriedOut = [0, 0];
  /** In the order of their numbers. */
  private waiting: Waiting[] = [];
  private open = true;

  constructor(memory: PacketMemory, post: PostBatch) {
    this.memory = memory;
    this.post = post;
    this.endpointAt = memory.buffers(THREAD.control) + BUFFER.outboundDriver;
  }

  addPeer(peer: number): void {
    clearEndpoint(this.memory, peer);
    this.both({ op: 'addPeer', peer });
  }

  removePeer(peer: number, done: () => void): void {
    this.both({ op: 'removePeer', peer }, () => {
      clearEndpoint(this.memory, peer); // outbound may not have been told yet when inbound cleared it
      done();
    });
  }

  setEndpoint(peer: number, endpoint: Endpoint | undefined): void {
    if (endpoint === undefined) {
      clearEndpoint(this.memory, peer);
      return;
    }
    encodeEndpoint(this.memory.u8, this.endpointAt, endpoint);
    writeEndpoint(this.memory, peer, this.endpointAt);
  }

  getEndpoint(peer: number): Endpoint | undefined {
    if (!readEndpoint(this.memory, peer, this.endpointAt)) return undefined;
    return decodeEndpoint(this.memory.u8, this.endpointAt);
  }

  allow(prefix: Prefix, peer: number): void {
    this.routes.add(prefix, peer);
    this.schedule();
  }

  disallow(prefix: Prefix): void {
    this.routes.add(prefix, NONE);
    this.schedule();
  }

  installKeypair(keypair: NewKeypair, done: () => void): void {
    writeKeypair(this.memory, keypair);
    this.both({ op: 'installKeypair', slot: keypair.slot }, done);
  }

  sendOn(peer: number, slot: number, confirm: boolean): void {
    clearHandshakeWanted(this.memory, peer);
    this.toOutbound({ op: 'sendOn', peer, slot, confirm });
  }

  removeKeypair(slot: number, done: () => void): void {
    this.both({ op: 'removeKeypair', slot }, done);
  }

  acceptHandshakeRequests(peer: number): void {
    clearHandshakeWanted(this.memory, peer);
  }

  sendKeepalive(peer: number): void {
    this.toOutbound({ op: 'keepalive', peer });
  }

  dropStaged(peer: number): void {
    this.toOutbound({ op: 'dropStaged', peer });
  }

  addTraffic(peer: number, txBytes: number, rxBytes: number): void {
    if (txBytes > 0) this.toOutbound({ op: 'addTraffic', peer, bytes: txBytes });
    if (rxBytes > 0) this.toInbound({ op: 'addTraffic', peer, bytes: rxBytes });
  }

  activity(peer: number, into: PeerActivity): void {
    readActivity(this.memory, peer, into);
  }

  setMtu(mtu: number): void {
    this.toOutbound({ op: 'mtu', mtu });
  }

  /** Netlink socket to watch for link events. The one watched before may be closed after `done`. */
  watchLink(fd: number, done: () => void): void {
    this.toOutbound({ op: 'watchLink', fd });
    this.settled(done);
  }

  /** Calls `done` once everything asked for so far has been carried out on both workers. */
  settled(done: () => void): void {
    this.both({ op: 'pass' }, done);
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

  private both(operation: SharedOperation, done?: () => void): void {
    this.toOutbound(operation);
    this.toInbound(operation);
    if (done === undefined) return;
    if (this.open) this.waiting.push({ number: this.number, done });
    else done();
  }

  /** Keeps the order: the route changes gathered so far become an operation. */
  private sealRoutes(): void {
    if (this.routes.isEmpty) return;
    const changes = this.routes.take();
    this.outbound.push({ op: 'changeRoutes', changes });
    this.inbound.push({ op: 'changeRoutes', changes });
  }

  private toOutbound(operation: OutboundOperation): void {
    this.sealRoutes();
    this.outbound.push(operation);
    this.schedule();
  }

  private toInbound(operation: InboundOperation): void {
    this.sealRoutes();
    this.inbound.push(operation);
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
    this.outbound = [];
    this.inbound = [];
    if (!this.open) return;
    // Inbound first: it has to know a keypair before outbound can provoke an answer on it.
    if (inbound.length > 0) this.post(THREAD.inbound, { number, acknowledge, operations: inbound });
    if (outbound.length > 0) {
      this.post(THREAD.outbound, { number, acknowledge, operations: outbound });
    }
  }
}
