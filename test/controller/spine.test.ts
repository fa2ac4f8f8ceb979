import { expect, test } from 'vitest';
import type { ControllerEvent, StampedEvent } from '../../src/controller/events.ts';
import { EventSpine } from '../../src/controller/spine.ts';

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));
const rotated = (epoch: number): ControllerEvent => ({ event: 'rotated', epoch, version: epoch });
const TIME = 1_700_000_000_000;
/** ms, for what is done in some turns of the event loop. */
const PATIENCE = 15_000;

test('who members wait for is told before the emitter goes on, all others after', async () => {
  const spine = new EventSpine(() => TIME);
  const order: string[] = [];
  spine.subscribe({ name: 'log', handle: (event) => void order.push(`log ${event.number}`) });
  spine.subscribeImmediately({ name: 'push', handle: () => void order.push('push') });
  spine.emit(rotated(1));
  order.push('emitted');
  spine.emit(rotated(2));
  await spine.drained(PATIENCE);
  expect(order).toEqual(['push', 'emitted', 'push', 'log 1', 'log 2']);
});

test('events carry the time and a number that shows gaps', () => {
  const spine = new EventSpine(() => TIME);
  const seen: StampedEvent[] = [];
  spine.subscribeImmediately({ name: 'all', handle: (event) => void seen.push(event) });
  spine.emit(rotated(7));
  spine.emit({ event: 'stopping' });
  expect(seen).toEqual([
    { number: 1, at: TIME, event: 'rotated', epoch: 7, version: 7 },
    { number: 2, at: TIME, event: 'stopping' },
  ]);
});

test('a subscriber that throws is counted, said once, and holds up nobody', async () => {
  const spine = new EventSpine(() => TIME);
  const said: ControllerEvent[] = [];
  let isBroken = true;
  const handle = () => {
    if (isBroken) throw new Error('no more space');
  };
  spine.subscribeImmediately({ name: 'push', events: ['rotated'], handle });
  spine.subscribe({ name: 'file', events: ['rotated'], handle });
  spine.subscribeImmediately({ name: 'said', handle: (event) => void said.push(event) });
  for (let i = 1; i <= 3; i++) spine.emit(rotated(i));
  await spine.drained(PATIENCE);
  const about = (name: string) =>
    said.filter((event) => 'subscriber' in event && event.subscriber === name);
  expect(about('push')).toMatchObject([{ event: 'subscriber_failed', detail: 'no more space' }]);
  expect(about('file')).toMatchObject([{ event: 'subscriber_failed', detail: 'no more space' }]);
  const delivery = (name: string) => spine.deliveries.find((one) => one.name === name);
  expect(delivery('push')).toMatchObject({ failed: 3, handled: 0 });
  expect(delivery('file')).toMatchObject({ failed: 3, handled: 0 });
  expect(said.filter((event) => event.event === 'rotated')).toHaveLength(3);
  isBroken = false;
  spine.emit(rotated(4));
  await spine.drained(PATIENCE);
  expect(about('push').at(-1)).toMatchObject({ event: 'subscriber_recovered' });
  expect(about('file').at(-1)).toMatchObject({ event: 'subscriber_recovered' });
});

test('one that cannot even handle the news of its own failure does not go round in circles', () => {
  const spine = new EventSpine(() => TIME);
  let calls = 0;
  const handle = ({ event }: StampedEvent) => {
    calls++;
    if (event !== 'subscriber_failed') throw new Error('always');
  };
  spine.subscribeImmediately({ name: 'log', handle });
  for (let i = 1; i <= 5; i++) spine.emit(rotated(i));
  expect(calls).toBe(6);
});

test('one that hangs drops what finds no room, and the others go on', async () => {
  const spine = new EventSpine(() => TIME);
  const { promise, resolve } = Promise.withResolvers<void>();
  const seen: number[] = [];
  const slow: number[] = [];
  const { delivery } = spine.subscribe({
    name: 'disk',
    capacity: 2,
    handle: async (event) => {
      slow.push(event.number);
      await promise;
    },
  });
  spine.subscribe({ name: 'log', handle: (event) => void seen.push(event.number) });
  spine.emit(rotated(1));
  await nextTurn();
  for (let i = 2; i <= 5; i++) spine.emit(rotated(i));
  await expect.poll(() => seen).toEqual([1, 2, 3, 4, 5]);
  expect(await spine.drained(20)).toBe(false);
  expect(delivery).toMatchObject({ handled: 0, dropped: 2 });
  resolve();
  expect(await spine.drained(PATIENCE)).toBe(true);
  expect(slow).toEqual([1, 2, 3]);
  expect(delivery).toMatchObject({ handled: 3, dropped: 2 });
});

test('an ended subscription gets nothing more, not even what waited', async () => {
  const spine = new EventSpine(() => TIME);
  const seen: number[] = [];
  const { end } = spine.subscribe({
    name: 'reader',
    handle: (event) => void seen.push(event.number),
  });
  spine.emit(rotated(1));
  await spine.drained(PATIENCE);
  spine.emit(rotated(2));
  end();
  spine.emit(rotated(3));
  await nextTurn();
  expect(seen).toEqual([1]);
  expect(spine.deliveries).toEqual([]);
});
