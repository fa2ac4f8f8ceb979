import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { AllowedIps } from '../../../src/datapath/allowedips.ts';
import { EndpointRules } from '../../../src/datapath/endpoint-rules.ts';
import { BUFFER, KEYPAIR, LANE_PEER, PacketMemory } from '../../../src/datapath/memory.ts';
import { writeEndpoint } from '../../../src/datapath/peer-endpoint.ts';
import { O_CLOEXEC, O_NONBLOCK } from '../../../src/io/linux/constants.ts';
import type { DatagramSender } from '../../../src/io/linux/datagrams.ts';
import { ERRNO } from '../../../src/io/linux/errno.ts';
import { NativeBuffer, syscalls } from '../../../src/io/linux/syscalls.ts';
import { TunSink } from '../../../src/tunnel/linux/inbound-sink.ts';
import type { Report } from '../../../src/tunnel/linux/messages.ts';
import { UdpSink } from '../../../src/tunnel/linux/outbound-sink.ts';
import {
  MAX_QUEUED_HANDSHAKES,
  Signals,
  signalsBuffer,
} from '../../../src/tunnel/linux/signals.ts';
import { ENDPOINT, encodeEndpoint } from '../../../src/wire/endpoint.ts';
import { VNET_GSO, VNET_HEADER } from '../../../src/wire/virtio-net.ts';
import { requires } from '../../lab/requirements.ts';

const THREAD = 0;
const PEER_SLOT = 2;

let memory: PacketMemory;
let reports: Report[];
let scratch: number;
const report = (message: Report) => void reports.push(message);

beforeEach(() => {
  memory = new PacketMemory({ maxPeers: 4, maxKeypairs: 4, threads: 1, lanes: 1 });
  reports = [];
  scratch = memory.buffers(THREAD) + BUFFER.outboundDriver;
});

/** An eventfd: writes of anything but 8 bytes to it are refused with EINVAL. */
function refusingDescriptor(): number {
  const fd = syscalls().eventfd(0, O_NONBLOCK | O_CLOEXEC);
  onTestFinished(() => void syscalls().close(fd));
  return fd;
}

requires('linux', 'node:ffi')('the sinks of the data workers', () => {
  describe('datagrams', () => {
    type Call = { offset: number; length: number; segmentSize: number; sticky: boolean };

    /** A sink whose socket answers as `kernel` says. */
    function sink(kernel: (call: Call) => number, source = false) {
      const calls: Call[] = [];
      encodeEndpoint(memory.u8, scratch, {
        family: 4,
        address: Uint8Array.of(192, 0, 2, 1),
        port: 51820,
        scope: 0,
        ...(source ? { source: Uint8Array.of(192, 0, 2, 9), sourceInterface: 3 } : {}),
      });
      writeEndpoint(memory, PEER_SLOT, scratch);
      const sender = {
        endpoint: scratch + ENDPOINT.length,
        send(
          _endpoint: number,
          offset: number,
          length: number,
          segmentSize: number,
          sticky: boolean,
        ) {
          const call = { offset, length, segmentSize, sticky };
          calls.push(call);
          return kernel(call);
        },
      } as unknown as DatagramSender;
      const udp = new UdpSink({
        memory,
        thread: THREAD,
        sender,
        endpointRules: new EndpointRules(memory, new AllowedIps()),
        udpFd: refusingDescriptor(),
        segmentation: true,
        stopped: () => false,
        report,
      });
      return { udp, calls };
    }

    test('leave as one batch', () => {
      const { udp, calls } = sink(({ length }) => length);
      udp.sendDatagrams(PEER_SLOT, 5000, 250, 100);
      expect(calls).toEqual([{ offset: 5000, length: 250, segmentSize: 100, sticky: true }]);
    });

    test('leave one by one, for good and reported, where the way out has no such offload', () => {
      const { udp, calls } = sink(({ length, segmentSize }) =>
        length > segmentSize ? -ERRNO.EIO : length,
      );
      udp.sendDatagrams(PEER_SLOT, 5000, 250, 100);
      udp.sendDatagrams(PEER_SLOT, 5000, 200, 100);
      expect(calls.map(({ offset, length }) => [offset, length])).toEqual([
        [5000, 250],
        [5000, 100],
        [5100, 100],
        [5200, 50],
        [5000, 100],
        [5100, 100],
      ]);
      expect(reports).toEqual([{ report: 'offloadRefused', offload: 'UDP_SEGMENT', error: 'EIO' }]);
      expect(memory.drops('udpSendFailed')).toBe(0);
    });

    test.each(['EINVAL', 'EMSGSIZE'] as const)(
      'too long for the path as a batch (%s) leave one by one this time',
      (name) => {
        const { udp, calls } = sink(({ length, segmentSize }) =>
          length > segmentSize ? -ERRNO[name] : length,
        );
        udp.sendDatagrams(PEER_SLOT, 0, 200, 100);
        expect(calls).toHaveLength(3);
        udp.sendDatagrams(PEER_SLOT, 0, 200, 100);
        expect(calls).toHaveLength(6);
        expect(reports).toEqual([]);
      },
    );

    test('leave from another address where the one spoken to is gone', () => {
      const { udp, calls } = sink(({ sticky, length }) => (sticky ? -ERRNO.EINVAL : length), true);
      udp.sendDatagrams(PEER_SLOT, 0, 250, 100);
      expect(calls.map(({ length, sticky }) => [length, sticky])).toEqual([
        [250, true],
        [250, false],
      ]);
      expect(memory.drops('udpSendFailed')).toBe(0);
    });

    test('wait for room in the socket', () => {
      let full = 3;
      const { udp, calls } = sink(({ length }) => (full-- > 0 ? -ERRNO.EAGAIN : length));
      udp.sendDatagrams(PEER_SLOT, 0, 100, 100);
      expect(calls).toHaveLength(4);
      expect(memory.drops('udpSendFailed')).toBe(0);
    });

    test('that cannot leave are counted', () => {
      const { udp } = sink(() => -ERRNO.EPERM);
      udp.sendDatagrams(PEER_SLOT, 0, 250, 100);
      expect(memory.drops('udpSendFailed')).toBe(3);
      udp.sendDatagrams(PEER_SLOT + 1, 0, 250, 100);
      expect(memory.drops('noEndpoint')).toBe(3);
    });
  });

  describe('packets and messages for this side', () => {
    function sink(tunFd = refusingDescriptor()) {
      const signals = new Signals(signalsBuffer(1));
      const native = new NativeBuffer(memory.memory.buffer as unknown as SharedArrayBuffer);
      const tun = new TunSink({
        memory,
        native,
        thread: THREAD,
        tunFd,
        vnetHeader: true,
        signals,
        report,
      });
      return { tun, native, signals };
    }

    function writeRefused({ tun, native }: ReturnType<typeof sink>, gsoType: number): void {
      const header = scratch + 1024;
      native.storeAddress(memory.view, scratch, header);
      memory.view.setBigUint64(scratch + 8, BigInt(VNET_HEADER.length), true);
      memory.u8[header + VNET_HEADER.gsoType] = gsoType;
      tun.writePacket(scratch, 1, VNET_HEADER.length);
    }

    test('a super-packet that the kernel refuses ends coalescing, which is reported once', () => {
      const refused = sink();
      writeRefused(refused, VNET_GSO.tcp4);
      writeRefused(refused, VNET_GSO.tcp4);
      expect(refused.tun.coalescingRefused).toBe(true);
      expect(reports).toEqual([
        { report: 'offloadRefused', offload: 'coalescing', error: 'EINVAL' },
      ]);
      expect(memory.drops('tunWriteFailed')).toBe(2);
    });

    test('a plain packet that the kernel refuses is only counted', () => {
      const refused = sink();
      writeRefused(refused, VNET_GSO.none);
      expect(refused.tun.coalescingRefused).toBe(false);
      expect(reports).toEqual([]);
      expect(memory.drops('tunWriteFailed')).toBe(1);
    });

    /** A handshake message from 10.0.`network`.1. */
    function handshakeFrom(tun: TunSink, network: number): void {
      const address = Uint8Array.of(10, 0, network, 1);
      const endpoint = { family: 4, address, port: 51820, scope: 0 } as const;
      encodeEndpoint(memory.u8, scratch + 512, endpoint);
      tun.handshake(scratch, 148, scratch + 512);
    }

    test('handshake messages go to control, as many as its queue takes', () => {
      const { tun, signals } = sink();
      memory.u8.fill(7, scratch, scratch + 148);
      for (let i = 0; i < 100 * MAX_QUEUED_HANDSHAKES; i++) handshakeFrom(tun, i % 256);
      expect(reports).toHaveLength(MAX_QUEUED_HANDSHAKES);
      expect(memory.drops('handshakeQueueFull')).toBe(99 * MAX_QUEUED_HANDSHAKES);
      expect(reports[0]).toMatchObject({
        report: 'handshake',
        message: new Uint8Array(148).fill(7),
      });
      memory.u8.fill(8, scratch, scratch + 148); // the message was copied
      expect(reports[0]).toMatchObject({ message: new Uint8Array(148).fill(7) });
      signals.releaseHandshakePlaces(MAX_QUEUED_HANDSHAKES);
      handshakeFrom(tun, 1);
      expect(reports).toHaveLength(MAX_QUEUED_HANDSHAKES + 1);
    });

    test('a flood from one address leaves room for others', () => {
      const { tun } = sink();
      for (let i = 0; i < 10_000; i++) handshakeFrom(tun, 1);
      expect(reports.length).toBeLessThan(MAX_QUEUED_HANDSHAKES);
      const flooded = reports.length;
      // Of a few others hardly any shares the flood's bucket.
      for (let network = 2; network < 12; network++) handshakeFrom(tun, network);
      expect(reports.length).toBeGreaterThanOrEqual(flooded + 8);
    });

    test('a confirmed keypair is sent on before its packet is delivered, or soon given up on', () => {
      const { tun } = sink();
      const slot = 3;
      memory.u32[(memory.keypair(slot) + KEYPAIR.peer) >> 2] = PEER_SLOT;
      const sending = (memory.lanePeer(0, PEER_SLOT) + LANE_PEER.sendKeypair) >> 2;
      Atomics.store(memory.i32, sending, slot);
      tun.keypairConfirmed(slot);
      expect(reports).toEqual([{ report: 'keypairConfirmed', slot }]);

      Atomics.store(memory.i32, sending, 1);
      const started = performance.now();
      tun.keypairConfirmed(slot);
      expect(performance.now() - started).toBeGreaterThan(4);
    });

    test('with several lanes, a confirmed keypair is waited for until all of them send on it', () => {
      memory = new PacketMemory({ maxPeers: 4, maxKeypairs: 4, threads: 2, lanes: 2 });
      const { tun } = sink();
      const slot = 3;
      memory.u32[(memory.keypair(slot) + KEYPAIR.peer) >> 2] = PEER_SLOT;
      const sendOn = (lane: number, keypair: number) => {
        const at = memory.lanePeer(lane, PEER_SLOT) + LANE_PEER.sendKeypair;
        Atomics.store(memory.i32, at >> 2, keypair);
      };
      const waited = () => {
        const started = performance.now();
        tun.keypairConfirmed(slot);
        return performance.now() - started;
      };
      sendOn(0, slot);
      sendOn(1, 1);
      expect(waited()).toBeGreaterThan(4);
      sendOn(0, 1);
      sendOn(1, slot);
      expect(waited()).toBeGreaterThan(4);
      sendOn(0, slot);
      expect(Math.min(waited(), waited(), waited())).toBeLessThan(4);
    });
  });
});
