import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type SseItem, SseParser } from '../../src/agent/sse.ts';

function parse(text: string, cuts: readonly number[] = []): SseItem[] {
  const parser = new SseParser();
  const items: SseItem[] = [];
  let from = 0;
  for (const cut of [...cuts, text.length].sort((a, b) => a - b)) {
    items.push(...parser.push(text.slice(from, cut))!);
    from = cut;
  }
  return items;
}

const STREAM =
  ': hello\n\nevent: epoch\nid: 4.5\ndata: {"a":1}\n\ndata: x\r\ndata: y\r\n\r\n: beat\n\nid: 7\n\n';

test('events and heartbeats are told apart', () => {
  expect(parse(STREAM)).toEqual([
    { kind: 'comment' },
    { kind: 'event', name: 'epoch', data: '{"a":1}' },
    { kind: 'event', name: 'message', data: 'x\ny' },
    { kind: 'comment' },
  ]);
});

test('where the network cuts the text does not matter', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(STREAM.length)), (cuts) => {
      expect(parse(STREAM, cuts)).toEqual(parse(STREAM));
    }),
  );
});

test('a stream that never ends its line or its event is refused', () => {
  const line = new SseParser();
  expect(line.push('data: '.padEnd(2_100_000, 'x'))).toBeUndefined();
  const event = new SseParser();
  const part = `data: ${'x'.repeat(100_000)}\n`;
  const answers = Array.from({ length: 30 }, () => event.push(part));
  expect(answers.at(-1)).toBeUndefined();
  const heartbeats = new SseParser();
  for (let i = 0; i < 300_000; i++) heartbeats.push(': heartbeat\n\n');
  expect(heartbeats.push(': still fine\n\n')).toHaveLength(1);
});

test('a long event in small pieces costs no more than its length', () => {
  const parser = new SseParser();
  const started = process.cpuUsage();
  for (let i = 0; i < 190_000; i++) parser.push('data: xxxx'.slice(0, 10));
  const { user } = process.cpuUsage(started);
  expect(user / 1e6).toBeLessThan(5); // searching it anew for each piece would take minutes
});
