import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { DEPLOY_CHECKERS, requires } from '../lab/requirements.ts';
import { checked } from './checked.ts';

const CONTAINERFILE = readFileSync(
  join(resolve(import.meta.dirname, '../..'), 'deploy/Containerfile'),
  'utf8',
);

requires('hadolint')('the Containerfile', () => {
  const hadolint = (input: string) => checked([DEPLOY_CHECKERS.hadolint, '-'], { input });

  test('is one that hadolint finds no fault with', () => {
    expect(hadolint(CONTAINERFILE)).toEqual({ code: 0, output: '' });
  });

  test.for([
    ['a file that is added where it should be copied', 'COPY src src', 'ADD src src'],
    ['a relative folder to work in', 'WORKDIR /build', 'WORKDIR build'],
    ['a pipe whose failures are swallowed', 'RUN npm run build', 'RUN npm run build | cat'],
  ] as const)('with %s is found out', ([, right, wrong]) => {
    expect(CONTAINERFILE).toContain(right);
    expect(hadolint(CONTAINERFILE.replace(right, wrong)).code).not.toBe(0);
  });

  test('runs as a user of its own, with a check of health and without a shell', () => {
    expect(CONTAINERFILE).toMatch(/^USER 10001:10001$/m);
    const final = CONTAINERFILE.slice(CONTAINERFILE.indexOf('FROM scratch'));
    expect(final).not.toMatch(/^RUN /m);
    for (const word of ['ENTRYPOINT', 'CMD', 'HEALTHCHECK']) {
      expect(final).toMatch(new RegExp(`^${word}.*\\[".*"\\]$`, 'm'));
    }
  });
});
