import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../agent/clock.ts';
import { controllerFetch } from '../agent/controller-fetch.ts';
import type { PingAnswer } from '../agent/socket/ping-node.ts';
import type { NodeStatusDocument } from '../agent/status.ts';
import { printable } from '../contract/printable.ts';
import { databaseIn } from '../controller/state-directory.ts';
import { defaultProvider } from '../crypto/select.ts';
import { examineController } from '../doctor/controller.ts';
import type { Finding, Level } from '../doctor/finding.ts';
import { examineNode, isNodeState } from '../doctor/node.ts';
import { version } from '../ground/version.ts';
import { adminText } from './admin-client.ts';
import { type AdminOptions, print } from './answer.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { nodeCall } from './node-client.ts';

/** How long a node has for the handshakes of an epoch that begins, and how often it is asked, ms. */
const SETTLED_WITHIN = 5000;
const LOOK_AGAIN = 100;

export interface DoctorOptions extends AdminOptions {
  /** Of the node. */
  readonly state: string;
  readonly controller?: string;
}

/** What was found about one of the two. */
export interface Examined {
  readonly who: 'controller' | 'node';
  readonly findings: readonly Finding[];
}

/** `meshnet doctor`. Rejects with a `CommandError` if there is a problem. */
export async function doctor(options: DoctorOptions): Promise<void> {
  const examined = await examine(options);
  if (examined.length === 0) {
    const message = `there is no controller at ${options.socket}, and no node is enrolled in ${options.state}`;
    throw new CommandError(EXIT.unreachable, 'unreachable', message);
  }
  const count = (level: Level) =>
    examined.flatMap(({ findings }) => findings).filter((one) => one.level === level).length;
  const [problems, warnings] = [count('problem'), count('warning')];
  const lines = examined.flatMap(({ who, findings }) => [`${who}:`, ...findings.map(findingText)]);
  const sum = `${counted(problems, 'problem')}, ${counted(warnings, 'warning')}`;
  print(options, { problems, warnings, examined }, [...lines, sum].join('\n'));
  if (problems > 0) throw new CommandError(EXIT.ill, 'ill', counted(problems, 'problem'));
}

/** Looks at whichever of the two this machine has. */
export async function examine(options: DoctorOptions): Promise<Examined[]> {
  const { state, socket } = options;
  const crypto = defaultProvider();
  const controllerState = dirname(socket);
  const shared = {
    fetch: controllerFetch(crypto),
    clock: systemClock,
    environment: process.env,
  };
  const examined: Examined[] = [];
  if (existsSync(socket) || existsSync(databaseIn(controllerState))) {
    const findings = await examineController({
      ...shared,
      state: controllerState,
      url: options.controller,
      ask: (path) => adminText(options, path),
      version: version(),
    });
    examined.push({ who: 'controller', findings });
  }
  if (isNodeState(state)) {
    const findings = await examineNode({
      ...shared,
      state,
      controllerUrl: options.controller,
      status: await settledStatus(state),
      ping: (node) => nodeCall<PingAnswer>(state, 'POST', `/v1/ping/${node}`),
      crypto,
      random: (length) => new Uint8Array(randomBytes(length)),
    });
    examined.push({ who: 'node', findings });
  }
  return examined;
}

/** A node is not ready for a moment whenever an epoch begins: only what lasts is a finding. */
async function settledStatus(state: string): Promise<NodeStatusDocument | undefined> {
  const until = performance.now() + SETTLED_WITHIN;
  for (;;) {
    const status = await runningStatus(state);
    const settles = status?.allowed === true && !status.ready;
    if (!settles || performance.now() >= until) return status;
    await delay(LOOK_AGAIN);
  }
}

function runningStatus(state: string): Promise<NodeStatusDocument | undefined> {
  return nodeCall<NodeStatusDocument>(state, 'GET', '/v1/status').catch((error: unknown) => {
    if (error instanceof CommandError) return undefined; // that is one of the findings
    throw error;
  });
}

const MARKS: Readonly<Record<Level, string>> = {
  ok: 'ok     ',
  warning: 'WARNING',
  problem: 'PROBLEM',
};

/** As people read it, with its remedy on a line of its own. */
export function findingText({ subject, level, found, remedy }: Finding): string {
  const indent = ' '.repeat(2 + MARKS[level].length + 2 + 11);
  const line = `  ${MARKS[level]}  ${subject.padEnd(9)}  ${oneLine(found)}`;
  return remedy === null ? line : `${line}\n${indent}-> ${oneLine(remedy)}`;
}

const oneLine = (text: string) => printable(text).replace(/\s+/g, ' ');

function counted(count: number, what: string): string {
  return `${count === 0 ? 'no' : count} ${what}${count === 1 ? '' : 's'}`;
}
