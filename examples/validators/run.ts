import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { table } from '../../src/cli/table.ts';
import { freeTcpPort } from '../../src/demo/userspace-place.ts';
import { Mesh } from '../kit/mesh.ts';
import { lanes } from '../kit/picture.ts';
import { changeAfter, type Deed, lanesOf, seconds } from '../kit/story.ts';

/** Ten validators that Prometheus measures: see README.md. */
const { values } = parseArgs({
  allowPositionals: true,
  options: { short: { type: 'boolean', default: false }, out: { type: 'string' } },
});
const { short } = values;
const out = values.out ?? import.meta.dirname;

const COUNT = short ? 4 : 10;
const EPOCH_S = short ? 2 : 4;
const WINDOW_S = short ? 3 : 5;
const names = Array.from({ length: COUNT }, (_, one) => `validator-${one}`);
const [slow, down, poor] = [names[1]!, names[2]!, names[3]!] as const;
const FAST_MS = 20;
const SLOW_MS = 700;

const evaluated = { signers: 'evaluators', max_age_s: 4 * EPOCH_S } as const;
const policy = {
  suites: [
    { suite: 'availability', threshold: 0.9, ...evaluated },
    // Back only after three epochs in a row with answers clearly fast enough.
    { suite: 'latency', threshold: 0.5, readmit: 0.7, back: 3, ...evaluated },
    { suite: 'stake', threshold: 0.32, ...evaluated, max_age_s: 86_400 },
  ],
  brake: null,
};

const mesh = await Mesh.open({ name: 'validators', nodes: names, epochS: EPOCH_S, policy });
const interrupt = () => void mesh.close().finally(() => process.exit(130));
process.once('SIGINT', interrupt);
const deeds: Deed[] = [];

function latency(node: string, ms: number): void {
  writeFileSync(mesh.path(`${node}.ms`), String(ms));
}

/** In whole coins; the chain's own business, and only read here. */
function stakes(change: Record<string, number> = {}): void {
  const all = Object.fromEntries(names.map((name) => [name, (change[name] ?? 32) / 100]));
  writeFileSync(mesh.path('stake.json'), JSON.stringify(all));
}

async function startValidator(node: string, port: number): Promise<() => Promise<void>> {
  const program = join(import.meta.dirname, 'validator.ts');
  const address = mesh.place.mode === 'linux' ? mesh.place.address(node) : '127.0.0.1';
  const { promise, resolve } = Promise.withResolvers<string>();
  const command = [process.execPath, program, address, String(port), mesh.path(`${node}.ms`)];
  const child = mesh.run(node, command, { onLine: resolve });
  await promise;
  return () => child.stop(0);
}

async function startMeasuring(urls: readonly string[]): Promise<string> {
  const exporter = await freeTcpPort();
  const program = join(import.meta.dirname, 'prober.ts');
  mesh.run('controller', [process.execPath, program, String(exporter), ...urls]);
  const config = mesh.path('prometheus.yml');
  writeFileSync(
    config,
    `global: {scrape_interval: 1s}
scrape_configs: [{job_name: prober, static_configs: [{targets: ['127.0.0.1:${exporter}']}]}]
`,
  );
  mkdirSync(mesh.path('prometheus'));
  const listen = `127.0.0.1:${await freeTcpPort()}`;
  const storage = `--storage.tsdb.path=${mesh.path('prometheus')}`;
  // Prometheus knows nothing of standard input: the shell ends it when that ends.
  const script = 'prometheus "$@" & cat >/dev/null; kill $!; wait';
  const options = [`--config.file=${config}`, storage, `--web.listen-address=${listen}`];
  mesh.run('controller', ['sh', '-c', script, 'sh', ...options, '--log.level=error']);
  return `http://${listen}`;
}

async function done(what: string, node: string, deed: () => void | Promise<void>): Promise<number> {
  const at = mesh.now();
  await deed();
  deeds.push({ at, node, what });
  console.error(`${seconds(at)}: ${node} ${what}`);
  return at;
}

try {
  console.error(`${COUNT} validators, ${mesh.note || 'each with a real interface'}`);
  for (const node of names) latency(node, FAST_MS);
  stakes();
  const port = () => (mesh.place.mode === 'linux' ? Promise.resolve(7000) : freeTcpPort());
  const ports = new Map<string, number>();
  const stops = new Map<string, () => Promise<void>>();
  for (const node of names) {
    ports.set(node, await port());
    stops.set(node, await startValidator(node, ports.get(node)!));
  }
  const prometheus = await startMeasuring(
    names.map((node) => {
      const address = mesh.place.mode === 'linux' ? mesh.place.address(node) : '127.0.0.1';
      return `${node}=http://${address}:${ports.get(node)}/`;
    }),
  );
  await mesh.startNodes();
  const of = (metric: string) => `avg_over_time(${metric}{validator="{node}"}[${WINDOW_S}s])`;
  await mesh.evaluate([
    ...['--node', names.join(','), '--interval', '1', '--map', 'latency=1..0'],
    ...['--score-from', `availability=prometheus:${prometheus}#${of('validator_up')}`],
    ...[
      '--score-from',
      `latency=prometheus:${prometheus}#clamp_max(${of('validator_answer_seconds')}, 1)`,
    ],
    ...['--score-from', `stake=json:${mesh.path('stake.json')}#/{node}`],
  ]);
  const all = () => names.every((node) => mesh.isMember(node));
  await mesh.until('all validators to be members', all);
  const readyAt = mesh.now();
  await sleep(EPOCH_S * 1000);

  const slowAt = await done('slows down', slow, () => latency(slow, SLOW_MS));
  await mesh.until(`${slow} to be out`, () => !mesh.isMember(slow));
  const evidence = await mesh.said('why', slow);
  const downAt = await done('stops', down, () => stops.get(down)!());
  await mesh.until(`${down} to be out`, () => !mesh.isMember(down));
  const slashedAt = await done('loses its stake', poor, () => stakes({ [poor]: 16 }));
  await mesh.until(`${poor} to be out`, () => !mesh.isMember(poor));
  const meanwhile = await reachedBy(slow);

  const fastAt = await done('is fast again', slow, () => latency(slow, FAST_MS));
  const startedAt = await done('is started again', down, async () => {
    await startValidator(down, ports.get(down)!);
  });
  await mesh.until(`${slow} to be back`, () => mesh.isMember(slow));
  await mesh.until(`${down} to be back`, () => mesh.isMember(down));
  await mesh.until(`${slow} to be reached`, async () => (await reachedBy(slow)).reached > 0);
  await sleep(EPOCH_S * 1000);

  const end = mesh.now();
  const rows = [
    ['VALIDATOR', 'WHAT HAPPENED', 'OUT AFTER', 'MENDED', 'BACK AFTER', 'BY WHICH SUITE'],
    row(slow, 'slows down to 0.7 s', slowAt, fastAt),
    row(down, 'is stopped', downAt, startedAt),
    row(poor, 'loses half its stake', slashedAt, undefined),
  ];
  const others = names.filter((name) => ![slow, down, poor].includes(name));
  const falsely = mesh.changes.filter(
    ({ node, allowed, at }) => others.includes(node) && !allowed && at > readyAt,
  );
  console.log(table(rows));
  console.log(
    `\n${meanwhile.reached} of ${meanwhile.asked} members reached ${slow} while it was out.`,
  );
  console.log(`${falsely.length} of ${others.length} others were cut.\n\n${evidence}`);
  const picture = lanes(
    `${COUNT} validators, epochs of ${EPOCH_S} s: green in, red out`,
    lanesOf(mesh, names, deeds, end),
    end / 1000,
  );
  writeFileSync(join(out, 'picture.svg'), picture);
  console.error(`${join(out, 'picture.svg')} is written; it took ${seconds(end)}`);
  if (falsely.length > 0 || meanwhile.reached > 0) process.exitCode = 1;
} finally {
  process.off('SIGINT', interrupt);
  await mesh.close();
}

/** How many others have an answer from a node, by an echo that was sent from now on. */
async function reachedBy(node: string): Promise<{ reached: number; asked: number }> {
  const since = mesh.now();
  const others = names.filter((other) => other !== node && mesh.isMember(other));
  const asked = () => others.every((other) => mesh.answered(other, node, since) !== undefined);
  await mesh.until('an echo from everybody', asked);
  const reached = others.filter((other) => mesh.answered(other, node, since)).length;
  return { reached, asked: others.length };
}

function row(node: string, what: string, at: number, mendedAt: number | undefined): string[] {
  const cut = changeAfter(mesh, node, false, at);
  const back = mendedAt === undefined ? undefined : changeAfter(mesh, node, true, mendedAt);
  const suite = /availability|latency|stake/.exec(cut?.explanation ?? '')?.[0] ?? '-';
  return [
    node,
    what,
    seconds(cut && cut.at - at),
    mendedAt === undefined ? 'no' : seconds(mendedAt - at),
    back === undefined || mendedAt === undefined ? '-' : seconds(back.at - mendedAt),
    suite,
  ];
}
