import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DEPLOY_CHECKERS, requires } from '../lab/requirements.ts';
import { checked } from './checked.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const COMPOSE = readFileSync(join(ROOT, 'compose.yaml'), 'utf8');

interface Service {
  readonly command: readonly string[];
  readonly profiles?: readonly string[];
  readonly cap_drop?: readonly string[];
  readonly depends_on?: Readonly<Record<string, unknown>>;
  readonly devices?: readonly unknown[];
  readonly cap_add?: readonly string[];
  readonly networks?: Readonly<Record<string, { readonly ipv4_address: string }>>;
}

requires('compose-check', 'podman-compose')('compose.yaml', () => {
  const folder = mkdtempSync(join(tmpdir(), 'compose-'));
  beforeAll(() => {
    // `config` runs no container, yet asks for podman's version.
    writeFileSync(join(folder, 'podman'), '#!/bin/sh\necho podman version 5.0.0\n');
    chmodSync(join(folder, 'podman'), 0o755);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** By the library of Docker Compose: the model that it makes of the files, or what is wrong. */
  const compose = (...files: string[]) =>
    checked([DEPLOY_CHECKERS['compose-check'], ...files], { cwd: ROOT });

  const services = (...files: string[]) => {
    const { code, output } = compose(...files);
    expect(code, output).toBe(0);
    return (JSON.parse(output) as { services: Record<string, Service> }).services;
  };

  test('is what Compose understands: a controller, three nodes at fixed addresses, two of them good', () => {
    const found = services('compose.yaml');
    const nodes = Object.entries(found).filter(
      ([name, { profiles = [] }]) => name.startsWith('node-') && profiles.length === 0,
    );
    const scores = nodes.map(([name, { command }]) => {
      expect(command).toContain(`--name=${name}`);
      return Number(command.find((one) => one.startsWith('--score-mean='))?.split('=')[1]);
    });
    expect(scores.map((score) => score >= 0.7)).toEqual([true, true, false]);
    const address = found.controller!.networks!.mesh!.ipv4_address;
    expect(found.controller!.command).toContain(`--listen=${address}:8440`);
    for (const [, { command }] of nodes) {
      expect(command.find((one) => one.startsWith('--controller='))).toContain(`//${address}:8440`);
    }
  });

  test('needs no device and no rights for nodes in userspace', () => {
    const found = services('compose.yaml', 'deploy/compose.userspace.yaml');
    for (const name of ['node-a', 'node-b', 'node-c']) {
      expect([name, found[name]!.devices ?? [], found[name]!.cap_add ?? []]).toEqual([
        name,
        [],
        [],
      ]);
    }
  });

  test('has a profile for a host that can only do userspace: on the bridge, without devices and rights', () => {
    const found = services('compose.yaml');
    const bridged = Object.keys(found).filter((name) => found[name]!.profiles?.includes('bridge'));
    expect(bridged.toSorted()).toEqual(['node-d', 'tokens-bridge']);
    const { command, devices, cap_add, cap_drop, networks, depends_on } = found['node-d']!;
    expect([devices, cap_add, cap_drop]).toEqual([undefined, undefined, ['ALL']]);
    expect(command).toContain('--backend=userspace');
    expect(Object.keys(depends_on!)).toEqual(['tokens-bridge']);
    expect(found['tokens-bridge']!.command.at(-1)).toBe('node-d');
    const subnet = found.controller!.networks!.mesh!.ipv4_address.replace(/\.\d+$/, '.');
    expect(networks!.mesh!.ipv4_address).toContain(subnet);
  });

  test.for([
    ['a key that Compose does not know', 'cap_drop:', 'cap_dropped:'],
    ['a value of the wrong kind', 'read_only: true', 'read_only: perhaps'],
    ['a service that is not there', 'controller: { condition', 'kontroller: { condition'],
    [
      'a volume that nobody declares',
      '  node-b:\n  node-c:\n  tokens-bridge:\n',
      '  node-c:\n  tokens-bridge:\n',
    ],
  ] as const)('is refused with %s', ([, right, wrong]) => {
    expect(COMPOSE).toContain(right);
    const file = join(folder, 'wrong.yaml');
    writeFileSync(file, COMPOSE.replace(right, wrong));
    expect(compose(file).code).not.toBe(0);
  });

  test('is understood by podman-compose, too', { timeout: 60_000 }, () => {
    const PATH = [folder, process.env.PATH].join(delimiter);
    const command = [DEPLOY_CHECKERS['podman-compose'], '--in-pod', 'false'] as const;
    for (const files of [['compose.yaml'], ['compose.yaml', 'deploy/compose.userspace.yaml']]) {
      const flags = files.flatMap((file) => ['-f', file]);
      const { code, output } = checked([...command, ...flags, 'config'], {
        cwd: ROOT,
        env: { PATH },
      });
      expect(code, output).toBe(0);
      expect(output).toContain('--score-mean=0.40');
      const profiled = checked([...command, '--profile', 'bridge', ...flags, 'config'], {
        cwd: ROOT,
        env: { PATH },
      });
      expect(profiled.output).toContain('--backend=userspace');
    }
    const file = join(folder, 'wrong.yaml');
    writeFileSync(file, COMPOSE.replace('condition: service_healthy', 'condition: service_hale'));
    expect(checked([...command, '-f', file, 'config'], { cwd: ROOT, env: { PATH } }).code).not.toBe(
      0,
    );
  });
});
