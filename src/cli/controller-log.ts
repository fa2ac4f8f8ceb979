import pino, { type Logger } from 'pino';
import { isJsonLog, type LogLevel, type LogOptions, textLine } from './log-lines.ts';
import { standardOutput } from './standard-output.ts';

/** The controller's log, on standard output. */
export function controllerLog(options: LogOptions): Logger {
  const isJson = isJsonLog(options, process.stdout.isTTY === true);
  const text = (line: string) => (isJson ? line : forPeople(line));
  const output = standardOutput({ notice: (dropped) => text(droppedLine(dropped)) });
  const { isoTime } = pino.stdTimeFunctions;
  return pino(
    { base: null, timestamp: isoTime, level: options.logLevel },
    { write: (line) => output.write(text(line)) },
  );
}

function droppedLine(dropped: number): string {
  const msg = `${dropped} log lines were dropped: nobody read them`;
  const time = new Date().toISOString();
  return `${JSON.stringify({ level: pino.levels.values.warn, time, dropped, msg })}\n`;
}

/** A line of pino, as people read it. */
export function forPeople(line: string): string {
  const { time, level, msg } = JSON.parse(line) as { time: string; level: number; msg: string };
  const name = pino.levels.labels[level] === 'fatal' ? 'error' : pino.levels.labels[level];
  return textLine(Date.parse(time), (name ?? 'info') as LogLevel, msg);
}
