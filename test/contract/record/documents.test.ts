import { expect, test } from 'vitest';
import {
  type LeafEvent,
  leafBytes,
  leafStatement,
  parseLeaf,
} from '../../../src/contract/record/leaf.ts';
import {
  decodeLines,
  encodeBundle,
  parseVerdictRow,
  type VerdictRow,
  verdictRowBytes,
} from '../../../src/contract/record/verdict-row.ts';
import { canonicalBytes, type Json } from '../../../src/record/canonical-json.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (content: Uint8Array): string => new TextDecoder().decode(content);
const hash = Buffer.alloc(32, 7).toString('base64');

const events: LeafEvent[] = [
  { event: 'started', policy: hash },
  { event: 'policy', hash, policy: { threshold: 0.7 } },
  {
    event: 'enrolled',
    node: 'a',
    tunnel_address: '10.10.0.2',
    keys: { wireguard: hash, signing: hash, sealing: hash },
  },
  { event: 'endpoint_changed', node: 'a' },
  { event: 'sequences_reset', node: 'a' },
  { event: 'asked', by: null, what: 'remove', about: 'a' },
  { event: 'asked', by: 'ci', what: 'rotate', about: null },
  { event: 'removed', node: 'a' },
  { event: 'restored', epoch: 1_000_007, version: 1_000_007 },
  {
    event: 'epoch',
    epoch: 7,
    version: 7,
    header: null,
    policy: hash,
    members: 1,
    denied: 1,
    removed: { count: 1, nodes: ['a'] },
    verdicts: { count: 2, root: hash },
  },
];

test.each(events)('a leaf of $event comes back as it was', (event) => {
  expect(parseLeaf(leafBytes(1000, event))).toEqual({ v: 1, at: 1000, ...event });
});

test('a leaf reads as a sentence, and one of another version as none', () => {
  expect(events.map((event) => leafStatement(event))).toEqual([
    'The controller started',
    `The policy is ${hash} from here on`,
    'a was enrolled as 10.10.0.2',
    'a moved to another endpoint',
    'The sequences about a start anew',
    'The admin socket was asked to remove a',
    'With the access token ci it was asked to rotate',
    'a was taken out for good',
    'A backup was restored; the mesh went on with epoch 1000007',
    'Epoch 7: 1 member, 1 denied. a was taken out',
  ]);
  expect(leafStatement({ event: 'toString' } as never)).toBeUndefined();
});

test.each([
  'null',
  '[]',
  '{"at":1,"event":"toString","v":1}',
  '{"at":1,"event":"removed","node":"A","v":1}',
  '{"at":1,"event":"removed","node":"a","v":2}',
  '{"at":1,"event":"removed","more":1,"node":"a","v":1}',
  '{"event":"removed","at":1,"node":"a","v":1}',
  '{"at":1, "event":"removed","node":"a","v":1}',
  `{"at":1,"event":"policy","hash":"${hash}","policy":{"a":"\\ud800"},"v":1}`,
])('%s is no leaf', (content) => {
  expect(parseLeaf(bytes(content))).toBeUndefined();
});

const row: VerdictRow = {
  node: 'a',
  allowed: false,
  reason: 'score_below_threshold',
  passed: false,
  suites: [{ suite: 'alignment', score: 0.3, age_s: 1.5, samples: 50, passed: false }],
  standing: { tracks: { '9': { values: [0.3] }, '10': { values: [] } }, isMember: true },
  awaited: false,
  evidence: [{ hash, received_at: 1000 }],
  salt: Buffer.alloc(16, 3).toString('base64'),
};

test('a row has the text that is canonical, and comes back as it was', () => {
  expect(text(verdictRowBytes(row))).toBe(text(canonicalBytes(row as unknown as Json)));
  expect(parseVerdictRow(verdictRowBytes(row))).toEqual(row);
});

test('rows are lines; half a line is none', () => {
  const rows = [verdictRowBytes(row), verdictRowBytes({ ...row, node: 'b' })];
  const bundle = encodeBundle(rows);
  expect(decodeLines(bundle)!.map(text)).toEqual(rows.map(text));
  expect(decodeLines(bundle.subarray(0, -1))).toBeUndefined();
  expect(decodeLines(new Uint8Array(0))).toEqual([]);
});
