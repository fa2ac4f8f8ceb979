import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { requires } from '../lab/requirements.ts';
import { checked } from './checked.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const FOLDER = join(ROOT, 'deploy/prometheus');
const ALERTS = readFileSync(join(FOLDER, 'alerts.yml'), 'utf8');
const TESTS = readFileSync(join(FOLDER, 'alerts.test.yml'), 'utf8');

const namesIn = (text: string, pattern: RegExp) =>
  [...new Set([...text.matchAll(pattern)].map((match) => match[1]!))].toSorted();

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly targets?: readonly { readonly expr: string }[];
}
const { panels } = JSON.parse(readFileSync(join(ROOT, 'deploy/grafana/meshnet.json'), 'utf8')) as {
  readonly panels: readonly Panel[];
};
const EXPRESSIONS = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

test('each alert is seen to fire', () => {
  const fired = namesIn(TESTS, /alertname="(\w+)"/g);
  expect(fired).toEqual(namesIn(ALERTS, /- alert: (\w+)/g));
});

test('alerts and dashboard watch what a controller or a node really says of itself', () => {
  const sources = ['src/agent', 'src/controller'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('metrics.ts'))
      .map((name) => readFileSync(join(ROOT, folder, name), 'utf8')),
  );
  const said = namesIn(sources.join('\n'), /'(meshnet_\w+)'/g);
  const watched = namesIn([ALERTS, ...EXPRESSIONS].join('\n'), /\b(meshnet_\w+)\b/g).map((name) =>
    name.replace(/_bucket$/, ''),
  );
  expect(watched.filter((name) => !said.includes(name))).toEqual([]);
});

test('no panel of the dashboard lies on another', () => {
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const overlaps = panels.flatMap((one, i) =>
    panels.slice(i + 1).filter(({ gridPos: b }) => {
      const a = one.gridPos;
      return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
    }),
  );
  expect(overlaps.map(({ title }) => title)).toEqual([]);
});

requires('promtool')('by promtool', () => {
  const folder = mkdtempSync(join(tmpdir(), 'alerts-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const promtool = (...words: string[]) => checked(['promtool', ...words], { cwd: folder });

  test('the alerts are rules, each fires in what it is for, and none in a mesh that is well', () => {
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

  test('what the dashboard asks can be asked', () => {
    const rules = EXPRESSIONS.map((expr, i) => ({
      record: `panel:${i}`,
      expr: expr.replaceAll('$__rate_interval', '5m'),
    }));
    const file = JSON.stringify({ groups: [{ name: 'dashboard', rules }] }); // which is YAML, too
    writeFileSync(join(folder, 'dashboard.yml'), file);
    const { code, output } = promtool('check', 'rules', 'dashboard.yml');
    expect([code, output]).toEqual([0, expect.stringContaining(`${rules.length} rules found`)]);
  });

  test('the configuration of the demonstration is one', () => {
    writeFileSync(join(folder, 'alerts.yml'), ALERTS);
    const configuration = readFileSync(join(FOLDER, 'prometheus.yml'), 'utf8');
    writeFileSync(join(folder, 'prometheus.yml'), configuration);
    const { code, output } = promtool('check', 'config', 'prometheus.yml');
    expect([code, output]).toEqual([0, expect.stringContaining('1 rule files found')]);
  });
});
