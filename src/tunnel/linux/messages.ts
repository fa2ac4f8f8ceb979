import type { TransportAeadName } from '../../crypto/transport-choice.ts';
import type { MemoryLayout, SharedMemory } from '../../datapath/memory.ts';

/** What control and the data workers say to each other. No secret is ever in a message. */

/** A change that all workers carry out, each on its half of the state. */
export type SharedOperation =
  | { readonly op: 'addPeer'; readonly peer: number }
  | { readonly op: 'removePeer'; readonly peer: number }
  | { readonly op: 'installKeypair'; readonly slot: number }
  | { readonly op: 'removeKeypair'; readonly slot: number }
  /** See routes.ts. */
  | { readonly op: 'changeRoutes'; readonly changes: Uint8Array }
  /** Nothing but an acknowledgement: the worker has left whatever it was waiting in. */
  | { readonly op: 'pass' };

export type OutboundOperation =
  | SharedOperation
  | {
      readonly op: 'sendOn';
      readonly peer: number;
      readonly slot: number;
      readonly confirm: boolean;
    }
  | { readonly op: 'keepalive'; readonly peer: number }
  | { readonly op: 'dropStaged'; readonly peer: number }
  | { readonly op: 'addTraffic'; readonly peer: number; readonly bytes: number }
  | { readonly op: 'mtu'; readonly mtu: number };

export type InboundOperation =
  | SharedOperation
  | { readonly op: 'addTraffic'; readonly peer: number; readonly bytes: number };

/** Carried out in order; the last one is acknowledged with its number if `acknowledge`. */
export interface Batch<Operation> {
  readonly number: number;
  readonly acknowledge: boolean;
  readonly operations: readonly Operation[];
}

export type Report =
  /** The worker is set up and about to wait for packets. */
  | { readonly report: 'ready'; readonly aead: string; readonly kernel: string }
  /** Every batch up to this number has been carried out. */
  | { readonly report: 'done'; readonly number: number }
  | { readonly report: 'handshakeWanted'; readonly peer: number }
  | { readonly report: 'keypairConfirmed'; readonly slot: number }
  /** `endpoint`: the sender in its ENDPOINT form. */
  | { readonly report: 'handshake'; readonly message: Uint8Array; readonly endpoint: Uint8Array }
  /** The lease is over: this worker has let go of all its keypairs. */
  | { readonly report: 'leaseOver' }
  /** Routes, rules or addresses have changed. */
  | { readonly report: 'routeEvent' }
  /** The interface may have changed its name, MTU, state or namespace. */
  | { readonly report: 'linkEvent' }
  /** The interface was deleted; the worker goes on serving control until it is stopped. */
  | { readonly report: 'linkGone' }
  /** The kernel refused an offload, which is off from now on. */
  | { readonly report: 'offloadRefused'; readonly offload: string; readonly error: string };

/**
 * Data thread numbers in the packet memory: the outbound and the inbound worker of each lane, then
 * control, which has one too for what it sends itself.
 */
export const outboundThread = (lane: number): number => 2 * lane;
export const inboundThread = (lane: number): number => 2 * lane + 1;
export const controlThread = (lanes: number): number => 2 * lanes;
export const threadCount = (lanes: number): number => 2 * lanes + 1;

/** What a worker is started with. */
export interface WorkerSetup {
  readonly layout: MemoryLayout;
  readonly memory: SharedMemory;
  /** See signals.ts. */
  readonly signals: SharedArrayBuffer;
  readonly wakeFd: number;
  readonly lane: number;
  /** The lane's own queue of the TUN device, and its own socket. */
  readonly tunFd: number;
  readonly udpFd: number;
  readonly udpFamily: number;
  /** Netlink sockets that the first lane's outbound worker waits on, too. */
  readonly linkFd: number;
  readonly routeFd: number;
  readonly mtu: number;
  /** Chosen and tested by control. */
  readonly aead: TransportAeadName;
  /** The compiled kernel if `aead` is one. */
  readonly kernelModule: WebAssembly.Module | undefined;
  /** Packets to and from the TUN device have a virtio-net header. */
  readonly vnetHeader: boolean;
  readonly coalesceTcp: boolean;
  readonly coalesceUdp: boolean;
  /** Batches of datagrams leave in one call (UDP_SEGMENT). */
  readonly udpSegmentation: boolean;
}
