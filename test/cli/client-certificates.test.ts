import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { controllerFetch } from '../../src/agent/controller-fetch.ts';
import type { ClientRoles } from '../../src/cli/client-certificates.ts';
import { transportOf } from '../../src/cli/controller-transport.ts';
import { fromBase64, toBase64 } from '../../src/contract/encoding.ts';
import { controllerFingerprint } from '../../src/contract/ids.ts';
import type { Problem } from '../../src/contract/problems.ts';
import { type Controller, openState, startController } from '../../src/controller/controller.ts';
import { ownCertificate } from '../../src/controller/own-certificate.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { ControllerProcess } from '../controller/support/controller-process.ts';
import { blocksOf } from '../docs/pages.ts';
import { SimClock } from '../lab/agent-clock.ts';
import { requires } from '../lab/requirements.ts';
import { meshnet } from './support/run-meshnet.ts';

const crypto = defaultProvider();

requires('openssl')('client certificates', () => {
  let directory: string;
  let clients: ClientRoles;
  let mesh: Controller;
  const file = (name: string) => join(directory, name);
  const writeRoles = (roles: object) =>
    writeFileSync(file('roles.json'), JSON.stringify(roles), { mode: 0o600 });
  const ROLES = { reader: 'view', desk: 'operate', boss: 'admin', late: 'admin' } as const;

  const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const openssl = (...parameters: string[]) =>
    execFileSync('openssl', parameters, { stdio: 'pipe' });

  const authority = (name: string) => {
    const into = ['-keyout', file(`${name}.key`), '-out', file(`${name}.crt`)];
    openssl('req', '-x509', ...KEY, '-subj', `/CN=${name}`, ...into);
  };

  /** A certificate of an authority for a subject. */
  const issue = (name: string, subject: string, by = 'ca', more: string[] = []) => {
    const request = ['-keyout', file(`${name}.key`), '-out', file(`${name}.csr`)];
    openssl('req', '-new', ...KEY, '-subj', subject, ...request);
    const signer = ['-CA', file(`${by}.crt`), '-CAkey', file(`${by}.key`)];
    const into = ['-in', file(`${name}.csr`), '-out', file(`${name}.crt`)];
    openssl('x509', '-req', ...signer, ...into, ...more);
  };

  /** A list of what an authority has revoked, good for a day unless `times` says otherwise. */
  const revoke = (names: readonly string[], by = 'ca', times = ['-crldays', '1']) => {
    writeFileSync(file('index'), '');
    writeFileSync(
      file('ca.cnf'),
      `[ca]\ndefault_ca=own\n[own]\ndatabase=${file('index')}\ndefault_md=sha256\n`,
    );
    const own = [
      '-config',
      file('ca.cnf'),
      '-cert',
      file(`${by}.crt`),
      '-keyfile',
      file(`${by}.key`),
    ];
    for (const name of names) openssl('ca', ...own, '-revoke', file(`${name}.crt`));
    openssl('ca', ...own, '-gencrl', ...times, '-out', file('revoked.pem'));
  };

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'meshnet-clients-'));
    process.env.MESHNET_CONTEXTS = file('contexts.json');
    const page = blocksOf('docs/INTEGRATION.md').find(({ text }) => text.includes('/CN=desk'))!;
    execFileSync('sh', ['-ec', page.text], { cwd: directory, stdio: 'pipe' });
    authority('strangers');
    for (const name of ['reader', 'boss', 'nobody']) issue(name, `/O=us/CN=${name}`);
    issue('foreign', '/CN=boss', 'strangers');
    issue('late', '/CN=late', 'ca', ['-days', '-1']);
    writeFileSync(file('server.ext'), 'extendedKeyUsage=serverAuth');
    issue('server', '/CN=boss', 'ca', ['-extfile', file('server.ext')]);
    issue('two', '/CN=boss/CN=desk');
    issue('spelled', '/CN=The Boss');
    writeRoles(ROLES);
    revoke([]);
    const { tls, clients: made } = transportOf({
      state: file('state'),
      listen: { host: '127.0.0.1' },
      clientCa: file('ca.crt'),
      clientRoles: file('roles.json'),
      clientCrl: file('revoked.pem'),
      acmeDirectory: 'https://acme.example/directory',
      acmeHttp: { host: '127.0.0.1', port: 0 },
    });
    clients = made!;
    mesh = await startController({
      state: openState(file('state')),
      listen: { host: '127.0.0.1', port: 0 },
      settings: { epochOnLoopback: false },
      tls: tls!,
      clients,
      crypto,
      random: (length) => new Uint8Array(randomBytes(length)),
    });
  });
  beforeEach(() => writeRoles(ROLES));
  afterAll(async () => {
    delete process.env.MESHNET_CONTEXTS;
    await mesh.close();
    rmSync(directory, { recursive: true });
  });

  /** The files of a certificate, as options of a context; the mesh named by its id. */
  const shown = (name: string) => [
    ...['--client-cert', file(`${name}.crt`), '--client-key', file(`${name}.key`)],
    ...['--controller', mesh.url, '--mesh', toBase64(mesh.meshId)],
  ];

  const identityOf = (name: string) => ({
    cert: readFileSync(file(`${name}.crt`), 'utf8'),
    key: readFileSync(file(`${name}.key`), 'utf8'),
  });

  const ask = async (name: string | undefined, method = 'GET', path = '/v1/whoami', token = '') => {
    const headers: Record<string, string> = token === '' ? {} : { authorization: token };
    const fetch = controllerFetch(crypto, name === undefined ? name : identityOf(name));
    const answer = await fetch(`${mesh.url}${path}`, { method, headers }, mesh.meshId);
    const text = await answer.text();
    return { status: answer.status, body: (text ? JSON.parse(text) : {}) as Partial<Problem> };
  };

  /** As if the controller had looked at its files, at the time that the clock on the wall shows. */
  const lookAgain = async (wall = Date.now()): Promise<string[]> => {
    const clock = new SimClock();
    clock.wallError = wall - clock.trueWall();
    const stop = new AbortController();
    const said: string[] = [];
    const say = (message: string) => void said.push(message);
    const following = clients.follow(mesh.verifyClients, say, clock, stop.signal);
    await clock.advance(11_000);
    stop.abort();
    await clock.advance(10_000);
    await following;
    return said;
  };

  test('a certificate of the authority opens what its role says, and the record names it', async () => {
    const added = await meshnet('context', 'add', 'desk', ...shown('desk'));
    expect(added).toMatchObject({ code: 0, err: '' });
    expect(added.out).toContain('its certificate has the role operate');
    expect(await meshnet('rotate', '--context', 'desk')).toMatchObject({ code: 0 });
    const sentence = 'With the client certificate desk it was asked to rotate';
    expect((await meshnet('events', '--context', 'desk')).out).toContain(sentence);
    expect((await meshnet('log', 'show', '--context', 'desk')).out).toContain(sentence);
    expect(await meshnet('log', 'verify', '--context', 'desk')).toMatchObject({ code: 0 });
    const refused = await meshnet('access', 'list', '--context', 'desk');
    expect(refused).toMatchObject({ code: 4 });
    expect(refused.err).toContain('an access token with the role admin, such a client certificate');
    expect((await ask('boss', 'GET', '/v1/access')).status).toBe(200);
    expect((await ask('reader', 'POST', '/v1/rotate')).status).toBe(403);
    expect(await ask('reader')).toMatchObject({
      body: { name: 'certificate:reader', role: 'view' },
    });
  });

  test.for([
    ['nobody', 'has no role'],
    ['foreign', 'The client certificate: '],
    ['late', 'CERT_HAS_EXPIRED'],
    ['server', 'INVALID_PURPOSE'],
    ['two', 'its common name is not'],
    ['spelled', 'its common name is not'],
  ] as const)('the certificate %s opens nothing: %s', async ([name, why]) => {
    for (const path of ['/v1/whoami', '/v1/epoch', '/v1/header', '/v1/access']) {
      const { status, body } = await ask(name, 'GET', path);
      expect([status, body.code], path).toEqual([403, 'not_authorized']);
      expect(body.detail).toContain(why);
    }
  });

  test('who shows none is served as before, and a token says more than a certificate', async () => {
    expect((await ask(undefined, 'GET', '/healthz')).status).toBe(200);
    expect((await ask(undefined)).status).toBe(403);
    const { out } = await meshnet(
      'access',
      'create',
      'pager',
      '--role',
      'view',
      '--socket',
      mesh.adminSocket,
    );
    const bearer = `Bearer ${out.trim()}`;
    expect(await ask(undefined, 'GET', '/v1/whoami', bearer)).toMatchObject({ status: 200 });
    expect(await ask('boss', 'GET', '/v1/whoami', bearer)).toMatchObject({
      body: { name: 'pager', role: 'view' },
    });
    expect((await ask('boss', 'GET', '/v1/whoami', 'Bearer access.nothing')).status).toBe(401);
  });

  test('a name that is taken out of the file opens nothing any more, and what it follows ends', async () => {
    const fetch = controllerFetch(crypto, identityOf('reader'));
    const stream = await fetch(`${mesh.url}/v1/events?follow=true`, {}, mesh.meshId);
    expect(stream.status).toBe(200);
    writeRoles({ desk: 'operate', boss: 'admin' });
    expect(await lookAgain()).toEqual([]);
    expect((await ask('reader')).status).toBe(403);
    expect((await ask('desk', 'POST', '/v1/rotate')).status).toBe(200);
    await stream.text(); // to its end
  });

  test('while the file is not right, no certificate has a role, and that is said once', async () => {
    for (const [text, why] of [
      ['{"desk": "root"}', 'desk: expected one of view, operate, admin'],
      ['{"The Desk": "view"}', '"The Desk": expected a name'],
      ['["desk"]', 'expected JSON such as'],
      ['{"desk"', 'expected JSON such as'],
    ] as const) {
      writeFileSync(file('roles.json'), text);
      const said = await lookAgain();
      expect(said).toHaveLength(1);
      expect(said[0]).toContain(why);
      expect((await ask('desk')).status).toBe(403);
    }
    writeRoles(ROLES);
    chmodSync(file('roles.json'), 0o666);
    expect((await lookAgain())[0]).toContain('others may write it, run: chmod go-w');
    expect((await ask('desk')).status).toBe(403);
    chmodSync(file('roles.json'), 0o600);
    expect(await lookAgain()).toEqual([]);
    expect((await ask('desk')).status).toBe(200);
  });

  test('a certificate that is on the list opens nothing from then on, nor what it opened before', async () => {
    const fetch = controllerFetch(crypto, identityOf('reader'));
    const stream = await fetch(`${mesh.url}/v1/events?follow=true`, {}, mesh.meshId);
    expect(stream.status).toBe(200);
    revoke(['reader']);
    expect(await lookAgain()).toEqual([]);
    await expect(stream.text()).rejects.toThrow(); // its connection is gone
    const { status, body } = await ask('reader');
    expect([status, body.detail]).toEqual([403, 'The client certificate: CERT_REVOKED.']);
    expect((await ask('desk')).status).toBe(200);
    revoke([]);
    expect(await lookAgain()).toEqual([]);
    expect((await ask('reader')).status).toBe(200);
  });

  test.for([
    [
      'too old',
      () =>
        revoke([], 'ca', [
          '-crl_lastupdate',
          '20200101000000Z',
          '-crl_nextupdate',
          '20200102000000Z',
        ]),
      'a newer list was due at 2020-01-02T00:00:00.000Z',
    ],
    [
      'of the future',
      () =>
        revoke([], 'ca', [
          '-crl_lastupdate',
          '20990101000000Z',
          '-crl_nextupdate',
          '20990102000000Z',
        ]),
      'a list of the future, from 2099-01-01T00:00:00.000Z',
    ],
    ['gone', () => rmSync(file('revoked.pem')), 'revoked.pem: ENOENT'],
    ['empty', () => writeFileSync(file('revoked.pem'), ''), 'not revocation lists in PEM'],
    [
      'written by half',
      () =>
        writeFileSync(file('revoked.pem'), readFileSync(file('revoked.pem'), 'utf8').slice(0, 200)),
      'not revocation lists in PEM',
    ],
    [
      'damaged',
      () =>
        writeFileSync(
          file('revoked.pem'),
          readFileSync(file('revoked.pem'), 'utf8').replace(/\nMI/, '\nMA'),
        ),
      'not revocation lists in PEM',
    ],
  ] as const)(
    'while the list is %s no certificate opens anything, which is said once',
    async ([, spoil, why]) => {
      revoke([]);
      spoil();
      const said = await lookAgain();
      expect(said).toHaveLength(1);
      expect(said[0]).toContain(why);
      expect(said[0]).toContain('no client certificate has a role until it is mended');
      for (const name of ['desk', 'boss']) expect((await ask(name)).status).toBe(403);
      expect((await ask(undefined, 'GET', '/healthz')).status).toBe(200);
      revoke([]);
      expect(await lookAgain()).toEqual([]);
      expect((await ask('desk')).status).toBe(200);
    },
  );

  test('a list that gets too old while it is in use closes what it had left open', async () => {
    revoke([]);
    expect(await lookAgain()).toEqual([]);
    expect((await ask('desk')).status).toBe(200);
    expect(await lookAgain(Date.now() + 25 * 3_600_000)).toHaveLength(1);
    expect((await ask('desk')).status).toBe(403);
    expect(await lookAgain()).toEqual([]);
  });

  test('a list of another authority is none of this one: no certificate is verified by it', async () => {
    revoke([], 'strangers');
    await lookAgain();
    const { status, body } = await ask('desk');
    expect([status, body.detail]).toEqual([403, 'The client certificate: UNABLE_TO_GET_CRL.']);
    revoke([]);
    await lookAgain();
    expect((await ask('desk')).status).toBe(200);
  });

  test('another authority is taken when its file changes, and what the one before opened is closed', async () => {
    const before = readFileSync(file('ca.crt'), 'utf8');
    const fetch = controllerFetch(crypto, identityOf('desk'));
    const stream = await fetch(`${mesh.url}/v1/events?follow=true`, {}, mesh.meshId);
    writeFileSync(file('ca.crt'), readFileSync(file('strangers.crt')));
    revoke([], 'strangers');
    expect(await lookAgain()).toEqual([]);
    await expect(stream.text()).rejects.toThrow();
    expect((await ask('desk')).status).toBe(403);
    expect((await ask('foreign')).status).toBe(200);
    writeFileSync(file('ca.crt'), 'no certificate');
    expect((await lookAgain())[0]).toContain('not certificates in PEM');
    expect((await ask('foreign')).status).toBe(403);
    writeFileSync(file('ca.crt'), before);
    revoke([]);
    expect(await lookAgain()).toEqual([]);
    expect((await ask('desk')).status).toBe(200);
    expect((await ask('foreign')).status).toBe(403);
  });

  test('meshnet controller takes them on loopback, too, and looks at its file by itself', async () => {
    const options = ['--client-ca', file('ca.crt'), '--client-roles', file('roles.json')];
    const controller = new ControllerProcess(options);
    try {
      await controller.start();
      const { mesh_id } = await controller.epoch();
      const fetch = controllerFetch(crypto, identityOf('desk'));
      const url = `https://127.0.0.1:${controller.port}/v1/whoami`;
      const status = async () => (await fetch(url, {}, fromBase64(mesh_id)!)).status;
      expect(await status()).toBe(200);
      writeRoles({});
      await expect.poll(status, { timeout: 15_000 }).toBe(403);
    } finally {
      await controller.remove();
    }
  });

  test('a context does without a key that others may read, or that is another', async () => {
    chmodSync(file('boss.key'), 0o644);
    const open = await meshnet('context', 'add', 'boss', ...shown('boss'));
    expect(open).toMatchObject({ code: 5 });
    expect(open.err).toContain('run: chmod 600');
    chmodSync(file('boss.key'), 0o600);
    expect(await meshnet('context', 'add', 'boss', ...shown('boss'))).toMatchObject({ code: 0 });
    const kept = readFileSync(file('contexts.json'), 'utf8');
    expect(kept).toContain(file('boss.key'));
    expect(kept).not.toContain('PRIVATE');
    chmodSync(file('boss.key'), 0o640);
    expect(await meshnet('epoch', '--context', 'boss')).toMatchObject({ code: 5 });
    chmodSync(file('boss.key'), 0o600);

    const refused = async (...options: string[]) => {
      const { code, err } = await meshnet('context', 'add', 'wrong', ...options);
      expect(code).toBe(2);
      return err;
    };
    const key = ['--client-key', file('desk.key')];
    expect(await refused(...shown('boss'), ...key)).toContain('not the key of');
    expect(await refused('--controller', mesh.url, ...key)).toContain('belong together');
    expect(await refused(...shown('boss'), '--mesh', 'x')).toContain('--mesh must be the mesh id');
    const plain = ['--controller', 'http://127.0.0.1:1'];
    expect(await refused(...shown('boss'), ...plain)).toContain('over TLS only');
  });

  test.for([
    ['one without the other', { clientRoles: undefined }, 'belong together'],
    ['plain HTTP', { insecureHttp: true }, '--client-ca needs TLS'],
    ['a proxy', { behindProxy: '192.0.2.1' }, '--client-ca needs TLS'],
    ['no certificates', { clientCa: 'roles.json' }, 'not certificates in PEM'],
    ['no such file', { clientRoles: 'none.json' }, 'none.json: ENOENT'],
    ['no list', { clientCrl: 'ca.crt' }, 'not revocation lists in PEM'],
    [
      'a list alone',
      { clientCa: undefined, clientRoles: undefined, clientCrl: 'x' },
      'belong together',
    ],
  ] as const)('the controller does not start with %s', async ([, change, why]) => {
    const given = { clientCa: 'ca.crt', clientRoles: 'roles.json', ...change };
    const { clientCa, clientRoles, clientCrl, ...more } = given as Record<
      string,
      string | undefined
    >;
    const options = Object.entries({
      'client-ca': clientCa,
      'client-roles': clientRoles,
      'client-crl': clientCrl,
    });
    const { code, err } = await meshnet(
      ...['controller', '--state', file('another'), '--listen', '127.0.0.1:0'],
      ...options.flatMap(([name, value]) =>
        value === undefined ? [] : [`--${name}`, file(value)],
      ),
      ...('insecureHttp' in more ? ['--insecure-http'] : []),
      ...('behindProxy' in more ? ['--behind-proxy', '192.0.2.1'] : []),
    );
    expect(code).toBe(2);
    expect(err).toContain(why);
  });

  test('certificates are verified also after the server got another of its own', async () => {
    const seed = new Uint8Array(32).fill(7);
    const before = mesh.meshId;
    mesh.useCertificate(ownCertificate(crypto, seed, ['127.0.0.1'], Date.now()));
    try {
      const id = controllerFingerprint(crypto, crypto.ed25519Public(seed));
      mesh = { ...mesh, meshId: id };
      expect((await ask('desk')).status).toBe(200);
      expect((await ask('foreign')).status).toBe(403);
    } finally {
      mesh = { ...mesh, meshId: before };
    }
  });
});
