import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Controller, openState, startController } from '../../src/controller/controller.ts';
import { issueToken } from '../../src/controller/operations/tokens.ts';
import { ownCertificate } from '../../src/controller/own-certificate.ts';
import { orRefuse } from '../../src/controller/problem-error.ts';
import { crypto, temporaryDirectory } from '../agent/support/rig.ts';
import { freePort } from '../lab/free-ports.ts';
import { ended, until } from '../lab/netns.ts';
import { statusIn } from '../lab/node-status.ts';
import { requires } from '../lab/requirements.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const random = (length: number) => globalThis.crypto.getRandomValues(new Uint8Array(length));

let directory: ReturnType<typeof temporaryDirectory>;
let controller: Controller;
let running: ChildProcess[];
let port: number;
beforeEach(async () => {
  directory = temporaryDirectory();
  running = [];
  port = await freePort();
  controller = await startController({
    state: openState(join(directory.path, 'controller')),
    listen: { host: '127.0.0.1', port: 0 },
    // Epochs that come soon; scores and configs that outlive a moment in which nobody gets a processor.
    settings: { epochS: 1, lifetimeS: 30, suites: [{ suite: 'alignment', maxAgeS: 30 }] },
    proxy: '127.0.0.1',
    crypto,
    random,
  });
  // An authority that only the node is told of, and a certificate by it for one name.
  const { key, cert } = ownCertificate(crypto, random(32), ['localhost'], Date.now());
  writeFileSync(file('tls.pem'), cert);
  writeFileSync(file('tls.key'), key);
});
afterEach(async () => {
  for (const child of running.reverse()) {
    child.kill('SIGTERM');
    await ended(child);
  }
  await controller.close();
  directory.remove();
});

const file = (name: string) => join(directory.path, name);

/** What deploy/proxy has, for this controller, with these files, at this port. */
const snippet = (name: string) =>
  readFileSync(join(ROOT, 'deploy/proxy', name), 'utf8')
    .replaceAll('127.0.0.1:8440', `127.0.0.1:${controller.port}`)
    .replaceAll('/etc/ssl/mesh.example.pem', file('tls.pem'))
    .replaceAll('/etc/ssl/mesh.example.key', file('tls.key'));

/** What stands in a text exactly once, replaced: nothing else can be meant, and it is there. */
function replaced(text: string, what: string, by: string): string {
  const parts = text.split(what);
  expect(parts, `"${what}" in ${text}`).toHaveLength(2);
  return parts.join(by);
}

function start(command: readonly [string, ...string[]], environment: NodeJS.ProcessEnv = {}) {
  const [program, ...parameters] = command;
  const env = { ...process.env, ...environment };
  const child = spawn(program, parameters, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  running.push(child);
  return () => output;
}

/** Starts a node that comes by the proxy; returns what it says. */
async function startNode(): Promise<() => string> {
  const asked = { node_id: 'a', ttl_s: 60 };
  const { token } = orRefuse(await issueToken(controller.services, { kind: 'admin' }, asked));
  const parameters = ['node', '--name', 'a', '--state', file('a'), '--backend', 'userspace'];
  parameters.push('--controller', `https://localhost:${port}`, '--score-mean', '0.9');
  parameters.push('--emit', '0.3', '--poll', '300', '--json');
  const environment = { MESHNET_TOKEN: token, NODE_EXTRA_CA_CERTS: file('tls.pem') };
  return start([join(ROOT, 'bin/meshnet'), ...parameters], environment);
}

/** A node that comes by the proxy becomes a member and hears pushes. */
async function governsBy(errors: () => string): Promise<void> {
  const said = await startNode();
  const status = () => statusIn(file('a/status.json'));
  // It polls every five minutes: whatever comes was pushed through the proxy.
  await until(() => status()?.push === true && status()?.state === 'member', 'a member').catch(
    (error: Error) => {
      throw new Error(`${error.message}\n${errors()}\n${said()}`);
    },
  );
  const { epoch } = status()!;
  await until(() => status()!.epoch > epoch + 1, 'pushes of two epochs');
  // What it says of its caller is believed: no call from here, though it comes from this machine.
  const answer = await fetch(`http://127.0.0.1:${controller.port}/v1/epoch`, {
    headers: { 'x-forwarded-for': '198.51.100.1' },
  });
  expect(answer.status).toBe(401);
}

requires('nginx')('behind nginx, as its snippet says', () => {
  /** `without`: a line of the snippet to leave out. */
  function startNginx(without?: string): () => string {
    const whole = replaced(snippet('nginx.conf'), 'listen 443', `listen 127.0.0.1:${port}`);
    const site = without === undefined ? whole : replaced(whole, without, '');
    const main = `daemon off; pid ${file('nginx.pid')}; error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path ${file('body')}; proxy_temp_path ${file('proxy')};
  fastcgi_temp_path ${file('fastcgi')}; uwsgi_temp_path ${file('uwsgi')}; scgi_temp_path ${file('scgi')};
  ${replaced(site, 'server_name mesh.example', 'server_name localhost')}
}`;
    writeFileSync(file('nginx.conf'), main);
    return start(['nginx', '-e', 'stderr', '-c', file('nginx.conf')]);
  }

  test('nodes are governed', async () => {
    await governsBy(startNginx());
  });

  test('but not without the line that passes Host on: the node says what is wrong', async () => {
    startNginx('proxy_set_header Host $http_host;');
    const said = await startNode();
    await until(() => said().includes('"code":"signature_invalid"'), 'the refusal');
    expect(statusIn(file('a/status.json'))?.state).not.toBe('member');
  });
});

requires('caddy')('behind Caddy, as its snippet says', () => {
  test('nodes are governed', async () => {
    mkdirSync(file('home'));
    const globals = '{\n\tadmin off\n\tauto_https disable_redirects\n}\n';
    const site = snippet('Caddyfile').replace(/^mesh\.example/m, `localhost:${port}`);
    writeFileSync(file('Caddyfile'), globals + site);
    const home = { HOME: file('home'), XDG_DATA_HOME: file('home'), XDG_CONFIG_HOME: file('home') };
    const errors = start(['caddy', 'run', '--config', file('Caddyfile')], home);
    await governsBy(errors);
  });
});
