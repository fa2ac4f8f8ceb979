import { parentPort, workerData } from 'node:worker_threads';
import { AllowedIps } from '../../src/datapath/allowedips.ts';
import { javascriptKernel } from '../../src/datapath/checksum.ts';
import { BUFFER, PacketMemory, type SharedMemory } from '../../src/datapath/memory.ts';
import { Outbound } from '../../src/datapath/outbound.ts';
import { TRANSPORT_DATA } from '../../src/wire/transport-data.ts';
import { address } from './plain.ts';

/** One lane in a thread of its own, sealing until no counter may be used. Posts those it used. */
const { layout, shared, lane, packet, header, ready } = workerData as {
  layout: PacketMemory['layout'];
  shared: SharedMemory;
  lane: number;
  packet: Uint8Array;
  header: Uint8Array;
  ready: SharedArrayBuffer;
};
const packets = new PacketMemory(layout, shared);
const allowedIps = new AllowedIps();
allowedIps.insert({ address: address(4, 2), length: 32 }, 1);
const counters: number[] = [];
let exhausted = false;
const outbound = new Outbound({
  memory: packets,
  thread: lane,
  lane,
  // Only the counters are looked at.
  aead: {
    name: 'none',
    seal() {},
    sealNext() {},
    sealEnd() {},
    open: () => false,
    openBefore: () => false,
    openEnd() {},
  },
  kernel: javascriptKernel(packets.memory),
  allowedIps,
  mtu: 1420,
  sink: {
    sendDatagrams: (_peer, offset, length, segmentSize) => {
      for (let at = offset; at < offset + length; at += segmentSize) {
        counters.push(packets.view.getUint32(at + TRANSPORT_DATA.counterLow, true));
      }
    },
    handshakeWanted: () => {},
  },
});
outbound.addPeer(1);
outbound.installKeypair(3);
outbound.sendOn(1, 3, false, 0);
const at = packets.buffers(lane) + BUFFER.packet;
const started = new Int32Array(ready);
Atomics.add(started, 0, 1);
while (Atomics.load(started, 0) < layout.lanes); // so that they race from the first packet on
while (!exhausted) {
  const before = counters.length;
  packets.u8.set(header, at - header.length);
  packets.u8.set(packet, at);
  outbound.send(at, packet.length, true, 1);
  outbound.flush();
  exhausted = counters.length === before;
}
parentPort?.postMessage(counters);
