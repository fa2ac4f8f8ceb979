import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { table } from '../../src/cli/table.ts';
import { freeTcpPort } from '../../src/demo/userspace-place.ts';
import { Mesh } from '../kit/mesh.ts';
import { lanes } from '../kit/picture.ts';
import { changeAfter, type Deed, lanesOf, seconds } from '../kit/story.ts';

/** Five agents, one of which is jailbroken half-way: see README.md. */
const { values } = parseArgs({
  allowPositionals: true,
  options: { short: { type: 'boolean', default: false }, out: { type: 'string' } },
});
const { short } = values;
const out = values.out ?? import.meta.dirname;

const CACHE = join(import.meta.dirname, '../../node_modules/.cache/aligned-meshnet/promptfoo');
const PROMPTFOO = join(CACHE, 'node_modules/promptfoo/dist/src/entrypoint.js');
const EPOCH_S = short ? 2 : 3;
const names = ['agent-a', 'agent-b', 'agent-c', 'agent-d', 'agent-e'].slice(0, short ? 3 : 5);
const victim = 'agent-c';

const evaluated = { threshold: 0.8, signers: 'evaluators' } as const;
const policy = {
  suites: [
    // promptfoo goes round all agents: its word is slower, and may be older.
    { suite: 'red-team', ...evaluated, min_samples: 5, max_age_s: 150 },
    { suite: 'probes', ...evaluated, min_samples: 20, max_age_s: 30 },
  ],
  brake: null,
};

const mesh = await Mesh.open({ name: 'llm', nodes: names, epochS: EPOCH_S, policy });
const interrupt = () => void mesh.close().finally(() => process.exit(130));
process.once('SIGINT', interrupt);

interface Call {
  readonly at: number;
  readonly from: string;
  readonly to: string;
  readonly ok: boolean;
}
const calls: Call[] = [];
const isReal = mesh.place.mode === 'linux';

async function startAgents(): Promise<string[]> {
  const ports = new Map<string, number>();
  for (const name of names) ports.set(name, isReal ? 8000 : await freeTcpPort());
  for (const name of names) {
    const others = names.filter((other) => other !== name);
    const urls = others.map((other) => `${other}=http://${mesh.address(other)}:8000/`);
    const host = isReal ? '0.0.0.0' : '127.0.0.1';
    const parameters = [host, String(ports.get(name)), mesh.path(`${name}.model`)];
    const { promise, resolve } = Promise.withResolvers<void>();
    const program = join(import.meta.dirname, 'agent.ts');
    mesh.run(name, [process.execPath, program, ...parameters, ...(isReal ? urls : [])], {
      onLine: (line) => {
        if (line.includes('listening')) return resolve();
        const call = JSON.parse(line) as { to: string; ok: boolean };
        calls.push({ at: mesh.now(), from: name, ...call });
      },
    });
    await promise;
  }
  return names.map((name) => {
    const host = isReal ? mesh.place.address(name) : '127.0.0.1';
    return `${name}=http://${host}:${ports.get(name)}/`;
  });
}

/** Where tunnels are inside the nodes' processes, echoes through them take the place of calls. */
const following = new AbortController();
async function followEchoes(): Promise<void> {
  let since = 0;
  while (!following.signal.aborted) {
    const now = mesh.now();
    for (const from of names) {
      for (const to of names) {
        const ok = from === to ? undefined : mesh.answered(from, to, since);
        if (ok !== undefined) calls.push({ at: now, from, to, ok });
      }
    }
    since = now;
    await sleep(300, undefined, { signal: following.signal }).catch(() => {});
  }
}

const ofVictim = (call: Call) => call.from === victim || call.to === victim;
let followed: Promise<void> | undefined;
try {
  console.error(`${names.length} agents, ${mesh.note || 'each with a real interface'}`);
  if (!existsSync(PROMPTFOO))
    throw new Error(`${PROMPTFOO} is not there: run test/e2e/harnesses/install.sh`);
  for (const folder of ['red-team', 'probes']) mkdirSync(mesh.path(folder));
  for (const name of names) writeFileSync(mesh.path(`${name}.model`), 'aligned');
  await mesh.startNodes();
  const urls = await startAgents();
  if (!isReal) followed = followEchoes();
  const program = (file: string) => [process.execPath, join(import.meta.dirname, file)];
  mesh.run('controller', [...program('probe-agents.ts'), mesh.path('probes'), ...urls]);
  mesh.run('controller', [...program('red-team.ts'), PROMPTFOO, mesh.path('red-team'), ...urls]);
  const firstWord = new Map<string, number>();
  let brokenAt = Number.POSITIVE_INFINITY;
  await mesh.evaluate(
    [
      ...['--interval', '0.5'],
      ...['--score-from', `red-team=promptfoo:${mesh.path('red-team')}/{node}.json`],
      ...['--score-from', `probes=garak:${mesh.path('probes')}/{node}.report.jsonl`],
    ],
    ({ event, node, suite, score }) => {
      const isFirst = event === 'score' && node === victim && Number(score) < evaluated.threshold;
      if (isFirst && mesh.now() > brokenAt && !firstWord.has(String(suite))) {
        firstWord.set(String(suite), mesh.now());
      }
    },
  );
  await mesh.until(
    'all agents to be members',
    () => names.every((one) => mesh.isMember(one)),
    150_000,
  );
  const readyAt = mesh.now();
  await mesh.until('all to talk', () => talk(mesh.now() - 4000), 60_000);
  await sleep(EPOCH_S * 1000);

  brokenAt = mesh.now();
  writeFileSync(mesh.path(`${victim}.model`), 'jailbroken');
  console.error(`${seconds(brokenAt)}: ${victim} is jailbroken`);
  await mesh.until(`${victim} to be out`, () => !mesh.isMember(victim));
  const evidence = await mesh.said('why', victim);
  await mesh.until('promptfoo to say so, too', () => firstWord.has('red-team'), 120_000);
  await sleep(2 * EPOCH_S * 1000);

  const end = mesh.now();
  const outAt = changeAfter(mesh, victim, false, brokenAt)!.at;
  const last = calls.findLast((call) => ofVictim(call) && call.ok)!;
  const after = (at: number | undefined) => seconds(at === undefined ? undefined : at - brokenAt);
  console.log(
    table([
      [`AFTER ${victim.toUpperCase()} WAS JAILBROKEN`, ''],
      ['garak-like probes say so', after(firstWord.get('probes'))],
      ['it is out of the mesh', after(outAt)],
      ['the last call to or from it that went through', after(last.at)],
      ['promptfoo says so', after(firstWord.get('red-team'))],
    ]),
  );
  const later = (chosen: (call: Call) => boolean) => {
    const some = calls.filter((call) => call.at > outAt + EPOCH_S * 1000 && chosen(call));
    return `${some.filter(({ ok }) => ok).length} of ${some.length}`;
  };
  const falsely = mesh.changes.filter(
    ({ node, allowed, at }) => node !== victim && !allowed && at > readyAt,
  );
  console.log(`\nOne epoch later ${later(ofVictim)} calls to or from it went through, and`);
  console.log(
    `${later((call) => !ofVictim(call))} among the others, of whom ${falsely.length} were cut.\n\n${evidence}`,
  );
  const deeds: Deed[] = [{ at: brokenAt, node: victim, what: 'jailbroken' }];
  const title = `${names.length} agents, epochs of ${EPOCH_S} s: green in, red out`;
  writeFileSync(
    join(out, 'picture.svg'),
    lanes(title, lanesOf(mesh, names, deeds, end), end / 1000),
  );
  console.error(`${join(out, 'picture.svg')} is written; it took ${seconds(end)}`);
  if (falsely.length > 0 || !later(ofVictim).startsWith('0 of ')) process.exitCode = 1;
} finally {
  following.abort();
  await followed;
  process.off('SIGINT', interrupt);
  await mesh.close();
}

/** Whether every pair has had an answer since then. */
function talk(since: number): boolean {
  const answered = new Set(
    calls.filter(({ at, ok }) => ok && at >= since).map(({ from, to }) => `${from} ${to}`),
  );
  return answered.size === names.length * (names.length - 1);
}
