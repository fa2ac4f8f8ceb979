import { closeSync, writeSync } from 'node:fs';
import { endProcess } from '../ground/end.ts';
import { Output } from '../ground/output.ts';
import { version } from '../ground/version.ts';
import { parseArguments, USAGE, UsageError } from './meshtun-arguments.ts';
import { READY_FD, type StartReport, startInBackground, TO_SYSLOG } from './meshtun-background.ts';
import { logTo, openLogFile } from './meshtun-log.ts';
import { standardError } from './standard-output.ts';

const FAILED = 1;
const WRONG_ARGUMENTS = 2;

/** What the tunnel's log goes to. */
const outputs: Output[] = [];

function complain(message: string): void {
  process.stderr.write(`meshtun: ${message}\n`);
}

async function main(): Promise<number> {
  const parsed = parseArguments(process.argv.slice(2), process.env);
  if (parsed.action === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  if (parsed.action === 'version') {
    process.stdout.write(`meshtun ${version()}\n`);
    return 0;
  }
  if (!parsed.run.foreground) {
    await startInBackground(parsed.run);
    return 0;
  }
  const report = startReporter();
  try {
    const { interfaceName, logLevel, logFile } = parsed.run;
    const output = logFile === undefined ? standardError() : new Output(openLogFile(logFile));
    outputs.push(output);
    const log = logTo(output, logLevel, interfaceName, process.env[TO_SYSLOG] !== '1');
    // Loaded here: the process that only starts another one does without.
    const { bootDataThreads } = await import('./meshtun-boot.ts');
    bootDataThreads(parsed.run);
    const { runDaemon } = await import('./meshtun-daemon.ts');
    await runDaemon(parsed.run, log, (name) => report({ ready: name }));
    return 0;
  } catch (error) {
    report({ failed: (error as Error).message });
    throw error;
  }
}

/** Tells the process that waits in front, once, and lets it go; does nothing in the foreground. */
function startReporter(): (report: StartReport) => void {
  let descriptor = Number(process.env[READY_FD] || -1);
  delete process.env[READY_FD];
  return (report) => {
    if (descriptor < 0) return;
    try {
      writeSync(descriptor, JSON.stringify(report));
    } catch {} // it was killed; the daemon goes on
    closeSync(descriptor);
    descriptor = -1;
  };
}

let code: number;
try {
  code = await main();
} catch (error) {
  const isUsage = error instanceof UsageError;
  complain((error as Error).message);
  if (isUsage) process.stderr.write('see meshtun --help\n');
  code = isUsage ? WRONG_ARGUMENTS : FAILED;
}
await endProcess(code, outputs);
