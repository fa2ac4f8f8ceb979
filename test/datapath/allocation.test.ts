import { Session } from 'node:inspector/promises';
import { expect, test } from 'vitest';
import { AllowedIps } from '../../src/datapath/allowedips.ts';
import { javascriptKernel } from '../../src/datapath/checksum.ts';
import { Inbound } from '../../src/datapath/inbound.ts';
import { BUFFER, KEYPAIR, PacketMemory } from '../../src/datapath/memory.ts';
import { Outbound } from '../../src/datapath/outbound.ts';
import { encodeEndpoint } from '../../src/wire/endpoint.ts';
import { copyingAead } from '../lab/aead.ts';
import { payloadOf } from './arbitraries.ts';
import { address, build, leaveChecksumUnfinished, SHAPE, vnetHeaderBytes } from './plain.ts';

/** Bytes that each function of the data path allocates while `work` runs, garbage included. */
async function allocations(work: () => void): Promise<Record<string, number>> {
  const session = new Session();
  session.connect();
  await session.post('HeapProfiler.startSampling', {
    samplingInterval: 256,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  });
  work();
  const { profile } = await session.post('HeapProfiler.stopSampling');
  session.disconnect();
  const bytes: Record<string, number> = {};
  const add = (node: typeof profile.head): void => {
    const { functionName, url } = node.callFrame;
    if (url.includes('/src/')) bytes[functionName] = (bytes[functionName] ?? 0) + node.selfSize;
    for (const child of node.children) add(child);
  };
  add(profile.head);
  return bytes;
}

/**
 * A super-packet and single packets through both halves, a cipher that only copies between them.
 * Large indices, sequence numbers and addresses and a fractional clock: what V8 likes to box.
 */
test('nothing is allocated per packet once the code is warm', async () => {
  const memory = new PacketMemory({ maxPeers: 2, maxKeypairs: 2, threads: 1, lanes: 1 });
  const kernel = javascriptKernel(memory.memory);
  const aead = copyingAead(kernel);
  const allowedIps = new AllowedIps();
  allowedIps.insert({ address: address(4, 0), length: 24 }, 1);
  const at = memory.keypair(1);
  memory.u32[(at + KEYPAIR.peer) >> 2] = 1;
  memory.u32[(at + KEYPAIR.localIndex) >> 2] = 0xcafe_f00d;
  memory.u32[(at + KEYPAIR.remoteIndex) >> 2] = 0xcafe_f00d;
  memory.f64[(at + KEYPAIR.rejectAt) >> 3] = 180_000.25;
  memory.f64[(at + KEYPAIR.rekeyAt) >> 3] = 120_000.25;
  const endpoint = memory.buffers(0) + BUFFER.inboundDriver;
  encodeEndpoint(memory.u8, endpoint, {
    family: 4,
    address: Uint8Array.of(192, 0, 2, 1),
    port: 51820,
    scope: 0,
  });
  const now = 1000.5;
  let written = 0;
  const parts = { memory, thread: 0, lane: 0, aead, kernel, allowedIps };
  const inbound = new Inbound({
    ...parts,
    memoryAddress: 0x7f12_3456_0000,
    vnetHeader: true,
    coalesceTcp: true,
    coalesceUdp: true,
    sink: {
      handshake: () => {},
      keypairConfirmed: () => {},
      writePacket: (_iovecs, _count, length) => {
        written += length;
      },
    },
  });
  const outbound = new Outbound({
    ...parts,
    mtu: 1420,
    sink: {
      handshakeWanted: () => {},
      sendDatagrams: (_peer, offset, length, segment) =>
        inbound.receive(offset, length, segment, endpoint, now),
    },
  });
  inbound.installKeypair(1);
  outbound.installKeypair(1);
  outbound.sendOn(1, 1, false, now);

  const built = build({ ...SHAPE, sequence: 0xf000_0000, payload: payloadOf(20 * 1000, 1) });
  leaveChecksumUnfinished(built.bytes, built.transport, true);
  const vnet = vnetHeaderBytes({
    flags: 1,
    gsoType: 1,
    headerLength: 40,
    gsoSize: 1000,
    checksumStart: 20,
    checksumOffset: 16,
  });
  const single = build({ ...SHAPE, protocol: 'udp', payload: payloadOf(40, 2) }).bytes;
  const packet = memory.buffers(0) + BUFFER.packet;
  const rounds = (count: number): void => {
    for (let round = 0; round < count; round++) {
      memory.u8.set(vnet, packet - 10);
      memory.u8.set(built.bytes, packet);
      outbound.send(packet, built.bytes.length, true, now);
      for (let i = 0; i < 20; i++) {
        memory.u8.set(single, packet);
        outbound.send(packet, single.length, false, now);
      }
      outbound.flush();
      inbound.flush();
    }
  };

  let excess: Record<string, number> = {};
  // The optimiser works in the background: it gets a few tries.
  for (let tries = 0; tries < 30; tries++) {
    rounds(500);
    const bytes = await allocations(() => rounds(500));
    const perPacket = Object.entries(bytes).map(([name, n]) => [name, n / (500 * 40)] as const);
    excess = Object.fromEntries(perPacket.filter(([, n]) => n > 0.2));
    if (Object.keys(excess).length === 0) break;
  }
  expect(written).toBeGreaterThan(0);
  expect(excess).toEqual({});
});
