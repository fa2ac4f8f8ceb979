import { Ajv } from 'ajv';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { benchmarkSchema } from '../../src/contract/benchmark.ts';
import { configSchema } from '../../src/contract/config.ts';
import {
  enrolmentAnswerSchema,
  enrolmentRequestSchema,
  enrolmentSchema,
} from '../../src/contract/enrolment.ts';
import { envelopeSchema } from '../../src/contract/envelope.ts';
import { epochSchema } from '../../src/contract/epoch.ts';
import { keyRecordSchema } from '../../src/contract/key-record.ts';
import { type Schema, violation } from '../../src/contract/schema.ts';
import { streamEventSchema } from '../../src/contract/stream-event.ts';

const SCHEMAS: Record<string, Schema> = {
  benchmarkSchema,
  configSchema,
  enrolmentAnswerSchema,
  enrolmentRequestSchema,
  enrolmentSchema,
  envelopeSchema,
  epochSchema,
  keyRecordSchema,
  streamEventSchema,
};

const ajv = new Ajv({ strict: true, strictTypes: false, strictRequired: true });

const leaf = fc.oneof(
  fc.constantFrom(null, true, false, 0, -0, 1, -1, 0.5, 2 ** 53 - 1, 1e300, '', 'a', 'node-a'),
  fc.constantFrom('controller', 'members', '10.10.0.2', '10.10.0.256', '10.10.0.0/24'),
  fc.constantFrom(`${'A'.repeat(43)}=`, `${'A'.repeat(42)}B=`, 'A'.repeat(22), '192.0.2.1:51820'),
  fc.string({ maxLength: 8 }),
);

/** Values near the schema: right more often than not, so that deep fields are reached too. */
function near(schema: Schema): fc.Arbitrary<unknown> {
  const types = typeof schema.type === 'string' ? [schema.type] : (schema.type ?? []);
  let good: fc.Arbitrary<unknown> = leaf;
  if (types.includes('object')) {
    const properties = Object.entries(schema.properties ?? {});
    good = fc.record(Object.fromEntries(properties.map(([name, item]) => [name, near(item)])));
  } else if (types.includes('array')) {
    good = fc.array(schema.items ? near(schema.items) : leaf, { maxLength: 3 });
  } else if (schema.const !== undefined) {
    good = fc.constant(schema.const);
  } else if (schema.pattern !== undefined) {
    good = fc.stringMatching(new RegExp(schema.pattern));
  } else if (types.includes('integer')) {
    good = fc.integer({ min: -1, max: 100 });
  } else if (types.includes('number')) {
    good = fc.double({ min: -0.1, max: 1.1, noNaN: true });
  } else if (types.includes('boolean')) {
    good = fc.boolean();
  }
  return fc.oneof({ weight: 30, arbitrary: good }, { weight: 1, arbitrary: leaf });
}

test.each(Object.entries(SCHEMAS))(
  '%s: our checker and ajv accept the same values',
  (_, schema) => {
    const compiled = ajv.compile(schema);
    fc.assert(
      fc.property(near(schema), (value) => {
        const ours = violation(schema, value) === undefined;
        expect(ours).toBe(compiled(value));
      }),
      { numRuns: 300 },
    );
  },
);

test('a violation names the field and what is expected', () => {
  const good = {
    mesh_id: `${'A'.repeat(43)}=`,
    audience: 'controller',
    node_id: 'node-a',
    suite: 'alignment',
    score: 0.7,
    samples: 1,
    observed_at: 0,
    sequence: 1,
  };
  const table: [object, string, string][] = [
    [{ score: 1.1 }, 'score', 'a number from 0 to 1'],
    [{ score: '0.9' }, 'score', 'a number from 0 to 1'],
    [{ score: Number.NaN }, 'score', 'a number from 0 to 1'],
    [{ score: null }, 'score', 'a number from 0 to 1'],
    [{ samples: 1.5 }, 'samples', 'an integer from 1 to 10^9'],
    [{ sequence: 2 ** 53 }, 'sequence', 'an integer from 1 to 2^53-1'],
    [{ node_id: 'Node' }, 'node_id', 'a node id: 1 to 63 of a-z, 0-9 and hyphen'],
    [{ node_id: 'a\n' }, 'node_id', 'a node id: 1 to 63 of a-z, 0-9 and hyphen'],
    [{ extra: 1 }, '"extra"', 'no such field'],
    [
      { suite: undefined },
      'suite',
      'a suite name: up to 64 of a-z, 0-9, dot, hyphen and underscore',
    ],
  ];
  expect(violation(benchmarkSchema, good)).toBeUndefined();
  for (const [change, field, expected] of table) {
    expect(violation(benchmarkSchema, { ...good, ...change })).toEqual({ field, expected });
  }
  expect(violation(benchmarkSchema, JSON.parse('{"__proto__":1}'))?.field).toBe('mesh_id');
  const polluted = JSON.parse(`{"__proto__":{},${JSON.stringify(good).slice(1)}`);
  expect(violation(benchmarkSchema, polluted)).toEqual({
    field: '"__proto__"',
    expected: 'no such field',
  });
});
