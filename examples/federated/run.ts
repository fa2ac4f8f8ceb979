import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { table } from '../../src/cli/table.ts';
import type { EvaluatorStatus } from '../../src/contract/epoch.ts';
import { freeTcpPort } from '../../src/demo/userspace-place.ts';
import { Mesh } from '../kit/mesh.ts';
import { type Line, lines } from '../kit/picture.ts';
import { changeAfter, seconds } from '../kit/story.ts';

/** Federated learning with clients that poison: see README.md. */
const { values } = parseArgs({
  allowPositionals: true,
  options: { short: { type: 'boolean', default: false }, out: { type: 'string' } },
});
const { short } = values;
const out = values.out ?? import.meta.dirname;

const CACHE = join(import.meta.dirname, '../../node_modules/.cache/aligned-meshnet/federated');
const PYTHON = join(CACHE, 'bin/python');
const EPOCH_S = short ? 2 : 3;
const ROUNDS = short ? 9 : 20;
const ROUND_S = 2;
const POISONED_FROM = short ? 2 : 5;
const POISONERS = 3;
const EVALUATORS = 3;
/** The last evaluator lies from the moment on at which the poisoning begins. */
const LIAR = EVALUATORS - 1;
const SERVER = 'server';
const clients = Array.from({ length: 10 }, (_, one) => `client-${one}`);
const poisoners = clients.slice(0, POISONERS);

type Accuracy = Readonly<Record<'open' | 'governed' | 'median' | 'krum' | 'liar', number>>;
interface Round {
  readonly round: number;
  readonly came: readonly string[];
  readonly accuracy: Accuracy;
  readonly at: number;
}

const suite = { threshold: 0.7, signers: 'evaluators', min_samples: 100, max_age_s: 20 } as const;
const mesh = await Mesh.open({
  name: 'federated',
  nodes: [SERVER, ...clients],
  epochS: EPOCH_S,
  policy: { suites: [{ suite: 'accuracy', ...suite }], exempt: [SERVER], brake: null },
  evaluators: EVALUATORS,
});
const interrupt = () => void mesh.close().finally(() => process.exit(130));
process.once('SIGINT', interrupt);

const python = (
  part: string,
  file: string,
  parameters: readonly string[],
  onLine?: (line: string) => void,
) =>
  mesh.run(part, [PYTHON, join(import.meta.dirname, file), ...parameters], {
    environment: { OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1', FLWR_TELEMETRY_ENABLED: '0' },
    ...(onLine && { onLine }),
  });

/** Where echoes are all that goes through the tunnels: whether they do, for a client to look at. */
const gates = new AbortController();
async function tendGates(): Promise<void> {
  while (!gates.signal.aborted) {
    for (const client of clients) {
      const isOpen = mesh.answered(client, SERVER) === true;
      if (isOpen) writeFileSync(mesh.path('gates', client), '');
      else rmSync(mesh.path('gates', client), { force: true });
    }
    await sleep(100, undefined, { signal: gates.signal }).catch(() => {});
  }
}

async function startServer(rounds: Round[]): Promise<string> {
  const isReal = mesh.place.mode === 'linux';
  const address = isReal ? mesh.address(SERVER) : '127.0.0.1';
  const port = isReal ? 8000 : await freeTcpPort();
  const parameters = [address, port, ROUNDS, ROUND_S, POISONED_FROM, POISONERS, mesh.path('go')];
  const { promise, resolve } = Promise.withResolvers<void>();
  python(SERVER, 'server.py', parameters.map(String), (line) => {
    if (line.includes('listening')) return resolve();
    const round = { ...(JSON.parse(line) as Omit<Round, 'at'>), at: mesh.now() };
    rounds.push(round);
    if (rounds.length === POISONED_FROM) writeFileSync(mesh.path('lie'), '');
    console.error(
      `round ${round.round}: ${round.came.length} updates, governed ${round.accuracy.governed.toFixed(3)}, open ${round.accuracy.open.toFixed(3)}`,
    );
  });
  await Promise.race([promise, mesh.until('the server', () => false)]);
  return `http://${address}:${port}`;
}

/** The last score of each client by one evaluator, as it was accepted. */
type Words = Map<string, number>;

async function startEvaluator(number: number): Promise<Words> {
  const results = mesh.path(`results-${number}`);
  mkdirSync(results);
  const parameters = [mesh.path('drop'), results, String(number)];
  if (number === LIAR) parameters.push(mesh.path('lie'));
  python('controller', 'judge.py', parameters);
  const words: Words = new Map();
  const all = ['--interval', '0.5', '--suite', 'accuracy'];
  all.push('--score-from', `json:${results}/{node}.json`);
  const heard = (event: Record<string, unknown>) => {
    if (event.event === 'score') words.set(String(event.node), Number(event.score));
  };
  await mesh.evaluate(all, heard, number);
  return words;
}

let gated: Promise<void> | undefined;
try {
  console.error(`${clients.length} clients, ${mesh.note || 'each with a real interface'}`);
  if (!existsSync(PYTHON))
    throw new Error(`${PYTHON} is not there: run examples/federated/install.sh`);
  for (const folder of ['drop', 'gates']) mkdirSync(mesh.path(folder));
  await mesh.startNodes();
  const rounds: Round[] = [];
  const url = await startServer(rounds);
  for (const [number, client] of clients.entries()) {
    const from = number < POISONERS ? POISONED_FROM : -1;
    const parameters = [String(number), client, url, mesh.path('drop'), String(from)];
    if (mesh.place.mode === 'userspace') parameters.push(mesh.path('gates', client));
    python(client, 'client.py', parameters);
  }
  if (mesh.place.mode === 'userspace') gated = tendGates();
  const words: Words[] = [];
  for (let number = 0; number < EVALUATORS; number++) words.push(await startEvaluator(number));
  await mesh.until(
    'all clients to be members',
    () => clients.every((one) => mesh.isMember(one)),
    90_000,
  );
  const readyAt = mesh.now();
  await sleep(EPOCH_S * 1000);
  writeFileSync(mesh.path('go'), '');
  const rest = (ROUNDS * ROUND_S + 60) * 1000;
  await mesh.until(
    'the last poisoner to be out',
    () => poisoners.every((one) => !mesh.isMember(one)),
    rest,
  );
  const evidence = await mesh.said('why', poisoners[0]!);
  await mesh.until('the last round', () => rounds.length === ROUNDS, rest);

  // Clients see the round after this one as soon as it is closed: that is when they begin to poison.
  const poisonedAt = rounds[POISONED_FROM - 1]!.at;
  console.log(accuracies(rounds));
  const { evaluators } = await mesh.epoch();
  console.log(`\n${cuts(rounds, poisonedAt)}\n${cost(rounds, readyAt)}`);
  console.log(`\n${judges(words, evaluators)}\n${aloneIs(words[LIAR]!)}\n\n${evidence}`);
  const colors = {
    liar: '#8a6d3b',
    governed: '#2f9e58',
    krum: '#7048a8',
    median: '#2f6fc4',
    open: '#cf4436',
  };
  const drawn = Object.entries(colors).map(
    ([name, color]): Line => ({
      name: name === 'liar' ? 'the lying evaluator alone' : name,
      color,
      points: rounds.map(
        ({ round, accuracy }) => [round, accuracy[name as keyof Accuracy]] as const,
      ),
    }),
  );
  const title = `Accuracy by round; ${POISONERS} of ${clients.length} poison from round ${POISONED_FROM} on`;
  writeFileSync(join(out, 'picture.svg'), lines(title, drawn, ROUNDS - 1, 'round'));
  console.error(`${join(out, 'picture.svg')} is written; it took ${seconds(mesh.now())}`);
  const { governed, open } = rounds.at(-1)!.accuracy;
  if (governed <= open || rounds.at(-1)!.came.some((one) => poisoners.includes(one))) {
    process.exitCode = 1;
  }
} finally {
  gates.abort();
  await gated;
  process.off('SIGINT', interrupt);
  await mesh.close();
}

function accuracies(rounds: readonly Round[]): string {
  const shown = [
    POISONED_FROM - 1,
    POISONED_FROM,
    POISONED_FROM + 1,
    POISONED_FROM + 3,
    ROUNDS - 1,
  ];
  const rows = [['ROUND', 'OPEN', 'GOVERNED', 'MEDIAN', 'KRUM', 'LIAR ALONE', 'UPDATES THAT CAME']];
  for (const number of shown) {
    const { accuracy, came } = rounds[number]!;
    const { open, governed, median, krum, liar } = accuracy;
    const bad = came.filter((one) => poisoners.includes(one)).length;
    const updates = `${came.length}${bad > 0 ? `, ${bad} of them poisoned` : ''}`;
    rows.push([
      String(number),
      ...[open, governed, median, krum, liar].map((one) => one.toFixed(3)),
      number < POISONED_FROM ? String(came.length) : updates,
    ]);
  }
  return table(rows);
}

function cuts(rounds: readonly Round[], since: number): string {
  return poisoners
    .map((node) => {
      const cut = changeAfter(mesh, node, false, since);
      const last = rounds.findLast(({ came }) => came.includes(node))?.round;
      return `${node} poisons from round ${POISONED_FROM} on, is out ${seconds(cut && cut.at - since)} later; its last update came in round ${last}.`;
    })
    .join('\n');
}

/** What each evaluator said last of the first client and of the last, and how far it is from the median. */
function judges(words: readonly Words[], evaluators: readonly EvaluatorStatus[]): string {
  const shown = [clients[0]!, clients.at(-1)!];
  const score = (value: number | null | undefined) => value?.toFixed(2) ?? '-';
  const rows = words.map((said, number) => [
    `evaluator-${number}${number === LIAR ? ', lying' : ''}`,
    ...shown.map((client) => score(said.get(client))),
    score(evaluators[number]?.distance),
  ]);
  return table([['EVALUATOR', ...shown.map((one) => `OF ${one}`), 'FROM THE MEDIAN'], ...rows]);
}

/** What would be if the lying evaluator were the only one. */
function aloneIs(said: Words): string {
  const passes = (client: string) => (said.get(client) ?? 0) >= suite.threshold;
  const stay = poisoners.filter(passes).length;
  const cut = clients.slice(POISONERS).filter((one) => !passes(one)).length;
  return `Alone, evaluator-${LIAR} would keep ${stay} of ${POISONERS} who poison and cut ${cut} of ${clients.length - POISONERS} honest clients.`;
}

/** What governance has cost the honest. */
function cost(rounds: readonly Round[], readyAt: number): string {
  const honest = clients.slice(POISONERS);
  const cut = new Set(
    mesh.changes
      .filter((one) => honest.includes(one.node) && !one.allowed && one.at > readyAt)
      .map((one) => one.node),
  );
  const missing = rounds.reduce(
    (sum, { came }) => sum + honest.filter((one) => !came.includes(one)).length,
    0,
  );
  const whole = honest.length * rounds.length;
  return `${cut.size} of ${honest.length} honest clients were cut; ${missing} of their ${whole} updates did not come in time.`;
}
