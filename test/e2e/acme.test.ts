import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { makeCertificate } from '../deploy/kubernetes/cluster.ts';
import { freePorts } from '../lab/free-ports.ts';
import { requires } from '../lab/requirements.ts';

const MESHNET = new URL('../../src/cli/meshnet.ts', import.meta.url).pathname;

requires('pebble', 'openssl')('a certificate by ACME', () => {
  const folder = mkdtempSync(join(tmpdir(), 'acme-'));
  const file = (name: string) => join(folder, name);
  afterAll(() => rmSync(folder, { recursive: true }));

  function launch(program: string, parameters: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const child: ChildProcess = spawn(program, parameters, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ran = { child, text: '' };
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on('data', (part) => {
        ran.text += part;
      });
    }
    onTestFinished(() => void child.kill('SIGKILL'));
    return ran;
  }

  test('from a real authority: shown to whoever connects, and still there after a restart', async () => {
    const [dns, tests, api, management, http, listen] = (await freePorts(6)) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    makeCertificate(file('api.crt'), file('api.key'));
    const config = {
      pebble: {
        listenAddress: `127.0.0.1:${api}`,
        managementListenAddress: `127.0.0.1:${management}`,
        certificate: file('api.crt'),
        privateKey: file('api.key'),
        httpPort: http,
        tlsPort: 1,
      },
    };
    writeFileSync(file('pebble.json'), JSON.stringify(config));
    launch('pebble-challtestsrv', [
      ...['-dns01', `127.0.0.1:${dns}`, '-defaultIPv4', '127.0.0.1', '-defaultIPv6', ''],
      ...['-http01', '', '-https01', '', '-tlsalpn01', '', '-management', `127.0.0.1:${tests}`],
    ]);
    const pebble = launch(
      'pebble',
      ['-config', file('pebble.json'), '-dnsserver', `127.0.0.1:${dns}`],
      { PEBBLE_VA_NOSLEEP: '1' },
    );
    await expect.poll(() => pebble.text, { timeout: 20_000 }).toContain('ACME directory available');

    const start = () =>
      launch(
        process.execPath,
        [
          ...[MESHNET, 'controller', '--state', file('state'), '--listen', `127.0.0.1:${listen}`],
          ...['--acme', 'mesh.example', '--acme-accept-terms', '--acme-http', `127.0.0.1:${http}`],
          ...['--acme-directory', `https://127.0.0.1:${api}/dir`],
        ],
        { NODE_EXTRA_CA_CERTS: file('api.crt') },
      );
    const shown = async () => {
      const socket = connect({ host: '127.0.0.1', port: listen, rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      const { subjectaltname, issuer } = socket.getPeerCertificate();
      socket.destroy();
      return `${subjectaltname} by ${issuer.CN}`;
    };
    const controller = start();
    await expect
      .poll(async () => `${await shown()}${/no certificate from .*/.exec(controller.text) ?? ''}`, {
        timeout: 60_000,
      })
      .toMatch(/^DNS:mesh\.example by Pebble|no certificate/);
    expect(await shown(), controller.text + pebble.text).toMatch(/^DNS:mesh\.example by Pebble/);
    expect(controller.text).not.toContain('PRIVATE KEY');
    controller.child.kill('SIGTERM');
    expect(await once(controller.child, 'exit')).toEqual([0, null]);

    pebble.child.kill('SIGKILL'); // what was got is kept
    const kept = readFileSync(file('state/acme/certificate.pem'), 'utf8');
    start();
    await expect
      .poll(() => shown().catch(() => ''), { timeout: 30_000 })
      .toMatch(/^DNS:mesh\.example by Pebble/);
    expect(readFileSync(file('state/acme/certificate.pem'), 'utf8')).toBe(kept);
  });

  test('without consent to the terms nothing starts', () => {
    const { status, stderr } = spawnSync(
      process.execPath,
      [MESHNET, 'controller', '--state', file('none'), '--acme', 'mesh.example'],
      { encoding: 'utf8' },
    );
    expect([status, stderr]).toEqual([
      2,
      expect.stringContaining('--acme-accept-terms is missing'),
    ]);
  });
});
