import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { OFFLOADS, offloadNames } from '../tunnel/linux/offloads.ts';
import { type DaemonArguments, WORKER_PAIRS } from './meshtun-arguments.ts';
import { openLogFile } from './meshtun-log.ts';

/** Environment of the background process: where it says that it is ready, or why it is not. */
export const READY_FD = 'MESHTUN_READY_FD';
/** Set to 1 if its standard error is a syslog. */
export const TO_SYSLOG = 'MESHTUN_TO_SYSLOG';

/** What the background process writes to READY_FD, as one JSON text. */
export type StartReport = { readonly ready: string } | { readonly failed: string };

const READY_DESCRIPTOR = 3;
/** Behind standard streams and READY_DESCRIPTOR, in the order of the stdio list below. */
const TUN_DESCRIPTOR = 4;
const UAPI_DESCRIPTOR = 5;

/**
 * Starts the daemon in a session of its own and waits until it is ready. Rejects with the reason
 * if it could not start.
 */
export async function startInBackground(options: DaemonArguments): Promise<void> {
  const { tunDescriptor, uapiDescriptor, logFile, interfaceName, workerPairs, offloads } = options;
  const log = await openLog(options);
  const stdio: StdioOptions = ['ignore', log.output, log.output, 'pipe'];
  stdio[TUN_DESCRIPTOR] = tunDescriptor ?? 'ignore';
  stdio[UAPI_DESCRIPTOR] = uapiDescriptor ?? 'ignore';
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, interfaceName], {
    detached: true, // setsid(2)
    cwd: '/',
    stdio,
    env: {
      ...process.env,
      WG_PROCESS_FOREGROUND: '1',
      WG_TUN_FD: tunDescriptor === undefined ? '' : String(TUN_DESCRIPTOR),
      WG_UAPI_FD: uapiDescriptor === undefined ? '' : String(UAPI_DESCRIPTOR),
      [WORKER_PAIRS]: workerPairs === undefined ? '' : String(workerPairs),
      ...(offloads === undefined ? {} : { [OFFLOADS]: offloadNames(offloads).join() || 'none' }),
      [READY_FD]: String(READY_DESCRIPTOR),
      [TO_SYSLOG]: logFile === undefined ? '1' : '',
    },
  });
  const report = await startReport(child);
  child.unref();
  log.release();
  if ('failed' in report) throw new Error(report.failed);
}

async function startReport(child: ChildProcess): Promise<StartReport> {
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? `exit status ${code}`));
  });
  const report = await Promise.race([failed, text(child.stdio[READY_DESCRIPTOR] as Readable)]);
  if (report === '') {
    return { failed: `the background process ended before it was ready (${await ended})` };
  }
  const parsed = JSON.parse(report) as StartReport;
  if ('failed' in parsed) await ended; // so that nothing of it is left when this one ends
  return parsed;
}

interface LogOutput {
  /** For the stdio of the daemon. */
  readonly output: 'ignore' | number | Writable;
  /** Gives up this process's own hold of it. */
  release(): void;
}

async function openLog(options: DaemonArguments): Promise<LogOutput> {
  if (options.logFile !== undefined) {
    return { output: openLogFile(options.logFile), release: () => {} };
  }
  // Where there is no syslog, logger(1) would complain about every line to nobody.
  if (options.logLevel === 'silent' || !existsSync('/dev/log')) {
    return { output: 'ignore', release: () => {} };
  }
  const logger = spawn('logger', ['--tag', 'meshtun', '--priority', 'daemon.notice'], {
    detached: true,
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const started = new Promise<void>((resolve, reject) => {
    logger.once('spawn', resolve);
    logger.once('error', reject);
  });
  try {
    await started;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    process.stderr.write(
      `meshtun: nothing is logged: there is a syslog, but logger(1) cannot be run (${code}); --log-file names a file instead\n`,
    );
    return { output: 'ignore', release: () => {} };
  }
  logger.unref();
  return { output: logger.stdin, release: () => logger.stdin.destroy() };
}
