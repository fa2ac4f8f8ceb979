import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { requires } from '../lab/requirements.ts';
import { checked } from './checked.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const FOLDER = join(ROOT, 'deploy/prometheus');
const ALERTS = readFileSync(join(FOLDER, 'alerts.yml'), 'utf8');
const TESTS = readFileSync(join(FOLDER, 'alerts.test.yml'), 'utf8');

const namesIn = (text: string, pattern: RegExp) =>
  [...new Set([...text.matchAll(pattern)].map((match) => match[1]!))].toSorted();

describe('the alerts', () => {
  test('each is seen to fire', () => {
    const fired = namesIn(TESTS, /alertname="(\w+)"/g);
    expect(fired).toEqual(namesIn(ALERTS, /- alert: (\w+)/g));
  });

  test('each watches what a controller or a node really says of itself', () => {
    const sources = ['src/agent', 'src/controller'].flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('metrics.ts'))
        .map((name) => readFileSync(join(ROOT, folder, name), 'utf8')),
    );
    const said = namesIn(sources.join('\n'), /'(meshnet_\w+)'/g);
    const watched = namesIn(ALERTS, /\b(meshnet_\w+)\b/g).map((name) =>
      name.replace(/_bucket$/, ''),
    );
    expect(watched.filter((name) => !said.includes(name))).toEqual([]);
  });
});

requires('promtool')('by promtool', () => {
  const folder = mkdtempSync(join(tmpdir(), 'alerts-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const promtool = (...words: string[]) => checked(['promtool', ...words], { cwd: folder });

  test('they are rules, each fires in what it is for, and none in a mesh that is well', () => {
    writeFileSync(join(folder, 'alerts.yml'), ALERTS);
    writeFileSync(join(folder, 'alerts.test.yml'), TESTS);
    expect(promtool('check', 'rules', 'alerts.yml')).toMatchObject({ code: 0 });
    expect(promtool('test', 'rules', 'alerts.test.yml')).toMatchObject({ code: 0 });
  });

  test('an alert that does not fire is found', () => {
    const dull = ALERTS.replace('meshnet_brake > 0', 'meshnet_brake > 7');
    writeFileSync(join(folder, 'alerts.yml'), dull);
    const { code, output } = promtool('test', 'rules', 'alerts.test.yml');
    expect(code).toBe(1);
    expect(output).toContain('MeshnetBrake');
  });

  test('the configuration of the demonstration is one', () => {
    writeFileSync(join(folder, 'alerts.yml'), ALERTS);
    const configuration = readFileSync(join(FOLDER, 'prometheus.yml'), 'utf8');
    writeFileSync(join(folder, 'prometheus.yml'), configuration);
    const { code, output } = promtool('check', 'config', 'prometheus.yml');
    expect([code, output]).toEqual([0, expect.stringContaining('1 rule files found')]);
  });
});
