import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { captureDatagrams, capturePackets, PcapWriter } from '../../src/io/pcap.ts';
import { parseUdp } from '../../src/io/portable/packets.ts';
import { type TracedPacket, tracePackets } from '../../src/io/trace.ts';
import { createTunnel, type UserspaceTunnel } from '../../src/tunnel/create-tunnel.ts';
import { findExecutable } from '../lab/requirements.ts';

const open: UserspaceTunnel[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((tunnel) => tunnel.close()));
});

const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

type Around = Pick<Parameters<typeof createTunnel>[0], 'device' | 'port'>;

/** Two tunnels that know each other; the first one with something around its ports. */
async function pair(around: Around): Promise<[UserspaceTunnel, UserspaceTunnel]> {
  const make = async (i: number, options: Around): Promise<UserspaceTunnel> => {
    const tunnel = await createTunnel({
      ...options,
      mode: 'userspace',
      privateKey: key(i),
      addresses: [`10.0.0.${i}/24`],
    });
    open.push(tunnel);
    return tunnel;
  };
  const [a, b] = [await make(1, around), await make(2, {})];
  const peer = (of: UserspaceTunnel, address: number) => ({
    publicKey: of.status().publicKey!,
    endpoint: {
      family: 4,
      address: Uint8Array.of(127, 0, 0, 1),
      port: of.listenPort,
      scope: 0,
    } as const,
    allowedIps: [{ prefix: { address: Uint8Array.of(10, 0, 0, address), length: 32 } }],
  });
  await a.configure({ peers: [peer(b, 2)] });
  await b.configure({ peers: [peer(a, 1)] });
  return [a, b];
}

/** The packets of a capture, after its header was found right. */
function packetsOf(capture: Uint8Array[]): { at: number; bytes: Uint8Array }[] {
  const all = Buffer.concat(capture);
  expect([
    all.readUInt32LE(0),
    all.readUInt16LE(4),
    all.readUInt16LE(6),
    all.readUInt32LE(20),
  ]).toEqual([0xa1b2c3d4, 2, 4, 101]);
  const packets = [];
  for (let at = 24; at < all.length; ) {
    const length = all.readUInt32LE(at + 8);
    const time = all.readUInt32LE(at) * 1000 + all.readUInt32LE(at + 4) / 1000;
    packets.push({ at: time, bytes: new Uint8Array(all.subarray(at + 16, at + 16 + length)) });
    at += 16 + length;
  }
  return packets;
}

test('a tracer hears of every packet in both directions, and changes none', async () => {
  const heard: string[] = [];
  const listener = ({ direction, bytes }: TracedPacket) => {
    heard.push(`${direction} ${bytes.length}`);
  };
  const [a, b] = await pair({ device: (below) => tracePackets(below, listener) });
  expect(await a.ping('10.0.0.2')).toBeGreaterThan(0);
  expect(await b.ping('10.0.0.1', { size: 100 })).toBeGreaterThan(0);
  expect(heard).toEqual(['out 84', 'in 84', 'in 128', 'out 128']);
});

test('a capture has the packets of the inner end', async () => {
  const capture: Uint8Array[] = [];
  const now = () => 1_700_000_000_123.5;
  const [a] = await pair({
    device: (below) => capturePackets(below, (bytes) => void capture.push(bytes), now),
  });
  expect(await a.ping('10.0.0.2')).toBeGreaterThan(0);
  const packets = packetsOf(capture);
  expect(packets.map(({ bytes }) => [bytes[0], bytes.length, bytes[15], bytes[19]])).toEqual([
    [0x45, 84, 1, 2],
    [0x45, 84, 2, 1],
  ]);
  expect(packets[0]!.at).toBe(now());
});

test('a capture has the datagrams of the outer end as UDP packets', async () => {
  const capture: Uint8Array[] = [];
  const [a, b] = await pair({
    port: (below) => captureDatagrams(below, (bytes) => void capture.push(bytes)),
  });
  expect(await a.ping('10.0.0.2')).toBeGreaterThan(0);
  const [initiation, response] = packetsOf(capture).map(({ bytes }) => parseUdp(bytes)!);
  expect(initiation).toMatchObject({ sourcePort: a.listenPort, destinationPort: b.listenPort });
  expect(response).toMatchObject({ sourcePort: b.listenPort, destinationPort: a.listenPort });
  expect([initiation!.payload.length, response!.payload.length]).toEqual([148, 92]);
});

describe.skipIf(findExecutable('tcpdump') === undefined)('tcpdump', () => {
  test('reads a capture', () => {
    const folder = mkdtempSync(join(tmpdir(), 'meshnet-pcap-'));
    try {
      const file = join(folder, 'a.pcap');
      writeFileSync(file, '');
      const pcap = new PcapWriter((bytes) => writeFileSync(file, bytes, { flag: 'a' }));
      pcap.write(
        Uint8Array.fromHex(
          '4500001c000100004001 66de 0a000001 0a000002 0800 f7fd 0001 0001'.replaceAll(' ', ''),
        ),
      );
      expect(execFileSync('tcpdump', ['-nr', file], { encoding: 'utf8' })).toContain(
        '10.0.0.1 > 10.0.0.2: ICMP echo request',
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
