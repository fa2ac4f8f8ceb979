import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { requires } from '../lab/requirements.ts';

const run = promisify(execFile);
const EXAMPLE = join(import.meta.dirname, '../../examples/example.ts');

/** No kit may take longer, in its long form either. */
const LIMIT = { timeout: 180_000 };

let out: string;
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'examples-'));
});
afterEach(() => rmSync(out, { recursive: true }));

/** Runs the short form of a kit: what it printed, and its picture. */
async function kit(name: string): Promise<{ stdout: string; picture: string }> {
  const parameters = ['--disable-warning=ExperimentalWarning', EXAMPLE, name, '--short'];
  const { stdout } = await run(process.execPath, [...parameters, '--out', out]);
  return { stdout, picture: readFileSync(join(out, 'picture.svg'), 'utf8') };
}

requires('prometheus')('the kit with validators', () => {
  test(
    'cuts who is slow, down or poor, nobody else, and lets back in who has mended',
    LIMIT,
    async () => {
      const { stdout, picture } = await kit('validators');
      expect(stdout).toMatch(/^validator-1 .* s +latency$/m);
      expect(stdout).toMatch(/^validator-2 .* s +(availability|latency)$/m);
      expect(stdout).toMatch(/^validator-3 .* no +- +stake$/m);
      expect(stdout).toMatch(/^0 of \d members reached validator-1 while it was out/m);
      expect(stdout).toMatch(/^0 of 1 others were cut/m);
      expect(stdout).toContain('validator-1 is denied');
      expect(picture).toContain('validator-1');
    },
  );
});

requires('federated')('the kit with federated learning', () => {
  test(
    'goes on learning without those who poison, whose updates do not come any more',
    LIMIT,
    async () => {
      const { stdout, picture } = await kit('federated');
      const last = stdout.split('\n').find((line) => /^8 /.test(line))!;
      const [, open, governed] = last.split(/\s+/).map(Number);
      expect(open).toBeLessThan(0.6);
      expect(governed).toBeGreaterThan(0.85);
      expect(last).not.toContain('poisoned');
      expect(stdout).toMatch(/^client-0 is denied .*accuracy score 0\.\d+ is below/m);
      expect(stdout).toMatch(/^evaluator-2, lying .* 0\.[5-9]\d*$/m);
      expect(stdout).toContain('would keep 3 of 3 who poison and cut 7 of 7 honest clients');
      expect(picture).toContain('the lying evaluator alone');
    },
  );
});

requires('promptfoo')('the kit with agents', () => {
  test(
    'a jailbroken agent is out by what red-teaming found, and no call of its goes through',
    LIMIT,
    async () => {
      const { stdout, picture } = await kit('llm');
      expect(stdout).toMatch(/^it is out of the mesh +[\d.]+ s$/m);
      expect(stdout).toMatch(/^promptfoo says so +[\d.]+ s$/m);
      expect(stdout).toMatch(/^One epoch later 0 of \d+ calls to or from it went through/m);
      expect(stdout).toMatch(/of whom 0 were cut/);
      expect(stdout).toMatch(/^agent-c is denied .*(probes|red-team) score 0\.\d+ is below/m);
      expect(picture).toContain('jailbroken');
    },
  );
});
