import { openSync } from 'node:fs';
import type { Output } from '../ground/output.ts';
import type { LogLevel } from './meshtun-arguments.ts';

/** Lines for an operator. Where nobody takes them they are dropped, and the tunnel goes on. */
export interface Log {
  error(message: string): void;
  verbose(message: string): void;
}

/** Opens a log file for appending, readable by its owner only. Throws the system's error. */
export function openLogFile(path: string): number {
  return openSync(path, 'a', 0o600);
}

/** `label` is the interface's name; a syslog adds the time by itself. */
export function logTo(output: Output, level: LogLevel, label: string, withTime: boolean): Log {
  const write = (message: string) => {
    const time = withTime ? `${new Date().toISOString()} ` : '';
    output.write(`${time}(${label}) ${message}\n`);
  };
  return {
    error: level === 'silent' ? () => {} : write,
    verbose: level === 'verbose' ? write : () => {},
  };
}
