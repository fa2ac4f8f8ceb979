import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { assertCanOpen, openBackend } from '../agent/backend.ts';
import { systemClock } from '../agent/clock.ts';
import { controllerFetch } from '../agent/controller-fetch.ts';
import { EnrolmentError } from '../agent/enrol.ts';
import type { AgentEvent } from '../agent/events.ts';
import { readKnownController } from '../agent/known-controller.ts';
import {
  type NodeOptions,
  type NodeSurroundings,
  type RunningNode,
  startNode,
} from '../agent/node.ts';
import { isNodeId, nodeIdOfMachine } from '../contract/ids.ts';
import { printable } from '../contract/printable.ts';
import { defaultProvider } from '../crypto/select.ts';
import { defaultTransport } from '../crypto/transport-select.ts';
import { DirectoryError } from '../ground/directory.ts';
import { LockedError } from '../ground/lock.ts';
import { TunnelError } from '../tunnel/create-tunnel.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { isJsonLog, jsonLine, type LogOptions, textLine, warner } from './log-lines.ts';
import { nodeLogLine } from './node-log.ts';
import { DEFAULT_EMIT_S, type ScoreSourceOptions, scoreSources } from './score-sources.ts';
import { ServiceManager, takeServiceEnvironment } from './service-manager.ts';
import { standardError, standardOutput } from './standard-output.ts';
import { stopSignal } from './stop-signal.ts';
import { readTokenFile } from './token-file.ts';

const DEFAULT_CONTROLLER = 'http://127.0.0.1:8440';

/** Options of `meshnet node` as commander hands them over. */
export interface NodeCommandOptions extends ScoreSourceOptions, LogOptions {
  readonly controller?: string;
  readonly name?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly backend: string;
  readonly interface: string;
  readonly listenPort: number;
  readonly advertise?: string;
  readonly poll: number;
  readonly probe: number;
  readonly hosts?: string;
  readonly dns?: number;
  readonly push: boolean;
  readonly witness?: { readonly host: string; readonly port: number };
  readonly metrics?: { readonly host: string; readonly port: number };
  readonly stopWithStdin?: boolean;
}

export async function runNode(options: NodeCommandOptions): Promise<void> {
  const crypto = defaultProvider();
  delete process.env.MESHNET_TOKEN; // a score command has no business with it
  const isTerminal = process.stdout.isTTY === true;
  const warn = warner('meshnet node');
  const output = standardOutput({
    notice: (dropped) => {
      const sentence = `${dropped} lines were dropped: nobody read them`;
      return isJsonLog(options, isTerminal)
        ? jsonLine({ at: Date.now(), level: 'warn', event: 'output_dropped', dropped })
        : textLine(Date.now(), 'warn', sentence);
    },
  });
  const manager = new ServiceManager(takeServiceEnvironment(process.env), systemClock, warn);
  const running = Promise.withResolvers<RunningNode>();
  running.promise.catch(() => {}); // whoever started it is told
  const emit = (event: AgentEvent): void => {
    // Once the device is as the controller says, whatever that is, and for as long as it changes.
    if (event.event === 'config') {
      manager.ready(async () => (await running.promise).backend.tunnel.configure({}));
    } else if (event.event === 'ready') manager.status(event.reason);
    const line = nodeLogLine(event, Date.now(), options, isTerminal);
    if (line !== undefined) output.write(line);
  };
  if (options.name !== undefined && !isNodeId(options.name)) {
    throw new CommandError(EXIT.usage, 'usage', `${options.name}: not a node name`);
  }
  const backend = backendOf(options);
  const stop = stopSignal({ withStdin: options.stopWithStdin === true, withStdout: false });
  stop.addEventListener('abort', () => manager.stopping(), { once: true });
  try {
    const node = await startNode(
      nodeOptions(options),
      {
        fetch: controllerFetch(crypto),
        clock: systemClock,
        crypto,
        randomBytes: (length) => new Uint8Array(randomBytes(length)),
        random: Math.random,
        emit,
        ...backend,
      },
      stop,
    );
    running.resolve(node);
    if (node.backend.note !== undefined) {
      const what = node.backend.kind === 'userspace' ? 'userspace mode, because ' : '';
      warn(`${what}${node.backend.note}`);
    }
    await node.ended;
  } catch (error) {
    running.reject(error);
    if (stop.aborted) return;
    throw explained(error, options);
  } finally {
    manager.close();
  }
}

function nodeOptions(options: NodeCommandOptions): NodeOptions {
  const machine = nodeIdOfMachine(hostname());
  const token = options.token ?? readTokenFile(options.tokenFile);
  return {
    stateDirectory: options.state,
    ...(options.name === undefined ? {} : { nodeId: options.name }),
    ...(machine === undefined ? {} : { defaultNodeId: machine }),
    ...(token === undefined ? {} : { token }),
    controllerUrl: options.controller ?? readKnownController(options.state) ?? DEFAULT_CONTROLLER,
    advertise: options.advertise ?? null,
    listenPort: options.listenPort,
    emitMs: DEFAULT_EMIT_S * 1000,
    pollMs: options.poll * 1000,
    probeMs: options.probe * 1000,
    sources: scoreSources(options, warner('meshnet node'), (line) =>
      standardError().write(`${printable(line)}\n`),
    ),
    ...(options.samples === undefined ? {} : { samples: options.samples }),
    push: options.push,
    ...namesOf(options),
    ...(options.witness === undefined ? {} : { witness: options.witness }),
    ...(options.metrics === undefined ? {} : { metrics: options.metrics }),
  };
}

function namesOf({ hosts, dns }: NodeCommandOptions): Pick<NodeOptions, 'names'> {
  if (hosts === undefined && dns === undefined) return {};
  return {
    names: {
      ...(hosts === undefined ? {} : { hosts }),
      ...(dns === undefined ? {} : { dnsPort: dns }),
    },
  };
}

function backendOf({
  backend,
  interface: name,
  listenPort,
}: NodeCommandOptions): Required<Pick<NodeSurroundings, 'assertCanOpen' | 'openBackend'>> {
  if (backend === 'auto' || backend === 'linux' || backend === 'userspace') {
    // Not when the device is opened: by then fetch has WebAssembly of its own.
    defaultTransport(warner('meshnet node'));
    return {
      assertCanOpen: () => assertCanOpen({ kind: backend, name, listenPort }),
      openBackend: (options) => openBackend({ ...options, kind: backend, name }),
    };
  }
  const socket = /^uapi:(.+)$/.exec(backend)?.[1];
  if (socket !== undefined) {
    return {
      async assertCanOpen() {
        const { assertAnswers } = await import('../agent/uapi-backend.ts');
        await assertAnswers(socket);
      },
      async openBackend(options) {
        const { openUapiBackend } = await import('../agent/uapi-backend.ts');
        return openUapiBackend(socket, options, defaultProvider(), systemClock);
      },
    };
  }
  const message = `--backend ${backend}: expected auto, linux, userspace or uapi:SOCKET`;
  throw new CommandError(EXIT.usage, 'usage', message);
}

function explained(error: unknown, options: NodeCommandOptions): unknown {
  if (error instanceof EnrolmentError) {
    return new CommandError(EXIT.refused, error.code, enrolmentTrouble(error, options));
  }
  if (error instanceof DirectoryError || error instanceof LockedError) {
    return new CommandError(EXIT.failed, 'cannot_start', `--state: ${error.message}`);
  }
  if (error instanceof TunnelError) {
    const missing = error.code === 'not_permitted' || error.code === 'not_supported';
    const message =
      error.code === 'name_in_use'
        ? `--interface ${options.interface}: ${error.message}`
        : error.message;
    return new CommandError(missing ? EXIT.unsupported : EXIT.failed, error.code, message);
  }
  return error;
}

function enrolmentTrouble({ code, message }: EnrolmentError, options: NodeCommandOptions): string {
  switch (code) {
    case 'not_enrolled':
      return (
        `${options.state}: no node is enrolled there, and MESHNET_TOKEN is not set (nor is there a --token-file). ` +
        '`meshnet node add NAME` on the controller prints what to run here'
      );
    case 'token_malformed':
      return 'MESHNET_TOKEN or --token-file: this is not a join token, as `meshnet node add NAME` prints it';
    default:
      return `enrolment: ${message}`;
  }
}
