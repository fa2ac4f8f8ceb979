import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AcmeCertificates } from '../../src/cli/acme/acme-certificates.ts';
import { ChallengeAnswers } from '../../src/cli/acme/challenge-answers.ts';
import type { AcmeOrder } from '../../src/cli/acme/order.ts';
import { ownCertificate, type ServerCertificate } from '../../src/controller/own-certificate.ts';
import { crypto, temporaryDirectory } from '../agent/support/rig.ts';
import { SimClock } from '../lab/agent-clock.ts';
import { freePort } from '../lab/free-ports.ts';

const DAY = 86_400_000;
/** Ours last ten years and a day, and are dated a day back. */
const LIFETIME = 3651 * DAY;

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

function rig(order: (asked: AcmeOrder, now: number) => Promise<ServerCertificate>) {
  const clock = new SimClock();
  const source = () =>
    new AcmeCertificates({
      directory: 'https://acme.example/directory',
      names: ['mesh.example'],
      place: join(directory.path, 'acme'),
      newAccountKey: async () => 'the key of the account',
      order: (asked) => order(asked, clock.wall()),
      random: () => 1,
    });
  const applied: ServerCertificate[] = [];
  const warnings: string[] = [];
  const stop = new AbortController();
  const follow = () =>
    void source().follow(
      (one) => applied.push(one),
      (message) => warnings.push(message),
      clock,
      stop.signal,
    );
  return { clock, source, applied, warnings, stop, follow };
}

const issued = (name: string, now: number) =>
  ownCertificate(crypto, new Uint8Array(32).fill(3), [name], now);

test('a certificate is asked for, kept with its key, and renewed when a third of its time is left', async () => {
  const asked: AcmeOrder[] = [];
  const { clock, source, applied, stop, follow } = rig(async (order, now) => {
    asked.push(order);
    return issued('mesh.example', now);
  });
  expect(source().present(clock.wall())).toBeUndefined();
  follow();
  await clock.advance(1);
  expect(applied).toHaveLength(1);
  expect(asked[0]).toEqual({
    directory: 'https://acme.example/directory',
    names: ['mesh.example'],
    accountKey: 'the key of the account',
  });
  const file = join(directory.path, 'acme', 'certificate.pem');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(source().present(clock.wall())).toMatchObject({ cert: `${applied[0]!.cert.trim()}\n` });
  expect(source().present(clock.wall() + LIFETIME)).toBeUndefined();
  stop.abort();
});

test('a failure is told and tried again later and later; the account stays the same', async () => {
  const accounts: string[] = [];
  let works = false;
  const { clock, applied, warnings, stop, follow } = rig(async ({ accountKey }, now) => {
    accounts.push(accountKey);
    if (!works) throw new Error('too many requests');
    return issued('mesh.example', now);
  });
  follow();
  await clock.advance(1);
  await clock.advance(60_000);
  await clock.advance(120_000);
  expect(warnings).toEqual(
    [60, 120, 240].map(
      (pause) =>
        `no certificate from https://acme.example/directory: too many requests; again in ${pause} s`,
    ),
  );
  works = true;
  await clock.advance(240_000);
  expect(applied).toHaveLength(1);
  expect(new Set(accounts)).toEqual(new Set(['the key of the account']));
  stop.abort();
});

test('a certificate for somebody else is neither used nor kept', async () => {
  const { clock, applied, warnings, source, stop, follow } = rig(async (_, now) =>
    issued('other.example', now),
  );
  follow();
  await clock.advance(1);
  expect(applied).toEqual([]);
  expect(warnings).toEqual([expect.stringContaining('not what was asked for')]);
  expect(source().present(clock.wall())).toBeUndefined();
  stop.abort();
});

test('a kept one that is broken counts as none', async () => {
  const { clock, source, stop, follow } = rig(async (_, now) => issued('mesh.example', now));
  follow();
  await clock.advance(1);
  stop.abort();
  const file = join(directory.path, 'acme', 'certificate.pem');
  writeFileSync(file, readFileSync(file, 'utf8').slice(0, 400));
  expect(source().present(clock.wall())).toBeUndefined();
});

test('the authority is answered while it asks, and nobody listens after that', async () => {
  const port = await freePort();
  const answers = new ChallengeAnswers({ host: '127.0.0.1', port });
  await answers.add('token', 'token.thumbprint');
  const ask = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
  expect(await (await ask('/.well-known/acme-challenge/token')).text()).toBe('token.thumbprint');
  expect((await ask('/.well-known/acme-challenge/other')).status).toBe(404);
  expect((await ask('/metrics')).status).toBe(404);
  const taken = new ChallengeAnswers({ host: '127.0.0.1', port });
  await expect(taken.add('token', 'x')).rejects.toThrow(
    `--acme-http 127.0.0.1:${port}: EADDRINUSE`,
  );
  answers.remove('token');
  await expect(ask('/.well-known/acme-challenge/token')).rejects.toThrow();
});
