interface StagedPacket {
  /** Packet with its virtio-net header, if it has one; may be longer than the packet. */
  bytes: Uint8Array;
  length: number;
  headerLength: number;
}

/**
 * Packets that wait for a keypair, per peer. Bounded in packets per peer and in bytes altogether;
 * the peer's oldest go first (paper section 6.1: a queue of packets to be transmitted). When a
 * peer's queue is full, the buffer of the dropped packet is used again, so that a flood to a peer
 * that does not answer allocates nothing.
 */
export class Staging {
  /** Bytes held. */
  bytes = 0;
  private readonly maxPackets: number;
  private readonly maxBytes: number;
  private readonly queues = new Map<number, StagedPacket[]>();

  constructor(maxPackets: number, maxBytes: number) {
    this.maxPackets = maxPackets;
    this.maxBytes = maxBytes;
  }

  /** Packets staged for a peer. */
  count(peer: number): number {
    return this.queues.get(peer)?.length ?? 0;
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
      queue = [];
      this.queues.set(peer, queue);
    }
    let dropped = 0;
    let reusable: StagedPacket | undefined;
    while (
      queue.length > 0 &&
      (queue.length >= this.maxPackets || this.bytes + length > this.maxBytes)
    ) {
      const oldest = queue.shift()!;
      this.bytes -= oldest.bytes.length;
      dropped++;
      if (oldest.bytes.length >= length && this.bytes + oldest.bytes.length <= this.maxBytes) {
        reusable = oldest;
      }
    }
    if (this.bytes + length > this.maxBytes) return dropped + 1;
    const packet = reusable ?? { bytes: new Uint8Array(length), length, headerLength };
    packet.length = length;
    packet.headerLength = headerLength;
    for (let i = 0; i < length; i++) packet.bytes[i] = memory[offset + i]!;
    this.bytes += packet.bytes.length;
    queue.push(packet);
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
    const packet = this.queues.get(peer)?.shift();
    if (packet === undefined) return undefined;
    this.bytes -= packet.bytes.length;
    const { length, headerLength } = packet;
    memory.set(packet.bytes.subarray(0, length), end - headerLength);
    packet.bytes.fill(0);
    return { length: length - headerLength, headerLength };
  }

  /** Zeroes and drops what is staged for a peer; returns how many packets that were. */
  clear(peer: number): number {
    const queue = this.queues.get(peer);
    if (queue === undefined) return 0;
    for (const packet of queue) {
      this.bytes -= packet.bytes.length;
      packet.bytes.fill(0);
    }
    this.queues.delete(peer);
    return queue.length;
  }
}
