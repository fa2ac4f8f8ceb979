import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { brake } from '../../../src/controller/policy/brake.ts';
import { JudgedMesh, policyFrom } from './support/judged-mesh.ts';

const PLAIN = { suites: [{ suite: 'alignment' }] };
const JUDGED = { suites: [{ suite: 'alignment', signers: 'evaluators' }] };
const NODES = 20;

function selfMeasured(policy: object = PLAIN): JudgedMesh {
  const mesh = new JudgedMesh(NODES, policyFrom(policy));
  mesh.reportAll(() => 0.9);
  expect(mesh.end()).toBe(NODES);
  return mesh;
}

/** Three evaluators that report on everybody. */
function evaluated(): JudgedMesh {
  const mesh = new JudgedMesh(NODES, policyFrom(JUDGED));
  mesh.evaluators = ['e1', 'e2', 'e3'];
  say(mesh, ...mesh.evaluators);
  expect(mesh.end()).toBe(NODES);
  return mesh;
}

function say(mesh: JudgedMesh, ...evaluators: string[]): void {
  for (const one of evaluators) mesh.reportAll(() => 0.9, 'alignment', one);
}

describe('what emptied the mesh no longer does', () => {
  test('three of three evaluators are silent', () => {
    const mesh = evaluated();
    for (let epoch = 0; epoch < 60; epoch++) expect(mesh.end()).toBe(NODES);
    expect(mesh.reasonOf('n0')).toBe('held');
    expect(mesh.explanationOf('n0')).toContain('0 of the 2 evaluators needed have reported');
  });

  test('two of three evaluators are silent', () => {
    const mesh = evaluated();
    for (let epoch = 0; epoch < 60; epoch++) {
      say(mesh, 'e2');
      expect(mesh.end()).toBe(NODES);
    }
    say(mesh, 'e1', 'e2');
    mesh.end();
    expect(mesh.reasonOf('n0')).toBe('passed');
  });

  test('the one evaluator says 0 for all: nobody goes before an operator could have seen it', () => {
    const mesh = new JudgedMesh(NODES, policyFrom(JUDGED));
    mesh.evaluators = ['e1'];
    say(mesh, 'e1');
    mesh.end();
    for (let epoch = 0; epoch < 3; epoch++) {
      mesh.reportAll(() => 0, 'alignment', 'e1');
      expect(mesh.end()).toBe(NODES);
      expect(mesh.reasonOf('n0')).toBe('held_by_brake');
    }
    say(mesh, 'e1'); // it is mended: nobody is cut for what was
    expect(mesh.end()).toBe(NODES);
    expect(mesh.reasonOf('n0')).toBe('passed');
  });

  test('a threshold is mistyped', () => {
    const mesh = selfMeasured();
    mesh.policy = policyFrom({ suites: [{ suite: 'alignment', threshold: 0.97 }] });
    for (let epoch = 0; epoch < 3; epoch++) {
      mesh.reportAll(() => 0.9);
      expect(mesh.end()).toBe(NODES);
    }
    mesh.policy = policyFrom(PLAIN);
    mesh.reportAll(() => 0.9);
    expect(mesh.end()).toBe(NODES);
  });

  test('a suite is renamed, and nodes follow one by one', () => {
    const mesh = selfMeasured();
    mesh.policy = policyFrom({ suites: [{ suite: 'alignment-2' }] });
    for (let follow = 0; follow <= NODES; follow++) {
      mesh.reportAll(() => 0.9);
      for (let i = 0; i < follow; i++) mesh.report(`n${i}`, 0.9, 'alignment-2');
      expect(mesh.end()).toBe(NODES);
      if (follow === 0) expect(mesh.explanationOf('n0')).toContain('0 of 20 nodes');
      if (follow >= NODES / 2) break;
    }
    for (let i = 0; i < NODES; i++) mesh.report(`n${i}`, 0.9, 'alignment-2');
    expect(mesh.end()).toBe(NODES);
    expect(mesh.reasonOf('n0')).toBe('passed');
  });

  test('the key of an evaluator is replaced', () => {
    const mesh = new JudgedMesh(NODES, policyFrom(JUDGED));
    mesh.evaluators = ['e1'];
    say(mesh, 'e1');
    mesh.end();
    mesh.evaluators = ['new'];
    for (let epoch = 0; epoch < 5; epoch++) expect(mesh.end()).toBe(NODES);
    mesh.report('n0', 0.9, 'alignment', 'new'); // it begins with one node; the others are not to blame
    expect(mesh.end()).toBe(NODES);
    mesh.report('n0', 0.2, 'alignment', 'new'); // and who fails by its word goes
    expect(mesh.end()).toBe(NODES - 1);
  });
});

describe('evaluators come and go without anybody being denied', () => {
  test('one of three is replaced while all report', () => {
    const mesh = evaluated();
    mesh.evaluators = ['e1', 'e2', 'new'];
    for (let epoch = 0; epoch < 4; epoch++) {
      say(mesh, 'e1', 'e2');
      expect(mesh.end()).toBe(NODES);
      expect(mesh.reasonOf('n0')).toBe('passed');
    }
  });

  test('one becomes five, each beginning with some of the nodes', () => {
    const mesh = new JudgedMesh(NODES, policyFrom(JUDGED));
    mesh.evaluators = ['e1'];
    say(mesh, 'e1');
    mesh.end();
    mesh.evaluators = ['e1', 'e2', 'e3', 'e4', 'e5'];
    for (let epoch = 0; epoch < NODES; epoch++) {
      say(mesh, 'e1');
      for (const one of mesh.evaluators) {
        for (let i = 0; i <= epoch; i++) mesh.report(`n${i}`, 0.9, 'alignment', one);
      }
      expect(mesh.end()).toBe(NODES);
    }
  });

  test('five become one', () => {
    const mesh = evaluated();
    mesh.evaluators = ['e3'];
    say(mesh, 'e3');
    expect(mesh.end()).toBe(NODES);
  });
});

describe('a real failure is ended', () => {
  test('of a few, at once', () => {
    const mesh = selfMeasured();
    mesh.reportAll((i) => (i < 4 ? 0.3 : 0.9));
    expect(mesh.end()).toBe(NODES - 4);
  });

  test('of more than one epoch cuts, the worst first', () => {
    const mesh = selfMeasured();
    const fails = (i: number) => (i < 6 ? 0.1 * (6 - i) : 0.9);
    mesh.reportAll(fails);
    expect(mesh.end()).toBe(16); // 20 % of 20
    expect(['n2', 'n3', 'n4', 'n5'].map((id) => mesh.reasonOf(id))).toEqual(
      Array(4).fill('score_below_threshold'),
    );
    expect(mesh.reasonOf('n0')).toBe('held_by_brake');
    mesh.reportAll(fails);
    expect(mesh.end()).toBe(14);
  });

  test('of most: within freeze_epochs, and max_cut of what is left in each epoch after', () => {
    const mesh = selfMeasured();
    const left = [];
    for (let epoch = 0; epoch < 9; epoch++) {
      mesh.reportAll((i) => (i < 12 ? 0.3 : 0.9));
      left.push(mesh.end());
    }
    expect(left).toEqual([20, 20, 20, 16, 13, 11, 9, 8, 8]);
  });

  test('of most, at once when an operator says so', () => {
    const mesh = selfMeasured();
    mesh.reportAll((i) => (i < 12 ? 0.3 : 0.9));
    expect(mesh.end()).toBe(NODES);
    mesh.policy = policyFrom({ ...PLAIN, brake: { max_cut: 1, freeze_above: 1 } });
    expect(mesh.end()).toBe(8);
  });

  test('of one in a mesh of two or three', () => {
    const mesh = new JudgedMesh(3, policyFrom(PLAIN));
    mesh.reportAll(() => 0.9);
    mesh.end();
    mesh.reportAll((i) => (i === 0 ? 0.3 : 0.9));
    expect(mesh.end()).toBe(2);
    mesh.reportAll((i) => (i <= 1 ? 0.3 : 0.9));
    expect(mesh.end()).toBe(1);
  });
});

test('exempt nodes are in, and no part of what the brake counts', () => {
  const mesh = selfMeasured({ ...PLAIN, exempt: ['n0'] });
  mesh.reportAll((i) => (i === 0 ? 0 : 0.9));
  expect(mesh.end()).toBe(NODES);
  expect(mesh.reasonOf('n0')).toBe('exempt');
});

test('groups are judged by their own suites', () => {
  const groups = [{ name: 'gpu', nodes: ['n1'], suites: [{ suite: 'vision', threshold: 0.5 }] }];
  const mesh = new JudgedMesh(3, policyFrom({ ...PLAIN, groups }));
  mesh.reportAll(() => 0.9);
  mesh.report('n1', 0.6, 'vision');
  mesh.report('n2', 0.6, 'vision');
  mesh.report('n2', 0.6);
  mesh.end();
  expect(['n0', 'n1', 'n2'].map((id) => mesh.reasonOf(id))).toEqual([
    'passed',
    'passed',
    'score_below_threshold',
  ]);
});

test('min_members are always left', () => {
  const mesh = selfMeasured({ ...PLAIN, brake: { min_members: 18, max_cut: 1, freeze_above: 1 } });
  mesh.reportAll(() => 0.1);
  expect(mesh.end()).toBe(18);
});

test('the brake never cuts anybody that is not condemned, nor more than it says, the worst first', () => {
  const parameters = fc.record({
    maxCut: fc.double({ min: 0.01, max: 1, noNaN: true }),
    freezeAbove: fc.double({ min: 0.01, max: 1, noNaN: true }),
    freezeEpochs: fc.integer({ min: 0, max: 5 }),
    minMembers: fc.integer({ min: 0, max: 50 }),
  });
  fc.assert(
    fc.property(
      parameters,
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 60 }),
      fc.integer({ min: 0, max: 40 }),
      fc.option(fc.integer({ min: 0, max: 600_000 })),
      (limits, lacks, others, ago) => {
        const now = 1_000_000;
        const condemned = lacks.map((lack, i) => ({ nodeId: `n${i}`, lack }));
        const members = condemned.length + others;
        const since = ago === null ? null : now - ago;
        const at = { now, epochMs: 60_000 };
        const braked = brake(limits, condemned, members, since, at);
        const cut = condemned.filter((one) => !braked.held.includes(one.nodeId));
        const least = Math.min(...cut.map((one) => one.lack));
        for (const one of condemned) {
          if (braked.held.includes(one.nodeId)) expect(one.lack).toBeLessThanOrEqual(least);
        }
        if (cut.length > 0) expect(members - cut.length).toBeGreaterThanOrEqual(limits.minMembers);
        if (braked.phase === 'frozen') expect(cut).toEqual([]);
        else {
          expect(cut.length).toBeLessThanOrEqual(Math.max(1, limits.maxCut * members + 1e-6));
        }
        if (braked.phase === 'open') expect(cut.length).toBe(condemned.length);
      },
    ),
  );
});
