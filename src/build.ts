import { execFileSync } from 'node:child_process';
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { kernelBytes } from './crypto/wasm/kernel-bytes.ts';

/**
 * Makes what is published, in dist/:
 *
 * - program/: programs, workers and the library, each bundled with what it imports; to read a file takes
 *   longer than most of what is in it. They lie beside one another, where each looks for those that it
 *   starts, and as deep as their sources do.
 * - the types of the library;
 * - the controller's page: its modules, and those of ours that it imports, for browsers.
 */

const ROOT = resolve(import.meta.dirname, '..');
const DIST = join(ROOT, 'dist');

/** The data path's kernel is assembled now, not at every start. */
const kernelAsData: Plugin = {
  name: 'kernel as data',
  setup({ onLoad }) {
    onLoad({ filter: /\/crypto\/wasm\/kernel-bytes\.ts$/ }, () => {
      const cases = (['wasm-simd-revec', 'wasm-simd'] as const).map((variant) => {
        const text = Buffer.from(kernelBytes(variant)).toString('base64');
        return `'${variant}': '${text}'`;
      });
      return {
        contents: `const BYTES = { ${cases.join(', ')} };
          export const kernelBytes = (variant) => Buffer.from(BYTES[variant], 'base64');`,
      };
    });
  },
};

/** `entries`, from src, without their ending: what they share is bundled beside them. */
async function bundle(entries: readonly string[], packages: 'bundle' | 'external'): Promise<void> {
  await build({
    absWorkingDir: ROOT,
    entryPoints: entries.map((entry) => `src/${entry}.ts`),
    outdir: join(DIST, 'program'),
    entryNames: '[name]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node26',
    packages,
    minifyWhitespace: true,
    minifySyntax: true,
    plugins: [kernelAsData],
    logLevel: 'warning',
  });
}

function compile(...options: readonly string[]): void {
  execFileSync(join(ROOT, 'node_modules/.bin/tsc'), options, { cwd: ROOT, stdio: 'inherit' });
}

rmSync(DIST, { recursive: true, force: true });
// The daemon needs one dependency, and has it within: finding its files took longer than running them.
await bundle(['cli/meshtun'], 'bundle');
await bundle(
  ['tunnel/linux/outbound-worker', 'tunnel/linux/inbound-worker', 'io/linux/readable-thread'],
  'bundle',
);
await bundle(
  [
    'cli/meshnet',
    'cli/score-worker',
    'tunnel/create-tunnel',
    'agent/watchdog-process',
    'agent/harness/command-process',
    'agent/harness/read-worker',
    'dashboard/replay-worker',
  ],
  'external',
);
compile('-p', 'tsconfig.build.json');
compile('-p', 'src/dashboard/page', '--noEmit', 'false', '--rootDir', 'src', '--outDir', 'dist');
for (const name of readdirSync(join(ROOT, 'src/dashboard/page'))) {
  if (!/\.(html|css|svg)$/.test(name)) continue;
  cpSync(join(ROOT, 'src/dashboard/page', name), join(DIST, 'dashboard/page', name));
}
