import { expect, test } from 'vitest';
import type { AgentEvent } from '../../src/agent/events.ts';
import { forPeople } from '../../src/cli/controller-log.ts';
import type { LogOptions } from '../../src/cli/log-lines.ts';
import { levelOf, nodeLogLine } from '../../src/cli/node-log.ts';

const AT = Date.UTC(2026, 10, 30, 12);
const options = (change: Partial<LogOptions> = {}): LogOptions => ({
  logFormat: 'auto',
  logLevel: 'debug',
  ...change,
});
const ignored: AgentEvent = {
  event: 'ignored',
  what: 'config',
  reason: 'older',
  detail: 'epoch\n7\u001b[2J',
};

test('a node writes for people on a terminal, with time and level on every line', () => {
  const line = nodeLogLine({ event: 'stopped' }, AT, options(), true);
  expect(line).toBe('2026-11-30T12:00:00.000Z info  stopped\n');
  expect(nodeLogLine(ignored, AT, options(), true)).toMatch(/^2026\S+Z warn {2}ignored a config/);
  expect(nodeLogLine(ignored, AT, options(), true)).not.toContain('\u001b');
});

test('elsewhere it writes one JSON object a line, with the sentence in it', () => {
  const line = nodeLogLine(ignored, AT, options(), false)!;
  expect(line.trimEnd()).not.toContain('\n');
  expect(JSON.parse(line)).toMatchObject({ at: AT, level: 'warn', ...ignored });
  expect(JSON.parse(line).msg).toContain('ignored a config');
});

test('a format that is asked for is taken on a terminal and elsewhere', () => {
  const stopped: AgentEvent = { event: 'stopped' };
  expect(nodeLogLine(stopped, AT, options({ logFormat: 'json' }), true)).toMatch(/^\{/);
  expect(nodeLogLine(stopped, AT, options({ logFormat: 'text' }), false)).toMatch(/^2026/);
});

test('what is less than the level is not written', () => {
  const score: AgentEvent = { event: 'score', suite: 's', score: 1, sequence: 1 };
  const failed: AgentEvent = { event: 'fail_closed', epoch: 1, silent_s: 180 };
  const away = { event: 'controller', call: 'config', ok: false, code: 'c', detail: 'd' } as const;
  const written = (event: AgentEvent, logLevel: LogOptions['logLevel']) =>
    nodeLogLine(event, AT, options({ logLevel }), true) !== undefined;
  expect(written(score, 'debug')).toBe(true);
  expect(written(score, 'info')).toBe(false);
  expect(levelOf(away)).toBe('warn');
  expect(written(away, 'error')).toBe(false);
  expect(written(failed, 'error')).toBe(true);
});

test("a line of the controller's log is one for people, and foreign text is harmless in it", () => {
  const line = JSON.stringify({
    level: 40,
    time: '2026-11-30T12:00:00.000Z',
    msg: 'node \u001b[31m waits',
  });
  expect(forPeople(`${line}\n`)).toBe('2026-11-30T12:00:00.000Z warn  node \ufffd[31m waits\n');
});
