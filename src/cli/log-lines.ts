import { printable, printableJson } from '../contract/printable.ts';
import { standardError } from './standard-output.ts';

/** Levels of a log, the least first. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_FORMATS = ['auto', 'text', 'json'] as const;

export interface LogOptions {
  /** `auto`: text on a terminal, JSON elsewhere. */
  readonly logFormat: (typeof LOG_FORMATS)[number];
  /** What is less than this is not written. */
  readonly logLevel: LogLevel;
}

export function isLogged(level: LogLevel, least: LogLevel): boolean {
  return LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(least);
}

export function isJsonLog({ logFormat }: LogOptions, isTerminal: boolean): boolean {
  return logFormat === 'json' || (logFormat === 'auto' && !isTerminal);
}

/** A line for people: time, level, sentence. `at`: ms since 1970. */
export function textLine(at: number, level: LogLevel, sentence: string): string {
  return `${new Date(at).toISOString()} ${level.padEnd(5)} ${printable(sentence)}\n`;
}

/** A line for programs: one object. */
export function jsonLine(value: object): string {
  return `${printableJson(JSON.stringify(value))}\n`;
}

/** Says on standard error, with the time, what a program that runs for long does without. */
export function warner(program: string): (message: string) => void {
  return (message) => standardError().write(textLine(Date.now(), 'warn', `${program}: ${message}`));
}
