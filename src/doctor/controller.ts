import { existsSync, statSync } from 'node:fs';
import type { AgentClock } from '../agent/clock.ts';
import type { Fetch } from '../agent/http-calls.ts';
import { fromBase64 } from '../contract/encoding.ts';
import type { EpochDocument } from '../contract/epoch.ts';
import { readKeyFile } from '../contract/key-file.ts';
import { isLoopbackHost } from '../contract/loopback-host.ts';
import type { StampedEvent } from '../controller/events.ts';
import { databaseIn, keyFileIn } from '../controller/state-directory.ts';
import { reachOf, tlsOf } from './controller-reach.ts';
import { type Finding, look, ok, problem, warning } from './finding.ts';
import { diskOf, interfaceWith, overlapOf, stateRights } from './machine.ts';

export interface ControllerDoctorOptions {
  readonly state: string;
  /** URL that nodes are given; else the one that it listens at. */
  readonly url?: string | undefined;
  /** GET of the admin socket: the answer's text. Rejects if it cannot be asked or refuses. */
  readonly ask: (path: string) => Promise<string>;
  /** Version of this program. */
  readonly version: string;
  readonly fetch: Fetch;
  readonly clock: AgentClock;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** All that a controller needs, looked at one by one, as it tells by its socket. */
export async function examineController(options: ControllerDoctorOptions): Promise<Finding[]> {
  const { state, ask, clock } = options;
  const here = [
    ...(await look('rights', () => rightsOf(state))),
    ...(await look('disk', () => [...diskOf(state), ...databaseOf(state)])),
  ];
  let epoch: EpochDocument;
  try {
    epoch = JSON.parse(await ask('/v1/epoch')) as EpochDocument;
  } catch (error) {
    const remedy = 'start it: systemctl start meshnet-controller, or meshnet controller';
    return [problem('running', (error as Error).message, remedy), ...here];
  }
  const url = options.url ?? (await listeningAt(ask));
  return [
    runningOf(epoch),
    ...(url === undefined
      ? [warning('reach', 'where it listens is not told any more', 'give --controller URL')]
      : await fromOutside(url, epoch, options)),
    clockOf(epoch, clock.wall()),
    ...(await look('overlap', () => overlapsOf(epoch))),
    ...here,
    ...(await look('versions', async () => [runningVersion(await ask('/metrics'), options)])),
  ];
}

function runningOf({ not_ready, epoch, nodes, brake, observe_only }: EpochDocument): Finding {
  if (not_ready !== null) return problem('running', not_ready, 'do what the sentence says');
  const members = nodes.filter((node) => node.allowed).length;
  const found = `epoch ${epoch}: ${members} of ${nodes.length} nodes are members`;
  if (brake !== null) {
    const remedy = 'meshnet status: is it their fault, or what they have in common?';
    return warning('running', `${found}; the brake holds ${brake.held.length} of them`, remedy);
  }
  return ok('running', observe_only ? `${found}, and nobody is cut (observe only)` : found);
}

async function listeningAt(ask: ControllerDoctorOptions['ask']): Promise<string | undefined> {
  const lines = (await ask('/v1/events')).split('\n').filter((line) => line !== '');
  const events = lines.map((line) => JSON.parse(line) as StampedEvent);
  const started = events.find((event) => event.event === 'started');
  return started?.event === 'started' ? started.url : undefined;
}

/** The way that nodes take, with the proxy if there is one. */
async function fromOutside(
  url: string,
  { mesh_id }: EpochDocument,
  options: ControllerDoctorOptions,
): Promise<Finding[]> {
  const meshId = fromBase64(mesh_id, 32);
  const reach = await look('reach', () => reachOf({ ...options, url, meshId }));
  const alone = isLoopbackHost(new URL(url).host)
    ? [
        warning(
          'reach',
          `${url} is for this machine alone`,
          'start it with --listen ADDRESS:8440, or behind a proxy (then name its URL: --controller)',
        ),
      ]
    : [];
  // The same program on the same clock: its time and protocol say nothing.
  const answers = reach.filter(({ subject }) => subject === 'reach');
  if (answers.some(({ level }) => level === 'problem')) return [...answers, ...alone];
  return [...answers, ...alone, ...(await look('tls', () => tlsOf(url, options.clock.wall())))];
}

/** How far (ms) an epoch may begin in the future before somebody has set the clock. */
const STEP_MS = 2000;

function clockOf({ started_at }: EpochDocument, now: number): Finding {
  const ahead = started_at - now;
  if (ahead <= STEP_MS) return ok('clock', 'epochs began in the past');
  const found = `the epoch began ${Math.round(ahead / 1000)} s in the future: the clock was set back`;
  return problem('clock', found, 'set it right (NTP); scores dated ahead of it are refused');
}

/** A node on this machine has its address here, and nobody else may. */
function overlapsOf({ nodes }: EpochDocument): Finding[] {
  const own = nodes.map((node) => interfaceWith(node.tunnel_address)).find(Boolean);
  const found = nodes.slice(0, 1).flatMap((node) => overlapOf(`${node.tunnel_address}/32`, own));
  return found.length > 0 ? found : [ok('overlap', 'no node has an address yet')];
}

function rightsOf(state: string): Finding[] {
  readKeyFile(keyFileIn(state));
  const root =
    process.geteuid?.() === 0
      ? [
          warning(
            'rights',
            'this is root',
            'run the controller as a user of its own: it needs no rights',
          ),
        ]
      : [];
  return [...stateRights(state), ...root];
}

const MIB = 1 << 20;

function databaseOf(state: string): Finding[] {
  const path = databaseIn(state);
  if (!existsSync(path)) return [];
  return [ok('disk', `the database has ${Math.ceil(statSync(path).size / MIB)} MiB`)];
}

function runningVersion(metrics: string, { version }: ControllerDoctorOptions): Finding {
  const running = /^meshnet_controller_build_info\{version="([^"]*)"/m.exec(metrics)?.[1];
  if (running === version) return ok('versions', `version ${version} runs`);
  const found = `version ${running ?? 'unknown'} runs, and ${version} is installed`;
  return warning('versions', found, 'restart the controller');
}
