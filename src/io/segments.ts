/**
 * The datagrams of a batch, which lie behind each other: `segmentSize` bytes each, the last one maybe
 * fewer. Views; an empty batch is one empty datagram.
 */
export function* segmentsOf(batch: Uint8Array, segmentSize: number): Generator<Uint8Array> {
  if (batch.length <= segmentSize) {
    yield batch;
    return;
  }
  for (let at = 0; at < batch.length; at += segmentSize) {
    yield batch.subarray(at, Math.min(at + segmentSize, batch.length));
  }
}
