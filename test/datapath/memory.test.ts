import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { BUFFER, BUFFER_LENGTH, DROP, PacketMemory } from '../../src/datapath/memory.ts';
import {
  clearEndpoint,
  endpointDiffers,
  readEndpoint,
  writeEndpoint,
} from '../../src/datapath/peer-endpoint.ts';
import { encodeEndpoint } from '../../src/wire/endpoint.ts';

const SLACK = 256;

describe('packet memory', () => {
  test('the areas of a thread hold what they are for and do not overlap', () => {
    const areas = [
      [BUFFER.packetHeader, 10 + BUFFER.packetLength + SLACK],
      [BUFFER.datagrams, BUFFER.datagramsLength + SLACK],
      [BUFFER.opened, BUFFER.openedLength + SLACK],
      [BUFFER.coalesce, BUFFER.coalesceLength],
      [BUFFER.inboundDriver, BUFFER.driverLength],
      [BUFFER.outboundDriver, BUFFER.driverLength],
      [BUFFER.batch, BUFFER.batchStride * BUFFER.batchCount],
    ] as const;
    expect(BUFFER.batchStride).toBeGreaterThanOrEqual(65507 + SLACK);
    for (const [i, [start, length]] of areas.entries()) {
      expect(start + length).toBeLessThanOrEqual(areas[i + 1]?.[0] ?? BUFFER_LENGTH);
    }
  });

  test('slots, scratch, counters and buffers of all threads follow each other', () => {
    const memory = new PacketMemory({ maxPeers: 3, maxKeypairs: 5, threads: 2, lanes: 1 });
    const marks = [
      memory.keypair(0),
      memory.keypair(5),
      memory.peer(0),
      memory.peer(3),
      memory.scratch(0),
      memory.counters(0),
      memory.buffers(0),
      memory.scratch(1),
      memory.buffers(1),
      memory.buffers(1) + BUFFER_LENGTH,
      memory.u8.length,
    ];
    expect([...marks].sort((a, b) => a - b)).toEqual(marks);
    for (const mark of marks) expect(mark % 64).toBe(0);
  });

  test('drops of all threads are added up', () => {
    const memory = new PacketMemory({ maxPeers: 1, maxKeypairs: 1, threads: 2, lanes: 1 });
    memory.addDrops(0, DROP.replayed, 2);
    memory.addDrops(1, DROP.replayed, 3);
    memory.addDrops(1, DROP.tooLarge, 1);
    expect(memory.drops('replayed')).toBe(5);
    expect(memory.drops('tooLarge')).toBe(1);
    expect(memory.drops('noEndpoint')).toBe(0);
  });

  test('has so little that V8 counts, with room for the largest mesh, that no garbage is collected for it', () => {
    const memory = new PacketMemory({
      maxPeers: 20_480,
      maxKeypairs: 204_800,
      threads: 9,
      lanes: 4,
    });
    expect(memory.u8.length).toBeLessThan(64 * 1024 * 1024);
  });

  test('refuses a memory that is too small for its layout', () => {
    const memory = new PacketMemory({ maxPeers: 1, maxKeypairs: 1, threads: 1, lanes: 1 });
    expect(
      () => new PacketMemory({ maxPeers: 1, maxKeypairs: 1, threads: 2, lanes: 1 }, memory),
    ).toThrow(RangeError);
  });
});

describe('endpoint of a peer', () => {
  test('is what was written, until it is cleared', () => {
    const memory = new PacketMemory({ maxPeers: 2, maxKeypairs: 1, threads: 1, lanes: 1 });
    const at = memory.buffers(0);
    expect(readEndpoint(memory, 1, at + 64)).toBe(false);
    const address = Uint8Array.from({ length: 16 }, (_, i) => i);
    encodeEndpoint(memory.u8, at, { family: 6, address, port: 5, scope: 3, source: address });
    expect(endpointDiffers(memory, 1, at)).toBe(true);
    writeEndpoint(memory, 1, at);
    expect(endpointDiffers(memory, 1, at)).toBe(false);
    expect(readEndpoint(memory, 1, at + 64)).toBe(true);
    expect(memory.u8.slice(at + 64, at + 112)).toEqual(memory.u8.slice(at, at + 48));
    clearEndpoint(memory, 1);
    expect(readEndpoint(memory, 1, at + 64)).toBe(false);
  });

  test('is never read torn while two threads write it', async () => {
    const layout = { maxPeers: 1, maxKeypairs: 1, threads: 3, lanes: 1 };
    const memory = new PacketMemory(layout);
    const shared = { memory: memory.memory, windows: memory.windows };
    const url = new URL('./endpoint-writer.ts', import.meta.url);
    const writers = [1, 2].map(
      (thread) => new Worker(url, { workerData: { layout, shared, thread, rounds: 200_000 } }),
    );
    let running = writers.length;
    const exits = writers.map((writer) => once(writer, 'exit').then(() => running--));
    const at = memory.buffers(0) >> 2;
    const seen = new Set<number>();
    let isOver = false;
    do {
      isOver = running === 0; // and once more: there may have been no processor for this thread while they ran
      for (let reads = 0; reads < 20_000; reads++) {
        readEndpoint(memory, 0, at << 2);
        const first = memory.u32[at]!;
        seen.add(first);
        for (let word = 1; word < 12; word++) {
          if (memory.u32[at + word] !== first) expect.unreachable('torn endpoint');
        }
      }
      await new Promise(setImmediate);
    } while (!isOver);
    await Promise.all(exits);
    expect(seen.size).toBeGreaterThan(1); // how many more depends on who else uses the processors
  });
});
