import { existsSync } from 'node:fs';
import type { Epoch } from './epoch.ts';
import { ControllerStartError, databaseIn, openState } from './state-directory.ts';
import type { Store } from './store/store.ts';

/** How far a restored mesh jumps ahead of what its backup knew: nodes may have seen what came after. */
const RESTORED_JUMP = 1_000_000;

/**
 * Announces that a store was restored from a backup: epoch and version jump ahead, nothing of the
 * backup's epoch is given out any more, and its unused join tokens are void. Returns the epoch in
 * force; undefined before the first one. Doing it again before the next epoch changes nothing.
 */
export async function announceRestored(store: Store, now: number): Promise<Epoch | undefined> {
  for (const { id } of await store.openTokens(0)) await store.deleteToken(id);
  const backup = await store.currentEpoch();
  if (backup === undefined || backup.secret === undefined) return backup;
  const epoch = backup.epoch + RESTORED_JUMP;
  const version = backup.version + RESTORED_JUMP;
  const next = { ...backup, epoch, version, startedAt: now, secret: undefined, header: undefined };
  if (!(await store.commitEpoch(backup, next))) throw new Error('the store is in use');
  await store.scrub();
  return next;
}

/** The same for a controller's state directory. Throws a `ControllerStartError` while one runs on it. */
export async function announceRestoredIn(
  directory: string,
  now: number,
): Promise<Epoch | undefined> {
  const path = databaseIn(directory);
  if (!existsSync(path)) throw new ControllerStartError(`${path}: there is no such database`);
  const state = openState(directory);
  try {
    const { store } = state;
    return await announceRestored(store, Math.max(now, await store.latestTime()));
  } finally {
    await state.close();
  }
}
