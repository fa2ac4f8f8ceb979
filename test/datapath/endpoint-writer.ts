import { workerData } from 'node:worker_threads';
import { PacketMemory, type SharedMemory } from '../../src/datapath/memory.ts';
import { writeEndpoint } from '../../src/datapath/peer-endpoint.ts';

/** Writes endpoints to peer 0 whose words are all the same number, one after the other. */
const { layout, shared, thread, rounds } = workerData as {
  layout: PacketMemory['layout'];
  shared: SharedMemory;
  thread: number;
  rounds: number;
};
const packets = new PacketMemory(layout, shared);
const at = packets.buffers(thread);
for (let round = 1; round <= rounds; round++) {
  packets.u32.fill(round * 4 + thread, at >> 2, (at >> 2) + 12);
  writeEndpoint(packets, 0, at);
}
