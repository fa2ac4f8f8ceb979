import { expect, test, vi } from 'vitest';
import { buildEcho, buildUdp, parseEcho, parseUdp } from '../../../src/io/portable/packets.ts';
import { VirtualTun } from '../../../src/io/portable/virtual-tun.ts';

const HERE4 = Uint8Array.of(10, 0, 0, 1);
const THERE4 = Uint8Array.of(10, 0, 0, 2);
const HERE6 = Uint8Array.fromHex('fd000000000000000000000000000001');
const THERE6 = Uint8Array.fromHex('fd000000000000000000000000000002');

function recording(): { tun: VirtualTun; sent: Uint8Array[]; heard: Uint8Array[] } {
  const sent: Uint8Array[] = [];
  const heard: Uint8Array[] = [];
  const tun = new VirtualTun({ addresses: [HERE4, HERE6] });
  tun.connect((packet) => sent.push(packet));
  tun.onPacket((packet) => heard.push(packet.slice()));
  return { tun, sent, heard };
}

/** Two ends connected by a wire that takes `delay` ms each way. */
function pair(delay: number): [VirtualTun, VirtualTun] {
  const now = () => Date.now();
  const here = new VirtualTun({ addresses: [HERE4, HERE6], now });
  const there = new VirtualTun({ addresses: [THERE4, THERE6], now });
  here.connect((packet) => void setTimeout(() => there.deliver(packet), delay));
  there.connect((packet) => void setTimeout(() => here.deliver(packet), delay));
  return [here, there];
}

test.each([
  ['IPv4', HERE4, THERE4],
  ['IPv6', HERE6, THERE6],
])('answers an echo request over %s, and does not pass it on', (_, here, there) => {
  const { tun, sent, heard } = recording();
  const request = {
    kind: 'request',
    source: there,
    destination: here,
    identifier: 7,
    sequence: 9,
    payload: Uint8Array.of(1, 2, 3),
  } as const;
  tun.deliver(buildEcho(request));
  expect(sent.map(parseEcho)).toEqual([
    { ...request, kind: 'reply', source: here, destination: there },
  ]);
  expect(heard).toEqual([]);
});

test('passes on what is for others or for nobody here', () => {
  const { tun, sent, heard } = recording();
  const forOther = buildEcho({
    kind: 'request',
    source: THERE4,
    destination: Uint8Array.of(10, 0, 0, 9),
    identifier: 1,
    sequence: 1,
    payload: new Uint8Array(0),
  });
  const strayReply = buildEcho({
    kind: 'reply',
    source: THERE4,
    destination: HERE4,
    identifier: 1,
    sequence: 1,
    payload: new Uint8Array(0),
  });
  const garbage = Uint8Array.of(0x45, 1, 2);
  for (const packet of [forOther, strayReply, garbage]) tun.deliver(packet);
  expect(sent).toEqual([]);
  expect(heard).toEqual([forOther, strayReply, garbage]);
});

test('echoes UDP on the ports it was told, until it is told to stop', () => {
  const { tun, sent, heard } = recording();
  const datagram = {
    source: THERE6,
    destination: HERE6,
    sourcePort: 40_000,
    destinationPort: 7,
    payload: Uint8Array.of(9, 9),
  };
  const packet = buildUdp(datagram);
  tun.deliver(packet);
  expect(heard).toHaveLength(1);
  const stop = tun.echoUdp(7);
  tun.deliver(packet);
  expect(sent.map(parseUdp)).toEqual([
    { ...datagram, source: HERE6, destination: THERE6, sourcePort: 7, destinationPort: 40_000 },
  ]);
  stop();
  tun.deliver(packet);
  expect([sent.length, heard.length]).toEqual([1, 2]);
});

test("a UDP port is one listener's until it is closed", () => {
  const { tun, sent } = recording();
  const heard: string[] = [];
  const bound = tun.bindUdp(9, ({ payload, source }) => heard.push(`${source} ${payload}`));
  expect(() => tun.bindUdp(9, () => {})).toThrow('UDP port 9 inside the tunnel is taken');
  const payload = Uint8Array.of(1, 2);
  bound.send(payload, { destination: THERE4, port: 8 });
  const [out] = sent.map(parseUdp);
  expect(out).toEqual({
    source: HERE4,
    destination: THERE4,
    sourcePort: 9,
    destinationPort: 8,
    payload,
  });
  const back = { ...out!, source: THERE4, destination: HERE4, sourcePort: 8, destinationPort: 9 };
  tun.deliver(buildUdp(back));
  tun.deliver(buildUdp({ ...back, destinationPort: 10 }));
  expect(heard).toEqual([`${THERE4} 1,2`]);
  bound.close();
  tun.deliver(buildUdp(back));
  expect(heard).toHaveLength(1);
});

test('measures the round trip of a ping', async () => {
  vi.useFakeTimers();
  try {
    const [here] = pair(30);
    const both = Promise.all([here.ping(THERE4), here.ping(THERE6, { size: 1000 })]);
    await vi.advanceTimersByTimeAsync(60);
    expect(await both).toEqual([60, 60]);
  } finally {
    vi.useRealTimers();
  }
});

test('gives a ping up after its time, or when it is closed', async () => {
  vi.useFakeTimers();
  try {
    const { tun } = recording();
    const first = tun.ping(THERE4, { timeout: 100 });
    await vi.advanceTimersByTimeAsync(100);
    expect(await first).toBeUndefined();
    const second = tun.ping(THERE4);
    tun.close();
    expect(await second).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test('only the one who was asked can answer a ping', async () => {
  vi.useFakeTimers();
  try {
    const { tun, sent } = recording();
    const ping = tun.ping(THERE4, { timeout: 100 });
    const request = parseEcho(sent[0]!)!;
    const reply = { ...request, kind: 'reply', destination: HERE4 } as const;
    tun.deliver(buildEcho({ ...reply, source: Uint8Array.of(10, 0, 0, 9) }));
    await vi.advanceTimersByTimeAsync(100);
    expect(await ping).toBeUndefined();
  } finally {
    vi.useRealTimers();
  }
});

test('names a ping that cannot be sent', () => {
  const tun = new VirtualTun({ addresses: [HERE4] });
  expect(() => tun.ping(THERE6)).toThrow('no own address');
});
