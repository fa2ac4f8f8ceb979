import type { CryptoProvider } from '../../crypto/provider.ts';
import { logKey, openCheckpoint, type SignedCheckpoint } from '../../record/checkpoint.ts';
import { seriesOf } from './origin.ts';

/** A checkpoint of a mesh's log, and how often the log had been begun again after a restored backup. */
export interface MeshCheckpoint extends SignedCheckpoint {
  readonly series: number;
}

/** Whose log it is. */
export interface LogOwner {
  /** 32 bytes. */
  readonly meshId: Uint8Array;
  /** Ed25519, 32 bytes. */
  readonly controllerKey: Uint8Array;
}

/** Reads a checkpoint of this mesh's log. Undefined: malformed, of another log, or not signed by it. */
export function openMeshCheckpoint(
  crypto: Pick<CryptoProvider, 'sha256' | 'ed25519Verify'>,
  { meshId, controllerKey }: LogOwner,
  text: string,
): MeshCheckpoint | undefined {
  const origin = text.split('\n', 1)[0]!;
  const series = seriesOf(meshId, origin);
  if (series === undefined) return undefined;
  const opened = openCheckpoint(crypto, logKey(origin, controllerKey), text);
  return opened && { ...opened, series };
}
