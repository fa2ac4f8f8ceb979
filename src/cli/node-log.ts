import type { AgentEvent } from '../agent/events.ts';
import {
  isJsonLog,
  isLogged,
  jsonLine,
  type LogLevel,
  type LogOptions,
  textLine,
} from './log-lines.ts';
import { describeEvent } from './node-events.ts';

/** Where it is not `info`. */
const LEVELS: Partial<Record<AgentEvent['event'], LogLevel>> = {
  probe: 'debug',
  score: 'debug',
  ignored: 'warn',
  header_leap: 'warn',
  recovered: 'warn',
  resumed: 'warn',
  score_failed: 'warn',
  device_note: 'warn',
  key_changed: 'error',
  split_view: 'error',
  forked_log: 'error',
  fail_closed: 'error',
  device_error: 'error',
};

export function levelOf(event: AgentEvent): LogLevel {
  const isOver = (event.event === 'controller' || event.event === 'file') && !event.ok;
  return isOver ? 'warn' : (LEVELS[event.event] ?? 'info');
}

/** The line of an event in a node's log; undefined: it is of too little interest. */
export function nodeLogLine(
  event: AgentEvent,
  at: number,
  options: LogOptions,
  isTerminal: boolean,
): string | undefined {
  const level = levelOf(event);
  if (!isLogged(level, options.logLevel)) return undefined;
  const sentence = describeEvent(event);
  return isJsonLog(options, isTerminal)
    ? jsonLine({ at, level, ...event, msg: sentence })
    : textLine(at, level, sentence);
}
