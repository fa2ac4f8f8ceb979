import { expect, test } from 'vitest';
import type { MeshDelta, MeshView, NodeView } from '../../src/dashboard/documents.ts';
import { LiveFeed } from '../../src/dashboard/live.ts';

test('a large mesh is shown in pieces, none of them large, that make up the whole', async () => {
  const nodes = Array.from({ length: 1200 }, (_, i) => ({ id: `node-${i}` }) as NodeView);
  const mesh = { now: 5, epoch: { epoch: 3 }, nodes } as unknown as MeshView;
  const feed = new LiveFeed(
    async () => mesh,
    (error) => expect.fail(String(error)),
  );
  const written: string[] = [];
  await feed.add({ backlog: 0, write: (text) => void written.push(text), end: () => {} });
  feed.close();
  const events = written.map((text) => {
    const [, name, data] = /^event: (\w+)\ndata: (.*)\n\n$/.exec(text)!;
    return { name, data: JSON.parse(data!) as MeshView & MeshDelta };
  });
  expect(events.map(({ name }) => name)).toEqual(['mesh', 'delta', 'delta']);
  const [first, ...rest] = events.map(({ data }) => data);
  expect(first).toMatchObject({ now: 5, epoch: { epoch: 3 } });
  expect([...first!.nodes, ...rest.flatMap(({ changed }) => changed)]).toEqual(nodes);
  expect(Math.max(first!.nodes.length, ...rest.map(({ changed }) => changed.length))).toBe(500);
});
