import { expect, test } from 'vitest';
import { type EpochDocument, epochInPages, PAGE_NODES } from '../../src/contract/epoch.ts';

const id = (i: number) => `node-${String(i).padStart(5, '0')}`;

/** A controller with so many nodes. `version`: of the answer to its nth call. */
function controller(count: number, version: (call: number) => number = () => 1) {
  const asked: string[] = [];
  const ask = async (target: string): Promise<EpochDocument> => {
    const query = new URL(target, 'http://here').searchParams;
    const after = query.get('after');
    const limit = Number(query.get('limit') ?? count);
    const all = Array.from({ length: count }, (_, i) => ({ node_id: id(i) }));
    const rest = all.filter(({ node_id }) => after === null || node_id > after);
    const nodes = rest.slice(0, limit);
    const next = rest.length > limit ? { next: nodes.at(-1)!.node_id } : {};
    asked.push(target);
    return { epoch: 7, version: version(asked.length), nodes, ...next } as unknown as EpochDocument;
  };
  return { asked, ask };
}

test('pages are put together in order, and the end is known without another call', async () => {
  const { ask, asked } = controller(2 * PAGE_NODES);
  const { nodes, next } = await epochInPages(ask);
  expect(nodes.map(({ node_id }) => node_id)).toEqual(
    Array.from({ length: 2 * PAGE_NODES }, (_, i) => id(i)),
  );
  expect(next).toBeUndefined();
  expect(asked).toEqual([
    `/v1/epoch?limit=${PAGE_NODES}`,
    `/v1/epoch?after=${id(PAGE_NODES - 1)}&limit=${PAGE_NODES}`,
  ]);
});

test('an epoch that begins between two pages is never mixed with the one before', async () => {
  const { ask, asked } = controller(3 * PAGE_NODES, (call) => call);
  const { nodes, version } = await epochInPages(ask);
  expect(nodes).toHaveLength(3 * PAGE_NODES);
  expect(version).toBe(3);
  expect(asked.at(-1)).toBe('/v1/epoch');
});

test('a controller that knows no pages gives all at once', async () => {
  const { ask, asked } = controller(3 * PAGE_NODES);
  const { nodes } = await epochInPages(() => ask('/v1/epoch'));
  expect(nodes).toHaveLength(3 * PAGE_NODES);
  expect(asked).toHaveLength(1);
});
