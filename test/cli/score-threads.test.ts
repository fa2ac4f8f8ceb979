import { expect, test } from 'vitest';
import { inAdvance } from '../../src/cli/in-advance.ts';
import { ScoreThreads } from '../../src/cli/score-threads.ts';
import { toBase64 } from '../../src/contract/encoding.ts';
import { signedScores, signingKeys } from '../../src/contract/record/evidence.ts';
import { encodeBundle } from '../../src/contract/record/verdict-row.ts';
import { nodeProvider as crypto } from '../../src/crypto/node.ts';
import { TestNode } from '../controller/support/test-node.ts';

const MESH = new Uint8Array(32).fill(7);
const node = new TestNode('node-a', 1);
const stranger = new TestNode('node-b', 2);
const keys = [toBase64(node.publicKeys.signing)];
const line = (by: TestNode, at: number) =>
  Buffer.from(JSON.stringify({ ...by.score(MESH, 0.9, at) }));

test('threads say what one would, file by file, of many at once', async () => {
  const files = Array.from({ length: 12 }, (_, i) => [line(node, i + 1), line(stranger, i + 1)]);
  const threads = new ScoreThreads(keys, 2, 0);
  try {
    const bundles = files.map(encodeBundle);
    const [first, last] = [bundles.slice(0, 5), bundles.slice(5)];
    const verified = await Promise.all([first, [], last].map((some) => threads.verify(some)));
    const known = signingKeys(crypto, keys);
    expect(verified.flat()).toEqual(bundles.flatMap((one) => signedScores(crypto, [one], known)));
    expect(verified.flat(2).map(({ signers }) => signers.length)).toEqual(
      files.flatMap(() => [1, 0]),
    );
  } finally {
    await threads.close();
  }
});

test('a score whose signature is of other bytes is signed by nobody', () => {
  const score = node.score(MESH, 0.9, 1);
  const { sig } = node.score(MESH, 0.8, 1).signatures[0]!;
  const forged = { ...score, signatures: [{ ...score.signatures[0]!, sig }] };
  const file = encodeBundle([Buffer.from(JSON.stringify(forged))]);
  expect(signedScores(crypto, [file], signingKeys(crypto, keys))).toMatchObject([
    [{ signers: [] }],
  ]);
});

test('who waits for a thread that is closed hears so', async () => {
  const threads = new ScoreThreads(keys, 1, 0);
  const waiting = threads.verify([encodeBundle([line(node, 1)])]);
  const failed = expect(waiting).rejects.toThrow('ended');
  await threads.close();
  await failed;
});

test('work in advance comes in its order, is bounded, and fails in its turn', async () => {
  let under = 0;
  let most = 0;
  const work = async (item: number) => {
    most = Math.max(most, ++under);
    await new Promise((resolve) => setImmediate(resolve));
    under--;
    if (item === 5) throw new Error('five');
    return item;
  };
  const came: number[] = [];
  const all = async () => {
    for await (const one of inAdvance([1, 2, 3, 4, 5, 6, 7, 8], 2, work)) came.push(one);
  };
  await expect(all()).rejects.toThrow('five');
  expect(came).toEqual([1, 2, 3, 4]);
  expect(most).toBe(3);
});
