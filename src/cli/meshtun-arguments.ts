import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { MAX_LANES } from '../session/limits.ts';
import { type OffloadOptions, parseOffloads } from '../tunnel/linux/offloads.ts';

/** Environment variable: as --worker-pairs. */
export const WORKER_PAIRS = 'MESHTUN_WORKER_PAIRS';

export const USAGE = `Usage: meshtun [-f|--foreground] [--log-file FILE] [--worker-pairs N] [--offloads LIST]
               INTERFACE
       meshtun --version | --help

Makes a WireGuard interface that wg(8) and wg-quick(8) configure through
/var/run/wireguard/INTERFACE.sock. Returns when both exist and goes on in the background. It ends
on SIGTERM or SIGINT, when the interface is deleted (ip link del INTERFACE), or when the socket is.

  -f, --foreground     stay in front; log to standard error
      --log-file F     append the log to F instead of sending it to syslog
      --worker-pairs N move packets in N pairs of threads, 1 to 8 (half of the processors, at most 4)
      --offloads LIST  ask the kernel for these only: all (the default), none, or some of
                       tun-tcp,tun-udp,udp-segment,udp-gro

Environment:
  WG_PROCESS_FOREGROUND=1   as --foreground
  LOG_LEVEL                 verbose or debug, error (the default), silent
  WG_TUN_FD                 number of an open descriptor of a TUN device to use
  WG_UAPI_FD                number of an open descriptor of a listening socket to use
  MESHTUN_WORKER_PAIRS      as --worker-pairs
  MESH_OFFLOADS             as --offloads
  MESHNET_NODE              path of the Node (26 or later) to run on

Exit status: 0 done or in the background, 1 failed, 2 wrong arguments.
`;

export type LogLevel = 'verbose' | 'error' | 'silent';

export interface DaemonArguments {
  readonly interfaceName: string;
  readonly foreground: boolean;
  readonly logLevel: LogLevel;
  /** Absolute path. */
  readonly logFile: string | undefined;
  readonly tunDescriptor: number | undefined;
  readonly uapiDescriptor: number | undefined;
  /** Undefined: as many as suit the machine. */
  readonly workerPairs: number | undefined;
  /** Undefined: as the environment says. */
  readonly offloads: Required<OffloadOptions> | undefined;
}

export type MeshtunArguments =
  | { readonly action: 'help' }
  | { readonly action: 'version' }
  | { readonly action: 'run'; readonly run: DaemonArguments };

/** What was typed cannot be done. The message says what is wrong with it. */
export class UsageError extends Error {}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Throws UsageError. `argv` without the program's name. */
export function parseArguments(
  argv: readonly string[],
  environment: Environment,
): MeshtunArguments {
  const { values, positionals } = parse(argv);
  if (values.help) return { action: 'help' };
  if (values.version) return { action: 'version' };
  const [interfaceName, ...rest] = positionals;
  if (interfaceName === undefined) throw new UsageError('the name of an interface is missing');
  if (rest.length > 0) throw new UsageError('more than one interface name');
  checkInterfaceName(interfaceName);
  const logFile = values['log-file'];
  return {
    action: 'run',
    run: {
      interfaceName,
      foreground: values.foreground || environment.WG_PROCESS_FOREGROUND === '1',
      logLevel: logLevel(environment.LOG_LEVEL),
      logFile: logFile === undefined ? undefined : resolve(logFile),
      tunDescriptor: descriptor('WG_TUN_FD', environment),
      uapiDescriptor: descriptor('WG_UAPI_FD', environment),
      workerPairs: workerPairs(values['worker-pairs'], environment),
      offloads: offloads(values.offloads),
    },
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        foreground: { type: 'boolean', short: 'f', default: false },
        'log-file': { type: 'string' },
        'worker-pairs': { type: 'string' },
        offloads: { type: 'string' },
        version: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** What the kernel takes as a name (dev_valid_name), so that the message is ours and clear. */
function checkInterfaceName(name: string): void {
  const length = Buffer.byteLength(name);
  if (length === 0 || length > 15 || name === '.' || name === '..' || /[/:\s\0]/.test(name)) {
    throw new UsageError(
      `${JSON.stringify(name)} is no interface name: 1 to 15 bytes, no "/" or ":"`,
    );
  }
}

function logLevel(value: string | undefined): LogLevel {
  if (value === 'verbose' || value === 'debug') return 'verbose';
  return value === 'silent' ? 'silent' : 'error';
}

/** The option goes before the environment. */
function workerPairs(option: string | undefined, environment: Environment): number | undefined {
  const value = option ?? environment[WORKER_PAIRS];
  if (value === undefined || (value === '' && option === undefined)) return undefined;
  if (!/^[0-9]+$/.test(value) || Number(value) < 1 || Number(value) > MAX_LANES) {
    const name = option === undefined ? WORKER_PAIRS : '--worker-pairs';
    throw new UsageError(
      `${name} is a number from 1 to ${MAX_LANES}, not ${JSON.stringify(value)}`,
    );
  }
  return Number(value);
}

function offloads(list: string | undefined): Required<OffloadOptions> | undefined {
  if (list === undefined) return undefined;
  try {
    return parseOffloads('--offloads', list);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function descriptor(name: string, environment: Environment): number | undefined {
  const value = environment[name];
  if (value === undefined || value === '') return undefined;
  if (!/^[0-9]{1,9}$/.test(value)) throw new UsageError(`${name} is no descriptor number`);
  return Number(value);
}
