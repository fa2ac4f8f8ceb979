import { createGunzip } from 'node:zlib';
import { expect, test } from 'vitest';
import { fromColumns } from '../../src/dashboard/columns.ts';
import type { MeshDelta, MeshView } from '../../src/dashboard/documents.ts';
import { GZIP_HEADER, type LiveEvent, LiveFeed, MAX_PER_HOLDER } from '../../src/dashboard/live.ts';
import { meshView } from '../../src/dashboard/mesh-view.ts';
import { largeMesh, reported } from './support/large-mesh.ts';

const KILOBYTE = 1000;

/** A feed of a mesh that a test changes, on its clock. */
function feedOf(first: MeshView) {
  const clock = { view: first, now: 0 };
  const unexpected = (error: unknown) => expect.fail(String(error));
  const feed = new LiveFeed(
    async () => clock.view,
    unexpected,
    () => clock.now,
  );
  return { clock, feed };
}

class Reader {
  backlog = 0;
  isLetGo = false;
  readonly events: LiveEvent[] = [];

  write(event: LiveEvent): void {
    this.events.push(event);
  }

  end(): void {
    this.isLetGo = true;
  }

  get told(): { name: string; data: MeshView & MeshDelta }[] {
    return this.events.map(({ text }) => {
      const [, name, data] = /^event: (\w+)\ndata: (.*)\n\n$/.exec(text)!;
      return { name: name!, data: JSON.parse(data!) as MeshView & MeshDelta };
    });
  }

  get names(): string[] {
    return this.told.map(({ name }) => name);
  }
}

test('who comes gets the whole, and then what changes, once', async () => {
  const { clock, feed } = feedOf(meshView(largeMesh(1200), undefined));
  const reader = new Reader();
  await feed.add(reader);
  clock.view = meshView(reported(largeMesh(1200), 7, 3), undefined);
  await feed.tell();
  await feed.tell();
  feed.close();
  expect(reader.names).toEqual(['mesh', 'delta']);
  const [whole, delta] = reader.told;
  expect(fromColumns(whole!.data.nodes)).toHaveLength(1200);
  expect(delta!.data.changed.id).toEqual(['node-0007', 'node-0008', 'node-0009']);
  expect(reader.isLetGo).toBe(true);
});

test('when nothing happens it says now and then that it is there', async () => {
  const { clock, feed } = feedOf(meshView(largeMesh(3), undefined));
  const reader = new Reader();
  await feed.add(reader);
  for (clock.now = 1000; clock.now <= 20_000; clock.now += 1000) await feed.tell();
  feed.close();
  expect(reader.names).toEqual(['mesh', 'still', 'still', 'still']);
});

test('a thousand nodes are 20 KB at first; a hundred scores are 2 KB, an epoch is nothing', async () => {
  const { clock, feed } = feedOf(meshView(largeMesh(1000), undefined));
  const reader = new Reader();
  await feed.add(reader);
  clock.view = meshView(reported(largeMesh(1000), 300, 100), undefined);
  await feed.tell();
  const before = reported(largeMesh(1000), 300, 100);
  clock.view = meshView({ ...before, epoch: before.epoch + 1 }, undefined);
  await feed.tell();
  feed.close();
  const [first, scores, epoch] = reader.events.map(({ compressed }) => compressed.length);
  expect(first).toBeLessThan(20 * KILOBYTE);
  expect(scores).toBeLessThan(2 * KILOBYTE);
  expect(epoch).toBeLessThan(0.5 * KILOBYTE);
});

test('compressed events are one stream, whichever of them a reader got', async () => {
  const { clock, feed } = feedOf(meshView(largeMesh(50), undefined));
  const [early, late] = [new Reader(), new Reader()];
  await feed.add(early);
  for (let i = 0; i < 5; i++) {
    clock.view = meshView(reported(largeMesh(50), i * 7, 3), undefined);
    await feed.tell();
    if (i === 2) await feed.add(late);
  }
  feed.close();
  expect(late.names).toEqual(['mesh', 'delta', 'delta']);
  for (const { events } of [early, late]) {
    const stream = createGunzip();
    let text = '';
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    const bytes = [GZIP_HEADER, ...events.map(({ compressed }) => compressed)];
    await new Promise<void>((resolve) => stream.write(Buffer.concat(bytes), () => resolve()));
    await expect.poll(() => text).toBe(events.map((one) => one.text).join(''));
    stream.destroy();
  }
});

test('who does not read is told nothing more, holds up nobody, and gets the whole when it reads', async () => {
  const { clock, feed } = feedOf(meshView(largeMesh(10), undefined));
  const [slow, quick] = [new Reader(), new Reader()];
  await feed.add(slow);
  await feed.add(quick);
  const happens = async (i: number) => {
    clock.view = meshView(reported(largeMesh(10), i, 1), undefined);
    clock.now += 1000;
    await feed.tell();
  };
  slow.backlog = 300 << 10;
  for (let i = 0; i < 3; i++) await happens(i);
  slow.backlog = 1; // has not taken all yet
  await happens(3);
  expect(slow.names).toEqual(['mesh']);
  expect(quick.names).toEqual(['mesh', 'delta', 'delta', 'delta', 'delta']);
  slow.backlog = 0;
  await happens(4);
  expect(slow.names).toEqual(['mesh', 'mesh']);
  expect(slow.told[1]!.data.nodes).toEqual(clock.view.nodes);
  await happens(5);
  expect(slow.names).toEqual(['mesh', 'mesh', 'delta']);
  slow.backlog = 300 << 10;
  await happens(6);
  clock.now += 61_000;
  expect(slow.isLetGo).toBe(false);
  await happens(7);
  expect([slow.isLetGo, quick.isLetGo]).toEqual([true, false]);
  feed.close();
});

test('what cannot be read is an error for who asks, and others hear of it when it can', async () => {
  let fails = true;
  const errors: unknown[] = [];
  const view = meshView(largeMesh(3), undefined);
  const look = async () => {
    if (fails) throw new Error('the disk is gone');
    return view;
  };
  const feed = new LiveFeed(look, (error) => errors.push(error));
  const reader = new Reader();
  await expect(feed.add(reader)).rejects.toThrow('the disk is gone');
  fails = false;
  await feed.add(reader);
  expect(reader.names).toEqual(['mesh']);
  feed.close();
  expect(errors).toEqual([]);
});

test('one who signed in takes only so many places, and gives them back', () => {
  const { feed } = feedOf(meshView(largeMesh(1), undefined));
  const places = Array.from({ length: MAX_PER_HOLDER }, () => feed.takePlace('ann'));
  expect(places).not.toContain(undefined);
  expect(feed.takePlace('ann')).toBeUndefined();
  expect(feed.takePlace('bob')).toBeDefined();
  expect(feed.takePlace(undefined)).toBeDefined();
  places[0]!();
  places[0]!();
  expect(feed.takePlace('ann')).toBeDefined();
  expect(feed.takePlace('ann')).toBeUndefined();
});
