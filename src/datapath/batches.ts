import { NONE } from './memory.ts';
import type { OutboundSink } from './sinks.ts';

/** What fits into one UDP datagram over IPv4, and so into one sendmsg. */
export const MAX_BATCH_BYTES = 65_507;
/** UDP_MAX_SEGMENTS of the kernel. */
const MAX_BATCH_DATAGRAMS = 64;

/** Datagrams of one peer, one behind the other, all `segment` bytes long, the last maybe shorter. */
class Batch {
  readonly offset: number;
  peer = NONE;
  length = 0;
  count = 0;
  segment = 0;

  constructor(offset: number) {
    this.offset = offset;
  }

  /** True if a datagram of `size` bytes can be added. */
  takes(size: number): boolean {
    return (
      // Only the last may be shorter than the first, and none may be longer.
      size <= this.segment &&
      this.length === this.count * this.segment &&
      this.count < MAX_BATCH_DATAGRAMS &&
      this.length + size <= MAX_BATCH_BYTES
    );
  }
}

/**
 * The batches being filled, each of another peer, so that packets which come mixed for several
 * peers still leave in few calls. The order is kept within a peer.
 */
export class Batches {
  private readonly sink: Pick<OutboundSink, 'sendDatagrams'>;
  private readonly batches: Batch[] = [];
  /** Batches with something in them: the first ones of the list. */
  private open = 0;

  /** `count` areas of `stride` bytes from byte `offset` on. */
  constructor(
    sink: Pick<OutboundSink, 'sendDatagrams'>,
    offset: number,
    stride: number,
    count: number,
  ) {
    this.sink = sink;
    for (let i = 0; i < count; i++) this.batches.push(new Batch(offset + i * stride));
  }

  /** Place for a datagram of `size` bytes to this peer. What does not go with it is sent first. */
  reserve(peer: number, size: number): number {
    const { batches } = this;
    let index = 0;
    while (index < this.open && batches[index]!.peer !== peer) index++;
    if (index === batches.length) {
      this.flush();
      index = 0;
    }
    const batch = batches[index]!;
    if (index === this.open) {
      this.open++;
      this.begin(batch, peer, size);
    } else if (!batch.takes(size)) {
      this.send(batch);
      this.begin(batch, peer, size);
    }
    const at = batch.offset + batch.length;
    batch.length += size;
    batch.count++;
    return at;
  }

  /** Sends everything. */
  flush(): void {
    const { open } = this;
    this.open = 0;
    for (let i = 0; i < open; i++) this.send(this.batches[i]!);
  }

  private begin(batch: Batch, peer: number, segment: number): void {
    batch.peer = peer;
    batch.length = 0;
    batch.count = 0;
    batch.segment = segment;
  }

  private send(batch: Batch): void {
    this.sink.sendDatagrams(batch.peer, batch.offset, batch.length, batch.segment);
  }
}
