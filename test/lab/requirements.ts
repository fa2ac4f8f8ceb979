import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, test } from 'vitest';
import { unsupported } from '../../src/io/linux/syscalls.ts';

/** Absolute path of an executable in PATH (or /usr/sbin, /sbin, which a user's PATH may lack). */
export function findExecutable(name: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).concat('/usr/sbin', '/sbin');
  for (const folder of folders) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {}
  }
  return undefined;
}

/** What it takes to make interfaces of ours in namespaces of their own. */
export const REAL_INTERFACES = ['linux', 'root', 'tun', 'netns', 'node:ffi'] as const;

/** Named things a suite can need. Every other name is an executable that must be in PATH. */
export const CHECKS: Record<string, () => boolean> = {
  linux: () => process.platform === 'linux',
  root: () => process.getuid?.() === 0,
  tun: () => existsSync('/dev/net/tun'),
  netns: canCreateNamespaces,
  'node:ffi': () => unsupported() === undefined,
  schemathesis: () => SCHEMATHESIS !== undefined,
  'compose-check': () => existsSync(DEPLOY_CHECKERS['compose-check']),
  'podman-compose': () => existsSync(DEPLOY_CHECKERS['podman-compose']),
  hadolint: () => existsSync(DEPLOY_CHECKERS.hadolint),
  image: () => existsSync(DEPLOY_CHECKERS.image),
  helm: () => existsSync(DEPLOY_CHECKERS.helm),
  'kubernetes-validate': () => existsSync(DEPLOY_CHECKERS['kubernetes-validate']),
  'kube-apiserver': () => existsSync(DEPLOY_CHECKERS['kube-apiserver']),
  tofu: () => existsSync(DEPLOY_CHECKERS.tofu),
  'debian-base': () => existsSync(DEPLOY_CHECKERS['debian-base']),
  promptfoo: () => existsSync(join(HARNESSES, 'promptfoo/.complete')),
  inspect: () => existsSync(join(HARNESSES, 'inspect/.complete')),
  'lm-eval': () => existsSync(join(HARNESSES, 'lm-eval/.complete')),
  garak: () => existsSync(join(HARNESSES, 'garak/.complete')),
  federated: () => existsSync(join(HARNESSES, 'federated/.complete')),
  /** Built from its Go module by the suites that use it, so a Go toolchain is enough. */
  'wireguard-go': () =>
    [process.env.WIREGUARD_GO, findExecutable('wireguard-go'), findExecutable('go')].some(
      (path) => path !== undefined && existsSync(path),
    ),
};

/** The program of the Python package, from PATH or where CI puts it. */
export const SCHEMATHESIS = [
  findExecutable('schemathesis'),
  join(
    import.meta.dirname,
    '../../node_modules/.cache/aligned-meshnet/schemathesis/bin/schemathesis',
  ),
].find((path) => path !== undefined && existsSync(path));

const checkers = join(import.meta.dirname, '../../node_modules/.cache/aligned-meshnet/deploy');

/** What checks deploy/ and compose.yaml, where test/deploy/install-checkers.sh puts it. */
export const DEPLOY_CHECKERS = {
  'compose-check': join(checkers, 'compose-check'),
  'podman-compose': join(checkers, 'python/bin/podman-compose'),
  hadolint: join(checkers, 'python/bin/hadolint'),
  helm: join(checkers, 'helm'),
  'kubernetes-validate': join(checkers, 'python/bin/kubernetes-validate'),
  'kube-apiserver': join(checkers, 'kube-apiserver'),
  /** OpenTofu, which speaks the language and the protocol of Terraform. */
  tofu: join(checkers, 'tofu'),
  /** Root file system of the image that test/deploy/build-image.sh built. */
  image: join(checkers, 'image/root'),
  /** A Debian without a kernel, which it built that on. */
  'debian-base': join(checkers, 'debian-base.tar'),
} as const;

/** Harnesses in environments of their own, where test/e2e/harnesses/install.sh puts them. */
const HARNESSES = join(import.meta.dirname, '../../node_modules/.cache/aligned-meshnet');
export const PROMPTFOO = join(HARNESSES, 'promptfoo/node_modules/promptfoo/dist/src/entrypoint.js');
export const INSPECT_PYTHON = join(HARNESSES, 'inspect/bin/python');
export const GARAK_PYTHON = join(HARNESSES, 'garak/bin/python');
export const LM_EVAL = join(HARNESSES, 'lm-eval/bin/lm_eval');

const cache = new Map<string, boolean>();

function isPresent(name: string): boolean {
  let present = cache.get(name);
  if (present === undefined) {
    present = CHECKS[name]?.() ?? findExecutable(name) !== undefined;
    cache.set(name, present);
  }
  return present;
}

function canCreateNamespaces(): boolean {
  if (findExecutable('ip') === undefined) return false;
  const name = `probe-${process.pid}`;
  try {
    execFileSync('ip', ['netns', 'add', name], { stdio: 'ignore' });
    execFileSync('ip', ['netns', 'del', name], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** The given requirements that this machine does not meet. */
export function missing(...names: string[]): string[] {
  return names.filter((name) => !isPresent(name));
}

/** A suite: `describe`, or what takes its place where something is missing. */
export type Suite = (name: string, body: () => void) => void;

/**
 * The `describe` of a suite that needs `names`. Where one is missing the suite is skipped and
 * says why; in CI (environment CI is set) it fails instead, so nothing is skipped unnoticed.
 *
 *     requires('root', 'tun', 'netns')('moves packets', () => { test(...) });
 */
export function requires(...names: string[]): Suite {
  const lacking = missing(...names);
  if (lacking.length === 0) return (name, body) => void describe(name, body);
  const reason = `needs ${lacking.join(', ')}`;
  if (process.env.CI) {
    return (name) =>
      void describe(name, () => {
        test(reason, () => {
          throw new Error(`missing here: ${lacking.join(', ')}`);
        });
      });
  }
  return (name, body) => {
    console.warn(`skipped: ${name}: ${reason}`);
    describe.skip(`${name} (${reason})`, body);
  };
}
