import {
  MAX_STAGED_BYTES,
  MAX_STAGED_BYTES_PER_PEER,
  MAX_STAGED_PACKETS,
} from '../session/limits.ts';

interface StagedPacket {
  /** Packet with its virtio-net header, if it has one; may be longer than the packet. */
  bytes: Uint8Array;
  length: number;
  headerLength: number;
}

interface Queue {
  readonly packets: StagedPacket[];
  /** Sum of the buffers' lengths. */
  bytes: number;
}

/**
 * Packets that wait for a keypair, per peer. Bounded in packets and bytes per peer and in bytes
 * altogether; the peer's oldest go first. When a peer's queue is full, the buffer of a dropped
 * packet is used again, so that a flood to a peer that does not answer allocates no buffers.
 */
export class Staging {
  private bytes = 0;
  private readonly queues = new Map<number, Queue>();

  /** Packets staged for a peer. */
  count(peer: number): number {
    return this.queues.get(peer)?.packets.length ?? 0;
  }

  /**
   * Copies `length` bytes at `offset`, the first `headerLength` of which are a virtio-net header.
   * Returns how many packets were dropped for it (itself included, if it does not fit).
   */
  push(
    peer: number,
    memory: Uint8Array,
    offset: number,
    length: number,
    headerLength: number,
  ): number {
    let queue = this.queues.get(peer);
    if (queue === undefined) {
      queue = { packets: [], bytes: 0 };
      this.queues.set(peer, queue);
    }
    const { packets } = queue;
    let dropped = 0;
    let buffer: Uint8Array | undefined;
    while (
      packets.length > 0 &&
      (packets.length >= MAX_STAGED_PACKETS || !this.hasRoom(queue, length))
    ) {
      const { bytes } = this.takeOldest(queue)!;
      dropped++;
      if (bytes.length >= length && this.hasRoom(queue, bytes.length)) buffer = bytes;
    }
    if (!this.hasRoom(queue, length)) return dropped + 1;
    buffer ??= new Uint8Array(length);
    buffer.set(memory.subarray(offset, offset + length));
    packets.push({ bytes: buffer, length, headerLength });
    queue.bytes += buffer.length;
    this.bytes += buffer.length;
    return dropped;
  }

  /**
   * Moves the oldest packet to `end - headerLength` of `memory`, so that the packet itself begins
   * at `end`. Undefined if there is none.
   */
  shift(
    peer: number,
    memory: Uint8Array,
    end: number,
  ): { length: number; headerLength: number } | undefined {
    const queue = this.queues.get(peer);
    const packet = queue === undefined ? undefined : this.takeOldest(queue);
    if (packet === undefined) return undefined;
    const { bytes, length, headerLength } = packet;
    memory.set(bytes.subarray(0, length), end - headerLength);
    bytes.fill(0);
    return { length: length - headerLength, headerLength };
  }

  /** Zeroes and drops what is staged for a peer; returns how many packets that were. */
  clear(peer: number): number {
    const queue = this.queues.get(peer);
    if (queue === undefined) return 0;
    for (const { bytes } of queue.packets) bytes.fill(0);
    this.bytes -= queue.bytes;
    this.queues.delete(peer);
    return queue.packets.length;
  }

  private hasRoom(queue: Queue, length: number): boolean {
    return (
      queue.bytes + length <= MAX_STAGED_BYTES_PER_PEER && this.bytes + length <= MAX_STAGED_BYTES
    );
  }

  private takeOldest(queue: Queue): StagedPacket | undefined {
    const packet = queue.packets.shift();
    if (packet === undefined) return undefined;
    queue.bytes -= packet.bytes.length;
    this.bytes -= packet.bytes.length;
    return packet;
  }
}
