import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');

/** The last release; its commit, for clones without tags. A release moves both. */
const TAG = 'v0.1.0';
const COMMIT = '3073589489941a2bd5c5e3d0f09822f0cd0cd62c';

export interface PreviousVersion {
  /** Of its sources, in a folder of their own. They run on the packages that are installed here. */
  readonly root: string;
  readonly remove: () => void;
}

/** The last release's sources out of the history of this clone; throws where that does not reach so far. */
export function previousVersion(): PreviousVersion {
  const found = [`refs/tags/${TAG}`, COMMIT].find(isInHistory);
  if (found === undefined) {
    const what = `neither the tag ${TAG} nor its commit ${COMMIT.slice(0, 7)} is in this clone`;
    throw new Error(`${what}: run git fetch --tags --unshallow`);
  }
  const root = mkdtempSync(join(tmpdir(), 'meshnet-previous-'));
  const remove = () => rmSync(root, { recursive: true, force: true });
  try {
    const archive = execFileSync('git', ['archive', found], { cwd: ROOT, maxBuffer: 1 << 28 });
    execFileSync('tar', ['-x', '-C', root], { input: archive });
    symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  } catch (error) {
    remove();
    throw error;
  }
  return { root, remove };
}

function isInHistory(name: string): boolean {
  try {
    execFileSync('git', ['cat-file', '-e', `${name}^{commit}`], { cwd: ROOT, stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
