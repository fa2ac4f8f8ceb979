import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../lab/free-ports.ts';
import { ended, until } from '../lab/netns.ts';
import { requires } from '../lab/requirements.ts';

const ALERTS = readFileSync(
  resolve(import.meta.dirname, '../../deploy/prometheus/alerts.yml'),
  'utf8',
);
const NAMES = [...ALERTS.matchAll(/- alert: (\w+)/g)].map((match) => match[1]!).toSorted();

/** What each target says; `n` grows with every scrape while something is wrong, and stands still else. */
type Exposition = (wrong: boolean, n: number) => Record<string, number> | undefined;

const now = () => Date.now() / 1000;
const commits = (bucket: string) => `meshnet_commit_duration_seconds_bucket{le="${bucket}"}`;

const CONTROLLERS: Readonly<Record<string, Exposition>> = {
  c: (wrong, n) => ({
    meshnet_epoch_overdue_seconds: wrong ? 120 : 0,
    'meshnet_events_total{event="epoch_failed"}': n,
    'meshnet_events_total{event="request_failed"}': n,
    [commits('1')]: 0,
    [commits('5')]: n,
    [commits('+Inf')]: n,
    meshnet_exclusions_total: n,
    meshnet_brake: wrong ? 2 : 0,
    'meshnet_problems_total{code="token_invalid"}': 10 * n,
    'meshnet_subscriber_events_total{subscriber="log",outcome="dropped"}': n,
    meshnet_certificate_expiry_timestamp_seconds: now() + (wrong ? 1 : 30) * 86_400,
  }),
  'c-down': (wrong) => (wrong ? undefined : {}),
};
const state = (name: string, wrong: boolean) => ({
  'meshnet_node_state{state="member"}': wrong ? 0 : 1,
  [`meshnet_node_state{state="${name}"}`]: wrong ? 1 : 0,
  meshnet_node_ready: wrong ? 0 : 1,
});
const NODES: Readonly<Record<string, Exposition>> = {
  'n-expired': (wrong) => state('expired', wrong),
  'n-denied': (wrong) => state('denied', wrong),
  'n-alone': (wrong) => ({
    'meshnet_node_state{state="member"}': 1,
    meshnet_node_ready: wrong ? 0 : 1,
  }),
  'n-down': (wrong) => (wrong ? undefined : {}),
};

requires('prometheus')('a Prometheus with our alerts, a minute of which takes two seconds,', () => {
  const folder = mkdtempSync(join(tmpdir(), 'alerts-'));
  let wrong = false;
  let scrapes = 0;
  const exporter = createServer(({ url }, response) => {
    if (wrong) scrapes++;
    const said = { ...CONTROLLERS, ...NODES }[url!.slice(1)]!(wrong, scrapes);
    if (said === undefined) return void response.writeHead(503).end();
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' });
    response.end(
      Object.entries(said)
        .map(([series, value]) => `${series} ${value}\n`)
        .join(''),
    );
  });
  let prometheus: ChildProcess;
  let output = '';
  let url: string;

  beforeAll(async () => {
    await new Promise<void>((listening) => exporter.listen(0, '127.0.0.1', listening));
    const target = `127.0.0.1:${(exporter.address() as AddressInfo).port}`;
    const job = (job_name: string, instances: object) => ({
      job_name,
      static_configs: Object.keys(instances).map((instance) => ({
        targets: [target],
        labels: { instance, __metrics_path__: `/${instance}` },
      })),
    });
    writeFileSync(
      join(folder, 'alerts.yml'),
      ALERTS.replace(/\b(\d+)m\b/g, (_, minutes) => `${2 * minutes}s`),
    );
    const configuration = {
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      rule_files: ['alerts.yml'],
      scrape_configs: [job('meshnet-controller', CONTROLLERS), job('meshnet-node', NODES)],
    };
    writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(configuration)); // which is YAML, too
    const address = `127.0.0.1:${await freePort()}`;
    url = `http://${address}`;
    prometheus = spawn(
      'prometheus',
      [`--config.file=${join(folder, 'prometheus.yml')}`, `--web.listen-address=${address}`].concat(
        `--storage.tsdb.path=${join(folder, 'data')}`,
      ),
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    prometheus.stderr!.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  });
  afterAll(async () => {
    prometheus?.kill('SIGTERM');
    if (prometheus !== undefined) await ended(prometheus);
    exporter.close();
    exporter.closeAllConnections();
    rmSync(folder, { recursive: true });
  });

  async function ask<T>(path: string): Promise<T> {
    const answer = await fetch(`${url}/api/v1/${path}`);
    return ((await answer.json()) as { data: T }).data;
  }
  const firing = async () => {
    const { alerts } = await ask<{ alerts: { labels: { alertname: string }; state: string }[] }>(
      'alerts',
    );
    const names = alerts.filter((one) => one.state === 'firing').map((one) => one.labels.alertname);
    return [...new Set(names)].toSorted();
  };
  const isUp = async () => {
    const { result } = await ask<{ result: unknown[] }>('query?query=up==1');
    return result.length === Object.keys({ ...CONTROLLERS, ...NODES }).length;
  };

  test('fires none of them in a mesh that is well, and each in one that is not', async () => {
    await until(() => isUp().catch(() => false), 'all to be scraped', 60_000).catch((error) => {
      throw new Error(`${error.message}\n${output}`);
    });
    await until(hasScraped(15), 'evaluations', 60_000);
    expect(await firing()).toEqual([]);
    wrong = true;
    let last: string[] = [];
    await until(
      async () => {
        last = await firing();
        return last.length === NAMES.length;
      },
      'all alerts',
      90_000,
    ).catch((error: Error) => {
      const silent = NAMES.filter((name) => !last.includes(name));
      throw new Error(`${error.message}: silent: ${silent.join(', ')}\n${output}`);
    });
    expect(last).toEqual(NAMES);
  });

  /** By the server's own count: it is in no hurry on a busy machine. */
  function hasScraped(times: number): () => Promise<boolean> {
    const query = 'query?query=count_over_time(up{instance="c"}[1h])';
    return async () => {
      const { result } = await ask<{ result: { value: [number, string] }[] }>(query);
      return Number(result[0]?.value[1] ?? 0) >= times;
    };
  }
});
