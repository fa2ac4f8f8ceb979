import { Bench } from 'tinybench';
import type { TransportAeadFactory } from '../../src/crypto/transport-aead.ts';
import { TRANSPORT_AEAD_FACTORIES } from '../../src/crypto/transport-select.ts';
import { wasmMemoryKernel } from '../../src/crypto/wasm/memory-kernel.ts';
import { AllowedIps } from '../../src/datapath/allowedips.ts';
import { javascriptKernel, type MemoryKernelFactory } from '../../src/datapath/checksum.ts';
import { Inbound } from '../../src/datapath/inbound.ts';
import { BUFFER, KEYPAIR, PacketMemory } from '../../src/datapath/memory.ts';
import { Outbound } from '../../src/datapath/outbound.ts';
import { copyingAead } from '../lab/aead.ts';
import { publish } from '../lab/suite.ts';

/**
 * The data path in memory: packets per second through one thread, without any I/O. "No cipher" is
 * everything but the cipher: lookups, segmentation, checksums, headers, replay window, coalescing.
 */

const MTU = 1420;
/** Like a real clock, no small integer. */
const NOW = 123_456.789;

const noCipher: TransportAeadFactory = (memory) =>
  copyingAead(wasmMemoryKernel(memory, 'wasm-simd'));

const CIPHERS: [string, TransportAeadFactory, MemoryKernelFactory][] = [
  ['no cipher', noCipher, (memory) => wasmMemoryKernel(memory, 'wasm-simd-revec')],
  ['no cipher, JavaScript sums', noCipher, javascriptKernel],
  [
    'wasm-simd-revec',
    TRANSPORT_AEAD_FACTORIES['wasm-simd-revec'],
    (memory) => wasmMemoryKernel(memory, 'wasm-simd-revec'),
  ],
  [
    'wasm-simd',
    TRANSPORT_AEAD_FACTORIES['wasm-simd'],
    (memory) => wasmMemoryKernel(memory, 'wasm-simd'),
  ],
  ['node', TRANSPORT_AEAD_FACTORIES.node, javascriptKernel],
];

interface Load {
  name: string;
  /** Inner packets of one super-packet from the TUN device, or 0: single packets. */
  gsoSize: number;
  /** Length of what is read from the TUN device. */
  length: number;
}

const LOADS: Load[] = [
  { name: 'TCP 64 KB super-packets', gsoSize: 1368, length: 52 + 45 * 1368 },
  { name: 'TCP segments of 1420', gsoSize: 0, length: 1420 },
  { name: 'UDP packets of 64', gsoSize: 0, length: 64 },
];
/** Single packets per batch. */
const SINGLES = 45;

function setUp(aead: TransportAeadFactory, kernel: MemoryKernelFactory) {
  const memory = new PacketMemory({ maxPeers: 4, maxKeypairs: 4, threads: 2, lanes: 1 });
  const allowedIps = new AllowedIps();
  allowedIps.insert({ address: Uint8Array.of(10, 0, 0, 0), length: 24 }, 1);
  const at = memory.keypair(2);
  memory.u8.fill(7, at, at + 64); // the same key both ways: it talks to itself
  memory.u32[(at + KEYPAIR.peer) >> 2] = 1;
  memory.u32[(at + KEYPAIR.localIndex) >> 2] = 0xcafe_f00d;
  memory.u32[(at + KEYPAIR.remoteIndex) >> 2] = 0xcafe_f00d;
  memory.f64[(at + KEYPAIR.rejectAt) >> 3] = Number.POSITIVE_INFINITY;
  memory.f64[(at + KEYPAIR.rekeyAt) >> 3] = Number.POSITIVE_INFINITY;
  const parts = (thread: number) => ({
    memory,
    thread,
    lane: 0,
    allowedIps,
    aead: aead(memory.memory, memory.scratch(thread)),
    kernel: kernel(memory.memory),
  });
  const endpoint = memory.buffers(1) + BUFFER.inboundDriver;
  const state = { receive: true, offset: 0, length: 0, segment: 0, written: 0 };
  const inbound = new Inbound({
    ...parts(1),
    memoryAddress: 0x7f12_3456_0000,
    vnetHeader: true,
    coalesceTcp: true,
    coalesceUdp: true,
    sink: {
      handshake: () => {},
      keypairConfirmed: () => {},
      writePacket: (_iovecs, _count, length) => {
        state.written += length;
      },
    },
  });
  const outbound = new Outbound({
    ...parts(0),
    mtu: MTU,
    sink: {
      handshakeWanted: () => {},
      sendDatagrams: (_peer, offset, length, segment) => {
        state.offset = offset;
        state.length = length;
        state.segment = segment;
        if (state.receive) inbound.receive(offset, length, segment, endpoint, NOW);
      },
    },
  });
  inbound.installKeypair(2);
  outbound.installKeypair(2);
  outbound.sendOn(1, 2, false, 0);
  return { memory, inbound, outbound, state, endpoint };
}

/** An IPv4 packet 10.0.0.1 -> 10.0.0.2; TCP with 12 bytes of options, or UDP below 100 bytes. */
function packet(length: number, gsoSize: number): { header: Uint8Array; bytes: Uint8Array } {
  const tcp = length >= 100;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x45, 0]);
  view.setUint16(2, length);
  bytes.set([0x40, 0, 64, tcp ? 6 : 17], 6);
  bytes.set([10, 0, 0, 1, 10, 0, 0, 2], 12);
  view.setUint32(20, 0x9c400050);
  if (tcp) view.setUint32(24, 0xf0000000);
  if (tcp) bytes.set([0x80, 0x10], 32);
  else view.setUint16(24, length - 20);
  const header = new Uint8Array(10);
  const vnet = new DataView(header.buffer);
  // Unfinished checksum: the sum of the pseudo header.
  let sum = 0x0a00 + 1 + 0x0a00 + 2 + (tcp ? 6 : 17) + (length - 20);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(20 + (tcp ? 16 : 6), sum);
  vnet.setUint8(0, 1);
  vnet.setUint8(1, gsoSize > 0 ? 1 : 0);
  vnet.setUint16(4, gsoSize, true);
  vnet.setUint16(6, 20, true);
  vnet.setUint16(8, tcp ? 16 : 6, true);
  return { header, bytes };
}

const results: Record<string, string | number>[] = [];
for (const [cipher, aead, kernel] of CIPHERS) {
  for (const load of LOADS) {
    const { memory, inbound, outbound, state, endpoint } = setUp(aead, kernel);
    const window = memory.replayWindow(2);
    const { header, bytes } = packet(load.length, load.gsoSize);
    const at = memory.buffers(0) + BUFFER.packet;
    const packets = load.gsoSize > 0 ? Math.ceil((load.length - 52) / load.gsoSize) : SINGLES;
    const payload = load.gsoSize > 0 ? load.length : load.length * SINGLES;

    const send = (): void => {
      for (let left = load.gsoSize > 0 ? 1 : SINGLES; left > 0; left--) {
        memory.u8.set(header, at - 10);
        memory.u8.set(bytes, at); // the copy that reading from the TUN device would be
        outbound.send(at, load.length, true, NOW);
      }
      outbound.flush();
    };
    state.receive = false;
    send();
    const { offset, length, segment } = state;
    const sealed = memory.u8.slice(offset, offset + length);
    const ways: [string, () => void][] = [
      ['out', send],
      [
        'in',
        () => {
          window.reset();
          memory.u8.set(sealed, memory.buffers(1) + BUFFER.datagrams);
          inbound.receive(memory.buffers(1) + BUFFER.datagrams, length, segment, endpoint, NOW);
          inbound.flush();
        },
      ],
      [
        'out and in',
        () => {
          state.receive = true;
          send();
          state.receive = false;
          inbound.flush();
        },
      ],
    ];
    for (const [way, run] of ways) {
      if (way === 'out and in') window.reset();
      const bench = new Bench({ time: 250, warmupTime: 100 });
      bench.add(way, run);
      await bench.run();
      const result = bench.tasks[0]!.result;
      if (result.state !== 'completed') throw new Error(`${way} did not complete`);
      const seconds = result.latency.mean / 1000;
      results.push({
        cipher,
        load: load.name,
        way,
        'packets/s': Math.round(packets / seconds),
        'ns per packet': Math.round((seconds * 1e9) / packets),
        'Gbit/s': Number(((payload * 8) / seconds / 1e9).toFixed(2)),
      });
    }
    if (state.written === 0) throw new Error('nothing arrived');
  }
}
publish('data path in memory', results);
