import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Controller, openState, startController } from '../../src/controller/controller.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { requires, SCHEMATHESIS } from '../lab/requirements.ts';

const run = promisify(execFile);
const REDOCLY = join(import.meta.dirname, '../../node_modules/.bin/redocly');

let folder: string;
let controller: Controller;
let description: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'meshnet-openapi-'));
  controller = await startController({
    state: openState(join(folder, 'state')),
    listen: { host: '127.0.0.1', port: 0 },
    crypto: defaultProvider(),
    random: (length) => new Uint8Array(randomBytes(length)),
  });
  description = join(folder, 'openapi.json');
  writeFileSync(description, await (await fetch(`${controller.url}/openapi.json`)).text());
});

afterAll(async () => {
  await controller.close();
  rmSync(folder, { recursive: true });
});

test('the description of the calls is one that others find no fault with', async () => {
  const { stderr } = await run(process.execPath, [REDOCLY, 'lint', description], {
    env: { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
  });
  expect(stderr).toContain('Your API description is valid');
  expect(stderr).not.toContain('warning');
});

requires('schemathesis')('a live controller', () => {
  test('does what its description says, whatever it is asked', async () => {
    const options = [
      'run',
      description,
      '--url',
      controller.url,
      '--max-examples',
      '30',
      '--seed',
      '1',
      '--phases',
      'examples,coverage,fuzzing',
      // A stream does not end; and no schema can say what a valid signature is.
      '--exclude-path-regex',
      '/v1/stream/',
      '--exclude-checks',
      'positive_data_acceptance',
    ];
    const { stdout } = await run(SCHEMATHESIS!, options, { cwd: folder, maxBuffer: 1 << 26 }).catch(
      (error: { stdout: string }) => ({ stdout: error.stdout }),
    );
    expect(stdout).not.toMatch(/❌/);
    expect(stdout).toMatch(/\d+ generated/);
  });
});
