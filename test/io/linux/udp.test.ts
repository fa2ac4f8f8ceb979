import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import {
  AF_INET,
  IP_PKTINFO,
  IPPROTO_IP,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
} from '../../../src/io/linux/constants.ts';
import {
  DATAGRAM_AREA_LENGTH,
  DatagramReceiver,
  DatagramSender,
} from '../../../src/io/linux/datagrams.ts';
import { ERRNO } from '../../../src/io/linux/errno.ts';
import { NativeBuffer, syscalls } from '../../../src/io/linux/syscalls.ts';
import { UdpSocket } from '../../../src/io/linux/udp.ts';
import { ENDPOINT } from '../../../src/wire/endpoint.ts';
import { requires } from '../../lab/requirements.ts';

const OUT = 0;
const IN = DATAGRAM_AREA_LENGTH;
const ENDPOINT_AT = 1024;
const SENT = 4096;
const RECEIVED = 1 << 17;

/** A socket with its sender and receiver in a memory of its own. */
function station(port = 0, gro = false) {
  const socket = new UdpSocket({ port, fwmark: 0, gro });
  open.push(socket);
  const memory = new NativeBuffer(1 << 18);
  const sender = new DatagramSender(socket.fd, socket.family, memory, OUT);
  const receiver = new DatagramReceiver(socket.fd, socket.family, memory, IN, RECEIVED, 65536);
  return { socket, memory, sender, receiver };
}
type Station = ReturnType<typeof station>;

const open: UdpSocket[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.close();
});

function writeEndpoint(
  { memory }: Station,
  address: number[],
  port: number,
  source?: number[],
): void {
  const { u8, view } = memory;
  u8.fill(0, ENDPOINT_AT, ENDPOINT_AT + ENDPOINT.length);
  view.setUint16(ENDPOINT_AT + ENDPOINT.family, address.length === 4 ? 4 : 6, true);
  view.setUint16(ENDPOINT_AT + ENDPOINT.port, port, true);
  u8.set(address, ENDPOINT_AT + ENDPOINT.address);
  if (source === undefined) return;
  view.setUint16(ENDPOINT_AT + ENDPOINT.hasSource, 1, true);
  u8.set(source, ENDPOINT_AT + ENDPOINT.source);
}

function send(from: Station, bytes: Uint8Array, segmentSize = bytes.length, sticky = true): number {
  from.memory.u8.set(bytes, SENT);
  return from.sender.send(ENDPOINT_AT, SENT, bytes.length, segmentSize, sticky);
}

function received({ memory, receiver }: Station) {
  const length = receiver.receive();
  const at = receiver.endpoint;
  const v4 = memory.view.getUint16(at + ENDPOINT.family, true) === 4;
  const address = (field: number) => [...memory.u8.slice(at + field, at + field + (v4 ? 4 : 16))];
  return {
    bytes: memory.u8.slice(RECEIVED, RECEIVED + Math.max(length, 0)),
    length,
    segmentSize: receiver.segmentSize,
    port: memory.view.getUint16(at + ENDPOINT.port, true),
    address: address(ENDPOINT.address),
    source: address(ENDPOINT.source),
    hasSource: memory.view.getUint16(at + ENDPOINT.hasSource, true),
  };
}

const LOOPBACK6 = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const pattern = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7) & 0xff);

requires('linux', 'node:ffi')('a UDP socket', () => {
  test('carries a datagram over IPv4 and tells who sent it and to which address', () => {
    const a = station();
    const b = station();
    writeEndpoint(a, [127, 0, 0, 5], b.socket.port);
    expect(send(a, pattern(148))).toBe(148);
    const got = received(b);
    expect(got.bytes).toEqual(pattern(148));
    expect(got).toMatchObject({ address: [127, 0, 0, 1], port: a.socket.port, segmentSize: 148 });
    expect(got).toMatchObject({ hasSource: 1, source: [127, 0, 0, 5] });
  });

  test('carries a datagram over IPv6 on the same port', () => {
    const a = station();
    const b = station();
    writeEndpoint(a, LOOPBACK6, b.socket.port);
    expect(send(a, pattern(92))).toBe(92);
    const got = received(b);
    expect(got.bytes).toEqual(pattern(92));
    expect(got).toMatchObject({ address: LOOPBACK6, source: LOOPBACK6, port: a.socket.port });
  });

  test('replies from the address that was spoken to', () => {
    const a = station();
    const b = station();
    writeEndpoint(a, [127, 0, 0, 5], b.socket.port);
    send(a, pattern(32));
    const got = received(b);
    writeEndpoint(b, got.address, got.port, got.source);
    send(b, pattern(33));
    expect(received(a)).toMatchObject({ length: 33, address: [127, 0, 0, 5] });
    expect(send(b, pattern(34), 34, false)).toBe(34);
    expect(received(a)).toMatchObject({ length: 34, address: [127, 0, 0, 1] });
  });

  test('gives an errno for a source address that is no longer ours', () => {
    const a = station();
    writeEndpoint(a, [127, 0, 0, 1], 9, [203, 0, 113, 7]);
    expect([-ERRNO.EINVAL, -ERRNO.ENETUNREACH]).toContain(send(a, pattern(32)));
  });

  test('gives EAGAIN when nothing is there', () => {
    expect(station().receiver.receive()).toBe(-ERRNO.EAGAIN);
  });

  test.each([
    ['IPv4', [127, 0, 0, 1]],
    ['IPv6', LOOPBACK6],
  ])('sends and receives a batch of datagrams in one call each over %s', (_family, address) => {
    const a = station();
    const b = station(0, true);
    expect(b.socket.gro).toBe(true);
    writeEndpoint(a, address, b.socket.port);
    const bytes = pattern(10 * 1452 + 100);
    expect(send(a, bytes, 1452)).toBe(bytes.length);
    const got = received(b);
    expect(got.bytes).toEqual(bytes);
    expect(got.segmentSize).toBe(1452);
  });

  test('a batch goes out as single datagrams to a socket without GRO', () => {
    const a = station();
    const b = station();
    writeEndpoint(a, [127, 0, 0, 1], b.socket.port);
    send(a, pattern(250), 100);
    expect([received(b).length, received(b).length, received(b).length]).toEqual([100, 100, 50]);
    expect(received(b).length).toBe(-ERRNO.EAGAIN);
  });

  test('keeps its descriptor when it moves to another port', async () => {
    const a = station();
    const b = station();
    const before = b.socket.port;
    const { fd } = b.socket;
    b.socket.preparePort(0).commit();
    expect(b.socket.port).not.toBe(before);
    expect(b.socket.fd).toBe(fd);
    writeEndpoint(a, [127, 0, 0, 1], b.socket.port);
    send(a, pattern(40));
    expect(received(b).length).toBe(40);
    const free = createSocket('udp4').bind(before, '127.0.0.1');
    await once(free, 'listening'); // the old port was given back
    free.close();
  });

  test('says that a port is taken, and stays on the one it has', () => {
    const a = station();
    const b = station();
    const { port } = b.socket;
    expect(() => b.socket.preparePort(a.socket.port)).toThrow(
      /bind port \d+: EADDRINUSE: .*in use/,
    );
    b.socket.preparePort(0).cancel();
    expect(b.socket.port).toBe(port);
    expect(() => station(a.socket.port)).toThrow('EADDRINUSE');
  });

  test('works as an IPv4 socket where there is no IPv6', () => {
    const calls = syscalls();
    const memory = new NativeBuffer(1 << 18);
    const fd = calls.socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    onTestFinished(() => void calls.close(fd));
    memory.view.setInt32(0, 1, true);
    calls.setsockopt(fd, IPPROTO_IP, IP_PKTINFO, memory.at(0), 4);
    memory.u8.fill(0, 0, 16);
    memory.view.setUint16(0, AF_INET, true);
    expect(calls.bind(fd, memory.at(0), 16)).toBe(0);
    memory.view.setUint32(16, 16, true);
    calls.getsockname(fd, memory.at(0), memory.at(16));
    const port = memory.view.getUint16(2, false);
    const old: Station = {
      socket: { fd, port } as UdpSocket,
      memory,
      sender: new DatagramSender(fd, AF_INET, memory, OUT),
      receiver: new DatagramReceiver(fd, AF_INET, memory, IN, RECEIVED, 65536),
    };
    const dual = station();

    writeEndpoint(dual, [127, 0, 0, 5], port);
    send(dual, pattern(40));
    const got = received(old);
    expect(got).toMatchObject({ length: 40, address: [127, 0, 0, 1], source: [127, 0, 0, 5] });
    expect(got.port).toBe(dual.socket.port);
    writeEndpoint(old, got.address, got.port, got.source);
    expect(send(old, pattern(300), 100)).toBe(300);
    expect(received(dual)).toMatchObject({ length: 100, address: [127, 0, 0, 5], port });
    writeEndpoint(old, LOOPBACK6, got.port);
    expect(send(old, pattern(40))).toBe(-ERRNO.EAFNOSUPPORT);
  });

  test('reports a datagram that is larger than the buffer', () => {
    const socket = new UdpSocket({ port: 0, fwmark: 0, gro: false });
    open.push(socket);
    const memory = new NativeBuffer(4096);
    const receiver = new DatagramReceiver(socket.fd, socket.family, memory, 0, 1024, 100);
    const a = station();
    writeEndpoint(a, [127, 0, 0, 1], socket.port);
    send(a, pattern(101));
    expect(receiver.receive()).toBe(100);
    expect(receiver.truncated).toBe(true);
  });

  test('several sockets share a port; what comes from one sender stays with one of them', () => {
    const socket = new UdpSocket({ port: 0, fwmark: 0, gro: false, sockets: 3 });
    open.push(socket);
    expect(new Set(socket.fds).size).toBe(3);
    const receivers = socket.fds.map((fd) => {
      const memory = new NativeBuffer(1 << 18);
      return new DatagramReceiver(fd, socket.family, memory, IN, RECEIVED, 65536);
    });
    const used = new Set<number>();
    for (let sender = 0; sender < 30; sender++) {
      const from = station();
      writeEndpoint(from, [127, 0, 0, 1], socket.port);
      for (let i = 0; i < 4; i++) send(from, pattern(20));
      const counts = receivers.map((receiver) => {
        let count = 0;
        while (receiver.receive() > 0) count++;
        return count;
      });
      expect([...counts].sort()).toEqual([0, 0, 4]);
      used.add(counts.indexOf(4));
    }
    expect(used.size).toBe(3); // misses one of them with probability 3 * (2/3)^30
  });

  test('a shared port is refused to others, and all sockets move to another one', () => {
    const socket = new UdpSocket({ port: 0, fwmark: 0, gro: false, sockets: 2 });
    open.push(socket);
    for (const sockets of [1, 2]) {
      expect(() => new UdpSocket({ port: socket.port, fwmark: 0, gro: false, sockets })).toThrow(
        'EADDRINUSE',
      );
    }
    const other = new UdpSocket({ port: 0, fwmark: 0, gro: false, sockets: 2 });
    open.push(other);
    expect(() => socket.preparePort(other.port)).toThrow('EADDRINUSE');
    const before = socket.port;
    socket.preparePort(0).cancel();
    expect(socket.port).toBe(before);
    socket.preparePort(0).commit();
    expect(socket.port).not.toBe(before);
    const again = new UdpSocket({ port: before, fwmark: 0, gro: false });
    open.push(again); // the old port is free
    const memories = socket.fds.map(() => new NativeBuffer(1 << 18));
    const receivers = socket.fds.map(
      (fd, i) => new DatagramReceiver(fd, socket.family, memories[i]!, IN, RECEIVED, 65536),
    );
    const used = new Set<number>();
    for (let sender = 0; sender < 30; sender++) {
      const from = station();
      writeEndpoint(from, [127, 0, 0, 1], socket.port);
      send(from, pattern(20));
      used.add(receivers.findIndex((receiver) => receiver.receive() === 20));
    }
    expect([...used].sort()).toEqual([0, 1]);
  });
});
