import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Controller, openState, startController } from '../../src/controller/controller.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { controllerSource } from '../../src/dashboard/controller-source.ts';
import { type Dashboard, startDashboard } from '../../src/dashboard/dashboard.ts';
import { EpochLog } from '../../src/dashboard/epoch-log.ts';
import { requires, SCHEMATHESIS } from '../lab/requirements.ts';

const run = promisify(execFile);
const REDOCLY = join(import.meta.dirname, '../../node_modules/.bin/redocly');

let folder: string;
let controller: Controller;
let dashboard: Dashboard;
/** Of the controller's calls, and of the dashboard's. */
let description: string;
let ofDashboard: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'meshnet-openapi-'));
  controller = await startController({
    state: openState(join(folder, 'state')),
    listen: { host: '127.0.0.1', port: 0 },
    crypto: defaultProvider(),
    random: (length) => new Uint8Array(randomBytes(length)),
  });
  const onError = (error: unknown) => expect.fail(String(error));
  dashboard = await startDashboard({ listen: { host: '127.0.0.1', port: 0 }, onError });
  dashboard.show(controllerSource(controller.services, new EpochLog(), '1.2.3'));
  const keep = async (url: string, name: string) => {
    const file = join(folder, name);
    writeFileSync(file, await (await fetch(new URL('/openapi.json', url))).text());
    return file;
  };
  description = await keep(controller.url, 'openapi.json');
  ofDashboard = await keep(dashboard.url, 'dashboard.json');
});

afterAll(async () => {
  await dashboard.close();
  await controller.close();
  rmSync(folder, { recursive: true });
});

test.each([
  ['controller', () => description],
  ['dashboard', () => ofDashboard],
])('the description of the calls is one that others find no fault with: %s', async (_, file) => {
  const { stderr } = await run(process.execPath, [REDOCLY, 'lint', file()], {
    env: { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
  });
  expect(stderr).toContain('Your API description is valid');
  expect(stderr).not.toContain('warning');
});

requires('schemathesis')('a live controller', () => {
  const ask = async (described: string, url: string, options: readonly string[]) => {
    const { stdout } = await run(
      SCHEMATHESIS!,
      [
        'run',
        described,
        '--url',
        url,
        '--max-examples',
        '30',
        '--seed',
        '1',
        '--phases',
        'examples,coverage,fuzzing',
        ...options,
      ],
      { cwd: folder, maxBuffer: 1 << 26 },
    ).catch((error: { stdout: string }) => ({ stdout: error.stdout }));
    expect(stdout).not.toMatch(/❌/);
    expect(stdout).toMatch(/\d+ generated/);
  };

  test('does what its description says, whatever it is asked', () =>
    ask(description, controller.url, [
      // A stream does not end; and no schema can say what a valid signature is.
      '--exclude-path-regex',
      '/v1/stream/',
      '--exclude-checks',
      'positive_data_acceptance',
    ]));

  test('and so does its dashboard, asked as by its own page', () =>
    ask(ofDashboard, dashboard.url, [
      '--header',
      `Origin: ${new URL(dashboard.url).origin}`,
      // A stream does not end; and no schema says which token is one, or what was measured.
      '--exclude-path',
      '/api/live',
      '--exclude-checks',
      'positive_data_acceptance',
    ]));
});
