import { openSync, writeSync } from 'node:fs';
import type { LogLevel } from './meshtun-arguments.ts';

/** Lines for an operator. Rare, so each is written at once. */
export interface Log {
  error(message: string): void;
  verbose(message: string): void;
}

export const STANDARD_ERROR = 2;

/** Opens a log file for appending, readable by its owner only. Throws the system's error. */
export function openLogFile(path: string): number {
  return openSync(path, 'a', 0o600);
}

/** A log on a descriptor. `label` is the interface's name; a syslog adds the time by itself. */
export function logTo(descriptor: number, level: LogLevel, label: string, withTime: boolean): Log {
  const write = (message: string) => {
    const time = withTime ? `${new Date().toISOString()} ` : '';
    try {
      writeSync(descriptor, `${time}(${label}) ${message}\n`);
    } catch {} // a log that is full or gone does not end the tunnel
  };
  return {
    error: level === 'silent' ? () => {} : write,
    verbose: level === 'verbose' ? write : () => {},
  };
}
