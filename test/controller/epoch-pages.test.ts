import { afterEach, beforeEach, expect, test } from 'vitest';
import type { EpochDocument } from '../../src/contract/epoch.ts';
import { call, TestMesh } from './support/test-mesh.ts';

let mesh: TestMesh;
beforeEach(async () => {
  mesh = await TestMesh.start();
  const names = ['d', 'b', 'a', 'c-1', 'c'];
  const nodes = [];
  for (const [i, name] of names.entries()) nodes.push(await mesh.enrol(name, i + 1));
  await mesh.report(0.9, ...nodes);
  await mesh.rotate();
});
afterEach(() => mesh.stop());

const read = async (query: string) =>
  JSON.parse((await call(`${mesh.url}/v1/epoch${query}`)).text) as EpochDocument;
const names = ({ nodes }: EpochDocument) => nodes.map(({ node_id }) => node_id);

test.each([1, 2, 3, 4, 5, 500])(
  '%i nodes at a time, the pages are of one moment',
  async (limit) => {
    const pages = [await read(`?limit=${limit}`)];
    for (let last = pages[0]!; last.next !== undefined; pages.push(last)) {
      await mesh.clock.advance(700); // ages would be others by now
      last = await read(`?after=${last.next}&limit=${limit}`);
    }
    expect(pages.flatMap(names)).toEqual(['a', 'b', 'c', 'c-1', 'd']); // byte order, each once
    expect(pages).toHaveLength(Math.ceil(5 / limit));
    expect(new Set(pages.map(({ now }) => now)).size).toBe(1);
  },
);

test('who comes back later gets what is so by then', async () => {
  const { now, next } = await read('?limit=2');
  await mesh.clock.advance(11_000);
  expect((await read(`?after=${next}&limit=2`)).now).toBe(now + 11_000);
});

test('an epoch that begins meanwhile is in the next page', async () => {
  const { epoch, next } = await read('?limit=2');
  await mesh.rotate();
  expect((await read(`?after=${next}&limit=2`)).epoch).toBe(epoch + 1);
});

test('without a limit all are told, and who is asked for need not be there', async () => {
  expect((await read('')).next).toBeUndefined();
  expect(names(await read(''))).toHaveLength(5);
  expect(names(await read('?after=bb'))).toEqual(['c', 'c-1', 'd']);
  expect(names(await read('?after=z'))).toEqual([]);
});

test('what is no page is refused', async () => {
  for (const query of ['limit=0', 'limit=x', 'limit=-1', 'limit=100000', 'after=A', 'after=']) {
    expect((await call(`${mesh.url}/v1/epoch?${query}`)).status).toBe(422);
  }
});

test('however long judging takes, ages are of the moment that the document is of', async () => {
  const reportedAt = mesh.clock.now();
  await mesh.clock.advance(5000);
  const later = mesh.clock.now();
  let calls = 0;
  mesh.clock.now = () => later + 10 * calls++;
  const { now, nodes } = await mesh.controller.services.documents.present();
  expect(nodes.map((node) => Math.round(now - 1000 * node.age_s!))).toEqual(
    nodes.map(() => reportedAt),
  );
});
