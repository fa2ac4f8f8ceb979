import { workerData } from 'node:worker_threads';
import { PacketMemory } from '../../src/datapath/memory.ts';
import { writeEndpoint } from '../../src/datapath/peer-endpoint.ts';

/** Writes endpoints to peer 0 whose words are all the same number, one after the other. */
const { layout, memory, thread, rounds } = workerData as {
  layout: PacketMemory['layout'];
  memory: WebAssembly.Memory;
  thread: number;
  rounds: number;
};
const packets = new PacketMemory(layout, memory);
const at = packets.buffers(thread);
for (let round = 1; round <= rounds; round++) {
  packets.u32.fill(round * 4 + thread, at >> 2, (at >> 2) + 12);
  writeEndpoint(packets, 0, at);
}
