import { join } from 'node:path';
import { controllerFingerprint } from '../contract/ids.ts';
import { KeyFileError, readKeyFile, writeKeyFile } from '../contract/key-file.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import { DirectoryError, ensurePrivateDirectory } from '../ground/directory.ts';
import { type Lock, LockedError, lockDirectory } from '../ground/lock.ts';
import type { HistoryLimits } from './store/history-limits.ts';
import { SqliteStore } from './store/sqlite-store.ts';
import { type Store, StoreError } from './store/store.ts';

/** A start that cannot succeed by being tried again. */
export class ControllerStartError extends Error {
  override readonly name = 'ControllerStartError';
}

/** A state directory that was taken: nobody else works there until it is closed. */
export interface ControllerState {
  readonly directory: string;
  readonly store: Store;
  /** Closes the store and lets the directory go. */
  close(): Promise<void>;
}

/**
 * Makes the directory of database, key, socket and status, and takes it: nobody else may put files in
 * it, and no other controller works there. Without `history` nothing of the past is let go. Throws a
 * `ControllerStartError`.
 */
export function openState(directory: string, history?: HistoryLimits): ControllerState {
  let lock: Lock | undefined;
  try {
    ensurePrivateDirectory(directory);
    lock = lockDirectory(directory, { program: 'meshnet controller' });
    const store = new SqliteStore(databaseIn(directory), history);
    const close = () => store.close().finally(() => lock?.release());
    return { directory, store, close };
  } catch (error) {
    lock?.release();
    const isExpected = [DirectoryError, LockedError, StoreError].some(
      (one) => error instanceof one,
    );
    if (!isExpected) throw error;
    throw new ControllerStartError((error as Error).message, { cause: error });
  }
}

export function databaseIn(directory: string): string {
  return join(directory, 'mesh.db');
}

/** Of the key that the mesh is named by. */
export function keyFileIn(directory: string): string {
  return join(directory, 'controller.key');
}

/** The policy that an admin set last, for a controller that is started without one. */
export function keptPolicyIn(directory: string): string {
  return join(directory, 'policy.json');
}

/** The controller's signing seed. Made for a new mesh only: a mesh is named by its key. */
export async function signingKey(
  store: Store,
  path: string,
  crypto: CryptoProvider,
  random: RandomBytes,
): Promise<Uint8Array> {
  const mesh = await store.mesh();
  const seed = existingKey(path);
  if (seed === undefined && mesh !== undefined) {
    const message = `${path}: the key is gone, but the database is of the mesh that it governs; restore it`;
    throw new ControllerStartError(message);
  }
  const key = seed ?? newKey(path, random);
  const meshId = controllerFingerprint(crypto, crypto.ed25519Public(key));
  if (await store.claim(meshId)) return key;
  throw new ControllerStartError(`${path}: the database belongs to a mesh with another key`);
}

function existingKey(path: string): Uint8Array | undefined {
  try {
    return readKeyFile(path);
  } catch (error) {
    if (error instanceof KeyFileError && error.code === 'missing') return undefined;
    throw error;
  }
}

function newKey(path: string, random: RandomBytes): Uint8Array {
  const seed = random(32);
  writeKeyFile(path, seed);
  return seed;
}
